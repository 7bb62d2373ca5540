-- throughput: durable activities a second, many instances side by side, each with sequential activities.
--
-- Options: instances, steps, at_once (of a start), bytes (of a payload, in and out), file (one that exists and
-- grows), visible (1: streams, metrics and access control on; 0: all of it off), beside ("lister": a client in
-- another process lists and reads the stream all the time; "spinner": a process that only burns its core), stream
-- (of this process: "waiting": an activity waits for events of a kind that never comes; "reading": it reads all).

local duro = require "duro"
local json = require "json"
local support = require "support"


local function yes() return true end


local ALLOWED = { can_list_instances = yes, can_view_instance = yes, can_start_instance = yes,
  can_cancel_instance = yes, can_raise_event = yes, can_delete_instance = yes, can_view_metrics = yes }


-- Starts the process beside; gives a function that ends it, and returns what it says.
local function begin_beside(path, o)
  os.remove(path .. ".stop")
  local pipe = assert(io.popen(("%s bench/scenario.lua lister file=%s spin=%d"):format(o.vm, path,
    o.beside == "spinner" and 1 or 0)))
  return function()
    assert(io.open(path .. ".stop", "w")):close()
    local line = pipe:read("*l")
    pipe:close()
    os.remove(path .. ".stop")
    return json.decode(line or "{}")
  end
end


-- An activity that reads the stream until the runtime closes.
local function listen(rt, kind)
  local seen = { events = 0 }
  rt:activity("listen", function(ctx)
    local stream = assert(ctx.runtime:stream_instance_events { kinds = kind == "waiting" and "stalled" or nil })
    seen.listens = true
    for _ in stream:iter() do seen.events = seen.events + 1 end
  end)
  rt:orchestration("listener", function(ctx) return ctx:activity("listen") end)
  assert(rt:start("listener"))
  assert(rt:run_until_idle(10))
  assert(seen.listens)
  return seen
end


-- A runtime, and the handle to start with.
local function open(path, o)
  if o.visible ~= 1 then
    local off = { enable_metrics = false, enable_streaming = false }
    local rt = support.open(path, o, { management = o.visible == 0 and off or nil })
    return rt, rt
  end
  local rt = support.open(path, o, { access_control = ALLOWED })
  return rt, assert(rt:with_context { user_id = "bench" })
end


return function(o)
  local path = o.file or support.fresh("throughput")
  local payload = o.bytes and ("x"):rep(o.bytes)
  duro.activity("noop", function(_, value) return value end)
  duro.orchestration("steps", function(ctx, n)
    for i = 1, n do ctx:activity("noop", payload or i) end
    return n
  end)

  local rt, handle = open(path, o)
  local stop = o.beside and begin_beside(path, o)
  rt:step(o.beside and 0.5 or 0)
  local listener = (o.stream == "waiting" or o.stream == "reading") and listen(rt, o.stream) or {}
  local before = rt:runtime_metrics()
  before = before and before.total_instances_completed or 0
  local began = support.now()
  support.start_all(handle, o.instances, o.at_once or 5000, function() return { name = "steps", input = o.steps } end)
  support.finish(rt, before + o.instances)
  local took = support.now() - began
  local seen = stop and stop() or {}
  rt:close()
  if not o.file then support.remove(path) end
  return { per_second = o.instances * o.steps / took, instances_per_second = o.instances / took,
    lists_per_second = seen.lists_per_second, events_per_second = seen.events_per_second,
    events_seen = listener.events }
end
