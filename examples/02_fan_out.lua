-- Fan-out: many activities at once, and their results in the order in which they were asked for. Look
-- at the order of the prints: the shortest work is done first, and join still keeps the arguments' order.

local duro = require "duro"

duro.activity("count_letters", function(ctx, word)
  ctx:sleep(#word) -- lets the other activities run
  print("counted", word)
  return #word
end)

duro.orchestration("count", function(ctx, words)
  local tasks = {}
  for i, word in ipairs(words) do tasks[i] = ctx:schedule_activity("count_letters", word) end
  local lengths, total = ctx:join(tasks), 0
  for _, length in ipairs(lengths) do total = total + length end
  return { lengths = table.concat(lengths, " "), total = total }
end)

local rt = assert(duro.open { path = ":memory:", clock = "virtual" })
local id = assert(rt:start("count", { "orchestration", "turn", "activity", "event" }))
rt:advance("1m")
local output = assert(rt:wait(id))
print("lengths", output.lengths)
print("total", output.total)
rt:close()
