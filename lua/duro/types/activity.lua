---@meta
-- types of the ctx of an activity.
-- luacheck: ignore

---In a worker thread (thread=true) there is no `runtime`, `async` nor `defer`: they raise.
---@class duro.ActivityContext
---@field instance_id string
---@field name string
---@field attempt integer from 1
---@field activity_id string idempotency key: the same for every attempt
---@field heartbeat_details? duro.Value what an attempt before this one told last
---@field runtime duro.Runtime
local ActivityContext = {}

---Says that the attempt is alive, and hands details to the next one: when it fails or runs out of time, and
---when its process dies (then what was told until a second before). context: activity.
---@param details? duro.Value absent: those told before stay
---@return true
function ActivityContext:heartbeat(details) end

---@return boolean
function ActivityContext:is_cancelled() end

---On the runtime's clock; lets other activities run (in a worker thread: blocks that thread alone);
---cancellation wakes it. context: activity.
---@param duration duro.Duration
---@return true?, duro.Error? err cancelled
function ActivityContext:sleep(duration) end

---@param level string
---@param message string
function ActivityContext:log(level, message) end

---A completion function for callback-style code. context: activity.
---@return fun(err: any, value?: duro.Value)
function ActivityContext:async() end

---Ends the attempt without a result: a token for rt:complete_activity. context: activity.
---@return string
function ActivityContext:defer() end
