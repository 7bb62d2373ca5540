-- disk: bytes in the file for an orchestration of one activity, and for each further activity. `kept` is what
-- stays for good; `feed` is the change feed (the journal), which leaves with its retention.

local duro = require "duro"
local support = require "support"


local function bytes(path, where)
  local p = assert(io.popen(("sqlite3 %s \"SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name %s 'journal'\"")
    :format(path, where)))
  local n = tonumber(p:read("*l"))
  p:close()
  return n
end


local function run(o, steps)
  local path = support.fresh("disk")
  local rt = support.open(path, o)
  support.start_all(rt, o.instances, 5000, function() return { name = "steps", input = steps } end)
  support.finish(rt, o.instances)
  rt:close()
  support.open(path, o):close() -- folds what is not yet folded
  local kept, feed = bytes(path, "<>"), bytes(path, "=")
  support.remove(path)
  if not kept then return nil end
  return kept / o.instances, feed / o.instances
end


return function(o)
  duro.activity("noop", function(_, value) return value end)
  duro.orchestration("steps", function(ctx, n)
    for i = 1, n do ctx:activity("noop", i) end
    return n
  end)
  local kept_1, feed_1 = run(o, 1)
  if not kept_1 then return { unsupported = "the sqlite3 shell with dbstat is not installed" } end
  local kept_20, feed_20 = run(o, 20)
  return { kept = kept_1, feed = feed_1, kept_step = (kept_20 - kept_1) / 19, feed_step = (feed_20 - feed_1) / 19 }
end
