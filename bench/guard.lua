-- guard: what the determinism guard costs the code of an orchestration, by what that code does.
--
--   lua5.4 bench/guard.lua [rounds=5]
--
-- Each case runs in one turn of an orchestration, without a guard and with it in turn, so that a machine
-- whose speed drifts spoils neither; the strict guard comes last, because it replaces global functions for
-- good. Printed: nanoseconds a step (CPU time, the median of all rounds), and the ratios to no guard.

local duro = require "duro"

local rounds = tonumber(arg[1]) or 5
local STEPS = 200000

local small, large, words = {}, {}, {}
for i = 1, 10 do small["key " .. i] = i end
for i = 1, 1000 do large["key " .. i] = i end
for i = 1, 100 do words[i] = "word " .. (i * 7919) % 100 end


-- {what a step does, how many steps, a maker of orchestrations}. Each maker gives a function of its own:
-- the guard changes the environment of the function itself.
local CASES = {
  { "arithmetic and locals", STEPS * 10, function()
    return function(_, n)
      local sum = 0
      for i = 1, n do sum = (sum * 31 + i) % 65521 end
      return sum
    end
  end },
  { "a call of math.floor", STEPS, function()
    return function(_, n)
      local sum = 0
      for i = 1, n do sum = sum + math.floor(i / 3) end
      return sum
    end
  end },
  { "string.format", STEPS, function()
    return function(_, n)
      local last
      for i = 1, n do last = string.format("%d items", i) end
      return last
    end
  end },
  { "tostring of a number", STEPS, function()
    return function(_, n)
      local last
      for i = 1, n do last = tostring(i) end
      return last
    end
  end },
  { "ipairs over 100", STEPS / 100, function()
    return function(_, n)
      local count = 0
      for _ = 1, n do
        for _ in ipairs(words) do count = count + 1 end
      end
      return count
    end
  end },
  { "pairs over an array of 100", STEPS / 100, function()
    return function(_, n)
      local count = 0
      for _ = 1, n do
        for _ in pairs(words) do count = count + 1 end
      end
      return count
    end
  end },
  { "pairs over 10 names", STEPS / 10, function()
    return function(_, n)
      local count = 0
      for _ = 1, n do
        for _ in pairs(small) do count = count + 1 end
      end
      return count
    end
  end },
  { "pairs over 1000 names", STEPS / 1000, function()
    return function(_, n)
      local count = 0
      for _ = 1, n do
        for _ in pairs(large) do count = count + 1 end
      end
      return count
    end
  end },
  { "table.sort of 100", STEPS / 100, function()
    return function(_, n)
      local copy
      for _ = 1, n do
        copy = {}
        for i = 1, #words do copy[i] = words[i] end
        table.sort(copy)
      end
      return copy[1]
    end
  end },
  { "an activity", STEPS / 20, function()
    return function(ctx, n)
      for i = 1, n do ctx:activity("noop", i) end
      return n
    end
  end },
}


local rt = assert(duro.open { path = ":memory:" })
rt:activity("noop", function(_, value) return value end)


-- CPU nanoseconds a step.
local function measure(case, mode)
  rt:orchestration("case", { replace = true, guard = mode }, case[3]())
  local steps = math.floor(case[2])
  local began = os.clock()
  assert(rt:start("case", steps, { id = "run", on_conflict = "replace_finished" })) -- may run the first turn
  assert(rt:run_until_idle(600))
  local took = os.clock() - began
  local status = rt:status("run")
  assert(status.status == "completed", tostring(status))
  return took / steps * 1e9
end


local function median(list)
  table.sort(list)
  return list[math.floor((#list + 1) / 2)]
end


local results = {}
for i, case in ipairs(CASES) do
  results[i] = { [false] = {}, [true] = {}, strict = {} }
  for round = 1, rounds do
    for _, mode in ipairs { false, true } do results[i][mode][round] = measure(case, mode) end
  end
end
for i, case in ipairs(CASES) do
  for round = 1, rounds do results[i].strict[round] = measure(case, "strict") end
end
rt:close()

print(("%-28s %10s %10s %8s %10s %8s"):format("a step", "none, ns", "guard, ns", "ratio", "strict, ns", "ratio"))
for i, case in ipairs(CASES) do
  local none, guarded, strict = median(results[i][false]), median(results[i][true]), median(results[i].strict)
  print(("%-28s %10.1f %10.1f %8.2f %10.1f %8.2f"):format(case[1], none, guarded, guarded / none, strict,
    strict / none))
end
print((jit and jit.version or _VERSION) .. (", median of %d rounds"):format(rounds))
