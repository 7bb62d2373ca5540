-- sleepers: many orchestrations asleep. Three acts, each a process of its own on one file of bench/fill.c:
--
--   act=burst    starts `count` sleepers in bursts of `at_once` in a new file: how much memory that takes
--   act=start    adds `count` sleepers that all come due `ahead` seconds from now
--   act=wake     opens the file, waits for that moment, and sees how late each of them goes on

local duro = require "duro"
local support = require "support"

local NEVER = 4102444800 -- 2100


local late = {}

duro.orchestration("sleeper", function(ctx, due)
  ctx:sleep_until(due)
  late[#late + 1] = (support.wall() - due) * 1e3
end)


local acts = {}


function acts.burst(o)
  local path = support.fresh("burst")
  local rt = support.open(path, o)
  local before, live = support.memory(), 0
  local began = support.now()
  for _ = 1, o.count / o.at_once do
    support.start_all(rt, o.at_once, o.at_once, function() return { name = "sleeper", input = NEVER } end)
    local metrics = rt:runtime_metrics()
    live = math.max(live, metrics and metrics.live_instances or 0)
  end
  assert(rt:run_until_idle(600))
  local took = support.now() - began
  local after, most = support.memory()
  rt:close()
  support.remove(path)
  return { burst_per_second = o.count / took, burst_live = live, burst_mb = most - before, settled_mb = after - before }
end


function acts.start(o)
  local rt = support.open(o.file, o)
  local due = math.floor(rt:now() + o.ahead)
  support.start_all(rt, o.count, 5000, function() return { name = "sleeper", input = due } end)
  assert(rt:run_until_idle(60))
  rt:close()
  return { due = due }
end


function acts.wake(o)
  local base = support.memory()
  local began = support.now()
  local rt = support.open(o.file, o)
  local opened = support.now() - began
  rt:step(0)
  local open_mb = support.memory() - base
  assert(support.wall() < o.due, "the file opened too late: give `ahead` more seconds")
  while #late < o.count do rt:step(1) end
  assert(rt:run_until_idle(60))
  local all = (support.wall() - o.due) * 1e3
  local _, most = support.memory()
  rt:close()
  return { open_ms = opened * 1e3, open_mb = open_mb, peak_mb = most - base, all_ms = all,
    late_p50_ms = support.percentile(late, 0.5), late_p99_ms = support.percentile(late, 0.99) }
end


return function(o) return acts[o.act](o) end
