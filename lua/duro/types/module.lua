---@meta
-- types: the public API as LuaCATS annotations, one file a subject, for editors and for readers. Never
-- loaded. Here: the shapes that all share, the module, and the runtime with its loop.
--
-- Every call says its shapes, units and errors, and in which context it may be made: orchestration,
-- activity, anywhere (which means: anywhere but inside an orchestration, unless it says so). A spec
-- compares the option classes with the tables that check the calls (options.lua).
-- luacheck: ignore

---@alias duro.Value nil|boolean|integer|number|string|table a payload: tables have keys 1..n without holes, or string keys; depth up to 200; up to 16 MiB of JSON
---@alias duro.Duration number|string seconds, or "250ms" "30s" "5m" "2h" "7d" or a sum such as "1h30m"
---@alias duro.Time number epoch seconds, with millisecond precision
---@alias duro.Status "pending"|"running"|"suspended"|"stalled"|"completed"|"failed"|"cancelled"|"terminated"|"not_found"
---@alias duro.Code "not_found"|"already_exists"|"invalid_argument"|"invalid_payload"|"too_large"|"not_registered"|"failed"|"cancelled"|"terminated"|"timeout"|"denied"|"unsupported"|"busy"|"locked"|"stalled"|"suspended"|"storage"|"corrupt"|"nondeterminism"|"finished"|"running"|"unavailable"|"expired"|"closed"|"out_of_memory"|string

---What the world's faults come back as: `nil, err`. `tostring(err)` is "code: message".
---@class duro.Error
---@field code duro.Code a code of duro, or one that the author's code threw
---@field message string
---@field data? duro.Value what the thrown error table had in `data`
---@field name? string of the activity or orchestration that failed
---@field attempts? integer how often it was tried
---@field details? string a traceback
---@field expected? string of a stalled instance: what its history has
---@field got? string of a stalled instance: what its code asked for
---@field event_id? integer of a stalled instance: where they part
---@field path? string of invalid_payload: where in the value


---@class duro
---@field version string
---@field management_version string
---@field null userdata the JSON null inside tables
---@field testing duro.testing
local duro = {}

---@class duro.OrchestrationOptions
---@field version? string semver, default "1.0.0"; a start without a version takes the highest
---@field replace? boolean take the place of the same name and version
---@field guard? boolean|"strict" determinism guard, default true

---Registers an orchestration in the default registry, which every runtime shares.
---context: anywhere. Raises when the name and version are taken.
---@param name string
---@param fn fun(ctx: duro.OrchestrationContext, input: duro.Value): duro.Value
---@overload fun(name: string, opts: duro.OrchestrationOptions, fn: function): true?, duro.Error?
---@return true?, duro.Error?
function duro.orchestration(name, fn) end

---@class duro.ActivityOptions
---@field replace? boolean take the place of the activity of that name
---@field thread? boolean run in a worker thread, with a Lua state of its own
---@field module? string the module that thread=true requires there
---@field function_name? string the function of that module; default: the activity's name

---Registers an activity in the default registry. context: anywhere. Raises when the name is taken.
---@param name string
---@param fn fun(ctx: duro.ActivityContext, input: duro.Value): duro.Value
---@overload fun(name: string, opts: duro.ActivityOptions, fn: function): true?, duro.Error?
---@return true?, duro.Error?
function duro.activity(name, fn) end

---@class duro.OpenOptions
---@field path string SQLite file, or ":memory:"
---@field role? "runtime"|"auto"|"client"|"worker" default "runtime"
---@field lease_wait? duro.Duration how long open waits for the owner's place, default 0
---@field queues? string[] task queues that this process serves; a worker needs at least one
---@field worker_threads? integer threads for thread=true activities (4), made when first needed
---@field durability? "full"|"normal" default "full": an acknowledged call survives power loss
---@field clock? "system"|"virtual" "virtual": time moves by rt:advance only
---@field activity_concurrency? integer activities in flight at once, default 100
---@field feed_retention? duro.Duration how long the change feed is kept, default "10m"
---@field feed_max_bytes? integer how much of it is kept, default 256 MiB
---@field any_vm? boolean run instances that the other Lua VM began
---@field executor? duro.Executor host hook: how to run a ready activity; needs `sleep`
---@field sleep? duro.Sleep host hook: how to wait
---@field codec? duro.Codec around stored payloads: encryption, say; searching them is then unsupported
---@field max_lost_attempts? integer lost attempts in a row that stall an instance, default 20
---@field max_live_instances? integer orchestrations kept in memory, default 10000
---@field log? fun(level: string, message: string, fields: table)
---@field debug? duro.DebugOptions
---@field management? duro.ManagementOptions
---@field access_control? duro.AccessControl hooks that decide what views may see and do

---For hosts with a scheduler of their own, such as OpenResty (examples/openresty). Called by whatever turns the loop
---(rt:run, rt:step, any call that waits), once for each attempt of an activity that is ready; activities with
---thread=true are not concerned. It returns at once, and may not yield: it sees to it that run() is called once, in
---a coroutine of the host's, which may yield to the host as the host likes. run() runs the activity to its end,
---gives nothing and raises nothing: what the activity raises fails its attempt. A second run(), and one after
---rt:close(), does nothing. When the hook itself raises, or drops run without calling it, the attempt fails, and
---is tried again as its retry policy says. activity_concurrency bounds how many are out at once.
---@alias duro.Executor fun(run: fun())

---Returns after about so many seconds; it may yield to the host, and may be called by several coroutines at once.
---Called where a call of the runtime has to wait (rt:wait, rt:start until it is durable, rt:run, ...): in pauses of
---1 to 20 ms, between which the loop is turned; and by ctx:sleep of an activity that an executor runs, in pieces of
---at most 0.5 s. What it raises is raised by the call that waits. duro.open and rt:close do not use it.
---@alias duro.Sleep fun(seconds: number)

---Payloads (inputs, outputs, event data, custom status, KV values, heartbeat details, `data` of errors) are
---stored as what `encode` makes of them. Names, ids, attributes, reasons, and the codes and messages of errors
---stay readable. What the functions raise becomes storage (encode) or corrupt (decode).
---@class duro.Codec
---@field encode fun(bytes: string): string
---@field decode fun(bytes: string): string the bytes that encode was given

---@class duro.DebugOptions
---@field replay_every_turn? boolean drop every coroutine after its turn
---@field job_lease? duro.Duration how long a worker that died still holds its jobs (10s)
---@field store? "sqlite"|"memory"|"basic" "memory": the reference store; "basic": without its optional verbs

---@class duro.ManagementOptions
---@field enable_metrics? boolean default true
---@field enable_streaming? boolean default true
---@field max_list_instances? integer default and cap of lists, default 1000
---@field max_bulk_operations? integer cap of bulk calls, default 10000
---@field metrics_retention_hours? integer default 168
---@field cache_ttl_seconds? number default 0

---Opens a file. Errors: busy (names the owner), storage, corrupt, invalid_argument, unsupported.
---context: anywhere but inside duro's own code.
---@param path_or_options string|duro.OpenOptions
---@return duro.Runtime?, duro.Error?
function duro.open(path_or_options) end

---The runtime opened last that is open, or the one set. context: anywhere.
---@return duro.Runtime?
function duro.default() end

---@param rt duro.Runtime
function duro.set_default(rt) end

---Marks a table as an array, so that an empty one is [] in JSON. context: anywhere, orchestrations too.
---@generic T: table
---@param t? T
---@return T
function duro.array(t) end

---@class duro.ShowOptions
---@field width? integer columns to cut tables to; 0: never; default: the terminal's, and never where there is none
---@field times? "relative"|"absolute" default "relative": "3 min ago"

---The text of any value as a person reads it: results as they print, other tables as Lua would write them.
---context: anywhere but inside an orchestration.
---@param value any
---@param options? duro.ShowOptions
---@return string?, duro.Error?
function duro.show(value, options) end

---@class duro.ReplOptions
---@field role? "client"|"auto"|"runtime" default "client": looks and manages beside the owner
---@field codec? duro.Codec as for duro.open
---@field times? "relative"|"absolute" default "relative"

---A prompt over a file, with ls, get, why, hist, stack, tree, show, rt and help; it turns the loop while it waits
---for input. Ctrl-C ends what waits, Ctrl-D leaves. Takes an open runtime too, or nothing for the default one.
---Errors: not_found (there is no such file), and those of duro.open.
---context: anywhere but inside an orchestration or an activity.
---@param path_or_runtime? string|duro.Runtime
---@param options? duro.ReplOptions
---@return true?, duro.Error?
function duro.repl(path_or_runtime, options) end

---A text about everything, or about one call: signature, options, errors and an example. It takes the name as it
---is written in code ("list_instances", "ctx:sleep"), or the function. context: anywhere.
---@param name? string|function
---@return string
function duro.help(name) end


---@class duro.Runtime
local Runtime = {}

---Like duro.orchestration, for this runtime only.
---@param name string
---@param fn function
---@overload fun(self, name: string, opts: duro.OrchestrationOptions, fn: function): true?, duro.Error?
---@return true?, duro.Error?
function Runtime:orchestration(name, fn) end

---Like duro.activity, for this runtime only.
---@param name string
---@param fn function
---@overload fun(self, name: string, opts: duro.ActivityOptions, fn: function): true?, duro.Error?
---@return true?, duro.Error?
function Runtime:activity(name, fn) end

---Runs until rt:stop(). Errors: locked. context: anywhere but inside an activity.
---@return true?, duro.Error?
function Runtime:run() end

---Runs until nothing can move without outside input or the passing of time. Errors: timeout, locked.
---context: anywhere but inside an activity.
---@param timeout? duro.Duration real time
---@return true?, duro.Error?
function Runtime:run_until_idle(timeout) end

---Does what is ready now, and waits at most `timeout` for more: the number of turns it ran.
---context: anywhere but inside an activity.
---@param timeout? duro.Duration real time, default 0
---@return integer?, duro.Error?
function Runtime:step(timeout) end

---Makes rt:run() return. context: anywhere.
---@return true
function Runtime:stop() end

---Closes the file; again is fine. Also `<close>` and garbage collection. context: anywhere but inside
---duro's own code.
---@return true
function Runtime:close() end

---@return boolean
function Runtime:closed() end

---Readable when rt:step() has something to do. context: anywhere.
---@return integer?, duro.Error?
function Runtime:fd() end

---Seconds until rt:step() is due; nil: only when fd is readable. context: anywhere.
---@return number?, duro.Error?
function Runtime:next_timeout() end

---@return duro.Time?, duro.Error?
function Runtime:now() end

---Moves the virtual clock; what is due happens in order, each at its own time. Errors: unsupported
---(system clock), invalid_argument. context: anywhere but inside an activity.
---@param duration duro.Duration
---@return true?, duro.Error?
function Runtime:advance(duration) end

---@return {orchestrations: {name: string, versions: string[]}[], activities: string[]}
function Runtime:registered() end


return duro
