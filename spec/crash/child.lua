-- The child's side of a crash test: opens the file of the scene, and keeps its words where a kill does
-- not reach them: logs beside the database, one write a line.
--
-- The log "acks" gets a line only after a call has returned: what stands in it was promised. The log
-- "ran" gets a line for every attempt of an activity, the log "log" what the runtime logs.

local duro = require "duro"

local child = { duro = duro, dir = assert(os.getenv("CRASH_DIR")) }
child.path = child.dir .. "/test.db"

local DEADLINE_SECONDS = 30

io.stdout:setvbuf("line")


--- Adds a line to the log of that name.
function child.log(name, ...)
  local file = assert(io.open(child.dir .. "/log-" .. name, "a"))
  file:write(table.concat({ ... }, " "), "\n")
  file:close()
end


--- The set of the lines of a log.
function child.logged(name)
  local set, file = {}, io.open(child.dir .. "/log-" .. name)
  if not file then return set end
  for line in file:lines() do set[line] = true end
  file:close()
  return set
end


--- Tells the parent.
function child.say(...)
  local words = { ... }
  for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
  io.stdout:write(table.concat(words, " "), "\n")
end


--- Says who this is, so that the parent can kill it.
function child.say_pid()
  local file = assert(io.open("/proc/self/stat"))
  child.pid = file:read("*n")
  file:close()
  child.say("pid " .. ("%d"):format(child.pid))
end


local function exists(name)
  local file = io.open(child.dir .. "/" .. name)
  if file then file:close() end
  return file ~= nil
end


local function touch(name)
  assert(io.open(child.dir .. "/" .. name, "w")):close()
end


--- From here on the faults count; and no longer.
function child.arm() touch("armed") end
function child.disarm() os.remove(child.dir .. "/armed") end

--- The monotonic clock goes 20 s ahead.
function child.leap() touch("leap") end


--- Opens the file, with the programs of programs.lua. A fault of opening ends the child with a word.
function child.open(options)
  local all = { path = child.path }
  function all.log(level, message) child.log("log", level, message) end
  for key, value in pairs(options or {}) do all[key] = value end
  require("spec.crash.programs").register(duro, child.log)
  local rt, err = duro.open(all)
  if not rt then
    child.say("open", err)
    os.exit(3)
  end
  return rt
end


--- Has everything folded that is stored: this list needs the projection.
function child.fold(rt)
  return assert(rt:list_instances { waiting_on = "event" })
end


--- Turns the loop until `condition` gives something.
function child.until_true(rt, condition, what)
  local deadline = os.time() + DEADLINE_SECONDS
  repeat
    local value = condition()
    if value then return value end
    assert(rt:step(0.01))
  until os.time() > deadline
  error("this did not happen in time: " .. (what or "the condition"))
end


--- Turns the loop until the parent has made the file `name` (scene:touch).
function child.wait_for(rt, name)
  return child.until_true(rt, function() return exists(name) end, name)
end


--- The number of this life of the script: 1 for the first.
function child.count_lives()
  local lives = 1
  for _ in pairs(child.logged("lives")) do lives = lives + 1 end
  child.log("lives", ("%d"):format(lives))
  return lives
end


-- --- Calls that are made once, over all lives of the script ---

-- Whether the line is in the log "acks" by an earlier life.
local function acknowledged(line)
  child.acks = child.acks or child.logged("acks")
  return child.acks[line]
end


-- The disk may fail (storage_spec): a call that says so is made again, until the deadline.
local function patiently(rt, call)
  local deadline = os.time() + DEADLINE_SECONDS
  while true do
    local value, err = call()
    if not err or err.code ~= "storage" or os.time() > deadline then return value, err end
    assert(rt:step(0.001))
  end
end


--- Makes a call until it is acknowledged, and not again in a later life. `fine` says which errors mean
--- that it took effect before, when its first try was not heard of.
function child.once(rt, line, fine, call)
  if acknowledged(line) then return end
  local tried = child.logged("tries")[line]
  child.log("tries", line)
  local _, err = patiently(rt, function()
    local value, err = call()
    if err and err.code == "storage" then tried = true end
    return value, err
  end)
  if err and not (tried and fine[err.code]) then error(("%s: %s"):format(line, tostring(err))) end
  child.log("acks", line)
end


--- Starts an instance.
function child.start(rt, name, id, input, options)
  local all = { id = id }
  for key, value in pairs(options or {}) do all[key] = value end
  child.once(rt, "start " .. id, { already_exists = true }, function() return rt:start(name, input, all) end)
end


--- Raises event number n with one call: when nobody heard of its outcome, it stays open whether it was
--- raised.
function child.raise_once(rt, id, n)
  local line = ("event %s %d"):format(id, n)
  if acknowledged(line) or child.logged("tries")[line] then return end
  child.log("tries", line)
  local ok, err = rt:raise_event(id, "item", n)
  if not ok and err.code ~= "storage" then error(err) end
  if ok then child.log("acks", line) end
end


--- Raises an event with a dedup_id, again and again until it is acknowledged.
function child.raise_safely(rt, id, n, name)
  local line = ("event %s %s %s"):format(id, name or "item", tostring(n))
  child.once(rt, line, { finished = true }, function()
    return rt:raise_event(id, name or "item", n, { dedup_id = line })
  end)
end


--- Waits for the end of these instances; each must be completed.
function child.finish(rt, ids)
  for _, id in ipairs(ids) do
    local _, err = patiently(rt, function() return rt:wait(id, DEADLINE_SECONDS) end)
    if err then error(("%s: %s"):format(id, tostring(err))) end
  end
end


--- The status row of an instance.
function child.status(rt, id)
  return assert(patiently(rt, function() return rt:status(id) end))
end


--- The last word of a script that is done.
function child.done(rt)
  assert(rt:close())
  child.say("done")
end


return child
