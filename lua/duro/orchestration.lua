-- orchestration: how the code of an orchestration is run, and the methods of its ctx that are written in
-- Lua: those that wait, and those that take options.
--
-- Waiting has two halves (task.lua tells why): a C function that schedules and yields in tail position,
-- then `take`, which gives the result or raises. Durations reach C in seconds or as text; options are
-- checked here and go down as the JSON of csrc/replay/retry.h. The other methods are in C
-- (csrc/binding/state.c).
-- To add an option: a row below, and its reader in csrc/replay.

local core = require "duro.core"
local errors = require "duro.errors"
local options = require "duro.options"
local task = require "duro.task"

local ops = core.ops
local main_begin, main_end, block_end = ops.main_begin, ops.main_end, ops.block_end
local take, poll, check = ops.take, ops.poll, ops.check
local activity, schedule_activity = ops.activity, ops.schedule_activity
local timer, schedule_timer = ops.timer, ops.schedule_timer
local wait, schedule_wait = ops.wait, ops.schedule_wait
local child, schedule_child = ops.child, ops.schedule_child
local quick_options = ops.call_options

local methods = ops.orchestration_methods


-- The first function of the main coroutine, and of each block's.
local function main()
  local fn, ctx, input = main_begin()
  return main_end(fn(ctx, input))
end


local function block(fn, ...)
  return block_end(fn(...))
end


-- --- Options ---

local RETRY = options.spec("retry", {
  { "max_attempts", "integer", default = 3, min = 1, doc = "attempts in all, the first one included" },
  { "backoff", "string", default = "exponential", one_of = { "exponential", "linear", "fixed" },
    doc = "how the wait between attempts grows" },
  { "initial", "duration", default = 0.1, doc = "the first wait" },
  { "max", "duration", usual = "30, or initial if that is longer", doc = "the longest wait" },
  { "multiplier", "number", default = 2, min = 1, doc = "growth of the exponential backoff" },
  { "jitter", "boolean", default = false, doc = "shortens each wait by a random part" },
  { "non_retryable", "strings", doc = "error codes that are final at once" },
})

local ACTIVITY = options.spec("ctx:activity", {
  { "retry", "table", doc = "the retry policy; without it there is one attempt" },
  { "timeout", "duration", min = 1, doc = "for all attempts and the waits between them" },
  { "attempt_timeout", "duration", min = 1, doc = "for one attempt" },
  { "heartbeat_timeout", "duration", min = 1, doc = "the longest silence between two ctx:heartbeat" },
  { "queue", "name", doc = "the workers of this queue run it" },
})

local CHILD = options.spec("ctx:sub_orchestration", {
  { "id", "id", doc = "its instance id; derived from the parent's when absent" },
  { "version", "version", doc = "the highest when absent" },
  { "retry", "table", doc = "starts it again when it failed, under an id of its own" },
  { "timeout", "duration", min = 1, doc = "for all of it; then it is cancelled" },
})

local START = options.spec("ctx:start_orchestration", {
  { "id", "new_id", doc = "its instance id; made up when absent" },
  { "version", "version", doc = "the highest when absent" },
})

local WAIT = options.spec("ctx:wait_event", { { "timeout", "duration", doc = "then nil, err(timeout)" } })

local WAIT_UNTIL = options.spec("ctx:wait_until", { { "timeout", "duration", doc = "then nil, err(timeout)" } })

local CONTINUE = options.spec("ctx:continue_as_new", {
  { "version", "version", doc = "of the next execution; the same when absent" },
  { "reason", "string", doc = "kept with the execution" },
})


-- Inside an orchestration there is nobody to hand nil, err to: a value out of range is raised too.
local function checked(spec, opts)
  local values, err = options.check(spec, opts)
  if not values then error(err, 0) end
  return values
end


local function checked_retry(values)
  if values.retry then
    local retry = checked(RETRY, values.retry)
    retry.max_ms = retry.max_ms or math.max(30000, retry.initial_ms)
    values.retry = retry
  end
  return values
end


-- The JSON that goes down with an activity.
local function checked_activity_options(opts)
  local values = checked_retry(checked(ACTIVITY, opts))
  if values.retry and values.retry.non_retryable then core.array(values.retry.non_retryable) end
  local text, err = core.encode(values, "opts")
  if not text then error(err, 0) end
  return text
end


-- The timeout in ms when it is the only option, as it mostly is; else after a careful look.
local function timeout_of(spec, opts)
  if type(opts) == "table" and next(opts) == "timeout" and next(opts, "timeout") == nil then
    local ms = core.duration_ms(opts.timeout)
    if ms then return ms end
  end
  return checked(spec, opts).timeout_ms
end


-- C takes what is plainly right, at a tenth of the cost; the rest is looked at here.
local function activity_options(opts)
  return quick_options(opts) or checked_activity_options(opts)
end


-- --- Activities, timers, events ---

--- Runs an activity: its output, or its final failure raised. context: orchestration (as all below).
function methods:activity(name, input, opts)
  activity(self, name, input, opts ~= nil and activity_options(opts) or nil)
  return take(self)
end


--- The same as a task, at once.
function methods:schedule_activity(name, input, opts)
  return schedule_activity(self, name, input, opts ~= nil and activity_options(opts) or nil)
end


--- A durable timer: seconds, or such as "1h30m".
function methods:sleep(duration)
  timer(self, duration)
  return take(self)
end


--- A durable timer until a point in time (epoch seconds).
function methods:sleep_until(time)
  timer(self, nil, time)
  return take(self)
end


methods.schedule_timer = schedule_timer


local function timeout_error(what)
  return errors.new("timeout", ("%s did not come in time"):format(what))
end


--- The data of the next event of that name; nil, err(timeout) after opts.timeout.
function methods:wait_event(name, opts)
  local timeout_ms = opts ~= nil and timeout_of(WAIT, opts)
  if not timeout_ms then
    wait(self, name)
    return take(self)
  end
  local event = schedule_wait(self, name)
  local first, data = task.select(self, { event, schedule_timer(self, timeout_ms / 1000) })
  if first == 1 then return data end
  return nil, timeout_error(("event '%s'"):format(name))
end


--- The wait for an event as a task.
function methods:schedule_wait(name)
  return schedule_wait(self, name)
end


-- --- Sub-orchestrations ---

local function is_retryable(err, retry)
  if err.retryable == false or err.code == "cancelled" then return false end
  for _, code in ipairs(retry.non_retryable or {}) do
    if code == err.code then return false end
  end
  return true
end


-- Milliseconds before the attempt after `attempt`, as csrc/replay/retry.c has it for activities.
local function retry_delay_ms(ctx, retry, attempt)
  local delay = retry.initial_ms
  if retry.backoff == "exponential" then delay = delay * retry.multiplier ^ (attempt - 1) end
  if retry.backoff == "linear" then delay = delay * attempt end
  delay = math.min(delay, retry.max_ms)
  if retry.jitter then delay = delay * (0.5 + 0.5 * ctx:random()) end
  return math.floor(delay)
end


local function run_child(ctx, name, input, values)
  child(ctx, name, input, values.id, values.version)
  return take(ctx)
end


-- The second attempt of a child with an id of its own gets another: the first instance still exists.
local function run_child_with_retry(ctx, name, input, values)
  local retry = values.retry
  for attempt = 1, retry.max_attempts do
    local id = values.id and attempt > 1 and ("%s::retry%d"):format(values.id, attempt) or values.id
    local ok, output = pcall(run_child, ctx, name, input, { id = id, version = values.version })
    if ok then return output end
    local err = errors.of(output)
    if attempt == retry.max_attempts or not is_retryable(err, retry) then
      err.attempts = attempt
      error(err, 0)
    end
    ctx:sleep(retry_delay_ms(ctx, retry, attempt) / 1000)
  end
end


local function run_child_in_time(ctx, name, input, values)
  local attempt = values.retry and run_child_with_retry or run_child
  if not values.timeout_ms then return attempt(ctx, name, input, values) end
  local run = ctx:spawn(attempt, ctx, name, input, values)
  local first, output = task.select(ctx, { run, schedule_timer(ctx, values.timeout_ms / 1000) })
  if first == 1 then return output end
  errors.throw("timeout", ("sub-orchestration '%s' was not done in time"):format(name), { name = name })
end


--- Runs another orchestration as a child: its output, or its failure raised.
function methods:sub_orchestration(name, input, opts)
  if opts == nil then
    child(self, name, input)
    return take(self)
  end
  local values = checked_retry(checked(CHILD, opts))
  return run_child_in_time(self, name, input, values)
end


--- The same as a task, at once.
function methods:schedule_sub_orchestration(name, input, opts)
  if opts == nil then return schedule_child(self, name, input) end
  local values = checked_retry(checked(CHILD, opts))
  if values.retry or values.timeout_ms then
    return self:spawn(run_child_in_time, self, name, input, values)
  end
  return schedule_child(self, name, input, values.id, values.version)
end


--- Starts a detached instance: its id.
function methods:start_orchestration(name, input, opts)
  local values = opts ~= nil and checked(START, opts) or {}
  return ops.start(self, name, input, values.id, values.version)
end


methods.raise_event = ops.raise_event


-- --- Several at once ---

methods.spawn = ops.spawn
methods.join = task.join
methods.join_settled = task.join_settled
methods.select = task.select


-- Asked again after each completion of this instance, as long as it says no.
local function wait_until(ctx, predicate, timer_task)
  local repeated = false
  while true do
    if predicate() then return true end
    if timer_task and timer_task:done() then return nil, timeout_error("the condition") end
    poll(ctx, repeated)
    check(ctx)
    repeated = true
  end
end


--- true as soon as predicate() holds; nil, err(timeout) after opts.timeout.
function methods:wait_until(predicate, opts)
  if type(predicate) ~= "function" then
    options.blame(("ctx:wait_until needs a function, got %s"):format(type(predicate)))
  end
  local timeout_ms = opts ~= nil and timeout_of(WAIT_UNTIL, opts)
  if not timeout_ms then return wait_until(self, predicate) end
  if predicate() then return true end
  local timer_task = schedule_timer(self, timeout_ms / 1000)
  local held, err = wait_until(self, predicate, timer_task)
  if held then timer_task:cancel() end
  return held, err
end


-- --- State ---

--- The value of fn(), recorded once. What it raises is recorded and raised, too.
function methods:side_effect(fn)
  if type(fn) ~= "function" then
    options.blame(("ctx:side_effect needs a function, got %s"):format(type(fn)))
  end
  local recorded, value = ops.side_effect_begin(self)
  if recorded then return value end
  return ops.side_effect_end(self, pcall(fn))
end


--- Ends this execution and starts the next one with `input`. Never returns.
function methods:continue_as_new(input, opts)
  local values = opts ~= nil and checked(CONTINUE, opts) or {}
  return ops.continue_as_new(self, input, values.version, values.reason)
end


-- --- What is not here ---

-- The ctx of an orchestration and that of an activity share a name, so one is easily taken for the other.
for _, name in ipairs { "heartbeat", "is_cancelled", "async", "defer" } do
  methods[name] = function()
    options.blame(("ctx:%s is for activities: this is an orchestration, which runs no work of its own"):format(name))
  end
end


core.setup {
  main_entry = main,
  block_entry = block,
  source = debug.getinfo(1, "S").source:match("^(.*[/\\])"),
}

return { methods = methods, activity_options = checked_activity_options }
