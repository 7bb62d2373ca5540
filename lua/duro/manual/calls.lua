-- manual.calls: the calls of a runtime and of the module (see manual.lua).

local book = require "duro.manual.book"

local about, part = book.about, book.part


part "Opening and running"

about("open", {
  signature = "duro.open(path) or duro.open{path=, ...}", returns = "a runtime", options = "open",
  doc = "Opens a file, or makes one. The runtime opened last is the default one, on which duro.list_instances() and "
    .. "the others work.",
  errors = "busy (names the owner), storage, corrupt, invalid_argument, unsupported",
  example = [[
local memory = assert(duro.open { path = ":memory:", clock = "virtual" })
memory:close()]],
})

about("default", {
  signature = "duro.default()", returns = "a runtime, or nil",
  doc = "The runtime opened last that is open, or the one set.",
  example = [[assert(duro.default() == rt)]],
})

about("set_default", {
  signature = "duro.set_default(rt)",
  doc = "Makes a runtime the default one.",
  example = [[duro.set_default(rt)]],
})

about("run", {
  signature = "rt:run()", returns = "true", doc = "Runs until rt:stop().", errors = "locked, closed",
  example = [[assert(rt:run())]],
})

about("run_until_idle", {
  signature = "rt:run_until_idle([timeout])", returns = "true",
  doc = "Runs until nothing can move without outside input or the passing of time.",
  errors = "timeout, locked, closed",
  example = [[assert(rt:run_until_idle("10s"))]],
})

about("step", {
  signature = "rt:step([timeout])", returns = "the number of turns it ran",
  doc = "Does what is ready now, and waits at most `timeout` (0) of real time for more.",
  errors = "locked, closed",
  example = [[local turns = assert(rt:step(0.01))]],
})

about("stop", { signature = "rt:stop()", returns = "true", doc = "Makes rt:run() return.",
  example = [[rt:stop()]] })

about("close", {
  signature = "rt:close()", returns = "true",
  doc = "Closes the file; again is fine. Afterwards every method gives nil, err(closed).",
  example = [[rt:close()]],
})

about("closed", { signature = "rt:closed()", returns = "true or false", doc = "Whether it is closed.",
  example = [[assert(not rt:closed())]] })

about("now", { signature = "rt:now()", returns = "epoch seconds", doc = "The runtime's time.",
  example = [[local an_hour_ago = rt:now() - 3600]] })

about("advance", {
  signature = "rt:advance(duration)", returns = "true",
  doc = "Moves the virtual clock: everything due on the way happens in order, each at its own time.",
  errors = "unsupported (the system's clock), invalid_argument",
  example = [[assert(rt:advance("1h30m"))]],
})

about("fd", {
  signature = "rt:fd()", returns = "a file descriptor",
  doc = "For a foreign event loop: readable when rt:step() has something to do.",
  example = [[local fd = rt:fd()]],
})

about("next_timeout", {
  signature = "rt:next_timeout()", returns = "seconds, or nil",
  doc = "For a foreign event loop: after how long rt:step() is due at the latest; nil: only when rt:fd() is readable.",
  example = [[local seconds = rt:next_timeout()]],
})


part "Starting and steering"

about("start", {
  errors = "already_exists, invalid_argument, invalid_payload, too_large, storage",
  example = [[
local id = assert(rt:start("order", { total = 5 }, { id = "order-8", attributes = { region = "eu" } }))]],
})

about("start_many", {
  errors = "as rt:start, for all: none is started then",
  example = [[
local ids = assert(rt:start_many { { name = "add", input = { 1, 2 } }, { name = "add", input = { 3, 4 } } })]],
})

about("raise_event", {
  errors = "not_found, finished, invalid_payload, too_large",
  example = [[assert(rt:raise_event("order-7", "approval", { by = "Ada" }, { dedup_id = "mail-17" }))]],
})

about("cancel", { errors = "not_found, finished", example = [[assert(rt:cancel("order-7", "no need"))]] })
about("terminate", { errors = "not_found, finished", example = [[assert(rt:terminate("order-7", "stuck"))]] })
about("suspend", { errors = "not_found, finished", example = [[assert(rt:suspend("order-7", "a moment"))]] })

about("resume", {
  errors = "not_found, finished",
  example = [[
assert(rt:suspend("order-7"))
assert(rt:resume("order-7"))]],
})

about("complete_activity", {
  errors = "invalid_argument (no token), not_found, finished (it has its result)",
  example = [[assert(rt:complete_activity(token, { approved = true }))]],
})

about("fail_activity", {
  errors = "invalid_argument (no token), not_found, finished (it has its result)",
  example = [[assert(rt:fail_activity(token, { code = "refused", message = "not by me" }))]],
})

about("wait", {
  errors = "failed or its own code, cancelled, terminated, timeout, not_found",
  example = [[
rt:raise_event("order-7", "approval", "yes")
local output = assert(rt:wait("order-7", "30s"))]],
})

about("wait_custom_status", {
  errors = "timeout, finished, not_found",
  example = [[local status, version = rt:wait_custom_status("order-7", 0, "10s")]],
})

about("query", {
  errors = "not_found (no such instance or handler), what the handler raised, unavailable",
  example = [[local progress = assert(rt:query("order-7", "progress"))]],
})

about("delete_instance", {
  errors = "not_found, running",
  example = [[print(rt:delete_instance("order-7", { force = true }))]],
})

about("prune_executions", {
  errors = "not_found, invalid_argument",
  example = [[print(rt:prune_executions("loop-1", { keep_last = 1 }))]],
})


part "Finding instances"

about("list_instances", {
  errors = "invalid_argument",
  example = [[
print(rt:list_instances { status = "running", name = "order*", created_after = rt:now() - 86400 })
print(rt:list_instances { waiting_on = "event:approval", attributes = { region = "eu" }, limit = 20 })]],
})

about("list_instances_paginated", {
  errors = "invalid_argument (also a token that was altered, or is of another filter, order or file)",
  example = [[
local page = assert(rt:list_instances_paginated { page_size = 2, order_by = "updated_at" })
while page.next_page_token do
  page = assert(rt:list_instances_paginated { page_size = 2, order_by = "updated_at",
    page_token = page.next_page_token })
end]],
})

about("each_instance", {
  signature = "for row in rt:each_instance([filter]) do", returns = "an iterator of summaries",
  options = "filter.inner",
  doc = "Walks all instances that match, newest first, page by page. The first page gives nil, err when it cannot be "
    .. "read; a later one raises its error.",
  errors = "invalid_argument",
  example = [[for row in rt:each_instance { status = "failed" } do print(row.instance_id) end]],
})

about("search_instances", {
  errors = "invalid_argument, unsupported (payloads behind a codec)",
  example = [[
print(rt:search_instances { input = { ["total"] = 5 } })
print(rt:search_instances { filter = { name = "order" }, text = "parcel" })]],
})

about("list_instances_by_orchestration", { errors = "invalid_argument",
  example = [[print(rt:list_instances_by_orchestration("order"))]] })
about("list_running_instances", { example = [[print(rt:list_running_instances())]] })
about("list_failed_instances", { errors = "invalid_argument",
  example = [[print(rt:list_failed_instances(rt:now() - 3600))]] })


part "One instance"

about("status", { example = [[print(rt:status("order-7"))]] })
about("details", { errors = "not_found", example = [[print(rt:details("order-7"))]] })
about("why", { example = [[print(rt:why("order-7"))]] })
about("history", {
  errors = "not_found, invalid_argument (an unknown kind, a token of another history)",
  example = [[
local page = assert(rt:history { instance = "order-7", kinds = { "activity_completed", "activity_failed" } })
for _, event in ipairs(page.events) do print(event.event_id, event.kind) end]],
})
about("stack", { errors = "not_found, stalled, finished, unavailable (no owner runs, or it is stuck)",
  example = [[print(rt:stack("order-7"))]] })
about("statistics", { errors = "not_found", example = [[print(rt:statistics("order-7"))]] })
about("dependencies", { errors = "not_found, invalid_argument",
  example = [[print(rt:dependencies("order-7", { depth = 2 }))]] })
about("kv", { errors = "not_found", example = [[print(rt:kv("order-7", "step"))]] })
about("list_executions", { errors = "not_found", example = [[print(rt:list_executions("loop-1"))]] })
about("descriptor", { errors = "not_found", example = [[print(rt:descriptor("order-7").version)]] })


part "Many at once"

about("bulk_status", {
  errors = "invalid_argument, too_large",
  example = [[
local statuses = assert(rt:bulk_status { "order-6", "order-7", "nobody" })
print(statuses["order-7"].status, statuses[3].status)]],
})

about("wait_for_instances", {
  errors = "invalid_argument, too_large",
  example = [[print(rt:wait_for_instances { instances = { "order-6", "order-7" }, mode = "any", timeout = "5s" })]],
})

about("cancel_instances", {
  errors = "invalid_argument, too_large (more than management.max_bulk_operations: nothing is done)",
  example = [[
print(rt:cancel_instances { filter = { name = "order", created_before = rt:now() }, dry_run = true })
print(rt:cancel_instances { instances = { "order-7" }, reason = "recall" })]],
})
about("terminate_instances", { errors = "invalid_argument, too_large",
  example = [[print(rt:terminate_instances { filter = { waiting_on = "event:approval" } })]] })
about("suspend_instances", { errors = "invalid_argument, too_large",
  example = [[print(rt:suspend_instances { filter = {}, all = true, reason = "maintenance" })]] })
about("resume_instances", { errors = "invalid_argument, too_large",
  example = [[print(rt:resume_instances { filter = { status = "suspended" } })]] })
about("delete_instances", { errors = "invalid_argument, too_large",
  example = [[print(rt:delete_instances { filter = { status = "failed" } })]] })
about("raise_event_bulk", { errors = "invalid_argument, invalid_payload, too_large",
  example = [[
print(rt:raise_event_bulk { filter = { name = "order" }, event_name = "approval", event_data = { by = "Ada" } })]] })
about("retry_failed", {
  errors = "invalid_argument, too_large; per instance: running, finished, invalid_argument",
  example = [[print(rt:retry_failed { instances = { "order-6" }, reason = "the printer is back" })]],
})
about("prune", { errors = "invalid_argument",
  example = [[print(rt:prune { keep_last = 1, filter = { name = "loop" } })]] })


part "Numbers"

about("runtime_metrics", { errors = "unsupported (switched off)", example = [[print(rt:runtime_metrics())]] })
about("orchestration_metrics", { errors = "unsupported (switched off)",
  example = [[print(rt:orchestration_metrics())]] })
about("queue_metrics", { errors = "unsupported (switched off)", example = [[print(rt:queue_metrics())]] })
about("provider_diagnostics", { errors = "unsupported (switched off)",
  example = [[print(rt:provider_diagnostics())]] })
about("prometheus", { errors = "unsupported (switched off)", example = [[print(rt:prometheus())]] })

about("query_instances", { errors = "invalid_argument",
  example = [[
print(rt:query_instances { group_by = { "orchestration_name", "status" }, aggregate = { "count", "p95_duration" } })]],
})

about("time_series_metrics", { errors = "invalid_argument, unsupported (switched off)",
  example = [[
print(rt:time_series_metrics { metric = "started", bucket = "1m", from = rt:now() - 600 })]],
})


part "Streams"

about("stream_instance_events", {
  doc = "What happens to instances, as it happens; since=the last seq goes on where another stream ended.",
  errors = "expired (since is older than the kept feed), invalid_argument, unsupported",
  example = [[
local stream = assert(rt:stream_instance_events { kinds = { "started", "failed" } })
rt:start("add", { 1, 2 })
print(stream:next("5s"))]],
})

about("watch_instances", {
  doc = "The changes of status of these instances, running already or not yet started.",
  errors = "expired, invalid_argument, unsupported",
  example = [[
local stream = assert(rt:watch_instances { "order-7" })
rt:cancel("order-7")
print(stream:next("5s"))]],
})

about("stream_runtime_metrics", {
  errors = "invalid_argument, unsupported",
  example = [[
local stream = assert(rt:stream_runtime_metrics("10ms"))
print(stream:next("5s"))]],
})


part "Looking back, testing, repairing"

about("at", { errors = "not_found, invalid_argument (there is no such event)",
  example = [[print(rt:at("order-7", 2))]] })

about("export", { errors = "not_found, storage (the file)",
  example = [[local export = assert(rt:export("order-7"))]] })

about("replay", {
  signature = "duro.replay(export_or_path, function(ctx, input) ... end, [opts])",
  returns = "{ok=true} or {ok=false, event_id, expected, got}",
  options = "replay",
  doc = "Whether code fits the history of an export, or of the file of one. No activity runs, and no runtime is "
    .. "needed.",
  errors = "storage (the file), corrupt, unsupported (a codec is missing), not_found",
  example = [[
local export = assert(rt:export("order-7"))
print(duro.replay(export, function(ctx) return ctx:wait_event("something else") end))]],
})

about("check", {
  errors = "invalid_argument, unsupported",
  example = [[
local report = assert(rt:check { name = "order", fn = function(ctx) return ctx:sleep(5) end })
print(report)]],
})

about("testing", {
  signature = "duro.testing.runtime([opts])", returns = "a runtime with mock_activity, run, assert_completed",
  options = "open",
  doc = "A runtime for tests: in memory, with a virtual clock that skips time by itself.",
  example = [[
local t = duro.testing.runtime()
t:orchestration("under_test", function(ctx) ctx:sleep("30d") return ctx:activity("pay", nil, { retry = {} }) end)
t:mock_activity("pay", { duro.testing.fails "no money", "paid" }) -- what the first, the second call gives
assert(t:run("under_test", nil, { id = "one" }) == "paid")
t:assert_completed("one", "paid")
t:close()]],
})


part "Access"

about("with_context", {
  signature = "rt:with_context{user_id=, roles=, source_ip=}", returns = "a handle with the same methods, checked",
  doc = "A handle for somebody: the hooks of access_control decide what it sees and does.",
  errors = "denied, of the calls on it; invalid_argument",
  example = [[
local view = assert(rt:with_context { user_id = "ada", roles = { "operator" } })
print(view:list_instances())]],
})

about("audit", {
  signature = "rt:audit{limit=}", returns = "array of entries, the newest first",
  doc = "Who asked for which change.",
  errors = "invalid_argument",
  example = [[print(rt:audit { limit = 20 })]],
})

about("capabilities", {
  signature = "rt:capabilities()", returns = "a table",
  doc = "What this store and this build can do.",
  example = [[print(rt:capabilities())]],
})


part "At the prompt, and values"

about("help", {
  signature = "duro.help([name])", returns = "a text",
  doc = "Everything, or one call: its options, errors and an example.",
  example = [[print(duro.help("list_instances"))]],
})

about("show", {
  signature = "duro.show(value, [opts])", returns = "a text", options = "show",
  doc = "Any value as a person reads it. Results print that way by themselves; on a terminal tables are cut to its "
    .. "width, elsewhere nothing is cut.",
  errors = "invalid_argument",
  example = [[print(duro.show(rt:list_instances(), { times = "absolute", width = 0 }))]],
})

about("repl", {
  signature = "duro.repl([path or rt], [opts])", returns = "true, when it was left", options = "repl",
  doc = "A prompt over a file, beside the process that owns it: ls, get, why, hist, stack, tree, rt and help are at "
    .. "hand. Ctrl-C ends what waits, Ctrl-D leaves.",
  errors = "not_found (there is no such file), and those of duro.open",
  example = [[assert(duro.repl("orders.db"))]],
})

about("null", {
  signature = "duro.null", doc = "The JSON null inside tables.",
  example = [[rt:start("add", { 1, duro.null }, { id = "with-null" })]],
})

about("array", {
  signature = "duro.array([t])", returns = "t, marked",
  doc = "Marks a table as an array, so that an empty one is [] in the database.",
  example = [[rt:start("add", duro.array(), { id = "empty-array" })]],
})
