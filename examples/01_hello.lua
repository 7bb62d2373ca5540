-- Hello: an orchestration that calls an activity. Look at what happens when the same program runs
-- again on the same file: the instance is there, and its activity does not run a second time.

local duro = require "duro"

duro.activity("greet", function(_, name)
  print("the activity runs")
  return "hello, " .. name
end)

duro.orchestration("hello", function(ctx, name)
  return ctx:activity("greet", name)
end)

local path = os.tmpname()

for run = 1, 2 do
  local rt = assert(duro.open(path))
  assert(rt:start("hello", "world", { id = "hello-1", on_conflict = "existing" }))
  print("run " .. run, rt:wait("hello-1"))
  rt:close()
end

for _, suffix in ipairs { "", "-wal", "-shm", "-owner" } do os.remove(path .. suffix) end
