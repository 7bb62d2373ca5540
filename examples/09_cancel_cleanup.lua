-- Cancelling: the code sees an error at its current wait, once, and may clean up with further activities
-- before it ends. Look at the child, which is cancelled with its parent, and at terminate, which runs no
-- code at all: that room stays held.

local duro = require "duro"

for _, name in ipairs { "hold", "release" } do
  duro.activity(name, function(_, room) print(name .. " " .. room) end)
end

duro.orchestration("breakfast", function(ctx, room)
  local ok, err = pcall(ctx.sleep, ctx, "1d")
  if not ok then print("no breakfast for " .. room .. ": " .. err.message) end
end)

duro.orchestration("stay", function(ctx, room)
  ctx:activity("hold", room)
  local breakfast = ctx:schedule_sub_orchestration("breakfast", room, { id = "breakfast in " .. room })
  local arrived, err = pcall(ctx.wait_event, ctx, "arrived")
  if arrived then return breakfast:await() end
  ctx:activity("release", room)
  error(err) -- it ends cancelled whatever is returned or raised here
end)

local rt = assert(duro.open { path = ":memory:", clock = "virtual" })
for _, room in ipairs { "room 1", "room 2" } do rt:start("stay", room, { id = room }) end
rt:run_until_idle()

rt:cancel("room 1", "the train was missed")
rt:terminate("room 2")
rt:run_until_idle()
for _, id in ipairs { "room 1", "breakfast in room 1", "room 2", "breakfast in room 2" } do
  print(id .. ": " .. rt:status(id).status)
end
print(select(2, rt:wait("room 1")))
rt:close()
