-- testing: a runtime for the tests of users: in memory, with a virtual clock that moves by itself to
-- the next due time whenever everything waits. A month of timers runs in milliseconds.
--
--   local t = duro.testing.runtime()
--   t:mock_activity("charge", function(ctx, order) return "receipt-1" end)
--   assert.equal("done", t:run("order", { total = 5 }))

local core = require "duro.core"
local errors = require "duro.errors"
local options = require "duro.options"
local request = require "duro.request"
local runtime = require "duro.runtime"

local testing = {}


-- Called while somebody waits and not everything is done: lets what runs go on, else moves the clock to
-- the next due time. When there is none, nobody will ever answer.
local function skip_time(rt, wait_ms)
  if not rt.core:idle() then return request.step(rt, wait_ms) end
  local due = rt.core:next_due_ms()
  if not due then
    return nil, errors.new("timeout", "everything waits for something that nobody sends")
  end
  return rt.core:set_time(due)
end


-- A function that gives one result after the other.
local function in_turn(name, results)
  local count = 0
  return function(ctx, input)
    count = count + 1
    if count > #results then
      error(("the mock of '%s' was called %d times and has %d results"):format(name, count, #results), 0)
    end
    local result = results[count]
    if type(result) == "function" then return result(ctx, input) end
    if result == core.null then return nil end
    return result
  end
end


--- A mock, or a result in the array of one, that fails with `err`: a text, or {code=, message=, data=, retryable=}.
--- context: anywhere.
function testing.fails(err)
  return function() error(err, 0) end
end


--- Puts a function, or an array of results (or functions; duro.null for nil) for the first, second ...
--- call, in the place of an activity. Gives a record of what was called: {name=, calls={ {input=,
--- attempt=, instance_id=}, ... }}.
local function mock_activity(rt, name, replacement)
  if type(replacement) == "table" then
    replacement = in_turn(name, replacement)
  elseif type(replacement) ~= "function" then
    options.blame(("mock_activity needs a function or an array of results, got %s"):format(type(replacement)))
  end
  local mock = { name = name, calls = {} }
  local ok, err = rt:activity(name, { replace = true }, function(ctx, input)
    mock.calls[#mock.calls + 1] = { input = input, attempt = ctx.attempt, instance_id = ctx.instance_id }
    return replacement(ctx, input)
  end)
  if not ok then return nil, err end
  return mock
end


--- Starts an orchestration and waits for it: its output, or nil, err. opts: those of rt:start.
local function run(rt, name, input, opts)
  local id, err = rt:start(name, input, opts)
  if not id then return nil, err end
  return rt:wait(id)
end


local function equal(a, b)
  if a == b or (a ~= a and b ~= b) then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  for key, value in pairs(a) do
    if not equal(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end


--- Raises unless the instance has completed, with that output when one is given. Gives the output.
local function assert_completed(rt, id, ...)
  local status, err = rt:status(id)
  if not status then options.blame(tostring(err)) end
  if status.status ~= "completed" then options.blame("expected it completed, but " .. tostring(status)) end
  local expected = ...
  if select("#", ...) > 0 and not equal(status.output, expected) then
    options.blame(("expected output %s, but %s"):format(core.encode(expected) or "?", tostring(status)))
  end
  return status.output
end


--- A runtime for tests: every method of a runtime, and mock_activity, run, assert_completed. `given`:
--- options of duro.open. Raises when it cannot be opened. context: anywhere outside of duro's code.
function testing.runtime(given)
  local all = { path = ":memory:", clock = "virtual" }
  for key, value in pairs(given or {}) do all[key] = value end
  local rt, err = runtime.open(all)
  if not rt then options.blame(tostring(err)) end
  rt.skip_time = skip_time
  rt.mock_activity, rt.run, rt.assert_completed = mock_activity, run, assert_completed
  return rt
end


return testing
