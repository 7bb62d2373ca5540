-- Who may see and do what: a service hands each user a checked handle. Look at access_control (one hook a kind
-- of call; what no hook allows is denied) and at with_context; the plain handle stays unrestricted.

local duro = require "duro"

duro.orchestration("order", function(ctx, order)
  ctx:set_custom_status { card = order.card, step = "waiting" }
  return ctx:wait_event("paid")
end)

local function is_own(user, id) return id:find(user.user_id .. "-", 1, true) == 1 end

local rt = assert(duro.open { path = ":memory:", clock = "virtual", access_control = {
  can_list_instances = function() return true end,
  can_view_instance = is_own,
  can_cancel_instance = is_own,
  redact = function(_, path, value) return path == "custom_status.card" and "****" or value end,
} })
rt:start("order", { card = "4111" }, { id = "ada-1" })
rt:start("order", { card = "5500" }, { id = "ada-2" })
rt:start("order", { card = "3400" }, { id = "bob-1" })
rt:run_until_idle()

local ada = assert(rt:with_context { user_id = "ada", roles = { "customer" }, source_ip = "10.0.0.7" })
for _, row in ipairs(ada:list_instances { name = "order" }) do
  print(row.instance_id, row.custom_status.step, row.custom_status.card)
end
print(select(2, ada:status("bob-1")))
print(select(2, ada:cancel("bob-1")))
local outcome = assert(ada:cancel_instances { filter = { name = "order" }, reason = "changed my mind" })
print(#outcome.cancelled_instances .. " cancelled")

for _, entry in ipairs(rt:audit()) do
  print(entry.call, entry.context.user_id, entry.outcome, table.concat(entry.targets, " "))
end
rt:close()
