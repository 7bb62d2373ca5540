-- Who owns a file: one process at a time, named to the others; its place is free the moment it dies.

local harness = require "spec.crash.harness"


-- Owns the file and runs what is in it until it is killed or told to stop.
local OWNER = [[
  child.say_pid()
  local rt = child.open(OPTIONS)
  child.say("opened")
  child.start(rt, "waiter", "waiter", 0.001)
  child.say("started")
  child.wait_for(rt, "stop")
  child.done(rt)
]]


local function owner_script(options)
  return (OWNER:gsub("OPTIONS", options or "{}"))
end


local function start_owner(scene, options)
  local owner = scene:start(owner_script(options))
  owner:expect("started")
  return owner
end


local FINISH = [[
  local rt = child.open()
  child.raise_safely(rt, "waiter", 1, "go")
  child.finish(rt, { "waiter" })
  child.done(rt)
]]


describe("a second runtime on a file", function()
  after_each(harness.clean)

  it("is busy, and is told the owner's process and host", function()
    local scene = harness.new()
    local owner = start_owner(scene)
    local host = io.popen("uname -n"):read("*l")
    local run = scene:run "child.open()"
    assert.equal(3, run.exit)
    assert.matches("^open busy: 'test.db' is owned by process " .. owner.pid .. " on host ", run.lines[1])
    assert.is_truthy(run.lines[1]:find("on host " .. host, 1, true), run.lines[1])
  end)

  it("in the same process is busy too", function()
    local scene = harness.new()
    local run = scene:run [[
      local rt = child.open()
      child.say(select(2, child.duro.open(child.path)).code)
      child.start(rt, "sequence", "s1", 2)
      child.finish(rt, { "s1" })
      child.done(rt)
    ]]
    assert.same({ "busy", "done" }, run.lines)
    scene:check { ended = true }
  end)

  it("opens at once after the owner was killed, in the middle of work", function()
    local scene = harness.new()
    local owner = scene:start [[
      child.say_pid()
      local rt = child.open()
      for i = 1, 20 do child.start(rt, "sequence", "s" .. i, 200) end
      child.start(rt, "waiter", "waiter", 0.001)
      child.say("started")
      rt:run()
    ]]
    owner:expect("started")
    owner:kill()
    scene:check()
    local run = scene:run [[
      local before = os.time()
      local rt = child.open()
      child.say("opened after", os.difftime(os.time(), before) < 5)
      child.raise_safely(rt, "waiter", 1, "go")
      local ids = { "waiter" }
      for i = 1, 20 do ids[i + 1] = "s" .. i end
      child.finish(rt, ids)
      child.done(rt)
    ]]
    assert.same({ "opened after true", "done" }, run.lines)
    scene:check { ended = true }
  end)

  it("opens after the owner closed", function()
    local scene = harness.new()
    local owner = start_owner(scene)
    scene:touch("stop")
    owner:expect("done")
    owner:finish()
    scene:completes(FINISH)
  end)

  it("with lease_wait waits that long, and takes over when the owner goes", function()
    local scene = harness.new()
    local owner = start_owner(scene)
    local waiting = scene:start [[
      local core = require "duro.core"
      local before = core.monotonic_ms()
      local _, err = child.duro.open { path = child.path, lease_wait = "60ms" }
      child.say(err.code, core.monotonic_ms() - before >= 60)
      child.say("waits")
      local rt = child.open { lease_wait = "30s" }
      child.raise_safely(rt, "waiter", 1, "go")
      child.finish(rt, { "waiter" })
      child.done(rt)
    ]]
    waiting:expect("waits")
    assert.equal("busy true", waiting.lines[1])
    owner:kill()
    waiting:expect("done")
    waiting:finish()
    scene:check { ended = true }
  end)

  it("with role auto works beside the owner and takes over when it is killed", function()
    local scene = harness.new()
    local owner = start_owner(scene)
    local second = scene:start [[
      child.say_pid()
      local rt = child.open { role = "auto" }
      child.start(rt, "sequence", "s1", 3)
      child.finish(rt, { "s1" })
      child.say("beside")
      child.start(rt, "waiter", "second", 0.001)
      child.say("waits")
      child.wait_for(rt, "killed")
      child.raise_safely(rt, "waiter", 1, "go")
      child.raise_safely(rt, "second", 1, "go")
      child.finish(rt, { "waiter", "second" })
      child.say("owner", select(2, child.duro.open(child.path)))
      child.done(rt)
    ]]
    second:expect("waits")
    owner:kill()
    scene:touch("killed")
    assert.matches("busy: .*process " .. second.pid .. " ", second:expect("owner"))
    second:expect("done")
    second:finish()
    scene:check { ended = true }
  end)

  it("with role auto owns a file that nobody owns", function()
    local scene = harness.new()
    scene:completes [[
      local rt = child.open { role = "auto" }
      child.start(rt, "sequence", "s1", 3)
      child.finish(rt, { "s1" })
      assert(select(2, child.duro.open(child.path)).code == "busy")
      child.done(rt)
    ]]
  end)
end)


describe("a client", function()
  after_each(harness.clean)

  it("beside an owner starts, raises, cancels, lists and waits, and runs nothing itself", function()
    local scene = harness.new()
    local owner = start_owner(scene)
    local run = scene:run [[
      local rt = child.open { role = "client" }
      child.start(rt, "sequence", "s1", 3)
      child.say(rt:wait("s1", 10))
      child.say(select(2, rt:start("sequence", 1, { id = "s1" })).code)
      child.say(rt:status("waiter").status, rt:status("nobody").status)
      child.start(rt, "waiter", "second", 0.001)
      child.say(rt:cancel("second", "not needed"))
      child.say(select(2, rt:wait("second", 10)).code)
      child.say(rt:raise_event("waiter", "go", { 7 }))
      child.say(rt:wait("waiter", 10).data[1])
      child.say(select(2, rt:raise_event("waiter", "go")).code, select(2, rt:raise_event("nobody", "go")).code)
      child.say(#rt:list_instances { status = "completed" })
      child.say(rt:delete_instance("s1").instances_deleted, rt:status("s1").status)
      rt:close()
    ]]
    assert.same({ "6", "already_exists", "running not_found", "true", "cancelled", "true", "7",
      "finished not_found", "2", "1 not_found" }, run.lines)
    scene:touch("stop")
    owner:expect("done")
    owner:finish()
  end)

  it("without an owner starts and raises, which the next owner finds; the rest is unavailable", function()
    local scene = harness.new()
    start_owner(scene):kill()
    local run = scene:run [[
      local rt = child.open { role = "client" }
      child.start(rt, "sequence", "s1", 3)
      child.say(rt:raise_event("waiter", "go", 7))
      child.say(rt:status("waiter").status, rt:status("s1").status)
      child.say(#rt:list_instances {})
      child.say(select(2, rt:cancel("waiter")).code)
      child.say(select(2, rt:terminate("waiter")).code)
      child.say(select(2, rt:delete_instance("waiter")).code)
      child.say(select(2, rt:wait("s1", 0.01)).code)
      rt:close()
    ]]
    assert.equal("true", run.lines[1], run:text())
    assert.matches("^running ", run.lines[2])
    assert.same({ "2", "unavailable", "unavailable", "unavailable", "timeout" },
      { run.lines[3], run.lines[4], run.lines[5], run.lines[6], run.lines[7] })
    scene:check()
    scene:completes [[
      local rt = child.open()
      child.finish(rt, { "s1", "waiter" })
      assert(rt:status("waiter").output.data == 7)
      child.done(rt)
    ]]
  end)

  it("that is killed after the commit of a call has made it once", function()
    local scene = harness.new()
    start_owner(scene):kill()
    for n, moment in ipairs { "before", "after" } do
      local fault = ("kill %s commit 1 INSERT INTO requests"):format(moment)
      local run = scene:run([[
        local rt = child.open { role = "client" }
        child.start(rt, "sequence", "s1", 3)
      ]], { fault = fault })
      assert.is_true(run.killed, run:text())
      assert.equal(tostring(n - 1), scene:value "SELECT count(*) FROM instances WHERE id = 's1'")
      scene:check()
    end
    scene:completes [[
      local rt = child.open()
      child.raise_safely(rt, "waiter", 1, "go")
      child.finish(rt, { "s1", "waiter" })
      child.done(rt)
    ]]
    assert.equal(1, scene:count_log("ran", "s1 add 0,1"))
  end)

  it("is answered by the next owner when the owner is killed over its call", function()
    for _, fault in ipairs {
      "kill before commit 1 UPDATE requests", "kill after commit 1 UPDATE requests",
    } do
      local scene = harness.new()
      local owner = scene:start(owner_script(), { fault = fault })
      owner:expect("started")
      local client = scene:start [[
        local rt = child.open { role = "client" }
        child.say("opened")
        child.say(rt:raise_event("waiter", "go", 7))
        child.say(rt:wait("waiter", 20).data)
      ]]
      owner:finish()
      assert.is_true(owner.killed, owner:text())
      scene:check()
      local next_owner = start_owner(scene)
      client:finish()
      assert.same({ "opened", "true", "7" }, client.lines)
      scene:touch("stop")
      next_owner:expect("done")
      next_owner:finish()
      assert.equal("1", scene:value "SELECT count(*) FROM v_events WHERE kind = 'event_received'")
      scene:check { ended = true }
      harness.clean()
    end
  end)
end)
