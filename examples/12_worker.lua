-- Workers: an activity that is sent to a queue runs in any process that serves this queue. Look at the first
-- answer: without a worker the jobs wait, durably. Then at who prints: the worker resizes, while the
-- orchestration runs in the process that owns the file.

local duro = require "duro"

local role, path = arg[1] or "owner", arg[2] or os.tmpname()
io.stdout:setvbuf("line")

if role == "worker" then
  duro.activity("resize", function(ctx, picture)
    print(("worker: resize %s for %s"):format(picture, ctx.instance_id))
    return "small " .. picture
  end)
  local rt = assert(duro.open { path = path, role = "worker", queues = { "pictures" } })
  return assert(rt:run()) -- until it is killed; a job that it held then goes to another worker
end

duro.orchestration("album", function(ctx, pictures)
  local tasks = {}
  for i, picture in ipairs(pictures) do
    tasks[i] = ctx:schedule_activity("resize", picture, { queue = "pictures", retry = { max_attempts = 3 } })
  end
  return table.concat(ctx:join(tasks), ", ")
end)

local rt = assert(duro.open(path))
assert(rt:start("album", { "cat", "dog" }, { id = "holidays" }))
assert(rt:run_until_idle(10))
print("owner: " .. assert(rt:why("holidays")).reason:match("[^;]+"))

os.execute(("%s %s worker %s & echo $! >%s.pid"):format(arg[-1], arg[0], path, path))
print("owner: " .. assert(rt:wait("holidays", 30)))
os.execute(("kill $(cat %s.pid)"):format(path))

rt:close()
for _, suffix in ipairs { "", "-wal", "-shm", "-owner", ".pid" } do os.remove(path .. suffix) end
