-- Living for years: continue_as_new ends an execution and starts the next one with a fresh history, so
-- that it never grows long. Look at the deposits: the ones that nobody has taken yet come along.

local duro = require "duro"

duro.orchestration("account", function(ctx, balance)
  for _ = 1, 3 do
    local deposit = ctx:wait_event("deposit")
    if deposit == "close" then return balance end
    balance = balance + deposit
    ctx:set_custom_status(("%d in execution %d"):format(balance, ctx.execution_id))
  end
  ctx:continue_as_new(balance)
end)

local rt = assert(duro.open { path = ":memory:", clock = "virtual" })
local id = assert(rt:start("account", 0, { id = "savings" }))
for i = 1, 7 do rt:raise_event(id, "deposit", i * 10) end
rt:run_until_idle()

print("balance", rt:status(id).custom_status)
rt:raise_event(id, "deposit", "close")
print("closed with", assert(rt:wait(id)))
for _, execution in ipairs(assert(rt:details(id)).executions) do
  print(("execution %d %s"):format(execution.execution_id, execution.status))
end
rt:close()
