-- What specs need of runtimes: one that is closed after the test, a file that is removed after it, an
-- orchestration that is run on the spot, a condition with a deadline.
--
--   local runtimes = require "spec.support.runtimes"
--   after_each(runtimes.clean)
--   local rt = runtimes.open()                  -- in memory, with the virtual clock
--   local rt = runtimes.open { path = runtimes.path() }

local child = require "spec.support.child"
local duro = require "duro"

local runtimes = {}

require("duro.show").settings.width = 0 -- results print whole, on a terminal too

local opened, paths = {}, {}


-- "memory" or "basic" (debug.store) while spec/stores_spec.lua runs other specs on these.
runtimes.store = nil


--- A runtime in memory with the virtual clock, or as `options` say otherwise.
function runtimes.open(options)
  local all = { path = ":memory:", clock = "virtual", durability = "normal" }
  for key, value in pairs(options or {}) do all[key] = value end
  if runtimes.store and all.path == ":memory:" then
    local debug = { store = runtimes.store }
    for key, value in pairs(all.debug or {}) do debug[key] = value end
    all.debug = debug
  end
  local rt = assert(duro.open(all))
  opened[#opened + 1] = rt
  return rt
end


--- The name of a file that does not exist yet; it and SQLite's companions go after the test.
function runtimes.path()
  local name = os.tmpname()
  os.remove(name)
  paths[#paths + 1] = name .. ".db"
  return name .. ".db"
end


--- Closes what was opened; the files stay.
function runtimes.close_all()
  for _, rt in ipairs(opened) do rt:close() end
  opened = {}
end


--- For after_each: ends the children that still run, closes what was opened, removes what was named.
function runtimes.clean()
  child.clean()
  runtimes.close_all()
  for _, path in ipairs(paths) do
    for _, suffix in ipairs { "", "-wal", "-shm", "-journal", "-owner" } do os.remove(path .. suffix) end
  end
  paths = {}
end


--- Registers `fn`, starts it and waits for it at most 10 s of real time: output, or nil, err.
function runtimes.run(rt, fn, input, options)
  assert(rt:orchestration("under_test", { replace = true, guard = options and options.guard }, fn))
  local id = assert(rt:start("under_test", input, { id = options and options.id }))
  return rt:wait(id, 10)
end


--- Starts `name`, moves the virtual clock by `duration` ("1d") and waits: output, or nil, err.
function runtimes.finish(rt, name, input, duration, options)
  local id = assert(rt:start(name, input, options))
  assert(rt:advance(duration or "1d"))
  return rt:wait(id, 10)
end


--- Turns the loop until `condition` holds; fails after 10 s of real time.
function runtimes.until_true(rt, condition, what)
  local deadline = os.time() + 10
  repeat
    local value = condition()
    if value then return value end
    assert(rt:step(0.01))
  until os.time() > deadline
  error("this did not happen within 10 s: " .. (what or "the condition"), 2)
end


--- The history of an instance as "kind name" lines.
function runtimes.kinds(rt, id, execution)
  local lines = {}
  for i, event in ipairs(assert(rt:history { instance = id, execution = execution }).events) do
    lines[i] = event.name and event.kind .. " " .. event.name or event.kind
  end
  return lines
end


return runtimes
