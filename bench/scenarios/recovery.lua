-- recovery: a process dies by SIGKILL with many unfinished instances, each with an activity under way; the next
-- one opens the file and goes on.
--
--   act=die      starts `count` instances and kills itself
--   act=recover  opens: how long until the first turn, and until every instance has gone on

local duro = require "duro"
local support = require "support"

local acts = {}
local gone_on, first = 0, nil


duro.orchestration("unfinished", function(ctx, n)
  for i = 1, 3 do ctx:activity("step", i) end
  return n
end)


function acts.die(o)
  duro.activity("step", function(ctx) ctx:sleep(3600) end)
  local path = support.fresh("recovery")
  local rt = support.open(path, o)
  support.start_all(rt, o.count, 5000, function(i) return { name = "unfinished", input = i } end)
  rt:run_until_idle(600)
  support.die()
end


function acts.recover(o)
  local began, all
  duro.activity("step", function(_, i)
    first = first or support.now()
    if i == 1 then gone_on = gone_on + 1 end
    if gone_on == o.count then all = all or support.now() end
    return i
  end)
  local path = support.file("recovery")
  began = support.now()
  local rt = support.open(path, o)
  local opened = support.now()
  while not all do rt:step(1) end
  assert(rt:run_until_idle(600))
  local finished = support.now()
  local _, most = support.memory()
  rt:close()
  support.remove(path)
  return { open_ms = (opened - began) * 1e3, first_ms = (first - began) * 1e3, all_s = all - began,
    per_second = o.count / (all - began), finished_s = finished - began, peak_mb = most }
end


return function(o) return acts[o.act](o) end
