-- latency: from start to completed, for an orchestration of one activity, when nothing else runs. The first ones are
-- not counted: until the log is used again from its begin, each sync also makes the file longer.

local duro = require "duro"
local support = require "support"


local WARM_UP = 300 -- the log begins anew at 1000 pages (csrc/store/sqlite), and each of these writes five


return function(o)
  local path = support.fresh("latency")
  duro.activity("noop", function(_, value) return value end)
  duro.orchestration("one", function(ctx, value) return ctx:activity("noop", value) end)
  local rt = support.open(path, o)
  local took = {}
  for i = -WARM_UP, o.times do
    local began = support.now()
    assert(rt:wait(assert(rt:start("one", i)), 60))
    took[i] = (support.now() - began) * 1e6
    assert(rt:run_until_idle(60))
  end
  rt:close()
  support.remove(path)
  return { p50_us = support.percentile(took, 0.5), p99_us = support.percentile(took, 0.99) }
end
