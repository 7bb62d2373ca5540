-- Work of every kind at once, with ids and outputs known beforehand: what the random kills are let
-- loose on. The same script begins it, goes on with it after a kill, and finds it done.

local workload = {}

local EVENTS = 7


-- id -> { orchestration, input, output }.
local function plan()
  local all = {}
  for i = 1, 3 do
    all["sequence-" .. i] = { "sequence", i + 2, (i + 2) * (i + 3) / 2 }
    all["ticker-" .. i] = { "ticker", i, i }
    all["effect-" .. i] = { "effect", nil, true }
  end
  all["fan-out"] = { "fan_out", 12, { 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144 } }
  all["blocks"] = { "blocks", 5, { 1, 4, 9, 16, 25 } }
  -- Leaves are width + 1; widths below a node are 1 to its width.
  all["family"] = { "family", { width = 3, depth = 2 }, (2) + (2 + 3) + (2 + 3 + 4) }
  all["echoes"] = { "echoes", 20, 210 }
  all["relay-race"] = { "relay_race", { left = 4, sum = 0 }, { sum = 10, laps = 4, execution = 4 } }
  all["stubborn"] = { "stubborn", 3, 3 }
  all["starter"] = { "starter", "detached", "detached" }
  all["collector-of-sender"] = { "collector", nil, { 1, 2, 3, 4, 5, 6, 7 } }
  all["sender"] = { "sender", { n = 7, to = "collector-of-sender" }, "sent" }
  all["collector-safe"] = { "collector", nil, { 1, 2, 3, 4, 5, 6, 7 } }
  all["collector-once"] = { "collector" } -- its output depends on what was raised
  return all
end


local function sorted(all)
  local ids = {}
  for id in pairs(all) do ids[#ids + 1] = id end
  table.sort(ids)
  return ids
end


local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end


-- What was raised without a dedup_id came at most once, in order, and if acknowledged surely.
local function check_raised_once(child, received)
  local acks, seen, last = child.logged("acks"), {}, 0
  for _, n in ipairs(received) do
    if n <= last then error(("event %s came after %s"):format(n, last)) end
    last, seen[n] = n, true
  end
  for n = 1, EVENTS do
    if acks[("event collector-once %d"):format(n)] and not seen[n] then
      error(("event %d was acknowledged and never came"):format(n))
    end
  end
end


-- After a kill whatever was acknowledged must be there.
local function check_acknowledged(child, rt)
  for line in pairs(child.logged("acks")) do
    local what, id = line:match("^(%a+) (%S+)")
    local status = child.status(rt, id).status
    if status == "not_found" then error(id .. " was acknowledged and is gone") end
    if what == "terminate" and status ~= "terminated" then error(("%s is %s"):format(id, status)) end
    if what == "suspend" and not child.logged("tries")["resume " .. id] and status ~= "suspended" then
      error(("%s was suspended and is %s"):format(id, status))
    end
  end
end


-- What an operator does to instances meanwhile.
local function steer(child, rt)
  for _, id in ipairs { "cancelled", "terminated", "suspended" } do child.start(rt, "waiter", id) end
  child.start(rt, "waiter", "expired", nil, { timeout = 0.005 })
  child.start(rt, "sequence", "late", 3, { delay = 0.01 })
  child.once(rt, "cancel cancelled", { finished = true }, function() return rt:cancel("cancelled", "no need") end)
  child.once(rt, "terminate terminated", { finished = true }, function() return rt:terminate("terminated") end)
  child.once(rt, "suspend suspended", {}, function() return rt:suspend("suspended") end)
  child.raise_safely(rt, "suspended", 1, "go")
end


local function check_steered(child, rt)
  child.once(rt, "resume suspended", { finished = true }, function() return rt:resume("suspended") end)
  child.finish(rt, { "suspended", "late" })
  for id, code in pairs { cancelled = "cancelled", terminated = "terminated", expired = "timeout" } do
    local _, err = rt:wait(id, 30)
    if not err or err.code ~= code then error(("%s ended with %s"):format(id, tostring(err))) end
  end
end


--- Begins the work or goes on with it, and returns when all of it is done and right.
function workload.run(child, rt)
  local all = plan()
  local ids = sorted(all)
  check_acknowledged(child, rt)
  for _, id in ipairs(ids) do child.start(rt, all[id][1], id, all[id][2]) end
  steer(child, rt)
  for n = 1, EVENTS do
    child.raise_once(rt, "collector-once", n)
    child.raise_safely(rt, "collector-safe", n)
  end
  child.raise_safely(rt, "collector-safe", "stop")
  child.raise_safely(rt, "collector-once", "stop")

  child.finish(rt, ids)
  child.finish(rt, { "detached" })
  check_steered(child, rt)
  for _, id in ipairs(ids) do
    local output = child.status(rt, id).output
    if id == "collector-once" then
      check_raised_once(child, output)
    elseif not same(output, all[id][3]) then
      error(("%s has the output %s"):format(id, tostring(output)))
    end
  end
end


return workload
