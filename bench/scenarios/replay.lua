-- replay: how fast a long history becomes a coroutine again: read, decoded, and matched with what the code does.

local duro = require "duro"
local support = require "support"


local function make(path, o)
  local rt = support.open(path, o)
  local steps = math.floor(o.events / 2)
  support.start_all(rt, o.instances, 5000, function(i) return { name = "long", input = steps, id = "long-" .. i } end)
  assert(rt:run_until_idle(600))
  rt:close()
end


return function(o)
  duro.activity("noop", function(_, value) return value end)
  duro.orchestration("long", function(ctx, n)
    local done = 0
    ctx:on_query("done", function() return done end)
    for i = 1, n do done = ctx:activity("noop", i) end
    return ctx:wait_event("go")
  end)
  local path = support.fresh("replay")
  make(path, o)
  local rt = support.open(path, o, { max_live_instances = 1 })
  local took = {}
  for i = 1, o.instances do
    local began = support.now()
    assert(assert(rt:query("long-" .. i, "done")) == math.floor(o.events / 2))
    took[i] = support.now() - began
  end
  rt:close()
  support.remove(path)
  return { per_second = o.events / support.median(took) }
end
