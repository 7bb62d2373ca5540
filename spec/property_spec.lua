-- One property over random orchestrations (support/random_program.lua): however a program is run, its outputs
-- and histories are the same to the byte:
--   live            coroutines stay in memory
--   replayed        debug.replay_every_turn: every turn replays the whole execution
--   reopened        the file is closed and opened again at every pause
--   crowded         one instance fits into memory; the others are dropped and replayed
--   hosted          a host's executor runs the activities, and its sleep waits
-- and whatever it leaves behind fits its own code (duro.replay).
--
-- A failure names the seed. DURO_SEEDS=5000 tries more seeds, DURO_SEEDS=4711-4711 that one.

local duro = require "duro"
local random_program = require "spec.support.random_program"
local runtimes = require "spec.support.runtimes"

local SEEDS = 20
local unpack = table.unpack or unpack
local START_MS = 4102444800000 -- far ahead of the system's clock, so that all runs have the same times


local function wanted_seeds()
  local wanted = os.getenv("DURO_SEEDS") or tostring(SEEDS)
  local first, last = wanted:match("^(%d+)%-(%d+)$")
  if first then return tonumber(first), tonumber(last) end
  return 1, assert(tonumber(wanted), "DURO_SEEDS is a number, or a range such as 100-200")
end


-- --- One run of a program ---

local Run = {}
Run.__index = Run


function Run:open()
  local options = { path = self.path }
  for key, value in pairs(self.mode.options or {}) do options[key] = value end
  self.rt = runtimes.open(options)
  assert(self.rt.core:set_time(self.now_ms))
  for name, fn in pairs(random_program.activities(self.world)) do self.rt:activity(name, fn) end
  self:register()
  assert(self.rt:run_until_idle(20))
end


function Run:register()
  for name, definition in pairs(self.program.orchestrations) do
    self.rt:orchestration(name, { replace = true }, random_program.fn(definition, self.patches))
  end
end


-- From here on the later version of the code runs, in this process or in another one.
function Run:patch()
  self.patches = true
  if self.path == ":memory:" then
    self:register()
    self:pause()
  else
    self.rt:close()
    self:open()
  end
end


-- A pause: everything waits for time or for the world.
function Run:pause()
  assert(self.rt:run_until_idle(20))
  if not self.mode.reopens then return end
  self.rt:close()
  self:open()
end


function Run:set_time(ms)
  self.now_ms = ms
  assert(self.rt.core:set_time(ms))
  self:pause()
end


-- As rt:advance does it, with a pause at each time that is due.
function Run:advance(seconds)
  local target, last = self.now_ms + seconds * 1000, nil
  while true do
    local due = self.rt.core:next_due_ms()
    if not due or due > target or due == last then break end
    last = due
    self:set_time(math.max(due, self.now_ms))
  end
  self:set_time(target)
end


-- What the world does, one function a step: true, or nil, err as the runtime says it.
local world = {}


function world.advance(run, seconds)
  run:advance(seconds)
  return true
end


-- Gives the value to the first deferred activity that still waits. Whether one that is cancelled at once gets
-- as far as deferring is nobody's promise, so tokens that are refused do not count.
local function answer(run, method, value)
  while run.world.tokens[1] do
    if run.rt[method](run.rt, table.remove(run.world.tokens, 1), value) then return true end
  end
  return nil, { code = "nobody" }
end


function world.complete(run)
  return answer(run, "complete_activity", "completed")
end


function world.fail(run)
  return answer(run, "fail_activity", { code = "b", message = "rejected" })
end


function world.retry_failed(run)
  local outcome = assert(run.rt:retry_failed { instances = { "root" } })
  local refused = outcome.failed_instances[1]
  return not refused, refused and refused.error
end


for _, name in ipairs { "raise_event", "cancel", "suspend", "resume", "terminate" } do
  world[name] = function(run, ...) return run.rt[name](run.rt, ...) end
end


-- --- What can be seen of it ---

-- What may differ: a run id is drawn for each instance, and a host's stack looks different.
local HIDDEN = { run_id = true, drawn = true, details = true }


local function sorted_keys(value)
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end


-- A value as text, without what is drawn anew in each run.
local function shown(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for _, key in ipairs(sorted_keys(value)) do
    if not HIDDEN[key] then parts[#parts + 1] = ("%s=%s"):format(key, shown(value[key])) end
  end
  return "{" .. table.concat(parts, " ") .. "}"
end


local SEEN = { "orchestration_name", "version", "status", "created_at", "completed_at", "execution_count",
  "parent_instance", "attributes", "custom_status", "error" }


local function look_at(rt, lines, row)
  for _, field in ipairs(SEEN) do
    lines[#lines + 1] = ("%s %s: %s"):format(row.instance_id, field, shown(row[field]))
  end
  lines[#lines + 1] = ("%s kv: %s"):format(row.instance_id, shown(assert(rt:kv(row.instance_id))))
  lines[#lines + 1] = ("%s output: %s"):format(row.instance_id, shown(rt:status(row.instance_id).output))
  for _, execution in ipairs(assert(rt:list_executions(row.instance_id))) do
    for _, event in ipairs(assert(rt:history { instance = row.instance_id, execution = execution }).events) do
      lines[#lines + 1] = ("%s #%d %s"):format(row.instance_id, execution, shown(event))
    end
  end
end


local UUID = ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12)


-- Ids that were made up, by the order in which they appear.
local function number_ids(lines)
  local numbers, count = {}, 0
  for i, line in ipairs(lines) do
    lines[i] = line:gsub(UUID, function(id)
      if not numbers[id] then
        count = count + 1
        numbers[id] = "<id " .. count .. ">"
      end
      return numbers[id]
    end)
  end
end


-- The lines that have to be the same, however it was run.
local function observe(run)
  for _, row in ipairs(assert(run.rt:list_instances())) do look_at(run.rt, run.lines, row) end
  number_ids(run.lines)
end


-- Whether every instance fits its own code.
local function check_fit(run)
  for _, row in ipairs(assert(run.rt:list_instances())) do
    local definition = run.program.orchestrations[row.orchestration_name]
    if definition then
      local export = assert(run.rt:export(row.instance_id))
      local verdict = assert(duro.replay(export, random_program.fn(definition, run.patches)))
      if not verdict.ok then error(row.instance_id .. ": " .. tostring(verdict), 0) end
    end
  end
end


local function run_program(program, mode)
  local run = setmetatable({ program = program, mode = mode, now_ms = START_MS, world = { tokens = {} },
    lines = {}, path = ":memory:" }, Run)
  if mode.reopens or mode.on_disk then run.path = runtimes.path() end
  run:open()
  assert(run.rt:start("root", { round = 0 }, { id = "root" }))
  run:pause()
  for i, step in ipairs(program.steps) do
    if mode.patched and i == program.patched_at then run:patch() end
    local ok, err = world[step[1]](run, unpack(step, 2))
    run.lines[i] = ("%s: %s"):format(shown(step), ok and "true" or err.code)
    run:pause()
  end
  observe(run)
  check_fit(run)
  runtimes.clean()
  return run.lines
end


-- --- The property ---

local MODES = {
  { name = "replayed", options = { debug = { replay_every_turn = true } } },
  { name = "reopened", reopens = true },
  { name = "crowded", options = { max_live_instances = 1 } },
  { name = "hosted", options = { executor = function(run) run() end, sleep = function() end } },
}

local PATCHED_MODES = {
  { name = "patched and replayed", patched = true, options = { debug = { replay_every_turn = true } } },
  { name = "patched on disk", patched = true, on_disk = true },
}


local function first_difference(expected, got)
  for i = 1, math.max(#expected, #got) do
    if expected[i] ~= got[i] then
      return ("line %d:\n  live: %s\n  here: %s"):format(i, tostring(expected[i]), tostring(got[i]))
    end
  end
end


local function try(seed, mode, program)
  local ok, lines = pcall(run_program, program, mode)
  if ok then return lines end
  error(("seed %d, %s: %s"):format(seed, mode.name, tostring(lines)), 0)
end


-- A nap is work in flight: closing the file loses the attempt, and history says so. A host sleeps in real time.
local function applies(mode, program)
  return not (program.naps and (mode.reopens or mode.on_disk or mode.name == "hosted"))
end


-- Runs the program of a seed in the first mode, then in the others.
local function check_seed(seed, first, others)
  local program = random_program.new(seed)
  local live = try(seed, first, program)
  for _, line in ipairs(live) do
    if line:find("ANOTHER VALUE", 1, true) then error(("seed %d: it drew another value: %s"):format(seed, line), 0) end
  end
  for _, mode in ipairs(others) do
    if applies(mode, program) then
      local difference = first_difference(live, try(seed, mode, program))
      if difference then error(("seed %d: %s differs from live at %s"):format(seed, mode.name, difference), 0) end
    end
  end
end


local function check_seeds(...)
  local first, last = wanted_seeds()
  for seed = first, last do check_seed(seed, ...) end
end


describe("a random orchestration", function()
  after_each(runtimes.clean)

  it("has the same outputs and histories live, replayed, reopened, crowded out and hosted", function()
    check_seeds({ name = "live" }, MODES)
  end)

  it("goes on with patched code, in this process or the next, and replays as it ran", function()
    check_seeds({ name = "patched", patched = true }, PATCHED_MODES)
  end)

  it("is a function of its seed", function()
    assert.same(random_program.new(7), random_program.new(7))
    assert.not_same(random_program.new(7), random_program.new(8))
  end)
end)
