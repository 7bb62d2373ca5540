---@meta
-- types of the ctx of an orchestration.
-- luacheck: ignore

---@class duro.OrchestrationContext
---@field instance_id string
---@field execution_id integer
---@field name string
---@field version string
---@field parent_instance? string
---@field is_replaying boolean
---@field history_length integer
---@field kv table<string, duro.Value> durable: only assignment writes, reads give copies
local OrchestrationContext = {}

---@class duro.Retry
---@field max_attempts? integer default 3
---@field backoff? "exponential"|"linear"|"fixed" default "exponential"
---@field initial? duro.Duration default 0.1
---@field max? duro.Duration default 30, or initial if that is longer
---@field multiplier? number default 2
---@field jitter? boolean default false
---@field non_retryable? string[] codes that are not tried again

---@class duro.ActivityCallOptions
---@field retry? duro.Retry without it: one attempt
---@field timeout? duro.Duration of the whole
---@field attempt_timeout? duro.Duration of one attempt
---@field heartbeat_timeout? duro.Duration between heartbeats
---@field queue? string route to workers of that queue

---@class duro.SubOrchestrationOptions
---@field id? string default: {parent}::{execution}::{event}
---@field version? string default: the highest registered
---@field retry? duro.Retry
---@field timeout? duro.Duration

---@class duro.StartOrchestrationOptions
---@field id? string default: derived from this instance's
---@field version? string default: the highest registered

---@class duro.WaitOptions
---@field timeout? duro.Duration then nil, err(timeout)

---@class duro.ContinueOptions
---@field version? string default: the same
---@field reason? string kept with the execution

---Its output; raises duro.Error on final failure. context: orchestration.
---@param name string
---@param input? duro.Value
---@param opts? duro.ActivityCallOptions
---@return duro.Value
function OrchestrationContext:activity(name, input, opts) end

---Its output; raises duro.Error on failure. context: orchestration.
---@param name string
---@param input? duro.Value
---@param opts? duro.SubOrchestrationOptions
---@return duro.Value
function OrchestrationContext:sub_orchestration(name, input, opts) end

---A durable timer. context: orchestration.
---@param duration duro.Duration
function OrchestrationContext:sleep(duration) end

---@param time duro.Time
function OrchestrationContext:sleep_until(time) end

---The data of the next event of that name; nil, err(timeout) when its time is over.
---context: orchestration.
---@param name string
---@param opts? duro.WaitOptions
---@return duro.Value, duro.Error?
function OrchestrationContext:wait_event(name, opts) end

---Outputs in argument order; waits for all, then raises the first failure in history order.
---context: orchestration.
---@param tasks duro.Task[]
---@return duro.Value[]
function OrchestrationContext:join(tasks) end

---Never raises. context: orchestration.
---@param tasks duro.Task[]
---@return {ok: boolean, value?: duro.Value, error?: duro.Error}[]
function OrchestrationContext:join_settled(tasks) end

---Index and output of the first done in history order; the losers are cancelled.
---context: orchestration.
---@param tasks duro.Task[]
---@return integer index, duro.Value output
function OrchestrationContext:select(tasks) end

---True when the predicate holds; it is asked again after every turn. context: orchestration.
---@param predicate fun(): boolean
---@param opts? duro.WaitOptions
---@return true?, duro.Error?
function OrchestrationContext:wait_until(predicate, opts) end

---The value of fn(), recorded once (it may run again when the process dies before its commit). The guard does
---not hold fn: it may ask the clock, or draw. It may not use ctx, nor write globals. context: orchestration.
---@param fn fun(): duro.Value
---@return duro.Value
function OrchestrationContext:side_effect(fn) end

---Ends this execution and starts the next; never returns. context: orchestration, not in a block.
---@param input? duro.Value
---@param opts? duro.ContinueOptions
function OrchestrationContext:continue_as_new(input, opts) end

---@param name string
---@param input? duro.Value
---@param opts? duro.ActivityCallOptions
---@return duro.Task
function OrchestrationContext:schedule_activity(name, input, opts) end

---@param name string
---@param input? duro.Value
---@param opts? duro.SubOrchestrationOptions
---@return duro.Task
function OrchestrationContext:schedule_sub_orchestration(name, input, opts) end

---@param duration duro.Duration
---@return duro.Task
function OrchestrationContext:schedule_timer(duration) end

---@param name string
---@return duro.Task
function OrchestrationContext:schedule_wait(name) end

---A concurrent block of orchestration code. context: orchestration.
---@param fn function
---@param ... any
---@return duro.Task
function OrchestrationContext:spawn(fn, ...) end

---Starts a detached instance: its id. context: orchestration.
---@param name string
---@param input? duro.Value
---@param opts? duro.StartOrchestrationOptions
---@return string
function OrchestrationContext:start_orchestration(name, input, opts) end

---@param id string
---@param name string
---@param data? duro.Value
function OrchestrationContext:raise_event(id, name, data) end

---The time of this turn.
---@return duro.Time
function OrchestrationContext:now() end

---@return string
function OrchestrationContext:uuid() end

---Like math.random, seeded by the run.
---@param m? integer
---@param n? integer
---@return number
function OrchestrationContext:random(m, n) end

---@param value duro.Value nil resets it
function OrchestrationContext:set_custom_status(value) end

---Walks ctx.kv in the order of its keys, as pairs(ctx.kv) does.
---@return fun(): string, duro.Value
function OrchestrationContext:kv_pairs() end

---@param attributes table<string, string|number|boolean>
function OrchestrationContext:set_attributes(attributes) end

---What rt:query(id, name, arg) is answered by; nil takes it back. The handler may look at ctx (kv, custom
---status, facts); anything that would be recorded is refused. context: orchestration.
---@param name string
---@param handler? fun(arg: duro.Value): duro.Value
function OrchestrationContext:on_query(name, handler) end

---True, and recorded, when first reached outside of replay.
---@param patch_id string
---@return boolean
function OrchestrationContext:patched(patch_id) end

---Silent during replay.
---@param level string
---@param message string
function OrchestrationContext:log(level, message) end

---@class duro.Task
local Task = {}

---Its output; raises its failure. context: orchestration.
---@return duro.Value
function Task:await() end

---@return boolean
function Task:done() end

function Task:cancel() end
