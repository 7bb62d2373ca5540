-- A real SIGKILL at random moments, again and again, until the work is done. The seed is in the name of
-- the test: CRASH_SEED=7 busted spec/crash/random_spec.lua runs that one alone (threads make the rest of
-- the chance). More seeds: CRASH_SEEDS=100.

local harness = require "spec.crash.harness"

local SEEDS = tonumber(os.getenv("CRASH_SEEDS")) or 3
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
  local faults, kills = {}, 0
  local ok, problem = pcall(function()
    for _ = 1, KILLS do
      local fault = CALLS[1 + math.floor(#CALLS * random())](random)
      faults[#faults + 1] = fault
      local run = scene:run(body, { fault = fault })
      scene:check()
      if run.killed then kills = kills + 1
      elseif run.exit ~= 0 then error(run:text()) end
    end
    scene:completes(body)
  end)
  if not ok then error(("after %s:\n%s"):format(table.concat(faults, "; "), tostring(problem)), 0) end
  assert.is_true(kills > 0)
end


describe("work of every kind", function()
  after_each(harness.clean)

  for seed = ONLY or 1, ONLY or SEEDS do
    it(("is done once and right in spite of random kills (seed %d)"):format(seed), function()
      survives_random_kills(seed)
    end)
  end
end)
