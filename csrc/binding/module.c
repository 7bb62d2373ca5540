// duro.core: the C half of the Lua module, and the table of what it exports. Lua files of lua/duro
// build the public API on it; nobody else should need it.
//
// Failure shape everywhere: the world's faults return `nil, err` (err: an error table, see errors.lua);
// a programmer's fault (wrong type, wrong place) raises.
//
//   core.version, core.abi       "0.1.0", 1: compared by lua/duro/init.lua
//   core.vm                      "lua5.4" or "luajit"
//   core.null                    the JSON null inside tables: one userdata, tostring "null"
//   core.array([t]) -> t         marks a table (made when absent) so that it is [] when empty
//   core.is_array(v)             whether it bears that mark
//   core.encode(v [, root]) -> text | nil, err     invalid_payload or too_large; err.path "input.items[3]"
//   core.decode(text) -> v | nil, err              corrupt; the text "null" gives nil
//   core.duration_ms(v) -> integer | nil, message  30, 0.25, "250ms", "1h30m"; never negative; for
//                                the message: 'invalid duration "5x" (try 30, "30s", "1h30m")'
//   core.codes                   {not_found = true, ...}: the codes of our own
//   core.context()               "orchestration", "activity" (own coroutine) or nil: who is running
//   core.current()               the ctx of what is running now, or nil
//   core.await(request)          inside an activity of the same runtime: yields until the request is done,
//                                returns true; elsewhere false at once: the caller drives step itself
//   core.uuid7([ms])             a time-ordered UUID
//   core.wall_ms(), core.monotonic_ms()
//   core.setup{...}              what the Lua half hands down, see setup below (errors.lua, payload.lua,
//                                orchestration.lua, task.lua, activity.lua call it when loaded)
//   core.open(options) -> rt | nil, err
//     options, all plain and already validated (absent = the core's default):
//       path, role ("runtime" "auto" "client" "worker"), lease_wait_ms, queues (array of strings),
//       durability ("full" "normal"), clock ("system" "virtual"), activity_concurrency,
//       feed_retention_ms, feed_max_bytes, any_vm, max_lost_attempts, max_live_instances,
//       replay_every_turn, max_list_instances, max_bulk_operations, metrics_retention_hours,
//       cache_ttl_ms, enable_metrics, enable_streaming,
//       log = function(level, message, fields), codec = {encode = f(bytes) -> bytes, decode = f},
//       executor = function(run): called with each ready activity instead of running it on our own
//         coroutine; `run()` runs it to its end in whatever coroutine the host calls it from,
//       sleep = function(seconds): how such an activity sleeps (required with executor)
//
//   rt (every method of a closed runtime: nil, err(closed))
//     rt:register_orchestration(name, version, fn, replace) -> true | nil, err
//     rt:register_activity(name, fn, replace) -> true | nil, err
//     rt:step(timeout_ms) -> turns | nil, err     one duro_step and every activity that is then ready;
//                                    negative: waits for ever; raises inside an orchestration or activity
//     rt:fd(), rt:next_timeout_ms() (-1: for ever), rt:wake(), rt:idle() -> boolean
//     rt:now_ms(), rt:next_due_ms() -> integer | nil (nothing is due), rt:set_time(ms) -> true | nil, err
//     rt:activities() -> how many run or wait in this process
//     rt:call(verb, args) -> request | nil, err    csrc/runtime/verbs.h; args: a value; payload paths in
//                                    errors begin at its members ("input.items[3].cb")
//     rt:close() -> true (idempotent; also __gc and __close), rt:closed() -> boolean
//   request
//     request:done() -> boolean
//     request:result() -> value | nil, err         only when done; may be asked again
//     request:free()                               drops the answer (also __gc)
//
// Tell-tale: `rt:call` inside an orchestration raises ("use ctx:..."); ask core.context() first for a
// better message.
