-- Testing an orchestration: no file, no waiting, no activities of the real world. Look at the clock, which
-- skips a month by itself; at the mocks, which keep what they were called with; and at the history, which
-- a later version of the code is held against.

local duro = require "duro"

local function subscription(ctx, customer)
  local paid = 0
  for _ = 1, 3 do
    paid = paid + ctx:activity("charge", customer, { retry = { max_attempts = 2, initial = "1d" } })
    ctx:sleep("30d")
  end
  ctx:activity("say_thanks", { customer, paid })
  return paid
end

local t = duro.testing.runtime()
t:orchestration("subscription", subscription)
local charge = t:mock_activity("charge", { 10, duro.testing.fails "the card was declined", 10, 12 })
local thanks = t:mock_activity("say_thanks", function() end)

local began = t:now()
print("paid", t:run("subscription", "Ada", { id = "ada" }))
print(("days %.0f"):format((t:now() - began) / 86400))
print("charges", #charge.calls, "of them second attempts", charge.calls[3].attempt - 1)
print("thanks", thanks.calls[1].input[1], thanks.calls[1].input[2])
t:assert_completed("ada", 32)

local path = os.tmpname()
assert(t:export("ada", path)) -- kept beside the test, say
print(duro.replay(path, subscription))
print(duro.replay(path, function(ctx, customer)
  ctx:sleep("14d") -- a trial first
  return subscription(ctx, customer)
end))
os.remove(path)
t:close()
