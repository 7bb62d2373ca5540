-- Sub-orchestrations: an orchestration made of smaller ones, each with a history of its own. Look at
-- the failure: a child that fails raises in its parent, as a failed activity does.

local duro = require "duro"

duro.activity("pack", function(_, item)
  if item == "ghost" then error { code = "out_of_stock", message = "there is no " .. item } end
  return "packed " .. item
end)

duro.orchestration("parcel", function(ctx, item)
  return ctx:activity("pack", item) .. " for " .. ctx.parent_instance
end)

duro.orchestration("order", function(ctx, items)
  local tasks = {}
  for i, item in ipairs(items) do
    tasks[i] = ctx:schedule_sub_orchestration("parcel", item, { id = ctx.instance_id .. "/" .. i })
  end
  for i, result in ipairs(ctx:join_settled(tasks)) do
    items[i] = result.ok and result.value or result.error.code .. ": " .. result.error.message
  end
  return items
end)

local rt = assert(duro.open { path = ":memory:", clock = "virtual" })
rt:start("order", { "lamp", "ghost", "rug" }, { id = "order-7" })
for _, line in ipairs(assert(rt:wait("order-7"))) do print(line) end
for i = 1, 3 do print("order-7/" .. i .. " " .. rt:status("order-7/" .. i).status) end
rt:close()
