-- throughput: durable activities a second, many instances side by side, each with sequential activities.
--
-- Options: instances, steps, at_once (of a start), bytes (of a payload, in and out), file (one that exists and
-- grows), visible (1: streams, metrics and access control on, and a client in another process lists all the
-- time; 0: all of it off).

local duro = require "duro"
local support = require "support"


local function yes() return true end


local VISIBLE = { can_list_instances = yes, can_view_instance = yes, can_start_instance = yes,
  can_cancel_instance = yes, can_raise_event = yes, can_delete_instance = yes, can_view_metrics = yes }


-- The lister of bench/scenarios/lister.lua in the background; it lists until `stop` is called.
local function lister(path, vm)
  os.remove(path .. ".stop")
  local pipe = assert(io.popen(("%s bench/scenario.lua lister file=%s"):format(vm, path)))
  return function(rt)
    local stopper = assert(io.open(path .. ".stop", "w"))
    stopper:close()
    for _ = 1, 100 do rt:step(0.01) end
    local line = pipe:read("*l")
    pipe:close()
    os.remove(path .. ".stop")
    return line and require("json").decode(line) or {}
  end
end


local function open(path, o)
  if o.visible ~= 1 then
    return support.open(path, o, o.visible == 0 and
      { management = { enable_metrics = false, enable_streaming = false } } or nil)
  end
  local options = { path = path, durability = o.durability, access_control = VISIBLE,
    management = { enable_metrics = true, enable_streaming = true } }
  local rt = duro.open(options)
  if rt then return rt end
  options.access_control = nil
  return assert(duro.open(options)), "access control is not built yet"
end


return function(o)
  local path = o.file or support.fresh("throughput")
  local payload = o.bytes and ("x"):rep(o.bytes)
  duro.activity("noop", function(_, value) return value end)
  duro.orchestration("steps", function(ctx, n)
    for i = 1, n do ctx:activity("noop", payload or i) end
    return n
  end)

  local rt, missing = open(path, o)
  local stop, handle = nil, rt
  if o.visible == 1 then
    stop = lister(path, o.vm)
    rt:step(0.5)
    local view = rt.with_context and rt:with_context { user_id = "bench" }
    if type(view) == "table" and view.start_many then handle = view end
  end
  local before = rt:runtime_metrics()
  before = before and before.total_instances_completed or 0
  local began = support.now()
  support.start_all(handle, o.instances, o.at_once or 5000, function() return { name = "steps", input = o.steps } end)
  support.finish(rt, before + o.instances)
  local took = support.now() - began
  local figures = { per_second = o.instances * o.steps / took, instances_per_second = o.instances / took,
    note = missing }
  if stop then
    local seen = stop(rt)
    figures.lists_per_second, figures.events_seen = seen.lists_per_second, seen.events_seen
    figures.note = figures.note or seen.note
  end
  rt:close()
  if not o.file then support.remove(path) end
  return figures
end
