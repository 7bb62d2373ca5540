-- A full disk and broken input and output at named moments: calls say `storage`, nothing is harmed, and
-- when the fault is over the runtime goes on by itself.

local harness = require "spec.crash.harness"


-- Work under way, then a fault: the calls made meanwhile are printed, then it ends.
local BODY = [[
  local rt = child.open()
  for i = 1, 5 do child.start(rt, "sequence", "s" .. i, 8) end
  child.start(rt, "waiter", "waiter")
  child.arm()
  for i = 1, 2 do
    local id, err = rt:start("sequence", 2, { id = "meanwhile-" .. i })
    child.say("start", id or err)
  end
  local ok, err = rt:raise_event("waiter", "go", 5)
  child.say("raise", ok or err)
  child.disarm()
  local started = child.duro.default():start("sequence", 2, { id = "afterwards" })
  child.until_true(rt, function()
    started = started or rt:start("sequence", 2, { id = "afterwards" })
    return started
  end)
  child.say("afterwards", started)
  if not ok then
    child.until_true(rt, function() return rt:raise_event("waiter", "go", 5) end)
  end
  child.finish(rt, { "s1", "s2", "s3", "s4", "s5", "waiter", "afterwards" })
  for i = 1, 2 do
    local id = "meanwhile-" .. i
    if rt:status(id).status ~= "not_found" then child.finish(rt, { id }) end
  end
  child.done(rt)
]]


local function meets(scene, fault)
  local run = scene:run(BODY, { fault = fault, when_armed = true })
  if run.lines[#run.lines] ~= "done" then error(run:text(), 2) end
  assert.is_true(#run.acted > 0, "the fault did not happen")
  scene:check { ended = true }
  return run
end


-- In a process that lives on, whatever fails, nothing runs twice.
local function check_ran_once(scene)
  for i = 1, 5 do
    for n = 1, 8 do
      assert.equal(1, scene:count_log("ran", ("s%d add %d,%d"):format(i, n * (n - 1) / 2, n)))
    end
  end
end


describe("a full disk", function()
  after_each(harness.clean)

  it("fails calls with storage, and everything goes on when there is room again", function()
    local scene = harness.new()
    local run = meets(scene, "enospc before write 1- -wal")
    assert.equal("start storage: commit: database or disk is full", run.lines[1]:match("^.- full"))
    assert.equal("start storage: commit: database or disk is full", run.lines[2]:match("^.- full"))
    assert.matches("^raise storage: .*full", run.lines[3])
    assert.equal("afterwards afterwards", run.lines[4])
    check_ran_once(scene)
  end)

  it("in the middle of a batch takes the whole batch back", function()
    local scene = harness.new()
    local run = meets(scene, "enospc before step 2-3 INSERT INTO journal")
    assert.equal("afterwards afterwards", run.lines[4])
    check_ran_once(scene)
  end)

  it("in the middle of a large fan-out takes no attempt away, and makes none run twice", function()
    local scene = harness.new()
    local run = scene:run([[
      local rt = child.open()
      child.start(rt, "fan_out", "fan", 8000)
      child.until_true(rt, function() return next(child.logged("ran")) end)
      child.arm()
      for _ = 1, 10 do assert(rt:step(0.02)) end
      child.disarm()
      child.finish(rt, { "fan" })
      local retries = rt:history({ instance = "fan", kinds = { "activity_retry_scheduled" } }).events
      child.say("lost", ("%d"):format(#retries))
      child.done(rt)
    ]], { fault = "enospc before write 1- -wal", when_armed = true })
    assert.equal("done", run.lines[#run.lines], run:text())
    assert.is_true(#run.acted > 0, "the fault did not happen")
    assert.equal("lost 0", run.lines[#run.lines - 1])
    local ran = {}
    for _, line in ipairs(scene:log("ran")) do ran[line] = (ran[line] or 0) + 1 end
    for i = 1, 8000 do assert.equal(1, ran["fan square " .. i]) end
    scene:check { ended = true }
  end)

  it("at a checkpoint holds up nobody", function()
    local scene = harness.new()
    local run = scene:run([[
      local rt = child.open()
      child.arm()
      child.start(rt, "sequence", "s1", 3)
      child.fold(rt)
      child.finish(rt, { "s1" })
      child.until_true(rt, function() return next(child.logged("log")) end)
      child.disarm()
      child.start(rt, "sequence", "s2", 3)
      child.finish(rt, { "s2" })
      child.done(rt)
    ]], { fault = "enospc before write 1- test.db", when_armed = true })
    assert.equal("done", run.lines[#run.lines], run:text())
    assert.matches("^warn checkpoint: .*full", scene:log("log")[1])
    scene:check { ended = true }
  end)

  it("at open is storage, and leaves the file for the next one", function()
    local scene = harness.new()
    local opens = [[
      local rt = child.open()
      child.start(rt, "waiter", "waiter", 0.001)
      child.raise_safely(rt, "waiter", 1, "go")
      child.finish(rt, { "waiter" })
      child.done(rt)
    ]]
    for _, fault in ipairs {
      "enospc before write 1-", "eio before sync 1-", "enospc before truncate 1-", "enospc before write 3-",
    } do
      local run = scene:run(opens, { fault = fault })
      assert.equal(3, run.exit, fault .. "\n" .. run:text())
      assert.matches("^open storage: ", run.lines[1], fault)
    end
    scene:completes(opens)
    local run = scene:run(opens, { fault = "enospc before write 1- -wal" })
    assert.equal(3, run.exit, run:text())
    assert.matches("^open storage: ", run.lines[1])
    scene:completes(opens)
  end)
end)


describe("a machine that holds up its processes", function()
  after_each(harness.clean)

  it("does not make a short wait an endless one", function()
    local scene = harness.new()
    local run = scene:run([[
      local rt = child.open()
      child.arm()
      for _ = 1, 40 do assert(rt:step(0.003)) end
      child.disarm()
      child.done(rt)
    ]], { fault = "hold1 before clock 1- libuv", when_armed = true })
    assert.equal("done", run.lines[#run.lines], run:text())
    assert.is_true(#run.acted > 4, "nothing was held up")
    scene:check { ended = true }
  end)
end)


describe("a client on a full disk", function()
  after_each(harness.clean)

  it("is told storage, and its calls are made when there is room again", function()
    local scene = harness.new()
    local owner = scene:start [[
      child.say_pid()
      local rt = child.open()
      child.start(rt, "waiter", "waiter")
      child.say("opened")
      child.wait_for(rt, "stop")
      child.done(rt)
    ]]
    owner:expect("opened")
    local run = scene:run([[
      local rt = child.open { role = "client" }
      child.arm()
      child.say(select(2, rt:start("sequence", 3, { id = "s1" })))
      child.say(select(2, rt:raise_event("waiter", "go", 1)))
      child.say(rt:status("waiter").status)
      child.disarm()
      child.start(rt, "sequence", "s1", 3)
      child.raise_safely(rt, "waiter", 1, "go")
      child.finish(rt, { "s1", "waiter" })
      rt:close()
      child.say("done")
    ]], { fault = "enospc before write 1- -wal", when_armed = true })
    assert.matches("^storage: .*full", run.lines[1])
    assert.matches("^storage: .*full", run.lines[2])
    assert.same({ "running", "done" }, { run.lines[3], run.lines[4] }, run:text())
    scene:touch("stop")
    owner:expect("done")
    owner:finish()
    scene:check { ended = true }
  end)
end)


describe("a disk that fails", function()
  after_each(harness.clean)

  for fault, what in pairs {
    ["eio before sync 1- -wal"] = "at fsync",
    ["eio before write 1- -wal"] = "at write",
    ["eio before write 3-9 -wal"] = "at some writes",
    ["eio before commit 1-2"] = "at commit",
    ["eio before step 1-4 BEGIN IMMEDIATE"] = "at the beginning of a batch",
    ["eio before step 2 INSERT INTO instances"] = "in the middle of a batch",
  } do
    it(what .. " fails calls, and everything goes on afterwards", function()
      local scene = harness.new()
      local run = meets(scene, fault)
      local failed = false
      for n = 1, 3 do
        if run.lines[n]:find("storage") then
          failed = true
          assert.matches("^%a+ storage: .*disk I/O error.* %(SQLite %d+, in '", run.lines[n])
        end
      end
      assert.is_true(failed, run:text())
      assert.equal("afterwards afterwards", run.lines[4])
      check_ran_once(scene)
    end)
  end

  it("while folding is noted in the log, and the folding is done later", function()
    local scene = harness.new()
    local run = scene:run([[
      local rt = child.open()
      child.start(rt, "sequence", "s1", 3)
      child.finish(rt, { "s1" })
      child.arm()
      child.say("listed", #child.fold(rt))
      child.disarm()
      child.fold(rt)
      child.done(rt)
    ]], { fault = "eio before step 1 INSERT INTO history", when_armed = true })
    assert.same({ "listed 0", "done" }, run.lines)
    assert.matches("^error folding: .*disk I/O error", scene:log("log")[1])
    assert.equal("1", scene:value "SELECT last_seq = folded_seq FROM marks")
    scene:check { ended = true }
  end)

  it("while folding at open is storage, and leaves the file for the next one", function()
    local scene = harness.new()
    local body = [[
      local rt = child.open()
      child.start(rt, "sequence", "s1", 6)
      child.finish(rt, { "s1" })
      child.done(rt)
    ]]
    assert.is_true(scene:run(body, { fault = "kill after commit 5 INSERT INTO journal" }).killed)
    for _, fault in ipairs {
      "eio before step 1 INSERT INTO history", "enospc before write 2- -wal", "eio before commit 2",
    } do
      local run = scene:run(body, { fault = fault })
      assert.equal(3, run.exit, run:text())
      assert.matches("^open storage: ", run.lines[1], fault)
      scene:check()
    end
    scene:completes(body)
  end)

  it("at a read fails that call alone", function()
    local scene = harness.new()
    local run = scene:run([[
      local rt = child.open()
      child.start(rt, "sequence", "s1", 3)
      child.finish(rt, { "s1" })
      child.fold(rt)
      child.arm()
      child.say(select(2, rt:history { instance = "s1" }))
      child.disarm()
      child.say(#rt:history({ instance = "s1" }).events)
      child.done(rt)
    ]], { fault = "eio before step 1- FROM history", when_armed = true })
    assert.matches("^storage: .*disk I/O error", run.lines[1])
    assert.equal("8", run.lines[2])
    scene:check { ended = true }
  end)

  it("after a commit took effect makes nothing happen twice", function()
    for n = 1, 3 do
      local scene = harness.new()
      local run = meets(scene, ("lie after commit %d"):format(n))
      assert.equal("afterwards afterwards", run.lines[4])
      check_ran_once(scene)
    end
  end)
end)
