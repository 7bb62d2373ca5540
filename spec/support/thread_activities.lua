-- Activities that run in worker threads (threads_spec.lua, queues_spec.lua): each is a function of this
-- module, called there with a ctx and the input. They meet the test through files.

local thread_activities = {}

-- A global of the thread's state: the test looks whether it comes to see it.
thread_activities_were_here = true -- luacheck: ignore

local state = tostring({})
local kept


local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end


local function add_line(path, line)
  local file = assert(io.open(path, "a"))
  file:write(line, "\n")
  file:close()
end


-- Holds the thread, and nothing else, until there is such a file.
local function wait_for(path)
  local deadline = os.time() + 10
  while not exists(path) do
    if os.time() > deadline then error("nobody made " .. path) end
  end
end


function thread_activities.echo(_, input) return input end


function thread_activities.facts(ctx)
  return { ctx.instance_id, ctx.name, ctx.attempt, ctx.activity_id, ctx.unknown == nil }
end


function thread_activities.sees_main_state()
  return main_state_was_here ~= nil -- luacheck: ignore
end


function thread_activities.state() return state end


-- Says that it is there, and blocks until somebody else is.
function thread_activities.meet(ctx, input)
  add_line(input.own, "here")
  wait_for(input.other)
  return ctx.name
end


-- "begin x" and "end x" in a file of lines.
function thread_activities.write_lines(_, input)
  add_line(input.path, "begin " .. input.name)
  add_line(input.path, "end " .. input.name)
end


function thread_activities.fail(_, thrown) error(thrown, 0) end
function thread_activities.fail_with_nil() error() end
function thread_activities.fail_with_function() error(print) end


function thread_activities.fail_in_tostring()
  error(setmetatable({}, { __tostring = function() error("and again") end }))
end


function thread_activities.overflow()
  local function down() return 1 + down() end
  return down()
end


function thread_activities.hoard()
  local all = {}
  while true do all[#all + 1] = ("x"):rep(2 ^ 20) .. #all end
end


function thread_activities.returns_function() return { callback = print } end


function thread_activities.fail_twice(ctx)
  if ctx.attempt < 3 then error { code = "busy", message = "attempt " .. ctx.attempt } end
  return ctx.activity_id
end


-- The first attempt sleeps; the second tells how that ended.
function thread_activities.sleep_first(ctx, duration)
  if ctx.attempt > 1 then return kept end
  local slept, err = ctx:sleep(duration)
  kept = { slept = slept, code = err and err.code, cancelled = ctx:is_cancelled() }
  return "slept"
end


-- Works, without ever sleeping, until it is cancelled; then there is a file.
function thread_activities.work_until_cancelled(ctx, input)
  add_line(input.begun, "begun")
  local deadline = os.time() + 10
  while not ctx:is_cancelled() and os.time() < deadline do end
  add_line(input.ended, ctx:is_cancelled() and "cancelled" or "never cancelled")
end


function thread_activities.sleep_until_cancelled(ctx, input)
  add_line(input.begun, "begun")
  local slept, err = ctx:sleep("1d")
  add_line(input.ended, slept and "slept" or err.code)
end


function thread_activities.block_for_ever(_, begun)
  add_line(begun, "begun")
  while true do end
end


function thread_activities.nap(ctx, duration)
  return ctx:sleep(duration)
end


function thread_activities.steps(ctx)
  if ctx.attempt > 1 then return ctx.heartbeat_details end
  for step = 1, 3 do
    ctx:sleep(4)
    ctx:heartbeat { step = step }
  end
  ctx:sleep(600)
end


function thread_activities.beat_and_fail(ctx, details)
  if ctx.attempt > 1 then return ctx.heartbeat_details end
  ctx:heartbeat(details)
  error("again")
end


function thread_activities.beat_function(ctx) ctx:heartbeat { items = { print } } end
function thread_activities.log(ctx, message) ctx:log("info", message, { key = "value" }) end
function thread_activities.async(ctx) ctx:async() end
function thread_activities.defer(ctx) ctx:defer() end
function thread_activities.runtime(ctx) return ctx.runtime end
function thread_activities.write(ctx) ctx.name = "another" end
function thread_activities.dot(ctx) ctx.heartbeat() end


function thread_activities.keep_ctx(ctx)
  kept = ctx
end


function thread_activities.use_kept_ctx()
  local ok, err = pcall(kept.heartbeat, kept)
  return { ok = ok, err = err, cancelled = kept:is_cancelled(), name = kept.name }
end


return thread_activities
