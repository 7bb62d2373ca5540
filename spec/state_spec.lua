-- What an orchestration keeps: kv, custom status, attributes, patches. Scenarios marked `both` run live, and
-- with every turn replayed; the results must be equal.

local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"

local KB = 1024


local function both(name, body)
  it(name, function() body({}) end)
  it(name .. " (every turn replayed)", function() body({ debug = { replay_every_turn = true } }) end)
end


-- An activity that gives back its input, so that orchestrations have something to wait for.
local function open(options)
  local rt = runtimes.open(options)
  rt:activity("echo", function(_, value) return value end)
  return rt
end


-- The code of the error that fn raises; "fine" when it raises none.
local function refusal(fn, ...)
  local ok, err = pcall(fn, ...)
  return ok and "fine" or type(err) == "table" and err.code or tostring(err)
end


describe("ctx.kv", function()
  after_each(runtimes.clean)

  both("reads what was written, and what it gives are copies", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      local mine = { list = { 1, 2 } }
      ctx.kv.order = mine
      mine.list[1] = "changed after it was written"
      local read = ctx.kv.order
      read.list[2] = "changed after it was read"
      ctx:activity("echo")
      ctx.kv.count = (ctx.kv.count or 0) + 1
      ctx.kv.count = ctx.kv.count + 1
      ctx.kv["no word, \n and \0 a zero"] = false
      return { ctx.kv.order, ctx.kv.count, ctx.kv["no word, \n and \0 a zero"], ctx.kv.nothing == nil }
    end))
    assert.same({ { list = { 1, 2 } }, 2, false, true }, output)
  end)

  both("walks in the order of the bytes of its keys, also while it changes", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      for _, key in ipairs { "b", "a", "B", "ab", "", "é", "10", "9" } do ctx.kv[key] = key end
      ctx:activity("echo")
      local walked = {}
      for key, value in ctx:kv_pairs() do
        walked[#walked + 1] = value
        if key == "9" then ctx.kv.c, ctx.kv.a, ctx.kv.b = "new", nil, "changed" end
      end
      return walked
    end))
    assert.same({ "", "10", "9", "B", "ab", "changed", "new", "é" }, output)
  end)

  both("is walked by pairs as by ctx:kv_pairs()", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      for _, key in ipairs { "b", "a", "c" } do ctx.kv[key] = key .. key end
      ctx:activity("echo")
      local walked = {}
      for key, value in pairs(ctx.kv) do walked[#walked + 1] = key .. "=" .. value end
      return walked
    end))
    assert.same({ "a=aa", "b=bb", "c=cc" }, output)
  end)

  both("forgets what is set to nil, and only that", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      ctx.kv.a = 1
      ctx.kv.b = 2
      ctx.kv.null = duro.null
      ctx.kv.a = nil
      ctx.kv.never = nil
      ctx:activity("echo")
      local keys = {}
      for key in ctx:kv_pairs() do keys[#keys + 1] = key end
      return keys
    end, nil, { id = "k" }))
    assert.same({ "b", "null" }, output)
    assert.same({ "orchestration_started under_test", "kv_set a", "kv_set b", "kv_set null", "kv_cleared a",
      "activity_scheduled echo", "activity_completed", "orchestration_completed" }, runtimes.kinds(rt, "k"))
  end)

  both("refuses what is over its limits, records nothing of it, and goes on", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      local function set(key, value) ctx.kv[key] = value end
      local seen = {
        refusal(set, ("k"):rep(KB), 1), refusal(set, ("k"):rep(KB + 1), 1), refusal(set, "\255", 1),
        refusal(set, "v", ("v"):rep(KB * KB - 2)), refusal(set, "v", ("v"):rep(KB * KB - 1)),
      }
      ctx:activity("echo")
      seen[#seen + 1] = #ctx.kv.v
      return seen
    end, nil, { id = "k" }))
    assert.same({ "fine", "too_large", "invalid_argument", "fine", "too_large", KB * KB - 2 }, output)
    assert.equal(6, #runtimes.kinds(rt, "k"))
  end)

  both("holds ten thousand keys and no more", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      for i = 1, 10000 do ctx.kv["key " .. i] = i end
      ctx:activity("echo")
      local function set(key, value) ctx.kv[key] = value end
      return { refusal(set, "one more", 1), refusal(set, "key 1", 2), refusal(set, "key 2", nil),
        refusal(set, "one more", 1) }
    end))
    assert.same({ "too_large", "fine", "fine", "fine" }, output)
  end)

  both("is kept by continue_as_new, and by pruning what was before", function(options)
    local rt = open(options)
    rt:orchestration("renews", function(ctx, n)
      ctx.kv.runs = (ctx.kv.runs or 0) + 1
      ctx.kv["run " .. n] = { n }
      if n < 3 then ctx:continue_as_new(n + 1) end
      ctx:wait_event("go")
      return ctx.kv.runs
    end)
    assert(rt:start("renews", 1, { id = "r" }))
    assert(rt:run_until_idle(10))
    assert.same({ runs = 3, ["run 1"] = { 1 }, ["run 2"] = { 2 }, ["run 3"] = { 3 } }, rt:kv("r"))
    assert.equal(2, rt:prune_executions("r", { keep_last = 1 }).executions_deleted)
    assert(rt:raise_event("r", "go"))
    assert.equal(3, rt:wait("r", 10))
    assert.same({ 2 }, rt:kv("r", "run 2"))
  end)

  it("is read from outside: live, dropped from memory, finished, and opened again", function()
    local path = runtimes.path()
    local function keeps(ctx, n)
      ctx.kv.n, ctx.kv.list = n, { n, { n } }
      ctx:wait_event("go")
      ctx.kv.n = nil
    end
    local rt = open { path = path, max_live_instances = 1 }
    rt:orchestration("keeps", keeps)
    for i = 1, 5 do assert(rt:start("keeps", i, { id = "k" .. i })) end
    assert(rt:run_until_idle(10))
    for i = 1, 5 do
      assert.same({ n = i, list = { i, { i } } }, rt:kv("k" .. i))
      assert.equal(i, rt:kv("k" .. i, "n"))
    end
    assert(rt:raise_event("k3", "go"))
    assert(rt:run_until_idle(10))
    assert.same({ list = { 3, { 3 } } }, rt:kv("k3"))
    assert.is_nil(rt:kv("k3", "n"))
    rt:close()
    rt = runtimes.open { path = path } -- without the code
    assert.same({ list = { 3, { 3 } } }, rt:kv("k3"))
    assert.equal(4, rt:kv("k4", "n"))
    local value, err = rt:kv("nobody")
    assert.is_nil(value)
    assert.equal("not_found", err.code)
  end)
end)


describe("an event for an instance that is not in memory", function()
  after_each(runtimes.clean)

  it("arrives whole, whatever its code encodes while it is loaded", function()
    local path = runtimes.path()
    local function begin()
      local rt = open { path = path }
      rt:orchestration("sends", function(ctx)
        ctx:activity("echo", ("x"):rep(5000))
        return ctx:wait_event("go")
      end)
      return rt
    end
    local rt = begin()
    assert(rt:start("sends", nil, { id = "s" }))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = begin()
    assert(rt:raise_event("s", "go", { "the data" }))
    assert.same({ "the data" }, rt:wait("s", 10))
  end)
end)


describe("the custom status", function()
  after_each(runtimes.clean)

  both("may have 256 KiB and no more", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      local function set(bytes) ctx:set_custom_status(("s"):rep(bytes - 2)) end
      local seen = { refusal(set, 256 * KB), refusal(set, 256 * KB + 1) }
      ctx:activity("echo")
      seen[3] = #ctx.custom_status
      return seen
    end, nil, { id = "s" }))
    assert.same({ "fine", "too_large", 256 * KB - 2 }, output)
    assert.equal(256 * KB - 2, #rt:status("s").custom_status)
  end)

  it("has a version that only grows: over restarts and continue_as_new", function()
    local path = runtimes.path()
    local function counts(ctx, n)
      ctx:set_custom_status(n)
      ctx:set_custom_status(n) -- the same value is another version
      ctx:wait_event("go")
      ctx:continue_as_new(n + 1)
    end
    local rt = open { path = path }
    rt:orchestration("counts", counts)
    assert(rt:start("counts", 1, { id = "c" }))
    assert.same({ 1, 2 }, { rt:wait_custom_status("c", 1, 10) })
    assert(rt:raise_event("c", "go"))
    assert.same({ 2, 4 }, { rt:wait_custom_status("c", 3, 10) })
    rt:close()
    rt = open { path = path }
    rt:orchestration("counts", counts)
    assert.same({ 2, 4 }, { rt:wait_custom_status("c", 0, 10) })
    assert(rt:raise_event("c", "go"))
    assert.same({ 3, 6 }, { rt:wait_custom_status("c", 5, 10) })
  end)
end)


describe("wait_custom_status", function()
  after_each(runtimes.clean)

  local function reports(ctx)
    ctx:set_custom_status { step = 1 }
    ctx:wait_event("go")
    ctx:set_custom_status(nil)
    ctx:wait_event("go")
    ctx:set_custom_status("last")
  end

  local function started()
    local rt = open()
    rt:orchestration("reports", reports)
    assert(rt:start("reports", nil, { id = "r" }))
    return rt
  end

  it("gives the status and its version as soon as it is newer than the one last seen", function()
    local rt = started()
    assert.same({ { step = 1 }, 1 }, { rt:wait_custom_status("r", 0, 10) })
    assert(rt:raise_event("r", "go"))
    local status, version = rt:wait_custom_status("r", 1, 10)
    assert.same({ "nil", 2 }, { tostring(status), version })
    assert(rt:raise_event("r", "go"))
    assert.same({ "last", 3 }, { rt:wait_custom_status("r", 2, 10) })
    assert.same({ "last", 3 }, { rt:wait_custom_status("r", 0, 10) }) -- it has ended; this is still news
  end)

  it("says timeout, finished or not_found when there will be none", function()
    local rt = started()
    local status, err = rt:wait_custom_status("r", 1, 0.01)
    assert.is_nil(status)
    assert.equal("timeout", err.code)
    assert(rt:raise_event("r", "go"))
    assert(rt:raise_event("r", "go"))
    assert(rt:run_until_idle(10))
    assert.equal("finished", select(2, rt:wait_custom_status("r", 3, 10)).code)
    assert.equal("not_found", select(2, rt:wait_custom_status("nobody", 0, 10)).code)
    assert.error_matches(function() rt:wait_custom_status("r") end, "needs last_seen_version")
  end)

  it("wakes when the instance ends or is deleted", function()
    local rt = started()
    rt:activity("ends", function(ctx) return ctx.runtime:terminate("r") end)
    rt:activity("waits", function(ctx)
      local _, err = ctx.runtime:wait_custom_status("r", 1, 10)
      return err.code
    end)
    assert.same({ "finished", true }, runtimes.run(rt, function(ctx)
      return ctx:join { ctx:schedule_activity("waits"), ctx:schedule_activity("ends") }
    end))
  end)

  it("works from another process", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open(%q))
      rt:orchestration("reports", function(ctx)
        for step = 1, 3 do
          ctx:set_custom_status { step = step }
          ctx:wait_event("go")
        end
      end)
      assert(rt:start("reports", nil, { id = "r" }))
      print("ready")
      io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    local client = assert(duro.open { path = path, role = "client" })
    for step = 1, 3 do
      assert.same({ { step = step }, step }, { client:wait_custom_status("r", step - 1, 10) })
      assert(client:raise_event("r", "go"))
    end
    assert.equal("finished", select(2, client:wait_custom_status("r", 3, 10)).code)
    client:close()
    owner:kill()
  end)
end)


describe("attributes", function()
  after_each(runtimes.clean)

  both("of the start and of the code are merged, and found by", function(options)
    local rt = open(options)
    rt:orchestration("tagged", function(ctx)
      ctx:set_attributes { step = "packed", total = 12.5, gone = duro.null }
      ctx:activity("echo")
      ctx:set_attributes { step = "sent", urgent = true }
      ctx:wait_event("go")
    end)
    assert(rt:start("tagged", nil, { id = "t", attributes = { customer = "Ada", gone = "soon" } }))
    assert(rt:start("tagged", nil, { id = "other", attributes = { customer = "Bob" } }))
    assert(rt:run_until_idle(10))
    local function found(attributes)
      local ids = rt:list_instances({ attributes = attributes }):ids()
      table.sort(ids)
      return table.concat(ids, " ")
    end
    assert.equal("t", found { customer = "Ada", step = "sent", urgent = true, total = 12.5 })
    assert.equal("other t", found { step = "sent" })
    assert.equal("", found { step = "packed" })
    assert.equal("", found { gone = "soon" })
    assert.same({ customer = "Ada", step = "sent", total = 12.5, urgent = true },
      rt:list_instances({ id_prefix = "t" })[1].attributes)
  end)

  both("over their limits, or of a wrong kind, are refused", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      local many = {}
      for i = 1, 65 do many["a" .. i] = i end
      local function set(attributes) ctx:set_attributes(attributes) end
      local seen = { refusal(set, many), refusal(set, { a = ("x"):rep(2000) }), refusal(set, { a = { 1 } }),
        refusal(set, { a = print }), refusal(set, "text"):match("needs a table") }
      many.a65 = nil
      seen[#seen + 1] = refusal(set, many)
      ctx:activity("echo")
      seen[#seen + 1] = refusal(set, { one_more = 1 })
      seen[#seen + 1] = refusal(set, { one_more = 1, a1 = duro.null })
      return seen
    end))
    assert.same({ "too_large", "too_large", "invalid_argument", "invalid_payload", "needs a table", "fine",
      "too_large", "fine" }, output)
  end)
end)


describe("ctx:patched", function()
  after_each(runtimes.clean)

  local function old(ctx)
    ctx:activity("echo", "old")
    ctx:wait_event("go")
    return "old"
  end

  local function new(ctx)
    ctx:activity("echo", ctx:patched("better echo") and "new" or "old")
    ctx:wait_event("go")
    return ctx:patched("better end") and "new" or "old"
  end

  -- Two runtimes on one file, one after the other.
  local function with(path, fn)
    local rt = open { path = path }
    rt:orchestration("order", fn)
    return rt
  end

  it("is true, and recorded, for an instance that comes there first with the new code", function()
    local rt = open()
    rt:orchestration("order", new)
    assert(rt:start("order", nil, { id = "o" }))
    assert(rt:raise_event("o", "go"))
    assert.equal("new", rt:wait("o", 10))
    local kinds = table.concat(runtimes.kinds(rt, "o"), ", ")
    assert.matches("patch_marker better echo, activity_scheduled echo", kinds, 1, true)
    assert.matches("patch_marker better end, orchestration_completed", kinds, 1, true)
    assert.equal("new", rt:history({ instance = "o", kinds = "activity_scheduled" }).events[1].input)
  end)

  it("is false where the old code has been, and true beyond", function()
    local path = runtimes.path()
    local rt = with(path, old)
    assert(rt:start("order", nil, { id = "o" }))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = with(path, new)
    assert(rt:raise_event("o", "go"))
    assert.equal("new", rt:wait("o", 10)) -- the second patch is reached outside of the replay
    local kinds = table.concat(runtimes.kinds(rt, "o"), ", ")
    assert.is_nil(kinds:find("better echo", 1, true))
    assert.matches("patch_marker better end", kinds, 1, true)
  end)

  it("stays what it was on every replay", function()
    local path = runtimes.path()
    local rt = with(path, new)
    assert(rt:start("order", nil, { id = "o" }))
    assert(rt:run_until_idle(10))
    for _ = 1, 2 do
      rt:close()
      rt = with(path, new)
      assert(rt:run_until_idle(10))
      assert.equal("running", rt:status("o").status)
    end
    assert(rt:raise_event("o", "go"))
    assert.equal("new", rt:wait("o", 10))
    assert.equal(2, #rt:history({ instance = "o", kinds = "patch_marker" }).events)
  end)

  both("is decided once, however often it is asked", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      local seen = {}
      for i = 1, 3 do
        seen[i] = ctx:patched("p")
        ctx:activity("echo")
      end
      return seen
    end, nil, { id = "o" }))
    assert.same({ true, true, true }, output)
    assert.equal(1, #rt:history({ instance = "o", kinds = "patch_marker" }).events)
  end)

  it("in a loop is false for the rounds that were, and true from the first new one on", function()
    local path = runtimes.path()
    local function rounds(patched)
      return function(ctx)
        local seen = {}
        for i = 1, 4 do
          seen[i] = patched and ctx:patched("p") or false
          ctx:wait_event("go")
        end
        return seen
      end
    end
    local rt = with(path, rounds(false))
    assert(rt:start("order", nil, { id = "o" }))
    assert(rt:raise_event("o", "go"))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = with(path, rounds(true))
    for _ = 1, 3 do assert(rt:raise_event("o", "go")) end
    assert.same({ false, false, true, true }, rt:wait("o", 10))
  end)

  it("is asked anew by the next execution, and needs a name", function()
    local rt = open()
    rt:orchestration("renews", function(ctx, n)
      local yes = ctx:patched("p")
      if n == 0 then return { yes, refusal(ctx.patched, ctx, ""), refusal(ctx.patched, ctx, ("p"):rep(200)) } end
      ctx:continue_as_new(n - 1)
    end)
    assert(rt:start("renews", 2, { id = "r" }))
    assert.same({ true, "invalid_argument", "invalid_argument" }, rt:wait("r", 10))
    local _, err = runtimes.run(rt, function(ctx) ctx:patched() end)
    assert.matches("the id of ctx:patched must be a string, got no value", err.message, 1, true)
  end)
end)
