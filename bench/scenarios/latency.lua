-- latency: from start to completed, for an orchestration of one activity, when nothing else runs.

local duro = require "duro"
local support = require "support"


return function(o)
  local path = support.fresh("latency")
  duro.activity("noop", function(_, value) return value end)
  duro.orchestration("one", function(ctx, value) return ctx:activity("noop", value) end)
  local rt = support.open(path, o)
  local took = {}
  for i = -20, o.times do
    local began = support.now()
    assert(rt:wait(assert(rt:start("one", i)), 60))
    took[i] = (support.now() - began) * 1e6
    assert(rt:run_until_idle(60))
  end
  rt:close()
  support.remove(path)
  return { p50_us = support.percentile(took, 0.5), p99_us = support.percentile(took, 0.99) }
end
