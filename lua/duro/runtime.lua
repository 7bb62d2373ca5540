-- runtime: opening a file, turning its loop, and the object whose methods everything else is.
--
-- A runtime is a Lua table around the core's (duro.core): what it adds is the checks, the registry, the
-- methods of client.lua and management.lua, and waiting in slices, so that Ctrl-C is heard. After close
-- every method gives nil, err(closed). The open runtimes stand in `opened`, in order; the last one is
-- the default.

local access = require "duro.access"
local client = require "duro.client"
local core = require "duro.core"
local errors = require "duro.errors"
local management = require "duro.management"
local options = require "duro.options"
local registry = require "duro.registry"
local replay = require "duro.replay"
local request = require "duro.request"
local rows = require "duro.rows"

local runtime = {}

local SLICE_MS = request.SLICE_MS

local DEBUG = options.spec("open.debug", {
  { "replay_every_turn", "boolean", default = false, doc = "drop every coroutine after its turn" },
  { "job_lease", "duration", usual = "10s", doc = "how long a worker that died still holds its jobs" },
  { "store", "string", one_of = { "sqlite", "memory", "basic" },
    doc = '"memory": the reference store, "basic": without its optional verbs; both for path = ":memory:"' },
})

local MANAGEMENT = options.spec("open.management", {
  { "enable_metrics", "boolean", default = true, doc = "the calls about numbers" },
  { "enable_streaming", "boolean", default = true, doc = "the streams" },
  { "max_list_instances", "integer", usual = "1000", min = 1, doc = "default and cap of lists" },
  { "max_bulk_operations", "integer", usual = "10000", min = 1, doc = "cap of bulk calls" },
  { "metrics_retention_hours", "integer", usual = "168", min = 1, doc = "how long rollups are kept" },
  { "cache_ttl_seconds", "number", usual = "0", min = 0, doc = "how old an answer may be" },
})

local CODEC = options.spec("open.codec", {
  { "encode", "function", required = true, doc = "function(bytes): the bytes to store" },
  { "decode", "function", required = true, doc = "function(bytes): the bytes that encode was given" },
})

local OPEN = options.spec("open", {
  { "path", "string", required = true, doc = 'the SQLite file, or ":memory:"' },
  { "role", "string", default = "runtime", one_of = { "runtime", "auto", "client", "worker" },
    doc = '"runtime" owns the file; "client" starts and manages; "auto": owner if the place is free; '
      .. '"worker" runs activities of its queues only' },
  { "lease_wait", "duration", usual = "0", doc = "how long open waits for the owner's place" },
  { "queues", "names", doc = "task queues that this process serves" },
  { "worker_threads", "integer", usual = "4", min = 1, max = 1024, doc = "threads for thread=true activities" },
  { "durability", "string", usual = "full", one_of = { "full", "normal" },
    doc = '"full": an acknowledged call survives power loss; "normal": a crash of the process' },
  { "clock", "string", usual = "system", one_of = { "system", "virtual" },
    doc = '"virtual": time moves by rt:advance only' },
  { "activity_concurrency", "integer", usual = "100", min = 1, doc = "activities in flight at once" },
  { "feed_retention", "duration", usual = "10m", doc = "how long the change feed is kept" },
  { "feed_max_bytes", "integer", usual = "256 MiB", min = 0, doc = "how much of it is kept" },
  { "any_vm", "boolean", usual = "false", doc = "run instances that the other Lua VM began" },
  { "executor", "function", doc = "host hook, function(run): has run() called in a coroutine of the host's, for "
    .. "each activity that is ready" },
  { "sleep", "function", doc = "host hook, function(seconds): waits, wherever a call has to (executor needs it)" },
  { "codec", "table", doc = "{encode=, decode=} around stored payloads (encryption)" },
  { "max_lost_attempts", "integer", usual = "20", min = 1, doc = "lost attempts in a row that stall an instance" },
  { "max_live_instances", "integer", usual = "10000", min = 1, doc = "orchestrations kept in memory" },
  { "log", "function", doc = "function(level, message, fields)" },
  { "debug", "table", doc = "{replay_every_turn=true}" },
  { "management", "table", doc = "limits and switches of the management API" },
  { "access_control", "table", doc = "hooks that decide what a context may see and do" },
})

local Runtime = {}
Runtime.__index = Runtime
Runtime.__name = "duro.runtime"

local opened, count = setmetatable({}, { __mode = "v" }), 0
local of_core = setmetatable({}, { __mode = "kv" })
local default


-- --- Opening and closing ---

-- Options that need another one, or do not go together.
local function incomplete(values)
  if values.path:find("[%z\1-\31\127]") then return "option 'path' has a control character" end
  if values.path == ":memory:" and (values.role == "client" or values.role == "worker") then
    return ("a %s needs a file: no other process can own what is in this one's memory"):format(values.role)
  end
  if values.executor and not values.sleep then
    return "option 'executor' needs 'sleep' beside it: what the host runs has to wait with the host's own sleep"
  end
  if values.store and values.path ~= ":memory:" then return 'debug.store needs path = ":memory:"' end
end


-- The flat options of the core.
local function core_options(given)
  local values, err = options.check(OPEN, given)
  if not values then return nil, err end
  if values.path:find("^postgres") then return nil, errors.new("unsupported", "PostgreSQL is not supported yet") end
  for key, spec in pairs { debug = DEBUG, management = MANAGEMENT } do
    if values[key] then
      local nested
      nested, err = options.check(spec, values[key])
      if not nested then return nil, err end
      for name, value in pairs(nested) do values[name] = value end
      values[key] = nil
    end
  end
  local problem = incomplete(values)
  if problem then return nil, errors.new("invalid_argument", problem) end
  if values.access_control then
    values.access_control, err = options.check(access.HOOKS, values.access_control)
    if not values.access_control then return nil, err end
  end
  if values.codec then
    values.codec, err = options.check(CODEC, values.codec)
    if not values.codec then return nil, err end
  end
  if values.cache_ttl_seconds then
    values.cache_ttl_ms, values.cache_ttl_seconds = math.floor(values.cache_ttl_seconds * 1000), nil
  end
  return values
end


-- Hands an entry of a registry to the core.
local function register(self, entry, replace)
  local thread = entry.thread
  if thread then
    return self.core:register_thread_activity(entry.name, thread.module, thread.function_name,
      thread.generation, replace)
  end
  if entry.kind == "activity" then return self.core:register_activity(entry.name, entry.fn, replace) end
  return self.core:register_orchestration(entry.name, entry.version, entry.fn, replace)
end


-- A registry has a new entry. One of the default registry is hidden by an own one.
local function on_registered(self, entry, source)
  local hidden = source ~= self.registry and self.registry:find(entry.kind, entry.name, entry.version)
  if hidden or self:closed() then return true end
  return register(self, entry, true)
end


-- Hands over what the registries have, and what they will get.
local function adopt(self)
  local ok, err = true, nil
  self.registry:each(function(entry)
    if ok then ok, err = register(self, entry, false) end
  end)
  registry.default.listeners[self], self.registry.listeners[self] = on_registered, on_registered
  return ok, err
end


--- duro.open: a path, or a table of options. Errors: busy, storage, corrupt, invalid_argument,
--- unsupported. context: anywhere but inside an orchestration or an activity.
function runtime.open(path_or_options)
  local given = path_or_options
  if type(given) == "string" then given = { path = given } end
  if type(given) ~= "table" then
    options.blame(("duro.open needs a path or a table of options, got %s"):format(type(given)))
  end
  local values, err = core_options(given)
  if not values then return nil, err end
  local handle, viewers
  viewers, values.may_see = access.viewers()
  handle, err = core.open(values)
  if not handle then return nil, err end
  local self = setmetatable({ core = handle, path = values.path, codec = values.codec,
    host_sleep = values.sleep, log = values.log,
    access_control = values.access_control, viewers = viewers, stopping = false,
    limits = { list = values.max_list_instances or 1000, bulk = values.max_bulk_operations or 10000 } }, Runtime)
  self.registry = registry.new(registry.default)
  local ok
  ok, err = adopt(self)
  if not ok then
    handle:close()
    return nil, err
  end
  of_core[handle] = self
  count = count + 1
  opened[count], default = self, self
  return self
end


--- The default runtime: the one opened last that is not closed, or the one set; nil without any.
function runtime.default()
  if default and not default:closed() then return default end
  default = nil
  while count > 0 and not default do
    local candidate = opened[count]
    if candidate and not candidate:closed() then default = candidate else count = count - 1 end
  end
  return default
end


function runtime.set_default(rt)
  if getmetatable(rt) ~= Runtime then options.blame("duro.set_default needs a runtime") end
  default = rt
end


--- The runtime around a core's handle: what ctx.runtime of an activity is.
function runtime.of(handle)
  return of_core[handle]
end


function Runtime:close()
  local closed = self.core:close() -- raises inside an activity
  registry.default.listeners[self] = nil
  self.stopping = true
  return closed
end


Runtime.__close = Runtime.close


function Runtime:closed()
  return self.core:closed()
end


function Runtime:__tostring()
  return ("duro.runtime(%s%s)"):format(self.path, self:closed() and ", closed" or "")
end


-- --- Registering ---

--- Like duro.orchestration, for this runtime only.
function Runtime:orchestration(name, opts, fn)
  return self.registry:orchestration(name, opts, fn)
end


--- Like duro.activity, for this runtime only.
function Runtime:activity(name, opts, fn)
  return self.registry:activity(name, opts, fn)
end


local mark_registered = rows.of "registered"


--- {orchestrations={ {name, versions} }, activities={names}} of this process.
function Runtime:registered()
  return mark_registered(self.registry:list())
end


-- --- The loop ---

local function timeout_of(value)
  if value == nil then return nil end
  return options.argument(value, "duration", "timeout")
end


--- Runs until rt:stop(): true, or nil, err(locked) when the lease was lost.
function Runtime:run()
  self.stopping = false
  local turns, err, pause_ms
  while not self.stopping do
    turns, err, pause_ms = request.step(self, SLICE_MS, pause_ms)
    if not turns then
      if self.stopping and err.code == "closed" then return true end
      return nil, err
    end
  end
  return true
end


--- Makes rt:run() return after what it does now.
function Runtime:stop()
  self.stopping = true
  self.core:wake()
  return true
end


--- Runs until nothing can move without outside input or the passing of time: true, or nil,
--- err(timeout) after `timeout` of real time.
function Runtime:run_until_idle(timeout)
  local timeout_ms, problem = timeout_of(timeout)
  if problem then return nil, problem end
  local deadline = timeout_ms and core.monotonic_ms() + timeout_ms
  local wait_ms, pause_ms = 0, nil
  local turns, err
  while true do
    turns, err, pause_ms = request.step(self, wait_ms, pause_ms)
    if not turns then return nil, err end
    if self.core:idle() then return true end
    wait_ms = SLICE_MS
    if deadline then
      wait_ms = math.min(wait_ms, deadline - core.monotonic_ms())
      if wait_ms <= 0 then return nil, errors.new("timeout", "it was not idle in time") end
    end
  end
end


--- Does what is ready now, waiting at most `timeout` (0) for more: the number of turns it ran.
function Runtime:step(timeout)
  local timeout_ms, problem = timeout_of(timeout)
  if problem then return nil, problem end
  if not self.host_sleep then return self.core:step(timeout_ms or 0) end
  local deadline = core.monotonic_ms() + (timeout_ms or 0)
  local left, pause_ms = timeout_ms or 0, nil
  local turns, err
  repeat
    turns, err, pause_ms = request.step(self, left, pause_ms)
    left = deadline - core.monotonic_ms()
  until turns ~= 0 or left <= 0
  return turns, err
end


--- For a foreign loop: readable when rt:step() has something to do.
function Runtime:fd()
  return self.core:fd()
end


--- For a foreign loop: after how many seconds rt:step() is due at the latest; nil: only when fd is readable.
function Runtime:next_timeout()
  local ms, err = self.core:next_timeout_ms()
  if not ms then return nil, err end
  if ms < 0 then return nil end
  return ms / 1000
end


--- The runtime's time, in epoch seconds.
function Runtime:now()
  local ms, err = self.core:now_ms()
  if not ms then return nil, err end
  return ms / 1000
end


--- Moves the virtual clock by `duration`: everything due on the way happens in order, each at its own
--- time, and is run until idle. Errors: unsupported (system clock), invalid_argument.
function Runtime:advance(duration)
  local ms, problem = options.argument(duration, "duration", "duration")
  if problem then return nil, problem end
  local now, err = self.core:now_ms()
  if not now then return nil, err end
  local target, last = now + ms, nil
  while true do
    local ok
    ok, err = self:run_until_idle()
    if not ok then return nil, err end
    local due = self.core:next_due_ms()
    if not due or due > target or due == last then break end
    ok, err = self.core:set_time(math.max(due, now))
    if not ok then return nil, err end
    now, last = math.max(due, now), due
  end
  local ok
  ok, err = self.core:set_time(target)
  if not ok then return nil, err end
  return self:run_until_idle()
end


-- --- The rest: one method a row of client.lua, management.lua and replay.lua ---

local questions = {}

for _, source in ipairs { client.methods, management.methods, replay.methods } do
  for name, method in pairs(source) do questions[name], Runtime[name] = method, method end
end


-- What works on a closed runtime; everything else gives nil, err(closed).
local ALWAYS = { close = true, closed = true, stop = true }


for name, method in pairs(Runtime) do
  if type(method) == "function" and name:sub(1, 2) ~= "__" and not ALWAYS[name] then
    Runtime[name] = function(self, ...)
      if getmetatable(self) ~= Runtime then
        options.blame(("call it on a runtime, with a colon: rt:%s(...)"):format(name))
      end
      if self.core:closed() then return nil, errors.new("closed", "the runtime is closed") end
      return method(self, ...)
    end
  end
end


access.equip(Runtime, questions)
runtime.methods = Runtime


return runtime
