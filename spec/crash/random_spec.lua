-- A real SIGKILL at random moments, again and again, until the work is done. The seed is in the name of
-- the test: CRASH_SEED=7 busted spec/crash/random_spec.lua runs that one alone (threads make the rest of
-- the chance). More seeds: CRASH_SEEDS=100.

local harness = require "spec.crash.harness"

local SEEDS = tonumber(os.getenv("CRASH_SEEDS")) or 5
local ONLY = tonumber(os.getenv("CRASH_SEED"))
local KILLS = 12


-- Numbers that are the same on every Lua: 0 to 1.
local function chance(seed)
  local state = seed * 7919 + 17
  return function()
    state = (state * 16807) % 2147483647
    return state / 2147483647
  end
end


-- Small numbers as likely as large ones, so that openings are hit as often as what follows.
local function some_call(random)
  return math.floor(2 ^ (3 + 9 * random()))
end


local CALLS = {
  function(random) return ("kill before any %d"):format(some_call(random)) end,
  function(random) return ("kill after any %d"):format(some_call(random)) end,
  function(random) return ("kill after step %d"):format(some_call(random)) end,
  function(random) return ("kill before commit %d"):format(1 + math.floor(40 * random() ^ 2)) end,
  function(random) return ("kill after commit %d"):format(1 + math.floor(40 * random() ^ 2)) end,
  function(random) return ("kill before write %d -wal"):format(1 + math.floor(300 * random() ^ 2)) end,
  function(random) return ("kill after sync %d -wal"):format(1 + math.floor(40 * random() ^ 2)) end,
  function(random) return ("kill after step %d INSERT INTO journal"):format(1 + math.floor(60 * random())) end,
}


local BODY = [[
  local rt = child.open(OPTIONS)
  require("spec.crash.workload").run(child, rt)
  child.done(rt)
]]

local OPTIONS = {
  "{}",
  "{ feed_retention = 0.001, max_live_instances = 4 }",
  '{ durability = "normal", debug = { replay_every_turn = true } }',
}


local function survives_random_kills(seed)
  local random = chance(seed)
  local scene = harness.new()
  local body = BODY:gsub("OPTIONS", OPTIONS[seed % #OPTIONS + 1])
  local faults = {}
  local ok, problem = pcall(function()
    for _ = 1, KILLS do
      local fault = CALLS[1 + math.floor(#CALLS * random())](random)
      faults[#faults + 1] = fault
      local run = scene:run(body, { fault = fault })
      if not run.killed and run.exit ~= 0 then error(run:text()) end
      scene:check { ended = not run.killed }
      if not run.killed then scene, faults = harness.new(), {} end -- it was done before: begin again
    end
    scene:completes(body)
  end)
  if not ok then error(("after %s:\n%s"):format(table.concat(faults, "; "), tostring(problem)), 0) end
end


-- --- Faults of the disk ---

local BREAKS = {
  function(from, to) return ("eio before step %d-%d"):format(from * 10, to * 10) end,
  function(from, to) return ("enospc before write %d-%d -wal"):format(from * 4, to * 4) end,
  function(from, to) return ("eio before write %d-%d -wal"):format(from * 4, to * 4) end,
  function(from, to) return ("eio before sync %d-%d -wal"):format(from, to) end,
  function(from, to) return ("enospc before step %d-%d INSERT INTO journal"):format(from, to) end,
  function(from, to) return ("eio before step %d-%d INSERT INTO history"):format(from, to) end,
  function(from, to) return ("lie after commit %d-%d"):format(from, to) end,
  function(from, to) return ("eio before commit %d-%d"):format(from, to) end,
  function(from, to) return ("eio before step %d-%d BEGIN IMMEDIATE"):format(from, to) end,
  function(from, to) return ("eio before step %d-%d SELECT"):format(from * 5, to * 5) end,
}


-- Several of them at once, each over a stretch of calls after the open.
local function some_breaks(random)
  local rules = {}
  for i = 1, 2 + math.floor(3 * random()) do
    local from = 1 + math.floor(40 * random() ^ 2)
    rules[i] = BREAKS[1 + math.floor(#BREAKS * random())](from, from + math.floor(4 * random() ^ 2))
  end
  return table.concat(rules, "; ")
end


local BROKEN_BODY = BODY:gsub("OPTIONS%)", "%0\n  child.arm()"):gsub("  child.done", "  child.disarm()\n%0")


local function survives_random_breaks(seed)
  local random = chance(seed)
  local scene = harness.new()
  local body = BROKEN_BODY:gsub("OPTIONS", OPTIONS[seed % #OPTIONS + 1])
  local faults = {}
  for i = 1, 3 do
    faults[i] = some_breaks(random) .. (i < 3 and ("; kill before any %d"):format(some_call(random)) or "")
    local run = scene:run(body, { fault = faults[i], when_armed = true })
    local ok, problem = pcall(scene.check, scene)
    if not ok or not (run.killed or run.exit == 0) then
      error(("after %s:\n%s\n%s"):format(table.concat(faults, " // "), run:text(), tostring(problem)), 0)
    end
  end
  scene:completes(body)
end


describe("work of every kind", function()
  after_each(harness.clean)

  for seed = ONLY or 1, ONLY or SEEDS do
    it(("is done once and right in spite of random kills (seed %d)"):format(seed), function()
      survives_random_kills(seed)
    end)

    it(("is done once and right in spite of random faults of the disk (seed %d)"):format(seed), function()
      survives_random_breaks(seed)
    end)
  end
end)
