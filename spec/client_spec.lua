local runtimes = require "spec.support.runtimes"
local shell = require "spec.support.shell"


describe("starting", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("echo", function(_, input) return input end)
    rt:orchestration("waits", function(ctx, input) return { input, ctx:wait_event("go") } end)
  end)
  after_each(runtimes.clean)

  it("the same id twice is refused with already_exists, while it runs and afterwards", function()
    assert.equal("w", rt:start("waits", 1, { id = "w" }))
    local id, err = rt:start("waits", 2, { id = "w" })
    assert.is_nil(id)
    assert.equal("already_exists", err.code)
    assert(rt:raise_event("w", "go", "on"))
    assert.same({ 1, "on" }, rt:wait("w", 10))
    id, err = rt:start("waits", 2, { id = "w" })
    assert.is_nil(id)
    assert.equal("already_exists", err.code)
    assert.same({ 1, "on" }, rt:wait("w", 10))
  end)

  it("gives the existing one with on_conflict='existing'", function()
    assert.equal("w", rt:start("waits", 1, { id = "w", on_conflict = "existing" }))
    assert.equal("w", rt:start("waits", 2, { id = "w", on_conflict = "existing" }))
    assert(rt:raise_event("w", "go", "on"))
    assert.same({ 1, "on" }, rt:wait("w", 10))
    assert.equal("w", rt:start("waits", 3, { id = "w", on_conflict = "existing" }))
    assert.same({ 1, "on" }, rt:wait("w", 10))
  end)

  it("raises the event whether it was started or existed", function()
    local options = { id = "w", on_conflict = "existing", event = { name = "go", data = "first" } }
    assert.equal("w", rt:start("waits", 1, options))
    assert.same({ 1, "first" }, rt:wait("w", 10))
    rt:orchestration("two", function(ctx) return { ctx:wait_event("e"), ctx:wait_event("e") } end)
    for i = 1, 2 do
      assert(rt:start("two", nil, { id = "t", on_conflict = "existing", event = { name = "e", data = i } }))
    end
    assert.same({ 1, 2 }, rt:wait("t", 10))
  end)

  it("replaces a finished one with on_conflict='replace_finished', and no running one", function()
    assert(rt:start("waits", 1, { id = "w", event = { name = "go" } }))
    rt:wait("w", 10)
    assert.equal("w", rt:start("waits", 2, { id = "w", on_conflict = "replace_finished" }))
    assert.equal("running", rt:status("w").status)
    local id, err = rt:start("waits", 3, { id = "w", on_conflict = "replace_finished" })
    assert.is_nil(id)
    assert.equal("already_exists", err.code)
    assert(rt:raise_event("w", "go", "on"))
    assert.same({ 2, "on" }, rt:wait("w", 10))
    assert.equal(1, #rt:list_instances())
  end)

  it("a name that this process has not registered is allowed; it stalls, and goes on once registered", function()
    local id = assert(rt:start("unknown", 5))
    assert(rt:run_until_idle(10))
    assert.equal("stalled", rt:status(id).status)
    rt:orchestration("unknown", function(_, input) return input + 1 end)
    assert.equal(6, rt:wait(id, 10))
  end)

  it("with a timeout fails the whole instance with code timeout", function()
    local id = assert(rt:start("waits", 1, { timeout = 60 }))
    assert(rt:advance(59))
    assert.equal("running", rt:status(id).status)
    assert(rt:advance(2))
    local output, err = rt:wait(id, 10)
    assert.is_nil(output)
    assert.equal("timeout", err.code)
    assert.equal("failed", rt:status(id).status)
  end)

  it("many is one transaction, all or none", function()
    local ids = assert(rt:start_many {
      { name = "echo", input = 1, id = "a" }, { name = "echo", input = 2 }, { name = "echo", input = 3, id = "c" },
    })
    assert.equal(3, #ids)
    assert.equal("a", ids[1])
    for i, id in ipairs(ids) do assert.equal(i, rt:wait(id, 10)) end
    local none, err = rt:start_many { { name = "echo", id = "new" }, { name = "echo", id = "a" } }
    assert.is_nil(none)
    assert.equal("already_exists", err.code)
    assert.equal("not_found", rt:status("new").status)
  end)

  it("many refuses the same id twice among themselves", function()
    local none, err = rt:start_many { { name = "echo", id = "x" }, { name = "echo", id = "x" } }
    assert.is_nil(none)
    assert.equal("already_exists", err.code)
    assert.equal("not_found", rt:status("x").status)
  end)

  it("none of many gives no ids", function()
    assert.same({}, rt:start_many {})
  end)

  it("looks at each of many, however plain the others are", function()
    local function refused(code, entry)
      local none, err = rt:start_many { { name = "echo", id = "one", input = 1 }, entry }
      assert.is_nil(none)
      assert.equal(code, err.code)
      assert.equal("not_found", rt:status("one").status)
      return err
    end
    assert.equal("start 2: option 'id' has a control character",
      refused("invalid_argument", { name = "echo", id = "a\nb" }).message)
    assert.equal("start 2: option 'id' must not be empty",
      refused("invalid_argument", { name = "echo", id = "" }).message)
    assert.equal("[2].input.cb", refused("invalid_payload", { name = "echo", input = { cb = print } }).path)
    assert.has_error(function() rt:start_many { { name = "echo" }, { nam = "echo" } } end)
    assert.has_error(function() rt:start_many { { name = "echo" }, "echo" } end)
    local ids = assert(rt:start_many {
      { name = "echo", id = "one" }, { name = "echo", id = "two", attributes = { a = 1 } },
    })
    assert.equal("one two", table.concat(ids, " "))
  end)
end)


describe("the status of an instance", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("is not_found for an unknown id", function()
    local status = rt:status("nobody")
    assert.same({ instance_id = "nobody", status = "not_found" }, status)
    assert.equal("there is no instance 'nobody'", tostring(status))
  end)

  it("has output, error and custom status where there are any", function()
    rt:orchestration("succeeds", function(ctx)
      ctx:set_custom_status({ percent = 50 })
      ctx:wait_event("go")
      return "out"
    end)
    rt:orchestration("fails", function() error { code = "broken", message = "it is broken" } end)
    local id = assert(rt:start("succeeds"))
    assert(rt:run_until_idle(10))
    assert.same({ instance_id = id, status = "running", custom_status = { percent = 50 } }, rt:status(id))
    assert(rt:raise_event(id, "go"))
    rt:wait(id, 10)
    local status = rt:status(id)
    assert.equal("completed", status.status)
    assert.equal("out", status.output)
    assert.is_nil(status.error)
    local failed = assert(rt:start("fails"))
    rt:wait(failed, 10)
    status = rt:status(failed)
    assert.equal("failed", status.status)
    assert.is_nil(status.output)
    assert.equal("broken", status.error.code)
    assert.equal("broken: it is broken", tostring(status.error))
  end)

  it("can be asked of an earlier execution", function()
    rt:orchestration("counts", function(ctx, n)
      if n < 3 then ctx:continue_as_new(n + 1) end
      return n
    end)
    local id = assert(rt:start("counts", 1))
    rt:wait(id, 10)
    assert.equal("continued_as_new", rt:status(id, { execution = 1 }).status)
    assert.equal("completed", rt:status(id, { execution = 3 }).status)
  end)

  it("of several comes in the order asked, and by id", function()
    runtimes.run(rt, function() return "one" end, nil, { id = "a" })
    local list = rt:bulk_status { "b", "a" }
    assert.equal(2, #list)
    assert.equal("not_found", list[1].status)
    assert.equal("one", list[2].output)
    assert.equal("completed", list["a"].status)
    assert.equal("not_found", list["b"].status)
    assert.is_nil(list["c"])
    local keys = 0
    for _ in pairs(list) do keys = keys + 1 end
    assert.equal(2, keys)
  end)
end)


describe("waiting for an instance", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
  end)
  after_each(runtimes.clean)

  it("gives its output, false and nil included", function()
    assert.is_false(runtimes.run(rt, function() return false end))
    assert.same({ n = 2, nil, nil }, { n = 2, runtimes.run(rt, function() end) })
  end)

  it("gives nil and the error it failed with", function()
    local output, err = runtimes.run(rt, function() error("no luck") end)
    assert.is_nil(output)
    assert.equal("failed", err.code)
    assert.matches("no luck", err.message)
    assert.matches("client_spec.lua", err.details)
    assert.matches("^failed: .*no luck$", tostring(err))
    assert.matches("so: failed: .*no luck", "so: " .. err)
  end)

  it("gives timeout when it takes longer, in real time, and leaves it alone", function()
    local id = assert(rt:start("waits"))
    local output, err = rt:wait(id, "20ms")
    assert.is_nil(output)
    assert.equal("timeout", err.code)
    assert(rt:raise_event(id, "go", 1))
    assert.equal(1, rt:wait(id, 10))
  end)

  it("gives not_found for an unknown id", function()
    local output, err = rt:wait("nobody", 1)
    assert.is_nil(output)
    assert.equal("not_found", err.code)
  end)

  it("can be for all of several, or for any", function()
    local ids = {}
    for i = 1, 3 do ids[i] = assert(rt:start("waits", nil, { id = "w" .. i })) end
    assert(rt:raise_event("w2", "go", "second"))
    local any = assert(rt:wait_for_instances { instances = ids, mode = "any", timeout = 10 })
    assert.is_false(any.timed_out)
    assert.equal("w2", any.completed[1].instance_id)
    assert.equal("second", any.completed[1].output)
    assert.same({ "w1", "w3" }, any.pending)
    local all = assert(rt:wait_for_instances { instances = ids, timeout = 0.02 })
    assert.is_true(all.timed_out)
    assert.equal(1, #all.completed)
    for i = 1, 3, 2 do assert(rt:raise_event("w" .. i, "go")) end
    all = assert(rt:wait_for_instances { instances = ids, timeout = 10 })
    assert.is_false(all.timed_out)
    assert.equal(3, #all.completed)
    assert.same({}, all.pending)
  end)
end)


describe("custom status", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("is waited for by version", function()
    rt:orchestration("reports", function(ctx)
      for i = 1, 3 do
        ctx:set_custom_status("step " .. i)
        ctx:wait_event("next")
      end
    end)
    local id = assert(rt:start("reports"))
    local status, version = rt:wait_custom_status(id, 0, 10)
    assert.equal("step 1", status)
    assert.equal(1, version)
    local none, err = rt:wait_custom_status(id, version, 0.02)
    assert.is_nil(none)
    assert.equal("timeout", err.code)
    assert(rt:raise_event(id, "next"))
    status, version = rt:wait_custom_status(id, version, 10)
    assert.equal("step 2", status)
    assert.equal(2, version)
  end)

  it("keeps the last one set in a turn, and can be reset", function()
    rt:orchestration("reports", function(ctx)
      ctx:set_custom_status("a")
      ctx:set_custom_status("b")
      ctx:wait_event("next")
      ctx:set_custom_status(nil)
      ctx:wait_event("next")
    end)
    local id = assert(rt:start("reports"))
    assert(rt:run_until_idle(10))
    assert.equal("b", rt:status(id).custom_status)
    assert(rt:raise_event(id, "next"))
    assert(rt:run_until_idle(10))
    assert.is_nil(rt:status(id).custom_status)
  end)
end)


describe("the durable store of an instance", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("reads its own writes, walks in order, and is read from outside", function()
    rt:orchestration("keeps", function(ctx)
      ctx.kv.b, ctx.kv.a, ctx.kv.c = 2, { list = { 1 } }, 3
      ctx.kv.c = nil
      local copy = ctx.kv.a
      copy.list[1] = "changed"
      local keys = {}
      for key in ctx:kv_pairs() do keys[#keys + 1] = key end
      ctx:wait_event("end")
      return { keys, ctx.kv.a.list[1], ctx.kv.c == nil }
    end)
    local id = assert(rt:start("keeps"))
    assert(rt:run_until_idle(10))
    assert.equal(2, rt:kv(id, "b"))
    assert.is_nil((rt:kv(id, "c")))
    assert.same({ a = { list = { 1 } }, b = 2 }, rt:kv(id))
    assert(rt:raise_event(id, "end"))
    assert.same({ { "a", "b" }, 1, true }, rt:wait(id, 10))
    assert.equal(2, rt:kv(id, "b"))
  end)
end)


describe("a call", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("inside an orchestration is refused, and names ctx", function()
    local output, err = runtimes.run(rt, function() return rt:status("x") end)
    assert.is_nil(output)
    assert.matches("rt:status cannot be called inside an orchestration: use ctx:", err.message, 1, true)
  end)

  it("inside an activity yields it, so that the others go on", function()
    rt:orchestration("slow", function(ctx) return ctx:wait_event("go") end)
    rt:activity("asks", function(ctx) return ctx.runtime:wait("slow") end)
    rt:activity("answers", function(ctx) return ctx.runtime:raise_event("slow", "go", "answer") end)
    assert(rt:start("slow", nil, { id = "slow" }))
    local output = runtimes.run(rt, function(ctx)
      return ctx:join { ctx:schedule_activity("asks"), ctx:schedule_activity("answers") }
    end)
    assert.same({ "answer", true }, output)
  end)

  it("inside an activity may time out, in real time", function()
    rt:orchestration("slow", function(ctx) return ctx:wait_event("go") end)
    rt:activity("asks", function(ctx)
      local output, err = ctx.runtime:wait("slow", 0.02)
      return { output == nil, err.code }
    end)
    assert(rt:start("slow", nil, { id = "slow" }))
    assert.same({ true, "timeout" }, runtimes.run(rt, function(ctx) return ctx:activity("asks") end))
  end)

  it("with an unknown option raises where it was made", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local ok, message = pcall(function() rt:start("x", nil, { idd = "x" }) end)
    assert.is_false(ok)
    assert.matches(("client_spec.lua:%d: unknown option 'idd' %%(did you mean 'id'%%?%%)"):format(line), message)
  end)

  it("with a wrong type raises", function()
    for _, call in ipairs {
      function() rt:start(5) end, function() rt:start() end, function() rt:start("x", nil, 5) end,
      function() rt:start("x", nil, { id = 5 }) end, function() rt:start("x", nil, { delay = true }) end,
      function() rt:wait({}) end, function() rt:wait("x", {}) end, function() rt:status() end,
      function() rt:raise_event("x") end, function() rt:raise_event("x", 5) end, function() rt:cancel() end,
      function() rt:bulk_status("x") end, function() rt:start_many("x") end,
      function() rt:start_many { { input = 1 } } end, function() rt:status("x", { execution = "1" }) end,
      function() rt.start("x") end, function() rt:cancel("x", "reason", "more") end,
    } do
      assert.has_error(call)
    end
  end)

  it("with a value out of range gives invalid_argument", function()
    for _, call in ipairs {
      function() return rt:start("") end, function() return rt:start(("x"):rep(129)) end,
      function() return rt:start("x", nil, { id = ("x"):rep(257) }) end,
      function() return rt:start("x", nil, { id = "a\nb" }) end,
      function() return rt:start("x", nil, { version = "one" }) end,
      function() return rt:start("x", nil, { on_conflict = "ignore" }) end,
      function() return rt:start("x", nil, { delay = -1 }) end,
      function() return rt:raise_event("x", "") end, function() return rt:wait("", 1) end,
      function() return rt:status("x", { execution = 0 }) end,
    } do
      local value, err = call()
      assert.is_nil(value)
      assert.equal("invalid_argument", err.code)
    end
  end)
end)


describe("a client of a file that nobody owns", function()
  after_each(runtimes.clean)

  it("sees everything up to the close of its owner", function()
    local path = runtimes.path()
    local owner = runtimes.open { path = path, clock = "system" }
    owner:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
    for n = 1, 3 do assert(owner:start("waits", nil, { id = "w" .. n })) end
    owner:close()
    local client = runtimes.open { path = path, role = "client", clock = "system" }
    assert.equal(3, #client:list_instances { waiting_on = "event:go" })
  end)
end)


describe("a client of an owner that does not turn its loop", function()
  after_each(runtimes.clean)

  -- The owner is of this process, where only the client's loop is turned; its lease is made an old one.
  it("gets no answer from its code, but an error that says so, and the rest out of the file", function()
    local path = runtimes.path()
    local owner = runtimes.open { path = path, clock = "system" }
    owner:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
    assert(owner:start("waits", nil, { id = "w" }))
    shell.output(("sqlite3 -cmd '.timeout 5000' %s 'UPDATE lease SET expires_at_ms = expires_at_ms - 70000'")
      :format(path))
    local client = runtimes.open { path = path, role = "client", clock = "system" }
    local frames, err = client:stack("w")
    assert.is_nil(frames)
    assert.matches("^unavailable: 'stack' gets no answer: the owner %(process %d+%) has given no sign for %d+ s; " ..
      "its loop must turn", tostring(err))
    local why = client:why("w")
    assert.equal("stuck", why.state)
    assert.matches("^the owner %(process %d+%) has given no sign for %d+ s$", why.reason)
    assert.equal("running", client:status("w").status)
    assert.same({ "event:go" }, client:list_instances({})[1].waiting_on)
  end)
end)
