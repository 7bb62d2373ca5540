-- steps: one instance alone, with ever more sequential activities. What a step costs must not grow.

local duro = require "duro"
local support = require "support"


-- Microseconds a step of one run with n steps.
local function run(rt, n)
  local began = support.now()
  assert(rt:wait(assert(rt:start("steps", n)), 600))
  return (support.now() - began) / n * 1e6
end


return function(o)
  local path = support.fresh("steps")
  duro.activity("noop", function(_, value) return value end)
  duro.orchestration("steps", function(ctx, n)
    for i = 1, n do ctx:activity("noop", i) end
    return n
  end)
  local rt = support.open(path, o)
  run(rt, 100)
  -- The short ones are run on both sides of the long one, so that a disk that drifts spoils neither; and their mean
  -- is taken, so that they bear their share of the folding that happens once a second.
  local sums = { short = 0, middle = 0 }
  local function short_ones()
    for _ = 1, 30 do sums.short = sums.short + run(rt, 100) / 60 end
    for _ = 1, 2 do sums.middle = sums.middle + run(rt, o.most / 10) / 4 end
  end
  short_ones()
  local us_long = run(rt, o.most)
  short_ones()
  rt:close()
  support.remove(path)
  local us_short = sums.short
  return { us_100 = us_short, us_1000 = sums.middle, us_10000 = us_long, growth = us_long / us_short,
    per_second = 1e6 / us_long }
end
