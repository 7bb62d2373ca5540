-- A saga: what was done is undone, last first, when a later step fails. Look at `undo`: it is a plain
-- Lua table, and pcall works across waits; after a crash both are what they were.

local duro = require "duro"

for _, name in ipairs { "book_flight", "book_hotel", "cancel_flight", "cancel_hotel" } do
  duro.activity(name, function(_, trip) print(name .. " " .. trip) end)
end

duro.activity("book_car", function(ctx, trip)
  print(("book_car %s, attempt %d"):format(trip, ctx.attempt))
  error("no car left")
end)

duro.orchestration("travel", function(ctx, trip)
  local undo = {}
  local ok, err = pcall(function()
    ctx:activity("book_flight", trip)
    table.insert(undo, "cancel_flight")
    ctx:activity("book_hotel", trip)
    table.insert(undo, "cancel_hotel")
    ctx:activity("book_car", trip, { retry = { max_attempts = 2, initial = "10s" } })
  end)
  if ok then return "booked" end
  for i = #undo, 1, -1 do ctx:activity(undo[i], trip) end
  return ("undone after %d attempts of %s"):format(err.attempts, err.name)
end)

local rt = assert(duro.open { path = ":memory:", clock = "virtual" })
local id = assert(rt:start("travel", "Lisbon"))
rt:advance("10s")
print(assert(rt:wait(id)))
rt:close()
