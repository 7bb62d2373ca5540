-- Retries: an activity that fails is tried again, later and later, until it succeeds or may not. Look at
-- the times, at the code "declined", which no further attempt would mend, and at the history: it keeps
-- every attempt with its error.

local duro = require "duro"

local rt = assert(duro.open { path = ":memory:", clock = "virtual" })
local began = rt:now()

rt:activity("fetch_rates", function(ctx)
  print(("fetch_rates: attempt %d after %.0f s"):format(ctx.attempt, rt:now() - began))
  if ctx.attempt < 4 then error { code = "busy", message = "the bank does not answer" } end
  return 1.08
end)

rt:activity("charge", function(ctx)
  print(("charge: attempt %d"):format(ctx.attempt))
  error { code = "declined", message = "the card is empty", data = { limit = 50 } }
end)

rt:orchestration("buy", function(ctx, price)
  local patient = { max_attempts = 5, initial = "10s", multiplier = 3, max = "1m", non_retryable = { "declined" } }
  local rate = ctx:activity("fetch_rates", nil, { retry = patient })
  local ok, err = pcall(ctx.activity, ctx, "charge", price * rate, { retry = patient })
  if ok then return "bought" end
  return ("%s after %d attempt, %d left"):format(err.code, err.attempts, err.data.limit)
end)

local id = assert(rt:start("buy", 100))
rt:advance("5m")
print(assert(rt:wait(id)))
for _, event in ipairs(assert(rt:history { instance = id, kinds = "activity_retry_scheduled" }).events) do
  print(event.kind, tostring(event.error))
end
rt:close()
