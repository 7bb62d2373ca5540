-- streams: what happens, as it happens: events of instances, changes of their status, numbers over time.
--
-- A stream is a position in the change feed and a page read ahead; the core keeps nothing of it. So it is
-- resumed by its position in any process, a slow reader costs one page, and a closed or forgotten stream
-- leaves nothing behind. Each row becomes a method of a runtime (calls.lua).
-- To add a stream: a source with `fetch`, and a row.

local calls = require "duro.calls"
local core = require "duro.core"
local errors = require "duro.errors"
local listing = require "duro.listing"
local options = require "duro.options"
local request = require "duro.request"
local rows = require "duro.rows"

local streams = {}
local methods = {}
streams.methods = methods

-- How long one wait lasts at most: then a stream that was closed meanwhile is noticed.
local SLICE_MS = 1000


-- --- The object ---

local Stream = {}
Stream.__index = Stream
Stream.__name = "duro.stream"


local function self_of(stream, name)
  if getmetatable(stream) ~= Stream then
    options.blame(("call it on a stream, with a colon: s:%s()"):format(name))
  end
  return stream
end


local function timeout_of(value)
  if value == nil then return nil end
  return options.argument(value, "duration", "timeout")
end


--- The next of the stream; waits for it, at most `timeout`. nil, err: timeout, closed, expired (the reader
--- was slower than feed_retention), storage. A stream goes on after a timeout.
--- context: anywhere but inside an orchestration; in an activity it yields the activity.
function Stream:next(timeout)
  self_of(self, "next")
  local timeout_ms, problem = timeout_of(timeout)
  if problem then return nil, problem end
  local deadline = timeout_ms and core.monotonic_ms() + timeout_ms
  local looked = false
  while true do
    if self.over then return nil, errors.new("closed", "the stream is closed") end
    if self.runtime:closed() then return nil, errors.new("closed", "the runtime is closed") end
    local item, err = self.source:take()
    if item ~= nil then return item end
    if err then return nil, err end
    local left_ms = SLICE_MS
    if deadline then left_ms = math.min(left_ms, deadline - core.monotonic_ms()) end
    if left_ms <= 0 and looked then return nil, errors.new("timeout", "nothing came in time") end
    looked = true
    local ok
    ok, err = self.source:fetch(self.runtime, math.max(left_ms, 0))
    if not ok then return nil, err end
  end
end


--- `for item in s:iter() do`: ends when the stream or its runtime is closed, and, with `timeout`, when
--- nothing came for so long; any other failure is raised.
function Stream:iter(timeout)
  self_of(self, "iter")
  local ends = { closed = true, timeout = timeout ~= nil }
  return function()
    local item, err = self:next(timeout)
    if item == nil and not ends[err.code] then error(err, 2) end
    return item
  end
end


--- Everything up to this seq has been given: what to pass as `since` to go on from here. nil for numbers.
function Stream:position()
  return self_of(self, "position").source.position
end


--- Ends it: next gives nil, err(closed). Also <close>; a stream that is merely forgotten costs nothing.
function Stream:close()
  self_of(self, "close").over = true
  return true
end


Stream.__close = Stream.close
Stream.__gc = Stream.close


function Stream:__tostring()
  local position = self.source.position
  return ("duro.stream(%s%s)"):format(position and ("at %d"):format(position) or "numbers",
    self.over and ", closed" or "")
end


-- Who only asks and never waits moves things, too.
local function move(runtime, wait_ms)
  if wait_ms > 0 or core.context() == "activity" then return true end
  return request.step(runtime, 0)
end


local function new(runtime, source)
  return setmetatable({ runtime = runtime, source = source, over = false }, Stream)
end


-- --- The change feed ---

local Feed = {}
Feed.__index = Feed


--- The next of the page read ahead, or nil.
function Feed:take()
  local item = self.page[self.at]
  if item == nil then return nil end
  self.at = self.at + 1
  self.position = self.page[self.at] == nil and self.page_end or item.seq
  return item
end


-- One question to the core: what follows, or, when that is nothing, what comes in `wait_ms`.
local function ask(self, runtime, wait_ms)
  local args = self.args
  args.since, args.wait = self.position, wait_ms and true or nil
  local answer, err = request.ask(runtime, "stream_read", args, wait_ms)
  if not answer then
    if err.code ~= "timeout" or not wait_ms then return nil, err end
    self.behind = true -- the core has gone on from our position, and cannot say any more how far
    return true
  end
  local page = {}
  for _, event in ipairs(answer.events) do page[#page + 1] = self.shown(event) end
  self.page, self.at, self.page_end = page, 1, answer.seq
  if #page == 0 then self.position = answer.seq end
  return true, answer.more
end


--- Looks for more, and waits for it at most `wait_ms`. True also when nothing came.
function Feed:fetch(runtime, wait_ms)
  if wait_ms > 0 and not self.behind then return ask(self, runtime, wait_ms) end
  self.behind = false
  local ok, more = move(runtime, wait_ms)
  while ok do
    ok, more = ask(self, runtime)
    if ok and (#self.page > 0 or not more) then return true end
  end
  return nil, more
end


-- Checks what is asked and finds where to begin: a stream, or nil, err.
local function open_feed(runtime, args, shown)
  local answer, err = request.ask(runtime, "stream_open", args)
  if not answer then return nil, err end
  return new(runtime, setmetatable({ args = args, shown = shown, position = answer.seq, page = {}, at = 1 }, Feed))
end


local SINCE = { "since", "integer", min = 0, doc = "only what follows this seq; default: what commits from now on" }

calls.define(methods, {
  "stream_instance_events",
  verb = "stream_open",
  options = options.spec("stream_instance_events", {
    listing.FILTER_ROW,
    { "kinds", "strings", doc = "only events of these types (event_type)" },
    SINCE,
  }),
  run = function(values, runtime)
    local args, err = listing.check_filter(values)
    if not args then return nil, err end
    return open_feed(runtime, args, rows.stream_event)
  end,
  returns = "a stream: s:next([timeout]), s:iter(), s:position(), s:close()",
  doc = "What happens to instances: {seq, instance_id, orchestration_name, event_type, timestamp, details}.",
})

calls.define(methods, {
  "watch_instances",
  verb = "stream_open",
  params = { { "ids", "ids", as = "instances" } },
  options = options.spec("watch_instances", { SINCE }),
  run = function(values, runtime)
    local last = {} -- an instance may go on from a stall and begin: running both times
    return open_feed(runtime, values, function(change)
      local id, status = change.instance_id, change.status
      if last[id] == status and status ~= "stalled" then return nil end
      last[id] = status
      return rows.status_change(change)
    end)
  end,
  returns = "a stream: s:next([timeout]), s:iter(), s:position(), s:close()",
  doc = "Changes of status of these instances: {seq, instance_id, orchestration_name, status, timestamp, ...}.",
})


-- --- Numbers over time ---

local Numbers = {}
Numbers.__index = Numbers


function Numbers:take()
  local item = self.item
  self.item = nil
  return item
end


--- Waits until they are due, at most `wait_ms`, and reads them. Times that were missed are passed over.
function Numbers:fetch(runtime, wait_ms)
  local left_ms = math.min(self.due - core.monotonic_ms(), wait_ms)
  local ok, err = move(runtime, wait_ms)
  if ok and left_ms > 0 then
    ok, err = request.ask(runtime, "pause", {}, left_ms)
    ok = ok or err.code == "timeout"
  end
  if not ok then return nil, err end
  local late_ms = core.monotonic_ms() - self.due
  if late_ms < 0 then return true end
  self.due = self.due + (math.floor(late_ms / self.interval) + 1) * self.interval
  self.item, err = runtime:runtime_metrics()
  if not self.item then return nil, err end
  return true
end


calls.define(methods, {
  "stream_runtime_metrics",
  verb = "stream_open",
  params = { { "interval", "duration", min = 1 } },
  run = function(values, runtime)
    local ok, err = request.ask(runtime, "stream_open", { numbers = true })
    if not ok then return nil, err end
    ok, err = runtime:runtime_metrics()
    if not ok then return nil, err end
    return new(runtime, setmetatable({ interval = values.interval_ms, due = core.monotonic_ms() }, Numbers))
  end,
  returns = "a stream: s:next([timeout]), s:iter(), s:close()",
  doc = "rt:runtime_metrics() at once, and then every `interval` of real time.",
})


return streams
