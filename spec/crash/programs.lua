-- What the children of the crash tests run: one orchestration for each way of waiting, each with an
-- output that follows from its input, however often its process died.
--
-- To add one: its function here, and a line in workload.lua with an input and the output.

local programs = {}


-- --- Activities: each attempt leaves a line "<instance> <name> <input>" in the log "ran" ---

local activities = {}


function activities.add(_, pair)
  return pair[1] + pair[2]
end


function activities.square(_, n)
  return n * n
end


function activities.nap(ctx, seconds)
  ctx:sleep(seconds)
  return "rested"
end


function activities.flaky(ctx, n)
  if ctx.attempt < n then error(("attempt %d of %d"):format(ctx.attempt, n), 0) end
  return ctx.attempt
end


-- --- Orchestrations ---

local orchestrations = {}


-- One activity after the other: 1 + 2 + ... + n.
function orchestrations.sequence(ctx, n)
  local sum = 0
  for i = 1, n do sum = ctx:activity("add", { sum, i }) end
  return sum
end


-- All at once: the squares of 1 to n.
function orchestrations.fan_out(ctx, n)
  local tasks = {}
  for i = 1, n do tasks[i] = ctx:schedule_activity("square", i) end
  return ctx:join(tasks)
end


-- A tree of children, `depth` levels deep: the sum of its leaves.
function orchestrations.family(ctx, of)
  if of.depth == 0 then return ctx:activity("add", { of.width, 1 }) end
  local tasks = {}
  for i = 1, of.width do
    tasks[i] = ctx:schedule_sub_orchestration("family", { width = i, depth = of.depth - 1 })
  end
  local sum = 0
  for _, output in ipairs(ctx:join(tasks)) do sum = sum + output end
  return sum
end


-- A leaf that waits for nothing: it ends in its first turn.
function orchestrations.echo(_, input)
  return input
end


-- n of those at once.
function orchestrations.echoes(ctx, n)
  local tasks, sum = {}, 0
  for i = 1, n do tasks[i] = ctx:schedule_sub_orchestration("echo", i) end
  for _, output in ipairs(ctx:join(tasks)) do sum = sum + output end
  return sum
end


-- n timers, one after the other, each beside one that loses.
function orchestrations.ticker(ctx, n)
  for _ = 1, n do
    local first = ctx:select { ctx:schedule_timer("1h"), ctx:schedule_timer("2ms") }
    if first ~= 2 then error("the hour was over first") end
  end
  return n
end


-- Continues as new until nothing is left; kv goes along.
function orchestrations.relay_race(ctx, of)
  ctx.kv.laps = (ctx.kv.laps or 0) + 1
  local sum = ctx:activity("add", { of.sum, of.left })
  if of.left == 1 then return { sum = sum, laps = ctx.kv.laps, execution = ctx.execution_id } end
  ctx:continue_as_new({ left = of.left - 1, sum = sum })
end


-- Nothing but executions, `left` of them.
function orchestrations.laps(ctx, left)
  if left > 1 then ctx:continue_as_new(left - 1) end
end


-- Keeps the items it is sent, in order, until "stop" is among them; every third one it continues as new.
function orchestrations.collector(ctx, items)
  items = items or {}
  for _ = 1, 3 do
    local item = ctx:wait_event("item")
    if item == "stop" then return items end
    items[#items + 1] = item
  end
  ctx:continue_as_new(items)
end


-- Sends 1 to n to a collector, an activity between each, and then "stop".
function orchestrations.sender(ctx, of)
  for i = 1, of.n do
    ctx:activity("add", { i, 0 })
    ctx:raise_event(of.to, "item", i)
  end
  ctx:raise_event(of.to, "item", "stop")
  return "sent"
end


-- An activity that fails until its n-th attempt.
function orchestrations.stubborn(ctx, n)
  return ctx:activity("flaky", n, { retry = { max_attempts = n, backoff = "fixed", initial = 0.001 } })
end


-- Starts a detached one.
function orchestrations.starter(ctx, id)
  return ctx:start_orchestration("sequence", 2, { id = id })
end


-- What was drawn once stays as it was drawn, whatever is replayed.
local draws = 0
function orchestrations.effect(ctx)
  local drawn = ctx:side_effect(function()
    draws = draws + 1
    return draws
  end)
  local id, number = ctx:uuid(), ctx:random(1000000)
  local sum = ctx:activity("add", { number, drawn })
  return sum == number + drawn and #id == 36
end


-- Blocks that run beside each other, each with waits of its own.
function orchestrations.blocks(ctx, n)
  local tasks = {}
  for i = 1, n do
    tasks[i] = ctx:spawn(function()
      ctx:sleep("1ms")
      return ctx:activity("square", i)
    end)
  end
  return ctx:join(tasks)
end


-- Waits for the event "go", beside an activity that rests for that long.
function orchestrations.waiter(ctx, seconds)
  local nap = seconds and ctx:schedule_activity("nap", seconds)
  local data = ctx:wait_event("go")
  return { data = data, nap = nap and nap:await() or "none" }
end


-- A parent that waits for its child, which waits for ever.
function orchestrations.guardian(ctx)
  return ctx:sub_orchestration("waiter", nil, { id = "ward" })
end


local function text_of(input)
  if type(input) ~= "table" then return tostring(input) end
  local words = {}
  for i, each in ipairs(input) do words[i] = tostring(each) end
  return table.concat(words, ",")
end


--- Registers all of them; `log(name, line...)` gets what ran.
function programs.register(duro, log)
  for name, fn in pairs(activities) do
    duro.activity(name, function(ctx, input)
      log("ran", ctx.instance_id, name, text_of(input))
      return fn(ctx, input)
    end)
  end
  for name, fn in pairs(orchestrations) do duro.orchestration(name, fn) end
end


return programs
