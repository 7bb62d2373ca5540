-- throughput: durable activities per second, beside bare SQLite appends measured in the same run.
--
--   lua5.4 bench/throughput.lua [instances=5000] [steps=20] [durability=full] [rounds=3]
--
-- Ceiling and row are taken in turn, so that a machine whose speed drifts spoils neither; the ratio of
-- each pair is what counts. Needs build/raw_append (make bench builds it).

local duro = require "duro"

local instances = tonumber(arg[1]) or 5000
local steps = tonumber(arg[2]) or 20
local durability = arg[3] or "full"
local rounds = tonumber(arg[4]) or 3
local folder = os.getenv("BENCH_DIR") or "/tmp"
local path = folder .. "/duro-bench.db"

duro.activity("noop", function(_, n) return n end)

duro.orchestration("steps", function(ctx, n)
  for i = 1, n do ctx:activity("noop", i) end
  return n
end)


local function clock()
  local p = assert(io.popen("date +%s.%N"))
  local t = tonumber(p:read("l"))
  p:close()
  return t
end


local function clean()
  for _, suffix in ipairs { "", "-wal", "-shm", "-owner", ".raw", ".raw-wal", ".raw-shm" } do
    os.remove(path .. suffix)
  end
end


local function ceiling(rows)
  local p = assert(io.popen(("build/raw_append %s.raw %d 1000 %s 150"):format(path, rows, durability)))
  local rate = tonumber(p:read("l"))
  p:close()
  return assert(rate, "build/raw_append is missing: run make bench")
end


local function durable()
  clean()
  local rt = assert(duro.open { path = path, durability = durability })
  local starts = {}
  for i = 1, instances do starts[i] = { name = "steps", input = steps } end
  local began = clock()
  assert(rt:start_many(starts))
  assert(rt:run_until_idle(600))
  local took = clock() - began
  local done = rt:list_instances { status = "completed", limit = 1000 }
  assert(#done == math.min(instances, 1000), "not every instance completed")
  rt:close()
  return instances * steps / took
end


local function median(list)
  local sorted = {}
  for i, v in ipairs(list) do sorted[i] = v end
  table.sort(sorted)
  return sorted[math.floor((#sorted + 1) / 2)]
end


local rates, ratios = {}, {}
for round = 1, rounds do
  local raw = ceiling(instances * steps)
  rates[round] = durable()
  ratios[round] = rates[round] / raw
  print(("round %d: raw appends %.0f/s, durable activities %.0f/s, ratio %.3f"):format(round, raw,
    rates[round], ratios[round]))
end
clean()
print(("%s, %d x %d, %s: median %.0f activities/s, ratio %.3f"):format(_VERSION .. (jit and " " .. jit.version or ""),
  instances, steps, durability, median(rates), median(ratios)))
