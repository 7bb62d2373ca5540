-- fan_out: one orchestration schedules n activities at once and joins them. What one of them costs must not grow.
--
-- Each size runs as many activities as the large one, back to back, and pays for all of its own: its time begins with
-- everything folded and ends with everything folded. Else the short runs would leave their folding (once a second,
-- or once in so many rows) to whoever is measured after them, and be compared with one that does its own. And it
-- begins with a heap without garbage, so that none collects what another has left.

local duro = require "duro"
local support = require "support"


return function(o)
  local path = support.fresh("fan-out")
  duro.activity("noop", function(_, value) return value end)
  duro.orchestration("fan", function(ctx, n)
    local tasks = {}
    for i = 1, n do tasks[i] = ctx:schedule_activity("noop", i) end
    return #ctx:join(tasks)
  end)
  local rt = support.open(path, o)

  local function fan(n)
    local id = assert(rt:start("fan", n))
    assert(rt:wait(id, 600))
    return id
  end

  local small = fan(1)
  local function fold() assert(rt:details(small)) end -- a read that waits for it

  -- Microseconds an activity, of runs with n.
  local function cost(n, runs)
    collectgarbage()
    local began = support.now()
    for _ = 1, runs do fan(n) end
    fold()
    return (support.now() - began) / (n * runs) * 1e6
  end

  fan(1000)
  fold()
  -- The smaller ones are run on both sides of the large one, so that a disk that drifts spoils neither.
  local us = { small = 0, middle = 0 }
  local function smaller_ones()
    us.small = us.small + cost(1000, o.most / 2000) / 2
    us.middle = us.middle + cost(o.most / 10, 5) / 2
  end
  smaller_ones()
  us.large = cost(o.most, 1)
  smaller_ones()
  rt:close()
  support.remove(path)
  return { per_second_1000 = 1e6 / us.small, per_second_10000 = 1e6 / us.middle, per_second_100000 = 1e6 / us.large,
    growth = us.large / us.small }
end
