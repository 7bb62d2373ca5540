-- request: one question to the core and the wait for its answer.
--
-- Inside an activity the wait yields the activity; elsewhere it turns the runtime's loop, in slices, so
-- that a signal handler of the interpreter (Ctrl-C) runs in between. Timeouts are real time.

local core = require "duro.core"
local errors = require "duro.errors"
local options = require "duro.options"

local request = {}

-- The longest wait of the core in one piece.
request.SLICE_MS = 200

-- How long a host's own sleep lasts while nothing happens.
local FIRST_PAUSE_MS, MAX_PAUSE_MS = 1, 20


--- For a session that somebody sits at: called after each slice of a wait; it may raise to end the wait.
request.between = nil

--- Whether the loop is being turned, so that a hook of the interpreter leaves it alone.
request.turning = false


-- With the host's own sleep between two looks of the core. Nobody can end such a sleep early, so the first are
-- short (a commit takes that long), and those that follow without a turn grow.
local function host_step(runtime, wait_ms, pause_ms)
  pause_ms = pause_ms or FIRST_PAUSE_MS
  local turns, err = runtime.core:step(0)
  if not turns then return nil, err end
  if turns > 0 or wait_ms <= 0 then return turns, nil, FIRST_PAUSE_MS end
  local due_ms = runtime.core:next_timeout_ms()
  if due_ms < 0 then due_ms = wait_ms end
  runtime.host_sleep(math.max(math.min(pause_ms, wait_ms, due_ms), FIRST_PAUSE_MS) / 1000)
  return 0, nil, math.min(pause_ms * 2, MAX_PAUSE_MS)
end


--- Turns the loop of `runtime` (of a view: its runtime's) once, in at most `wait_ms`: the number of turns, or nil,
--- err. The third value, which hosts with a sleep of their own need, is for the next call in the same wait. With a
--- question it may be turned more often in that time, until the answer is there.
function request.step(runtime, wait_ms, pause_ms, question)
  if runtime.gate then return runtime:step(wait_ms / 1000) end
  if runtime.host_sleep then return host_step(runtime, wait_ms, pause_ms) end
  if not request.between then return runtime.core:step(wait_ms, question) end
  request.turning = true
  local turns, err = runtime.core:step(wait_ms, question)
  request.turning = false
  if request.between then request.between() end
  return turns, err
end


-- Turns the loop until the question is answered or the deadline (monotonic milliseconds) is over.
local function drive(runtime, question, deadline)
  local turns, err, pause_ms
  while not question:done() do
    local wait_ms = request.SLICE_MS
    if deadline then
      wait_ms = math.min(wait_ms, deadline - core.monotonic_ms())
      if wait_ms <= 0 then return true end
    end
    turns, err, pause_ms = request.step(runtime, runtime.skip_time and 0 or wait_ms, pause_ms, question)
    if not turns then return nil, err end
    if runtime.skip_time and not question:done() then
      local ok
      ok, err = runtime:skip_time(wait_ms)
      if not ok then return nil, err end
    end
  end
  return true
end


--- Asks the core of `runtime`, or of a view (duro.access), and waits for the answer, at most `timeout_ms`
--- (nil: for ever).
function request.ask(runtime, verb, args, timeout_ms)
  if runtime.gate then return runtime:gate(verb, args, timeout_ms) end
  return request.send(runtime, verb, args, timeout_ms)
end


--- The same past all checks. `caller`: {viewer=, context=} on whose behalf (duro_caller in csrc/duro.h).
function request.send(runtime, verb, args, timeout_ms, caller)
  local context = core.context()
  if context == "orchestration" or context == "side_effect" then
    options.blame(("rt:%s cannot be called inside an orchestration: use ctx:..."):format(verb))
  end
  local deadline = timeout_ms and core.monotonic_ms() + timeout_ms
  local question, err = runtime.core:call(verb, args, caller and caller.viewer, caller and caller.context)
  if not question then return nil, err end
  local ok = question:done() or core.await(question, timeout_ms)
  if not ok then ok, err = drive(runtime, question, deadline) end
  local answered, answer = ok and question:done(), nil
  if answered then answer, err = question:result() end
  question:free() -- now: it may hold much that the collector does not see
  if answered then return answer, err end
  return nil, err or errors.new("timeout", ("no answer to %s in time"):format(verb))
end


return request
