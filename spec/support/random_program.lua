-- Random orchestrations for property_spec.lua: a seed gives a program (trees of statements, one for each
-- orchestration) and what the world does to it meanwhile. Everything is a function of the seed, the same on
-- both VMs; nothing here reads a clock or draws a number elsewhere.
--
-- A statement is a plain table {kind=, ...}; `generate` makes it and `statements` runs it. What the code sees
-- (outputs, errors, what was done first) it writes into its trace, which becomes its output. Values that
-- differ from run to run (ctx:random, ctx:uuid) are recorded by a side effect and compared on every replay.
-- To add a statement: a function in `statements`, one in `generate`, a row in KINDS.

local core = require "duro.core"

local random_program = {}

local unpack = table.unpack or unpack
local EVENTS = { "a", "b", "c" }
local NO_OUTPUT = "nothing"


-- --- Drawing ---

local Draw = {}
Draw.__index = Draw


-- Park and Miller's generator: whole numbers below 2^53 on every VM.
local function draw_from(seed)
  local draw = setmetatable({ state = seed % 2147483646 + 1 }, Draw)
  for _ = 1, 5 do draw:below(2) end -- neighbouring seeds begin alike
  return draw
end


--- A whole number from 0 to n - 1.
function Draw:below(n)
  self.state = self.state * 16807 % 2147483647
  return self.state % n
end


function Draw:chance(percent)
  return self:below(100) < percent
end


function Draw:one_of(list)
  return list[self:below(#list) + 1]
end


-- --- Activities ---

--- The activities of every program. `world` keeps what outlives a runtime: the tokens of what was deferred.
function random_program.activities(world)
  return {
    echo = function(_, input) return input end,
    flaky = function(ctx, input)
      if ctx.attempt <= input.failures then error { code = "flaky", message = "attempt " .. ctx.attempt } end
      return { ctx.attempt, input.failures }
    end,
    fails = function(_, input) error { code = input, message = "it fails", data = { input } } end,
    naps = function(ctx, input)
      local slept = ctx:sleep(input)
      return slept and "slept" or "woken"
    end,
    defers = function(ctx) world.tokens[#world.tokens + 1] = ctx:defer() end,
  }
end


-- --- Running: statements(ctx, state, node) ---

local statements, tasks = {}, {}


local function note(state, ...)
  state.trace[#state.trace + 1] = table.concat({ ... }, " ")
end


local function text(value)
  if value == nil then return NO_OUTPUT end
  return assert(core.encode(value))
end


local function error_text(err)
  if type(err) ~= "table" then return tostring(err) end
  return text { code = err.code, message = err.message, name = err.name, attempts = err.attempts, data = err.data }
end


local function run_block(ctx, state, block)
  for _, node in ipairs(block) do statements[node.kind](ctx, state, node) end
end


-- Runs fn(...) and notes what it gives. What fails goes on here, unless the node lets it through.
local function try(state, node, fn, ...)
  local ok, value, second = pcall(fn, ...)
  local seen = { ok and text(value) or error_text(value), ok and second ~= nil and text(second) or nil }
  note(state, node.kind, node.label, unpack(seen))
  if ok then return value end
  local cancelled = type(value) == "table" and value.code == "cancelled"
  if node.lets_through or (cancelled and not node.stubborn) then error(value, 0) end
end


function statements.activity(ctx, state, node)
  try(state, node, ctx.activity, ctx, node.name, node.input, node.options)
end


function statements.sleep(ctx, state, node)
  try(state, node, ctx.sleep, ctx, node.duration)
end


function statements.wait_event(ctx, state, node)
  try(state, node, ctx.wait_event, ctx, node.name, node.options)
end


function statements.child(ctx, state, node)
  try(state, node, ctx.sub_orchestration, ctx, node.name, node.input, node.options)
end


function statements.detached(ctx, state, node)
  try(state, node, ctx.start_orchestration, ctx, node.name, node.input, node.options)
end


function statements.raise(ctx, state, node)
  try(state, node, ctx.raise_event, ctx, node.to, node.name, node.data)
end


function statements.set_kv(ctx, state, node)
  ctx.kv[node.key] = node.value
  state.count = state.count + 1
end


function statements.show_kv(ctx, state, node)
  for key, value in ctx:kv_pairs() do note(state, node.kind, node.label, key, text(value)) end
end


function statements.custom_status(ctx, _, node)
  ctx:set_custom_status(node.value)
end


function statements.attributes(ctx, _, node)
  ctx:set_attributes(node.value)
end


function statements.look(ctx, state, node)
  note(state, node.kind, node.label, ctx:now(), ctx.execution_id, ctx.history_length)
end


-- The side effect records what was drawn the first time; every replay has to draw the same again.
function statements.draws(ctx, state, node)
  local drawn = { uuid = ctx:uuid(), float = ctx:random(), dice = ctx:random(6), range = ctx:random(-5, 5) }
  local recorded = ctx:side_effect(function() return { drawn = drawn } end)
  note(state, node.kind, node.label, text(drawn) == text(recorded.drawn) and "as before" or "ANOTHER VALUE")
end


function statements.side_effect(ctx, state, node)
  try(state, node, ctx.side_effect, ctx, function()
    if node.fails then error { code = "effect", message = "the effect failed" } end
    return node.value
  end)
end


function statements.patched(ctx, state, node)
  note(state, node.kind, node.label, tostring(ctx:patched(node.id)))
end


-- What a later version of the code does in between; the version before has no such line.
function statements.patch(ctx, state, node)
  if state.patches and ctx:patched(node.id) then
    note(state, node.kind, node.label)
    run_block(ctx, state, node.block)
  end
end


function statements.wait_until(ctx, state, node)
  local goal = state.count + node.more
  try(state, node, ctx.wait_until, ctx, function() return state.count >= goal end, node.options)
end


function statements.protected(ctx, state, node)
  local ok, err = pcall(run_block, ctx, state, node.block)
  note(state, node.kind, node.label, ok and "went well" or error_text(err))
  if not ok then run_block(ctx, state, node.cleanup) end
end


function statements.fails(_, state, node)
  note(state, node.kind, node.label)
  error({ code = "thrown", message = node.label, data = { node.label } }, 0)
end


-- Statements about several tasks.

local function tasks_of(ctx, state, node)
  local made = {}
  for i, one in ipairs(node.tasks) do made[i] = tasks[one.kind](ctx, state, one) end
  return made
end


function statements.join(ctx, state, node)
  try(state, node, ctx.join, ctx, tasks_of(ctx, state, node))
end


function statements.join_settled(ctx, state, node)
  local settled = ctx:join_settled(tasks_of(ctx, state, node))
  for i, one in ipairs(settled) do
    note(state, node.kind, node.label, i, one.ok and text(one.value) or error_text(one.error))
  end
end


function statements.select(ctx, state, node)
  try(state, node, ctx.select, ctx, tasks_of(ctx, state, node))
end


function statements.start(ctx, state, node)
  state.tasks[node.slot] = tasks[node.task.kind](ctx, state, node.task)
end


function statements.await(_, state, node)
  local task = state.tasks[node.slot]
  if task then try(state, node, task.await, task) end
end


function statements.cancel_task(_, state, node)
  local task = state.tasks[node.slot]
  if not task then return end
  note(state, node.kind, node.label, tostring(task:done()))
  task:cancel()
end


-- --- Tasks ---

function tasks.activity(ctx, _, node)
  return ctx:schedule_activity(node.name, node.input, node.options)
end


function tasks.timer(ctx, _, node)
  return ctx:schedule_timer(node.duration)
end


function tasks.wait(ctx, _, node)
  return ctx:schedule_wait(node.name)
end


function tasks.child(ctx, _, node)
  return ctx:schedule_sub_orchestration(node.name, node.input, node.options)
end


function tasks.block(ctx, state, node)
  return ctx:spawn(function()
    run_block(ctx, state, node.block)
    state.count = state.count + 1
    return node.label
  end)
end


-- --- Generating ---

local generate = {}
local new_block


local function label(g)
  g.labels = g.labels + 1
  return tostring(g.labels)
end


local function duration(g)
  return g.draw:one_of { 0, 0.001, 1, 1, 5, 5.5, 30, "1m", "1h" }
end


-- Fields that every statement which may fail has.
local function fallible(g, node)
  node.lets_through = g.draw:chance(12)
  node.stubborn = g.draw:chance(15)
  return node
end


local function retry(g)
  return { max_attempts = g.draw:below(3) + 1, initial = g.draw:one_of { 0, 1, 2.5 },
    backoff = g.draw:one_of { "exponential", "linear", "fixed" },
    non_retryable = g.draw:chance(30) and { "b" } or nil }
end


local function activity_fields(g)
  local kind, options = g.draw:below(10), nil
  if g.draw:chance(60) then
    options = { retry = g.draw:chance(70) and retry(g) or nil, timeout = g.draw:chance(20) and 4 or nil,
      attempt_timeout = g.draw:chance(20) and 3 or nil }
  end
  if kind < 4 then return { name = "echo", input = { n = g.draw:below(9), label = label(g) }, options = options } end
  if kind < 6 then return { name = "flaky", input = { failures = g.draw:below(4) }, options = options } end
  if kind < 8 then return { name = "fails", input = g.draw:one_of(EVENTS), options = options } end
  if kind < 9 and g.naps then return { name = "naps", input = duration(g), options = options } end
  return { name = "defers", options = options }
end


function generate.activity(g)
  return fallible(g, activity_fields(g))
end


function generate.sleep(g)
  return fallible(g, { duration = duration(g) })
end


function generate.wait_event(g)
  local options = g.draw:chance(75) and { timeout = duration(g) } or nil
  return fallible(g, { name = g.draw:one_of(EVENTS), options = options })
end


local function child_fields(g)
  local options
  if g.draw:chance(50) then
    options = { timeout = g.draw:chance(40) and duration(g) or nil, retry = g.draw:chance(40) and retry(g) or nil,
      id = g.draw:chance(20) and "kid-" .. label(g) or nil }
  end
  return { name = g.draw:chance(3) and "unknown_kid" or "kid", input = { round = g.draw:below(2) }, options = options }
end


function generate.child(g)
  return fallible(g, child_fields(g))
end


function generate.detached(g)
  return fallible(g, { name = "kid", input = { round = 1 },
    options = g.draw:chance(50) and { id = "free-" .. g.draw:below(3) } or nil })
end


function generate.raise(g)
  return fallible(g, { to = g.draw:one_of { "root", "free-1", "nobody" }, name = g.draw:one_of(EVENTS),
    data = g.draw:chance(80) and { from = label(g) } or nil })
end


function generate.set_kv(g)
  local value = g.draw:below(4)
  return { key = g.draw:one_of { "x", "y" }, value = value > 0 and { value } or nil }
end


function generate.custom_status(g)
  return { value = g.draw:chance(80) and { "at", label(g) } or nil }
end


function generate.attributes(g)
  return { value = { step = g.draw:below(5), even = g.draw:chance(50) } }
end


function generate.side_effect(g)
  return fallible(g, { fails = g.draw:chance(25), value = { 1.5, label(g) } })
end


function generate.patched(g)
  return { id = g.draw:one_of(EVENTS) }
end


function generate.patch(g)
  return { id = "patch " .. label(g), block = new_block(g, 0) }
end


function generate.wait_until(g)
  return fallible(g, { more = g.draw:below(3), options = g.draw:chance(85) and { timeout = duration(g) } or nil })
end


function generate.protected(g, depth)
  return { block = new_block(g, depth - 1), cleanup = new_block(g, 0) }
end


local function new_task(g, depth)
  local kind = g.draw:below(depth > 0 and 10 or 6)
  if kind < 3 then
    local node = activity_fields(g)
    node.kind = "activity"
    return node
  end
  if kind < 4 then return { kind = "timer", duration = duration(g) } end
  if kind < 6 then return { kind = "wait", name = g.draw:one_of(EVENTS) } end
  if kind < 7 and g.kids then
    local node = child_fields(g)
    node.kind = "child"
    return node
  end
  return { kind = "block", label = label(g), block = new_block(g, depth - 1) }
end


local function several(g, depth)
  local list = {}
  for i = 1, g.draw:below(4) + (g.draw:chance(90) and 1 or 0) do list[i] = new_task(g, depth - 1) end
  return fallible(g, { tasks = list })
end


generate.join = several
generate.join_settled = several


function generate.select(g, depth)
  local node = several(g, depth)
  if #node.tasks == 0 then node.tasks[1] = new_task(g, 0) end
  return node
end


function generate.start(g, depth)
  return { slot = g.draw:below(3), task = new_task(g, depth) }
end


function generate.await(g)
  return fallible(g, { slot = g.draw:below(3) })
end


generate.cancel_task = generate.await


local function bare()
  return {}
end


generate.fails, generate.look, generate.draws, generate.show_kv = bare, bare, bare, bare


-- How often each statement is drawn.
local KINDS = {}
for kind, weight in pairs {
  activity = 8, sleep = 4, wait_event = 5, child = 4, detached = 1, raise = 3, set_kv = 3, show_kv = 2,
  custom_status = 2, attributes = 1, look = 2, draws = 3, side_effect = 2, patched = 1, patch = 3, wait_until = 2,
  protected = 2, fails = 1, join = 4, join_settled = 3, select = 5, start = 4, await = 4, cancel_task = 2,
} do
  for _ = 1, weight do KINDS[#KINDS + 1] = kind end
end
table.sort(KINDS)


local NESTING = { protected = true, join = true, join_settled = true, select = true, start = true }
local NEEDS_KIDS = { child = true, detached = true }


function new_block(g, depth)
  local block = {}
  for i = 1, g.draw:below(3) + 1 do
    local kind
    repeat
      kind = g.draw:one_of(KINDS)
    until not (NESTING[kind] and depth <= 0) and not (NEEDS_KIDS[kind] and not g.kids)
    local node = generate[kind](g, depth)
    node.kind, node.label = kind, label(g)
    block[i] = node
  end
  return block
end


local function new_orchestration(g, blocks, depth)
  local block = {}
  for _ = 1, blocks do
    for _, node in ipairs(new_block(g, depth)) do block[#block + 1] = node end
  end
  return { block = block, rounds = g.draw:chance(30) and g.draw:below(3) or 0 }
end


-- --- The world ---

-- What happens from outside, in order; the virtual time moves only by "advance".
local function new_world(g)
  local steps = {}
  for i = 1, g.draw:below(8) + 2 do
    local kind = g.draw:below(20)
    if kind < 8 then
      steps[i] = { "advance", g.draw:one_of { 0, 1, 2, 5, 10, 40, 3600 } }
    elseif kind < 14 then
      steps[i] = { "raise_event", g.draw:one_of { "root", "root", "free-1" }, g.draw:one_of(EVENTS), { n = i } }
    elseif kind < 16 then
      steps[i] = { "complete" }
    elseif kind < 17 then
      steps[i] = { "cancel", "root", "enough" }
    elseif kind < 18 then
      steps[i] = { g.draw:chance(50) and "suspend" or "resume", "root" }
    elseif kind < 19 and g.draw:chance(20) then
      steps[i] = { "terminate", "root" }
    else
      steps[i] = { "fail" }
    end
  end
  local tail = { { "resume", "root" }, { "advance", 7200 }, { "complete" }, { "raise_event", "root", "a", 1 },
    { "raise_event", "root", "b", 2 }, { "complete" }, { "advance", 7200 },
    { "retry_failed" }, { "advance", 60 }, { "fail" } }
  for _, step in ipairs(tail) do steps[#steps + 1] = step end
  return steps
end


--- {seed=, orchestrations={name={block=, rounds=}}, steps=, patched_at=, naps=}: `naps` tells that activities
--- sleep, `patched_at` before which step the patched code may come.
function random_program.new(seed)
  local draw = draw_from(seed)
  local g = { draw = draw, labels = 0, naps = draw:chance(25), kids = false }
  local kid = new_orchestration(g, 1, 2)
  g.kids = true
  local root = new_orchestration(g, draw:below(4) + 1, 3)
  local steps = new_world(g)
  return { seed = seed, naps = g.naps, orchestrations = { root = root, kid = kid }, steps = steps,
    patched_at = draw:below(#steps) + 1 }
end


--- The function of one of the program's orchestrations, or its later version with patches.
function random_program.fn(definition, patches)
  return function(ctx, input)
    local state = { trace = {}, tasks = {}, count = 0, patches = patches }
    run_block(ctx, state, definition.block)
    local round = input and input.round or 0
    if round < definition.rounds then ctx:continue_as_new({ round = round + 1 }, { reason = "next round" }) end
    return state.trace
  end
end


return random_program
