-- activity: how the code of an activity is run, and the methods of its ctx that are written in Lua.
--
-- A runner is a coroutine in `serve`: it takes one job after the other. What it held is let go before it
-- idles. With an executor option the host gets a function that does the same once, in whatever
-- coroutine the host calls it from. The other methods are in C (csrc/binding/activity.c).

local core = require "duro.core"
local errors = require "duro.errors"
local options = require "duro.options"

local ops = core.ops
local job_begin, job_end, job_idle = ops.job_begin, ops.job_end, ops.job_idle
local hosted_begin, hosted_end = ops.hosted_begin, ops.hosted_end
local activity_sleep = ops.activity_sleep

local methods = ops.activity_methods

-- How long a hosted activity sleeps before it looks whether it is cancelled, in seconds.
local SLICE = 0.5


local function serve()
  while true do
    local fn, ctx, input = job_begin()
    job_end(fn(ctx, input))
    fn, ctx, input = nil, nil, nil -- luacheck: ignore 311 (so that an idle runner holds nothing)
    job_idle()
  end
end


-- Without the lines of what raised and of the host that called.
local function traceback()
  local text = debug.traceback("", 3):gsub("^\n", ""):gsub("\n\t%[C%]: in function 'error'", "", 1)
  return (text:gsub("\n\t%[C%]: in function 'xpcall'.*", ""))
end


local function record_of(err)
  return errors.to_record(err, traceback())
end


-- The function that an executor calls in a coroutine of its own.
local function hosted(handle)
  return function()
    local fn, ctx, input = hosted_begin(handle)
    if not fn then return end
    hosted_end(handle, xpcall(fn, record_of, ctx, input))
  end
end


-- In slices, by the runtime's clock, with the host's own sleep.
local function hosted_sleep(ctx, duration)
  local sleep, now_ms = ops.hosted_sleep(ctx)
  local end_ms = now_ms + core.duration_ms(duration)
  while now_ms < end_ms do
    if ctx:is_cancelled() then return false end
    sleep(math.min((end_ms - now_ms) / 1000, SLICE))
    sleep, now_ms = ops.hosted_sleep(ctx)
  end
  return true
end


--- Sleeps by the runtime's clock and lets other activities run: true, or nil, err(cancelled) when the
--- activity was cancelled meanwhile. context: activity.
function methods:sleep(duration)
  local slept = activity_sleep(self, duration)
  if slept == nil then slept = hosted_sleep(self, duration) end
  if slept then return true end
  return nil, errors.new("cancelled", "the activity was cancelled while it slept")
end


-- The ctx of an orchestration and that of an activity share a name, so one is easily taken for the other.
for _, name in ipairs { "activity", "schedule_activity", "sub_orchestration", "schedule_sub_orchestration",
  "wait_event", "schedule_wait", "schedule_timer", "wait_until", "spawn", "join", "join_settled", "select",
  "continue_as_new", "side_effect", "patched" } do
  methods[name] = function()
    options.blame(("ctx:%s is for orchestrations: this is an activity, which may use ctx.runtime"):format(name))
  end
end


core.setup {
  activity_entry = serve,
  hosted_entry = hosted,
  runtime_of = function(handle)
    return require("duro.runtime").of(handle)
  end,
}

return { methods = methods }
