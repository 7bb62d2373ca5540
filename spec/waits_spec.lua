-- A wait that has begun hears of everything that ends it, wherever that stands in the instance's life, and
-- however far the store is behind memory when it begins.
--
-- The waits here are questions to the core that stay open while the instance moves on (`ask`, `answer`).

local runtimes = require "spec.support.runtimes"


describe("a wait that has begun", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:activity("echo", function(_, value) return value end)
    rt:activity("fails", function() error("no luck") end)
    rt:orchestration("at once", function(_, input) return input end)
    rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
    rt:orchestration("reports", function(ctx)
      for n = 1, 3 do
        ctx:set_custom_status("step " .. n)
        ctx:wait_event("go")
      end
      return "reported"
    end)
  end)
  after_each(runtimes.clean)

  local function ask(verb, args)
    return assert(rt.core:call(verb, args))
  end

  local function wait(id) return ask("wait", { id = id }) end

  -- What the question is answered.
  local function answer(question)
    runtimes.until_true(rt, function() return question:done() end, "an answer")
    return question:result()
  end

  local function running(name, options)
    assert(rt:start(name, nil, options))
    assert(rt:run_until_idle(10))
  end

  local function open(question)
    assert(rt:run_until_idle(10))
    assert.is_false(question:done())
  end


  describe("for an instance that runs", function()
    local ends = {
      completed = function() rt:raise_event("w", "go", "on") end,
      cancelled = function() rt:cancel("w") end,
      terminated = function() rt:terminate("w") end,
      failed = function() rt:advance(60) end, -- its timeout
    }
    for status, ending in pairs(ends) do
      it("is answered when it is " .. status, function()
        running("waits", { id = "w", timeout = 60 })
        local question = wait("w")
        open(question)
        ending()
        assert.equal(status, answer(question).status)
      end)
    end

    it("is answered by every turn that may be the last", function()
      rt:orchestration("steps", function(ctx, n)
        for i = 1, n do ctx:activity("echo", i) end
        return n
      end)
      for n = 0, 3 do
        ask("start", { name = "steps", id = "s" .. n, input = n })
        assert.equal(n, answer(wait("s" .. n)).output)
      end
    end)

    it("goes on over its executions, and is answered by the end of the last", function()
      rt:orchestration("again", function(ctx, n)
        ctx:wait_event("go")
        if n < 3 then return ctx:continue_as_new(n + 1) end
        return n
      end)
      assert(rt:start("again", 1, { id = "a" }))
      local question = wait("a")
      for _ = 1, 2 do
        assert(rt:raise_event("a", "go"))
        open(question)
      end
      assert(rt:raise_event("a", "go"))
      assert.equal(3, answer(question).output)
    end)

    it("goes on while it is suspended or stalled", function()
      rt:orchestration("mended", function(ctx)
        ctx:wait_event("go")
        return ctx:activity("fails")
      end)
      running("mended", { id = "m" })
      local question = wait("m")
      assert(rt:suspend("m"))
      open(question)
      assert(rt:resume("m"))
      open(question)
      rt:orchestration("mended", { replace = true }, function(ctx) return ctx:timer(1) end)
      assert(rt:raise_event("m", "go"))
      open(question)
      assert.equal("stalled", rt:status("m").status)
      rt:orchestration("mended", { replace = true }, function(ctx) return ctx:wait_event("go") end)
      assert.equal("completed", answer(question).status)
    end)

    it("is answered when it is retried and ends again", function()
      local broken = true
      rt:activity("charge", function() return not broken and "paid" or error("down") end)
      rt:orchestration("order", function(ctx) return ctx:activity("charge") end)
      running("order", { id = "o" })
      assert.equal("failed", rt:status("o").status)
      broken = false
      ask("retry_failed", { instances = { "o" } })
      assert.is_not_nil(answer(wait("o")).status) -- the failure, or what became of it
      assert.equal("paid", rt:wait("o", 10))
    end)
  end)


  describe("for an instance that the store does not know yet", function()
    for _, name in ipairs { "at once", "waits" } do
      it("is answered when it ends (" .. name .. ")", function()
        ask("start", { name = name, id = "s", input = "in", event = { name = "go", data = "in" } })
        assert.equal("in", answer(wait("s")).output)
      end)
    end

    it("is answered when it is a sub-orchestration, or was started by another", function()
      rt:orchestration("parent", function(ctx)
        ctx:start_orchestration("waits", nil, { id = "other" })
        return ctx:sub_orchestration("waits", nil, { id = "child" })
      end)
      assert(rt:start("parent", nil, { id = "p" }))
      local questions = { wait "child", wait "other" }
      for n, id in ipairs { "child", "other" } do
        open(questions[n])
        assert(rt:raise_event(id, "go", id))
        assert.equal(id, answer(questions[n]).output)
      end
      assert.equal("child", rt:wait("p", 10))
    end)

    it("is answered when it begins later", function()
      ask("start", { name = "at once", id = "l", input = 1, delay_ms = 60000 })
      local question = wait("l")
      open(question)
      assert(rt:advance(60))
      assert.equal(1, answer(question).output)
    end)
  end)


  -- Between the call that changes something and the moment it is stored, after ever more turns of the loop.
  describe("while a change is being stored", function()
    local function at_every_moment(change, expected)
      for steps = 0, 8 do
        local id = "w" .. steps
        running("waits", { id = id })
        local changes = change(id)
        for _ = 1, steps do assert(rt:step()) end
        local question = wait(id)
        runtimes.until_true(rt, function() return changes:done() end, "the change")
        local got, err = answer(question)
        assert.equal(expected, err and err.code or got.status)
      end
    end

    it("hears of the end", function()
      at_every_moment(function(id) return ask("raise_event", { id = id, name = "go" }) end, "completed")
    end)

    it("hears of the end that somebody else makes", function()
      at_every_moment(function(id) return ask("terminate", { id = id }) end, "terminated")
    end)

    it("hears of the deletion", function()
      at_every_moment(function(id) return ask("delete_instance", { id = id, force = true }) end, "not_found")
    end)
  end)


  describe("for an instance that is deleted", function()
    it("is told so, also when it was not in memory", function()
      rt:close()
      rt = runtimes.open { max_live_instances = 1, path = runtimes.path() }
      rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
      for n = 1, 5 do assert(rt:start("waits", nil, { id = "w" .. n })) end
      local questions = {}
      for n = 1, 5 do questions[n] = wait("w" .. n) end
      open(questions[5])
      for n = 1, 5 do assert(rt:delete_instance("w" .. n, { force = true })) end
      for n = 1, 5 do assert.equal("not_found", select(2, answer(questions[n])).code) end
    end)

    it("is told so when it goes with its parent, and waits on for another under its id", function()
      rt:orchestration("parent", function(ctx) return ctx:sub_orchestration("waits", nil, { id = "child" }) end)
      running("parent", { id = "p" })
      local question = wait("child")
      assert(rt:delete_instance("p", { force = true }))
      assert.equal("not_found", select(2, answer(question)).code)
      running("waits", { id = "child" })
      question = wait("child")
      assert(rt:raise_event("child", "go", "new"))
      assert.equal("new", answer(question).output)
    end)
  end)


  describe("for a custom status", function()
    local function status(id, version)
      return ask("wait_custom_status", { id = id, version = version })
    end

    it("is answered by each newer one, and only by these", function()
      ask("start", { name = "reports", id = "r" })
      for n = 1, 3 do
        local question = status("r", n - 1)
        assert.same({ custom_status = "step " .. n, version = n }, answer(question))
        question = status("r", n)
        open(question)
        assert(rt:raise_event("r", "go"))
        if n == 3 then assert.equal("finished", select(2, answer(question)).code) end
      end
    end)

    it("is answered at every moment of its being stored", function()
      for steps = 0, 8 do
        local id = "r" .. steps
        running("reports", { id = id })
        ask("raise_event", { id = id, name = "go" })
        for _ = 1, steps do assert(rt:step()) end
        assert.same({ custom_status = "step 2", version = 2 }, answer(status(id, 1)))
        assert.same({ custom_status = "step 2", version = 2 }, answer(status(id, 0)))
      end
    end)

    it("is answered by one of a later execution, by a reset, and by one that comes with the end", function()
      rt:orchestration("goes on", function(ctx, n)
        if n == 1 then ctx:set_custom_status("first") end
        ctx:wait_event("go")
        if n == 1 then return ctx:continue_as_new(2) end
        ctx:set_custom_status(nil)
        ctx:wait_event("go")
        ctx:set_custom_status("last")
      end)
      assert(rt:start("goes on", 1, { id = "g" }))
      assert.equal("first", answer(status("g", 0)).custom_status)
      local question = status("g", 1)
      assert(rt:raise_event("g", "go"))
      open(question)
      assert(rt:raise_event("g", "go"))
      assert.same({ version = 2 }, { version = answer(question).version })
      question = status("g", 2)
      open(question)
      assert(rt:raise_event("g", "go"))
      assert.same({ custom_status = "last", version = 3 }, answer(question))
    end)

    it("is told of a deletion", function()
      running("reports", { id = "r" })
      local question = status("r", 1)
      assert(rt:delete_instance("r", { force = true }))
      assert.equal("not_found", select(2, answer(question)).code)
    end)
  end)


  describe("for several instances", function()
    local function several(ids, mode)
      return ask("wait_for_instances", { instances = ids, mode = mode })
    end

    it("is answered when all have ended or are deleted, one named twice included", function()
      for n = 1, 3 do running("waits", { id = "w" .. n }) end
      ask("start", { name = "waits", id = "w4" })
      assert(rt:terminate("w3"))
      local question = several { "w1", "w2", "w1", "w3", "w4" }
      open(question)
      assert(rt:raise_event("w1", "go"))
      open(question)
      assert(rt:delete_instance("w2", { force = true }))
      open(question)
      assert(rt:cancel("w4"))
      local got = {}
      for i, row in ipairs(answer(question).completed) do got[i] = row.status end
      assert.same({ "completed", "not_found", "completed", "terminated", "cancelled" }, got)
    end)

    it("is answered by the first of any", function()
      for n = 1, 2 do ask("start", { name = "waits", id = "w" .. n }) end
      local question = several({ "w1", "w2" }, "any")
      open(question)
      assert(rt:raise_event("w2", "go"))
      local got = answer(question)
      assert.equal("w2", got.completed[1].instance_id)
      assert.same({ "w1" }, got.pending)
    end)
  end)
end)
