-- A real SIGKILL at moments that have a name. Each child is killed by the injected fault, the file is
-- looked at, and the same script must then go on and finish.

local harness = require "spec.crash.harness"


local function script(body, options)
  return ("local rt = child.open %s\n%s\nchild.done(rt)\n"):format(options or "{}", body)
end


local ONE = script [[
  child.start(rt, "sequence", "one", 3)
  child.finish(rt, { "one" })
]]


describe("a process killed", function()
  after_each(harness.clean)

  it("before the commit of a start has promised and stored nothing", function()
    local scene = harness.new()
    scene:survives(ONE, "kill before commit 1 'one'", { between = function()
      assert.equal("0", scene:value "SELECT count(*) FROM instances")
      assert.same({}, scene:log "acks")
    end })
    assert.equal(1, scene:count_log("ran", "one add 0,1"))
  end)

  it("after the commit of a start, before the caller hears of it, has the instance", function()
    local scene = harness.new()
    scene:survives(ONE, "kill after commit 1 'one'", { between = function()
      assert.equal("one", scene:value "SELECT id FROM instances")
      assert.same({}, scene:log "acks")
    end })
    assert.equal(1, scene:count_log("ran", "one add 0,1"))
  end)

  it("before the commit of a result runs that activity again, and records it once", function()
    local scene = harness.new()
    scene:survives(ONE, 'kill before commit 1 "activity_completed"')
    assert.equal(2, scene:count_log("ran", "one add 0,1"))
    assert.equal("3", scene:value "SELECT count(*) FROM v_events WHERE kind = 'activity_completed'")
    assert.equal("1", scene:value "SELECT count(*) FROM v_events WHERE details ->> 'lost'")
  end)

  it("after the commit of a result does not run that activity again", function()
    local scene = harness.new()
    scene:survives(ONE, 'kill after commit 1 "activity_completed"')
    assert.equal(1, scene:count_log("ran", "one add 0,1"))
  end)

  it("before any commit of a short life, or after it, goes on", function()
    local body = script [[
      child.start(rt, "relay_race", "race", { left = 2, sum = 0 })
      child.start(rt, "family", "family", { width = 2, depth = 1 })
      child.start(rt, "collector", "box")
      child.raise_once(rt, "box", 1)
      child.raise_safely(rt, "box", "stop")
      child.finish(rt, { "race", "family", "box" })
    ]]
    local commits = 0
    for n = 1, 100 do
      local scene = harness.new()
      local run = scene:run(body, { fault = ("kill %s commit %d"):format(n % 2 == 0 and "before" or "after", n) })
      scene:check { ended = not run.killed }
      if not run.killed then break end
      commits = n
      scene:completes(body)
      harness.clean()
    end
    assert.is_true(commits > 8 and commits < 100, ("%d commits"):format(commits))
  end)

  it("between two batches in flight keeps the first and nothing of the second", function()
    -- Many results wait while a commit is held up, so that full batches queue behind it.
    local body = script [[
      local starts, ids = {}, {}
      for i = 1, 400 do
        ids[i] = ("s%03d"):format(i)
        starts[i] = { name = "fan_out", input = 2, id = ids[i] }
      end
      if not child.logged("acks")["start s400"] then
        local _, err = rt:start_many(starts)
        assert(not err or err.code == "already_exists", err)
        for i = 1, 400 do child.log("acks", "start", ids[i]) end
      end
      child.arm()
      child.finish(rt, ids)
    ]]
    local scene = harness.new()
    local before
    scene:survives(body, "hold60 before commit 1-3; kill after step 5 BEGIN IMMEDIATE", {
      when_armed = true,
      between = function(run)
        before = run
        assert.equal("400", scene:value "SELECT count(*) FROM instances")
      end,
    })
    assert.is_true(#before.acted >= 4, table.concat(before.acted, "\n"))
    assert.equal("800", scene:value "SELECT count(*) FROM v_events WHERE kind = 'activity_completed'")
  end)

  it("between a child's completion and its parent's turn delivers it", function()
    -- More children end at once than a batch takes, so that the parent's messages become rows.
    local body = script [[
      child.start(rt, "echoes", "parent", 150)
      child.finish(rt, { "parent" })
    ]]
    local scene = harness.new()
    scene:survives(body, "kill after commit 1 INSERT INTO messages", { between = function()
      assert.is_true(tonumber(scene:value [[SELECT count(*) FROM messages
        WHERE body ->> 'kind' = 'sub_orchestration_completed']]) > 0)
      assert.equal("0", scene:value "SELECT count(*) FROM v_events WHERE kind = 'sub_orchestration_completed'")
    end })
    assert.equal("11325", scene:value "SELECT output FROM instances WHERE id = 'parent'")
  end)

  it("while a parent waits for its own commit keeps what its children sent it", function()
    -- With replay_every_turn a parent is loaded again before each turn, and so waits for its last batch.
    local body = script([[
      child.start(rt, "echoes", "parent", 20)
      child.finish(rt, { "parent" })
    ]], "{ debug = { replay_every_turn = true } }")
    local scene = harness.new()
    scene:survives(body, "kill after commit 1 'parent::1::2'", { between = function()
      assert.equal("20", scene:value "SELECT count(*) FROM instances WHERE status = 'completed'")
      assert.equal("20", scene:value "SELECT count(*) FROM messages")
    end })
    assert.equal("210", scene:value "SELECT output FROM instances WHERE id = 'parent'")
  end)

  it("after the parent of a suspended child was terminated terminates the child too", function()
    local body = script [[
      child.start(rt, "guardian", "guardian")
      child.until_true(rt, function() return rt:status("ward").status ~= "not_found" end)
      rt:suspend("ward")
      rt:terminate("guardian")
      child.until_true(rt, function() return rt:status("ward").status == "terminated" end)
      child.until_true(rt, function() return rt:status("guardian").status == "terminated" end)
    ]]
    for n = 1, 20 do
      local scene = harness.new()
      local run = scene:run(body, { fault = ("kill after commit %d 'guardian'"):format(n) })
      scene:check { ended = not run.killed }
      if not run.killed then break end
      scene:completes(body)
      harness.clean()
    end
  end)

  it("during continue-as-new is in the old execution or in the new one, wholly", function()
    local body = script [[
      child.start(rt, "collector", "box")
      for n = 1, 7 do child.raise_safely(rt, "box", n) end
      child.raise_safely(rt, "box", "stop")
      child.finish(rt, { "box" })
    ]]
    for moment, executions in pairs {
      ["before commit 1 INSERT INTO executions"] = "1",
      ["after step 1 INSERT INTO executions"] = "1",
      ["after commit 1 INSERT INTO executions"] = "2",
    } do
      local scene = harness.new()
      scene:survives(body, "kill " .. moment, { between = function()
        assert.equal(executions, scene:value "SELECT execution_id FROM instances WHERE id = 'box'", moment)
      end })
      assert.equal("[1,2,3,4,5,6,7]", scene:value "SELECT output FROM instances WHERE id = 'box'")
      assert.equal("3", scene:value "SELECT execution_id FROM instances WHERE id = 'box'")
    end
  end)
end)


describe("a process killed while it prunes", function()
  after_each(harness.clean)

  local COUNT = "SELECT count(*) FROM executions"
  -- Executions that entries of the audit log say were deleted.
  local TOLD = "SELECT total(detail ->> 'executions_deleted') FROM audit WHERE action LIKE 'prune%'"

  -- Kills it at the moment; then `told` executions are gone, and the log says so.
  local function prunes(laps, call, moment, told)
    local scene = harness.new()
    local body = script(([[
      child.start(rt, "relay_race", "race", { left = %d, sum = 0 })
      child.finish(rt, { "race" })
      assert(rt:%s)
    ]]):format(laps, call))
    scene:survives(body, "kill " .. moment, { between = function()
      assert.equal(("%d"):format(laps - 1 - told), scene:value(COUNT), moment)
      assert.equal(("%d.0"):format(told), scene:value(TOLD), moment)
    end })
    assert.equal("0", scene:value(COUNT))
    assert.equal(("%d.0"):format(laps - 1), scene:value(TOLD))
  end

  for _, call in ipairs { 'prune_executions("race", { keep_last = 1 })', "prune { keep_last = 1 }" } do
    it("has an entry of the audit log for what is gone: " .. call, function()
      for moment, told in pairs { ["before commit 1 FROM executions WHERE"] = 0,
        ["after step 2 DELETE FROM executions"] = 0, ["after commit 1 DELETE FROM executions"] = 4 } do
        prunes(5, call, moment, told)
      end
    end)
  end

  it("has one for each step that was done", function()
    local scene = harness.new()
    local body = script [[
      local ids = {}
      for i = 1, 6 do
        ids[i] = "race-" .. i
        child.start(rt, "laps", ids[i], 401)
      end
      child.finish(rt, ids)
      assert(rt:prune { keep_last = 1 })
    ]]
    scene:survives(body, "kill after commit 1 DELETE FROM executions", { between = function()
      assert.equal("1200", scene:value(COUNT))
      assert.equal("1200.0", scene:value(TOLD))
    end })
    assert.equal("0", scene:value(COUNT))
    assert.equal("2400.0", scene:value(TOLD))
  end)
end)


describe("a process killed while it folds", function()
  after_each(harness.clean)

  local BODY = script [[
    for i = 1, 6 do child.start(rt, "sequence", "s" .. i, 3) end
    child.start(rt, "waiter", "waiter")
    child.finish(rt, { "s1", "s2", "s3", "s4", "s5", "s6" })
    child.fold(rt)
    child.raise_safely(rt, "waiter", 1, "go")
    child.finish(rt, { "waiter" })
    child.fold(rt)
  ]]

  for _, moment in ipairs {
    "after step 1 UPDATE settled_marks", "after step 2 INSERT INTO counters",
    "before step 1 INSERT INTO history", "after step 3 INSERT INTO history",
    "before step 1 INSERT INTO listed", "after step 1 INSERT INTO listed",
    "after step 1 UPDATE settled_marks SET folded_seq", "before commit 1 UPDATE settled_marks SET folded_seq",
    "after commit 1 UPDATE settled_marks SET folded_seq", "after commit 2 UPDATE settled_marks SET folded_seq",
  } do
    it(moment .. " loses nothing and folds again", function()
      harness.new():survives(BODY, "kill " .. moment)
    end)
  end
end)


describe("a process killed during recovery", function()
  after_each(harness.clean)

  -- Leaves a journal that is not folded, with work of every kind under way.
  local function half_done()
    local scene = harness.new()
    local body = script [[
      for i = 1, 5 do child.start(rt, "sequence", "s" .. i, 20) end
      child.start(rt, "family", "family", { width = 3, depth = 2 })
      child.start(rt, "relay_race", "race", { left = 4, sum = 0 })
      child.start(rt, "waiter", "waiter", 0.001)
      child.raise_safely(rt, "waiter", 1, "go")
      child.finish(rt, { "s1", "s2", "s3", "s4", "s5", "family", "race", "waiter" })
    ]]
    local run = scene:run(body, { fault = "kill before commit 24" })
    assert.is_true(run.killed, run:text())
    assert.is_true(tonumber(scene:value "SELECT last_seq - folded_seq FROM marks") > 0)
    scene:check()
    return scene, body
  end

  for _, moment in ipairs {
    "before commit 1 UPDATE lease", "after commit 1 UPDATE lease", "before step 1 INSERT INTO history",
    "after step 3 INSERT INTO history", "before commit 1 UPDATE settled_marks SET folded_seq",
    "after commit 1 UPDATE settled_marks SET folded_seq", "before step 1 INDEXED BY instances_by_wake",
    "after step 3 INDEXED BY instances_by_wake", "after step 2 FROM history INDEXED BY history_by_execution",
    "before commit 1 INSERT INTO journal", "after commit 1 INSERT INTO journal",
  } do
    it(moment .. " recovers the next time", function()
      local scene, body = half_done()
      scene:survives(body, "kill " .. moment)
    end)
  end

  it("again and again gets on with it", function()
    local scene, body = half_done()
    for n = 1, 6 do
      local run = scene:run(body, { fault = ("kill after commit %d INSERT INTO journal"):format(n) })
      scene:check()
      if not run.killed then break end
    end
    scene:completes(body)
  end)
end)


describe("a process killed while it creates the file", function()
  after_each(harness.clean)

  it("leaves nothing that the next one cannot open", function()
    for n = 1, 100 do
      local scene = harness.new()
      local run = scene:run("child.open():close()", { fault = ("kill before any %d"):format(n * n) })
      if not run.killed then
        assert.is_true(n > 4, run:text())
        break
      end
      scene:completes(ONE)
      harness.clean()
    end
  end)
end)


describe("numbers that were given out", function()
  after_each(harness.clean)

  it("are not used again after the journal was trimmed and the file reopened", function()
    local scene = harness.new()
    local body = script([[
      local id = "sequence-" .. child.count_lives()
      child.start(rt, "sequence", id, 3)
      child.finish(rt, { id })
      local ended = rt:now()
      child.until_true(rt, function() return rt:now() > ended + 0.001 end)
      child.arm() -- a fold before this one may have trimmed a part
      child.fold(rt) -- and trims what is older than now
    ]], "{ feed_retention = 0.001 }")
    for _ = 1, 2 do
      local run = scene:run(body, { fault = "kill after commit 1 DELETE FROM journal", when_armed = true })
      assert.is_true(run.killed, run:text())
      assert.equal("0", scene:value "SELECT count(*) FROM journal")
      scene:check()
    end
    scene:completes(body)
    assert.equal("3", scene:value "SELECT count(*) FROM instances")
  end)

  it("are not used again after the newest instance was deleted and the file reopened", function()
    local scene = harness.new()
    local body = script [[
      local id = "sequence-" .. child.count_lives()
      child.start(rt, "sequence", id, 2)
      child.finish(rt, { id })
      child.log("deleted", id)
      child.say("deleting", rt:delete_instance(id).instances_deleted)
    ]]
    for _, moment in ipairs { "after", "before" } do
      local run = scene:run(body, { fault = ("kill %s commit 1 DELETE FROM instances"):format(moment) })
      assert.is_true(run.killed, run:text())
      assert.equal(moment == "after" and "0" or "1", scene:value "SELECT count(*) FROM instances")
      scene:check()
    end
    local run = scene:completes(body)
    assert.equal("deleting 1", run.lines[1])
    assert.equal("1", scene:value "SELECT count(*) FROM instances")
  end)
end)


describe("a process killed over several starts in one call", function()
  after_each(harness.clean)

  it("has replaced, woken and started all of them, or none", function()
    local scene = harness.new()
    local prepare = script [[
      child.start(rt, "sequence", "old", 1)
      child.start(rt, "family", "tree", { width = 2, depth = 1 })
      child.start(rt, "collector", "box")
      child.finish(rt, { "old", "tree" })
    ]]
    local body = script [[
      local ids, err = rt:start_many {
        { name = "sequence", id = "old", input = 2, on_conflict = "replace_finished", attributes = { new = true } },
        { name = "sequence", id = "tree", input = 2, on_conflict = "replace_finished", attributes = { new = true } },
        { name = "collector", id = "box", on_conflict = "existing", event = { name = "item", data = 7 } },
        { name = "sequence", id = "new", input = 2, attributes = { new = true } },
      }
      child.say(ids and #ids or err.code)
    ]]
    assert.equal("done", scene:run(prepare):text():match("done"))
    local before = scene:value "SELECT count(*) FROM instances"
    for _, moment in ipairs { "before", "after" } do
      local run = scene:run(body, { fault = ("kill %s commit 1 DELETE FROM instances"):format(moment) })
      assert.is_true(run.killed, run:text())
      if moment == "before" then
        assert.equal(before, scene:value "SELECT count(*) FROM instances")
        assert.equal("0", scene:value "SELECT count(*) FROM attributes")
      else
        assert.equal("4", scene:value "SELECT count(*) FROM instances") -- old, tree, box and new
        assert.equal("3", scene:value "SELECT count(*) FROM attributes")
      end
    end
    local run = scene:completes(script [[
      child.raise_safely(rt, "box", "stop")
      for _, id in ipairs { "old", "tree", "new" } do child.say(id, rt:wait(id, 30)) end
      child.say("box", table.concat(rt:wait("box", 30), " "))
    ]])
    assert.same({ "old 3", "tree 3", "new 3", "box 7", "done" }, run.lines)
  end)
end)


describe("a process killed while it closes", function()
  after_each(harness.clean)

  local BODY = [[
    local rt = child.open {}
    child.start(rt, "sequence", "s1", 5)
    child.start(rt, "waiter", "waiter", 0.001)
    if child.count_lives() > 1 then
      child.raise_safely(rt, "waiter", 1, "go")
      child.finish(rt, { "s1", "waiter" })
    end
    child.arm()
    child.done(rt)
  ]]

  for _, moment in ipairs {
    "before any 1", "before commit 1 UPDATE lease", "after commit 1 UPDATE lease", "before write 1 test.db",
    "after write 2 test.db", "before sync 1 test.db", "before sync 1 -wal", "before truncate 1 -wal",
  } do
    it(moment .. " leaves a file that goes on", function()
      local scene = harness.new()
      local run = scene:run(BODY, { fault = "kill " .. moment, when_armed = true })
      scene:check()
      assert.is_true(run.killed or moment:find("truncate") ~= nil, run:text())
      scene:completes(BODY)
    end)
  end
end)
