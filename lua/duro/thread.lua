-- thread: what runs in a worker thread, in a Lua state of its own: an activity that was registered with
-- thread=true is a function of a module, which is required here and called with a ctx and the input.
--
-- The ctx has the plain facts and what may block. It is bound to the attempt that runs now; what would
-- need the runtime's own state (async, defer, runtime) is refused. Values cross as JSON; a failure is a
-- record (errors.to_record). Called by csrc/binding/threads.c; on the main state this file does nothing.

local core = require "duro.core"
local errors = require "duro.errors"

local ops = core.ops

local thread = {}

local REFUSED = {
  async = "ctx:async() is not available in a worker thread: block, and return the value",
  defer = "ctx:defer() is not available in a worker thread: register the activity without thread=true",
  runtime = "ctx.runtime is not available in a worker thread: its Lua state is not the runtime's",
}

local methods = {}
local facts_of = setmetatable({}, { __mode = "k" })
local seen = {} -- module -> the newest generation that was asked for
local running   -- the ctx of the attempt


-- --- The ctx ---

local Ctx = { __metatable = "duro.thread.ctx", __name = "duro.thread.ctx" }


function Ctx:__index(key)
  if REFUSED[key] then error(REFUSED[key], 2) end
  local method = methods[key]
  if method then return method end
  return facts_of[self][key]
end


function Ctx.__newindex()
  error("the ctx of an activity cannot be written to", 2)
end


local function check(ctx, what)
  if facts_of[ctx] == nil then
    error(("ctx:%s must be called with a colon, on the ctx of an activity"):format(what), 3)
  end
  if ctx ~= running then error(("ctx:%s is called after the end of this attempt"):format(what), 3) end
end


--- Says that the attempt is alive; the details go to the next attempt.
function methods:heartbeat(details)
  check(self, "heartbeat")
  local text, err
  if details ~= nil then
    text, err = core.encode(details, "details")
    if not text then error(err, 0) end
  end
  local ok
  ok, err = ops.thread_heartbeat(text)
  if not ok then error(err, 0) end
  return true
end


--- An attempt that has ended counts as cancelled.
function methods:is_cancelled()
  if facts_of[self] == nil then
    error("ctx:is_cancelled must be called with a colon, on the ctx of an activity", 2)
  end
  return self ~= running or ops.thread_cancelled()
end


--- Blocks this thread by the runtime's clock: true, or nil, err(cancelled) when the activity was
--- cancelled meanwhile.
function methods:sleep(duration)
  check(self, "sleep")
  local ms, problem = core.duration_ms(duration)
  if not ms then error("ctx:sleep: " .. problem, 2) end
  if ops.thread_sleep(ms) then return true end
  return nil, errors.new("cancelled", "the activity was cancelled while it slept")
end


--- A line for the log function of the runtime, which gets it on its own thread.
function methods:log(level, message, fields)
  check(self, "log")
  local all = {}
  if type(fields) == "table" then
    for key, value in pairs(fields) do all[key] = value end
  end
  all.instance_id, all.activity = self.instance_id, self.name
  local text = core.encode(all) or core.encode { instance_id = self.instance_id, activity = self.name }
  ops.thread_log(tostring(level), tostring(message), text)
end


-- --- Finding the function ---

local function not_registered(format, ...)
  return nil, errors.new("not_registered", format:format(...), { retryable = false })
end


local function load_module(module)
  local ok, found = pcall(require, module)
  if ok then return found end
  package.loaded[module] = nil -- so that it is tried again next time, on LuaJIT too
  local text = tostring(found)
  if text:find(("module '%s' not found"):format(module), 1, true) == 1 then
    local problem = select(2, not_registered("there is no module '%s' for a worker thread", module))
    problem.details = text
    return nil, problem
  end
  local err = errors.of(found)
  return nil, errors.new(err.code, ("module '%s' cannot be loaded: %s"):format(module, err.message))
end


local function find(module, name, generation)
  if generation > (seen[module] or 0) then
    package.loaded[module] = nil
    seen[module] = generation
  end
  local loaded, problem = load_module(module)
  if problem then return nil, problem end
  if type(loaded) ~= "table" then
    return not_registered("module '%s' gives no table of functions, but a %s", module, type(loaded))
  end
  local fn = loaded[name]
  if type(fn) == "function" then return fn end
  return not_registered("module '%s' has no function '%s'", module, name)
end


-- --- Running ---

local function new_ctx()
  local id, name, activity_id, attempt, input, details = ops.thread_info()
  local facts = { instance_id = id, name = name, activity_id = activity_id, attempt = attempt }
  if details then facts.heartbeat_details = core.decode(details) end
  local ctx = setmetatable({}, Ctx)
  facts_of[ctx] = facts
  if input == nil then return ctx end
  local value, err = core.decode(input)
  return ctx, value, err
end


local function record_of(err)
  return errors.to_record(err, debug.traceback("", 2))
end


-- The handler itself may have failed (memory, the end of the stack): then it gave any text.
local function record(text)
  if type(text) == "string" and type(core.decode(text)) == "table" then return text end
  return errors.to_record(text)
end


--- Runs the function of that module for the work at hand: true and the output's JSON (nil: none), or
--- false and the record of the error.
function thread.run(module, name, generation)
  local fn, problem = find(module, name, generation)
  if not fn then return false, errors.to_record(problem) end
  local ctx, input, err = new_ctx()
  if err then return false, errors.to_record(err) end
  running = ctx
  local ok, output = xpcall(fn, record_of, ctx, input)
  running = nil
  if not ok then return false, record(output) end
  if output == nil then return true end
  local text
  text, err = core.encode(output, "output")
  if text then return true, text end
  err.retryable = false -- running it again would give the same
  return false, errors.to_record(err)
end


return thread
