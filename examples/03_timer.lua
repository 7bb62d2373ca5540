-- A durable timer: an orchestration that sleeps for days needs no process meanwhile. Look at the two
-- runtimes: the first is closed while the orchestration sleeps, the second goes on with it.
-- With clock="virtual" time moves by rt:advance alone; without it these would be real days.

local duro = require "duro"

duro.activity("send", function(_, message)
  print("sent: " .. message)
end)

duro.orchestration("remind", function(ctx, reminder)
  local began = ctx:now()
  ctx:sleep(reminder.after)
  ctx:activity("send", reminder.message)
  return ("%.0f hours later"):format((ctx:now() - began) / 3600)
end)

local path = os.tmpname()

local rt = assert(duro.open { path = path, clock = "virtual" })
local id = assert(rt:start("remind", { after = "3d", message = "water the plants" }))
rt:advance("1h")
print("after an hour: " .. rt:status(id).status)
rt:close()

rt = assert(duro.open { path = path, clock = "virtual" })
print("opened again: " .. rt:status(id).status)
rt:advance("3d")
print(assert(rt:wait(id)))
rt:close()

for _, suffix in ipairs { "", "-wal", "-shm", "-owner" } do os.remove(path .. suffix) end
