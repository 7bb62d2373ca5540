-- management: what the reads and bulk calls of the management API cost beside few and many instances, at rest
-- and beside an engine that runs 2 000 turns a second.
--
--   luajit bench/management.lua [10000,1000000] [calls=300]
--
-- BUILD names the folder with libduro.a (default: build), BENCH_DIR where the files go (default: /tmp). The
-- files are made by bench/fill.c, which is compiled here. Latencies are those that a caller sees.

local ffi = require "ffi" -- for a clock
local duro = require "duro"

local sizes, calls = {}, tonumber(arg[2]) or 300
for size in (arg[1] or "10000,1000000"):gmatch("%d+") do sizes[#sizes + 1] = tonumber(size) end
local folder = os.getenv("BENCH_DIR") or "/tmp"
local build = os.getenv("BUILD") or "build"
local TURNS = 2000 -- a second, as many instances that sleep a tenth of it


ffi.cdef [[
  typedef struct { long seconds, nanoseconds; } duro_bench_time;
  int clock_gettime(int clock, duro_bench_time *time);
]]
local time = ffi.new("duro_bench_time")


local function now_ms()
  ffi.C.clock_gettime(1, time)
  return tonumber(time.seconds) * 1e3 + tonumber(time.nanoseconds) / 1e6
end


local function shell(command)
  local ok = os.execute(command)
  assert(ok == 0 or ok == true, command)
end


local function remove(path)
  for _, suffix in ipairs { "", "-wal", "-shm", "-owner" } do os.remove(path .. suffix) end
end


-- --- The file ---

local function fill(path, size)
  local program = folder .. "/duro-fill"
  shell(("cc -O2 -D_GNU_SOURCE -Icsrc -o %s bench/fill.c %s/libduro.a -lsqlite3 -luv -lpthread -lm"):format(program,
    build))
  remove(path)
  local began = now_ms()
  shell(("%s %s %d"):format(program, path, size))
  print(("%d instances made in %.0f s"):format(size, (now_ms() - began) / 1e3))
end


-- --- What is measured ---

duro.activity("noop", function(_, value) return value end)

duro.orchestration("long", function(ctx)
  for i = 1, 499 do ctx:activity("noop", i) end
  return ctx:wait_event("go")
end)


-- An instance with a history of 1 000 events.
local function long_instance(rt)
  local id = assert(rt:start("long"))
  assert(rt:run_until_idle(60))
  return id
end


local function reads(rt, size)
  local function listed(filter)
    filter.limit = 100
    return function() return rt:list_instances(filter) end
  end
  local function id() return ("i-%08d"):format(math.random(0, size - 1)) end
  local ids = {}
  for i = 1, 1000 do ids[i] = id() end
  local long = long_instance(rt)
  local middle = rt:list_instances({ id_prefix = ("i-%08d"):format(size / 2) })[1]
  -- The page behind one that begins in the middle.
  local function page_deep(filter, order_by, order)
    local options = { filter = filter, order_by = order_by, order = order, page_size = 100 }
    options.page_token = assert(rt:list_instances_paginated(options)).next_page_token
    return function() return rt:list_instances_paginated(options) end
  end
  return {
    { "list newest 100", listed {} },
    { "list failed", listed { status = "failed" } },
    { "list failed of a name", listed { status = "failed", name = "audit" } },
    { "list by name", listed { name = "invoice" } },
    { "list by name prefix", listed { name = "order.*" } },
    { "list by id prefix", listed { id_prefix = ("i-%06d"):format(size / 200) } },
    { "list created after", listed { created_after = middle.created_at } },
    { "list children", listed { parent_instance = "i-00000000" } },
    { "list by attribute", listed { attributes = { customer = 501 } } },
    { "list waiting on an event", listed { waiting_on = "event:paid" } },
    { "list error contains", listed { error_contains = "belt 7" } },
    { "list failed since", function() return rt:list_failed_instances(middle.created_at) end },
    { "page deep by created", page_deep({ created_before = middle.created_at }) },
    { "page deep by id", page_deep({ id_prefix = ("i-%05d"):format(size / 2000) }, "instance_id", "asc") },
    { "page with total", function()
      return rt:list_instances_paginated { filter = { status = "failed" }, with_total = true }
    end, 0.1 },
    { "search by input", function()
      return rt:search_instances { input = { ["customer.id"] = 1 }, filter = { name = "audit" } }
    end, 0.02 },
    { "bulk_status of 1000", function() return rt:bulk_status(ids) end, 0.3 },
    { "status", function() return rt:status(id()) end },
    { "details", function() return rt:details(id()) end },
    { "details of 1 000 events", function() return rt:details(long) end },
    { "history of 1 000 events", function() return rt:history { instance = long } end },
    { "counts by status", function()
      return rt:query_instances { group_by = { "status" }, aggregate = { "count" } }
    end },
    { "counts by name and status", function()
      return rt:query_instances { group_by = { "orchestration_name", "status" }, aggregate = { "count" } }
    end },
    { "groups by rows", function()
      return rt:query_instances { group_by = { "version", "created_date" }, aggregate = { "count" } }
    end, 0 },
    { "percentiles of a name", function()
      return rt:query_instances { filter = { name = "audit" }, aggregate = { "p95_duration", "average_duration" } }
    end, 0 },
    { "series of a day", function() return rt:time_series_metrics { metric = "started", bucket = "1m",
      from = rt:now() - 86400 } end, 0.1 },
    { "metrics", function() return rt:runtime_metrics() end },
    { "orchestration metrics", function() return rt:orchestration_metrics() end },
    { "history", function() return rt:history { instance = id() } end },
    { "dry run on failed", function() return rt:cancel_instances { filter = { status = "failed", name = "audit",
      created_after = middle.created_at }, max_instances = 100, dry_run = true } end, 0.1 },
  }
end


-- The first call is not counted: in a large file it reads from the disk what the others find in memory.
local function measure(read)
  local times = {}
  read[2]()
  for i = 1, math.max(10, math.floor(calls * (read[3] or 1))) do
    local began = now_ms()
    local answer, err = read[2]()
    times[i] = now_ms() - began
    if not answer and err.code == "unsupported" then return 0 / 0, 0 / 0 end
    assert(answer, tostring(err))
  end
  table.sort(times)
  return times[math.ceil(#times / 2)], times[math.ceil(#times * 0.99)]
end


-- --- The engine beside ---

duro.orchestration("ticks", function(ctx, n)
  for _ = 1, 200 do ctx:sleep(0.1) end
  ctx:continue_as_new(n + 1)
end)


local function begin_turns(rt)
  local starts = {}
  for i = 1, TURNS / 10 do starts[i] = { name = "ticks", input = 1, delay = i / (TURNS / 10) * 0.1 } end
  local ids = assert(rt:start_many(starts))
  local until_ms = now_ms() + 1500
  while now_ms() < until_ms do rt:step(0.01) end
  return ids
end


for _, size in ipairs(sizes) do
  local path = ("%s/duro-management-%d.db"):format(folder, size)
  fill(path, size)
  local rt = assert(duro.open { path = path, clock = "system" })
  math.randomseed(1)
  local rest = {}
  local list = reads(rt, size)
  for i, read in ipairs(list) do rest[i] = { measure(read) } end
  local ids = begin_turns(rt)
  local turns, began = rt:runtime_metrics().total_timers_fired, now_ms()
  print(("\n%-26s %10s %10s %10s %10s   (ms, %d instances)"):format("", "p50", "p99", "p50 busy", "p99 busy", size))
  for i, read in ipairs(list) do
    local p50, p99 = measure(read)
    print(("%-26s %10.3f %10.3f %10.3f %10.3f"):format(read[1], rest[i][1], rest[i][2], p50, p99))
  end
  print(("%.0f turns/s beside"):format((rt:runtime_metrics().total_timers_fired - turns) / (now_ms() - began) * 1e3))
  assert(rt:terminate_instances { instances = ids })
  rt:close()
  remove(path)
end
