-- fan_out: one orchestration schedules n activities at once and joins them. What one of them costs must not grow.

local duro = require "duro"
local support = require "support"


local function run(rt, n)
  local began = support.now()
  assert(rt:wait(assert(rt:start("fan", n)), 600))
  return (support.now() - began) / n * 1e6
end


return function(o)
  local path = support.fresh("fan-out")
  duro.activity("noop", function(_, value) return value end)
  duro.orchestration("fan", function(ctx, n)
    local tasks = {}
    for i = 1, n do tasks[i] = ctx:schedule_activity("noop", i) end
    return #ctx:join(tasks)
  end)
  local rt = support.open(path, o)
  run(rt, 1000)
  -- On both sides of the large one, and their mean, as in steps.lua.
  local us_small, us_middle = 0, 0
  local function small_ones()
    for _ = 1, 20 do us_small = us_small + run(rt, 1000) / 40 end
    for _ = 1, 2 do us_middle = us_middle + run(rt, o.most / 10) / 4 end
  end
  small_ones()
  local us_large = run(rt, o.most)
  small_ones()
  rt:close()
  support.remove(path)
  return { per_second_1000 = 1e6 / us_small, per_second_10000 = 1e6 / us_middle, per_second_100000 = 1e6 / us_large,
    growth = us_large / us_small }
end
