-- Waiting for a person: an orchestration waits for an event, but not for ever. Look at wait_event: it
-- gives the event's data, or nil and an error with the code "timeout".

local duro = require "duro"

duro.activity("pay", function(_, expense)
  print(("paid %d for %s"):format(expense.amount, expense.what))
end)

duro.orchestration("expense", function(ctx, expense)
  ctx:set_custom_status("waits for approval")
  local answer, err = ctx:wait_event("approval", { timeout = "2d" })
  if err then return "nobody answered: " .. err.code end
  if not answer.approved then return "refused by " .. answer.by end
  ctx:activity("pay", expense)
  return "approved by " .. answer.by
end)

local rt = assert(duro.open { path = ":memory:", clock = "virtual" })
rt:start("expense", { what = "books", amount = 40 }, { id = "books" })
rt:start("expense", { what = "a boat", amount = 90000 }, { id = "boat" })
rt:start("expense", { what = "a chair", amount = 120 }, { id = "chair" })
rt:run_until_idle()
print("books: " .. rt:status("books").custom_status)

rt:raise_event("books", "approval", { approved = true, by = "Ada" })
rt:raise_event("boat", "approval", { approved = false, by = "Ada" })
rt:advance("2d")
for _, id in ipairs { "books", "boat", "chair" } do print(id .. ": " .. assert(rt:wait(id))) end
rt:close()
