-- support: what the scenarios share: clocks, files of their own, memory, medians.

local duro = require "duro"
local machine = require "machine"

local support = { now = machine.now, wall = machine.wall, die = machine.die }

local folder = os.getenv("BENCH_DIR") or "/tmp"


function support.file(name)
  return ("%s/duro-bench-%s.db"):format(folder, name)
end


function support.remove(path)
  for _, suffix in ipairs { "", "-wal", "-shm", "-owner" } do os.remove(path .. suffix) end
end


--- The path of a file that does not exist yet.
function support.fresh(name)
  local path = support.file(name)
  support.remove(path)
  return path
end


--- duro.open with a scenario's durability; `more` are further options.
function support.open(path, o, more)
  local options = { path = path, durability = o.durability }
  for key, value in pairs(more or {}) do options[key] = value end
  return assert(duro.open(options))
end


function support.percentile(list, part)
  local sorted = {}
  for i, value in ipairs(list) do sorted[i] = value end
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(#sorted * part))]
end


function support.median(list)
  return support.percentile(list, 0.5)
end


--- Megabytes of memory that this process holds now, and held at most.
function support.memory()
  local status = assert(io.open("/proc/self/status")):read("*a")
  return tonumber(status:match("VmRSS:%s+(%d+)")) / 1024, tonumber(status:match("VmHWM:%s+(%d+)")) / 1024
end


--- Starts in groups of at most `at_once`, each group one transaction.
function support.start_all(rt, count, at_once, make)
  for first = 1, count, at_once do
    local starts = {}
    for i = first, math.min(count, first + at_once - 1) do starts[#starts + 1] = make(i) end
    assert(rt:start_many(starts))
  end
end


--- Runs until everything has ended, and makes sure that it ended well.
function support.finish(rt, count)
  assert(rt:run_until_idle(600))
  local metrics = rt:runtime_metrics()
  local done = type(metrics) == "table" and metrics.total_instances_completed or count
  assert(done >= count, "not every instance completed")
end


return support
