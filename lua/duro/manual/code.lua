-- manual.code: how orchestrations and activities are defined, and what they may call (see manual.lua).

local book = require "duro.manual.book"

local about, part = book.about, book.part


part "Defining code"

about("orchestration", {
  signature = "duro.orchestration(name, [opts], function(ctx, input) ... end)", returns = "true",
  options = "orchestration",
  doc = "Registers an orchestration for every runtime; rt:orchestration for one. Its code may wait with ctx for "
    .. "months, and goes on where it stood after a crash. The same name and version twice is an error, unless "
    .. "replace=true.",
  errors = "already_exists, invalid_argument",
  example = [[
duro.orchestration("greeting", { version = "1.1.0", replace = true }, function(ctx, name)
  ctx:sleep("10s")
  return ctx:activity("charge", name)
end)]],
})

about("activity", {
  signature = "duro.activity(name, [opts], function(ctx, input) ... end)", returns = "true", options = "activity",
  doc = "Registers an activity for every runtime; rt:activity for one. It does the work that touches the world, "
    .. "runs at least once, and its result is recorded once. With thread=true it runs in a worker thread.",
  errors = "already_exists, invalid_argument",
  example = [[
duro.activity("ship", { replace = true }, function(ctx, order)
  if not order.address then error { code = "no_address", message = "where to?", retryable = false } end
  return "parcel for " .. order.address
end)]],
})

about("registered", {
  signature = "rt:registered()", returns = "{orchestrations={ {name, versions} }, activities={names}}",
  doc = "What this process has registered.",
  example = [[print(rt:registered())]],
})


part "Inside an orchestration"

about("ctx:activity", {
  signature = "ctx:activity(name, [input], [opts])", returns = "its output",
  options = "ctx:activity",
  doc = "Runs an activity and waits for it; raises its final failure. Without `retry` there is one attempt.",
  errors = "failed or the activity's own code, timeout, cancelled, not_registered",
  example = [[
local receipt = ctx:activity("charge", { total = 5 }, {
  retry = { max_attempts = 5, initial = "1s" }, attempt_timeout = "30s",
})]],
})

about("retry", {
  signature = "retry = {...}", options = "retry",
  doc = "How often and when a failed activity or sub-orchestration is tried again.",
  example = [[
ctx:activity("charge", 1, {
  retry = { max_attempts = 4, backoff = "fixed", initial = 2, non_retryable = { "denied" } },
})]],
})

about("ctx:sub_orchestration", {
  signature = "ctx:sub_orchestration(name, [input], [opts])", returns = "its output", options = "ctx:sub_orchestration",
  doc = "Starts a child and waits for it; raises its failure. It is cancelled and deleted with its parent.",
  errors = "what the child failed with, timeout, cancelled, already_exists (its id)",
  example = [[local sum = ctx:sub_orchestration("add", { 1, 2 }, { timeout = "1h" })]],
})

about("ctx:sleep", {
  signature = "ctx:sleep(duration)", returns = "nothing; in an activity true, or nil, err(cancelled)",
  doc = "A durable timer: it fires although nobody ran meanwhile. In an activity: the runtime's clock, and other "
    .. "activities go on.",
  errors = "cancelled",
  example = [[ctx:sleep("2h")]],
})

about("ctx:sleep_until", {
  signature = "ctx:sleep_until(time)",
  doc = "A durable timer for a point in time, in epoch seconds.",
  errors = "cancelled",
  example = [[ctx:sleep_until(ctx:now() + 3600)]],
})

about("ctx:wait_event", {
  signature = "ctx:wait_event(name, [{timeout=}])", returns = "its data, or nil, err(timeout)",
  options = "ctx:wait_event",
  doc = "Waits for rt:raise_event. Events that came before wait in a mailbox, in order.",
  errors = "timeout (returned), cancelled (raised)",
  example = [[
local answer, err = ctx:wait_event("approval", { timeout = "3d" })
if err then return "nobody answered" end
return answer]],
})

about("ctx:join", {
  signature = "ctx:join(tasks)", returns = "array of outputs, in the order of the tasks",
  doc = "Waits for all tasks, then raises the first failure in the order of history.",
  example = [[
local tasks = {}
for i = 1, 3 do tasks[i] = ctx:schedule_activity("charge", i) end
local receipts = ctx:join(tasks)]],
})

about("ctx:join_settled", {
  signature = "ctx:join_settled(tasks)", returns = "array of {ok=, value= or error=}",
  doc = "Waits for all tasks and never raises.",
  example = [[
for _, result in ipairs(ctx:join_settled { ctx:schedule_activity("charge", 1) }) do
  ctx:log("info", result.ok and "charged" or tostring(result.error))
end]],
})

about("ctx:select", {
  signature = "ctx:select(tasks)", returns = "index, output",
  doc = "Waits for the first task; the others are cancelled, and a wait that lost takes no event.",
  example = [[
local first, data = ctx:select { ctx:schedule_wait("approval"), ctx:schedule_timer("3d") }
return first == 1 and data or "too late"]],
})

about("ctx:wait_until", {
  signature = "ctx:wait_until(predicate, [{timeout=}])", returns = "true, or nil, err(timeout)",
  options = "ctx:wait_until",
  doc = "Waits until predicate() holds; it is asked again after every turn of this instance.",
  errors = "timeout (returned), cancelled (raised)",
  example = [[
local votes = 0
ctx:spawn(function() ctx:sleep(1) votes = votes + 1 end)
ctx:wait_until(function() return votes > 0 end, { timeout = "1d" })]],
})

about("ctx:side_effect", {
  signature = "ctx:side_effect(fn)", returns = "the value of fn()",
  doc = "Runs fn once and records its value. fn may ask the clock or draw; it may not use ctx.",
  example = [[local drawn = ctx:side_effect(function() return math.random(6) end)]],
})

about("ctx:continue_as_new", {
  signature = "ctx:continue_as_new([input], [opts])", returns = "never", options = "ctx:continue_as_new",
  doc = "Ends this execution and starts the next with a new history: for code that runs for ever. Unread events, kv, "
    .. "custom status and attributes go along.",
  example = [[
local round = type(input) == "number" and input or 0
ctx:sleep("1h")
if round < 2 then ctx:continue_as_new(round + 1, { reason = "next round" }) end]],
})

about("ctx:schedule_activity", {
  signature = "ctx:schedule_activity(name, [input], [opts])", returns = "a task", options = "ctx:activity",
  doc = "Starts an activity and goes on: task:await() gives its output or raises, task:done() asks, task:cancel() "
    .. "gives it up.",
  example = [[
local task = ctx:schedule_activity("charge", 1)
return task:await()]],
})

about("ctx:schedule_sub_orchestration", {
  signature = "ctx:schedule_sub_orchestration(name, [input], [opts])", returns = "a task",
  options = "ctx:sub_orchestration",
  doc = "Starts a child and goes on.",
  example = [[return ctx:schedule_sub_orchestration("add", { 1, 2 }):await()]],
})

about("ctx:schedule_timer", {
  signature = "ctx:schedule_timer(duration)", returns = "a task",
  doc = "A durable timer as a task, for ctx:select and ctx:join.",
  example = [[ctx:select { ctx:schedule_timer("1m"), ctx:schedule_timer("2m") }]],
})

about("ctx:schedule_wait", {
  signature = "ctx:schedule_wait(name)", returns = "a task",
  doc = "A wait for an event as a task. It takes an event only when its result is looked at.",
  example = [[local wait = ctx:schedule_wait("approval")
wait:cancel()]],
})

about("ctx:spawn", {
  signature = "ctx:spawn(fn, ...)", returns = "a task",
  doc = "A concurrent block of orchestration code.",
  example = [[
local block = ctx:spawn(function(seconds)
  ctx:sleep(seconds)
  return "slept"
end, 5)
return block:await()]],
})

about("ctx:start_orchestration", {
  signature = "ctx:start_orchestration(name, [input], [opts])", returns = "the instance id",
  options = "ctx:start_orchestration",
  doc = "Starts a detached instance: nobody waits for it, and it outlives this one.",
  example = [[ctx:start_orchestration("add", { 1, 2 }, { id = "detached-1" })]],
})

about("ctx:raise_event", {
  signature = "ctx:raise_event(id, name, [data])",
  doc = "Raises an event in another instance; nothing happens when it does not exist or has ended.",
  example = [[ctx:raise_event("order-7", "approval", { by = "Ada" })]],
})

about("ctx:now", {
  signature = "ctx:now()", returns = "epoch seconds",
  doc = "The time of this turn: the same in every replay. os.time and os.clock are refused.",
  example = [[local day = math.floor(ctx:now() / 86400)]],
})

about("ctx:uuid", {
  signature = "ctx:uuid()", returns = "a text",
  doc = "A UUID, the same in every replay.",
  example = [[local key = ctx:uuid()]],
})

about("ctx:random", {
  signature = "ctx:random([m, [n]])", returns = "as math.random",
  doc = "A random number, the same in every replay.",
  example = [[local dice = ctx:random(6)]],
})

about("ctx:set_custom_status", {
  signature = "ctx:set_custom_status(value)",
  doc = "What rt:status shows while it runs; rt:wait_custom_status waits for changes. nil takes it back.",
  example = [[ctx:set_custom_status { step = "charging", percent = 50 }]],
})

about("ctx:kv_pairs", {
  signature = "ctx:kv_pairs()", returns = "an iterator of key, value",
  doc = "Walks ctx.kv in the order of its keys. ctx.kv.name = value writes, ctx.kv.name reads a copy; rt:kv reads "
    .. "from outside. pairs(ctx.kv) walks it too.",
  example = [[
ctx.kv.step = 3
for key, value in ctx:kv_pairs() do ctx:log("info", key .. "=" .. tostring(value)) end]],
})

about("ctx:set_attributes", {
  signature = "ctx:set_attributes(attributes)",
  doc = "Sets searchable attributes: texts, numbers and booleans.",
  example = [[ctx:set_attributes { region = "eu" }]],
})

about("ctx:on_query", {
  signature = "ctx:on_query(name, handler)",
  doc = "handler(arg) answers rt:query(id, name, arg). It may look, but not change or wait.",
  example = [[ctx:on_query("progress", function() return { done = 3, of = 10 } end)]],
})

about("ctx:patched", {
  signature = "ctx:patched(patch_id)", returns = "true for new instances",
  doc = "For a change of code under running instances: false while replaying a history that was made without it.",
  example = [[
if ctx:patched("ask-first") then ctx:wait_event("approval", { timeout = "1h" }) end]],
})

about("ctx:log", {
  signature = "ctx:log(level, message)",
  doc = "Writes to the log function of duro.open; silent during replay. Also in activities.",
  example = [[ctx:log("info", "charged")]],
})


part "Inside an activity"

about("ctx:heartbeat", {
  signature = "ctx:heartbeat([details])", returns = "true",
  doc = "Says that the attempt is alive; the next attempt finds the details in ctx.heartbeat_details.",
  example = [[
for i = ctx.heartbeat_details or 1, 3 do
  ctx:heartbeat(i)
end]],
})

about("ctx:is_cancelled", {
  signature = "ctx:is_cancelled()", returns = "true or false",
  doc = "Whether the result is still wanted.",
  example = [[if ctx:is_cancelled() then return end]],
})

about("ctx:async", {
  signature = "ctx:async()", returns = "done(err, value)",
  doc = "For code with callbacks: the attempt ends when `done` is called, not when the function returns.",
  example = [[
local done = ctx:async()
done(nil, "the value")]],
})

about("ctx:defer", {
  signature = "ctx:defer()", returns = "a durable token",
  doc = "Ends the attempt without a result: a person or another system finishes it with rt:complete_activity.",
  example = [[local token = ctx:defer()]],
})
