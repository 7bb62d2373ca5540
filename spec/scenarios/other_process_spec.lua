-- The calls of a client in a process of its own: they mean the same as in the owner's process, also while
-- nobody owns the file.

local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"

local PROGRAM = [[
  local duro = require "duro"
  duro.orchestration("echo", function(_, input) return input end)
  duro.orchestration("waits", function(ctx, input)
    ctx.kv.input = input
    return { input, ctx:wait_event("go") }
  end)
  duro.orchestration("three", function(ctx)
    return { ctx:wait_event("go"), ctx:wait_event("go"), ctx:wait_event("go") }
  end)
  duro.orchestration("leaf", function(ctx) ctx:wait_event("never") end)
  duro.orchestration("parent", function(ctx)
    ctx:sub_orchestration("leaf", nil, { id = ctx.instance_id .. ".leaf" })
  end)
  duro.orchestration("rounds", function(ctx, n)
    if n > 1 then ctx:continue_as_new(n - 1) end
    return "rounds"
  end)
  duro.orchestration("fails", function() error { code = "broken", message = "it is broken", data = { 1 } } end)
]]

local path, owner, client


local function own()
  owner = child.start(PROGRAM .. ([[
    local rt = assert(duro.open(%q))
    print("ready")
    io.stdout:flush()
    rt:run()
  ]]):format(path))
  assert.equal("ready", owner:line())
end


local function clean()
  client:close()
  if owner then owner:kill() end
  owner = nil
  runtimes.clean()
end


local function refused(code, ok, err)
  assert.is_nil(ok)
  assert.equal(code, err.code)
end


local function until_status(id, status)
  local deadline = os.time() + 10
  while client:status(id).status ~= status do
    assert(os.time() <= deadline, id .. " is " .. client:status(id).status)
    client:wait_custom_status(id, 0, 0.01)
  end
end


describe("a client in another process", function()
  setup(function()
    path = runtimes.path()
    own()
    client = assert(duro.open { path = path, role = "client" })
  end)
  teardown(clean)

  it("starts with each of the options", function()
    assert.equal("first", client:start("waits", 1, { id = "first", attributes = { region = "eu" },
      event = { name = "go", data = "with it" } }))
    assert.same({ 1, "with it" }, client:wait("first", 10))
    assert.same({ "first" }, client:list_instances({ attributes = { region = "eu" } }):ids())
    assert(client:start("waits", 1, { id = "limited", timeout = "50ms" }))
    refused("timeout", client:wait("limited", 10))
    assert(client:start("echo", "late", { id = "late", delay = "50ms" }))
    assert.equal("late", client:wait("late", 10))
    assert(client:start("echo", 1, { id = "far", start_at = os.time() + 3600 }))
    until_status("far", "pending")
    assert.is_true(client:cancel("far", "never mind"))
    refused("cancelled", client:wait("far", 10))
  end)

  it("is told the same about an id that is taken", function()
    assert(client:start("waits", "old", { id = "taken" }))
    refused("already_exists", client:start("waits", "new", { id = "taken" }))
    refused("already_exists", client:start("waits", "new", { id = "taken", on_conflict = "replace_finished" }))
    assert.equal("taken", client:start("waits", "new", { id = "taken", on_conflict = "existing",
      event = { name = "go", data = "on" } }))
    assert.same({ "old", "on" }, client:wait("taken", 10))
    refused("already_exists", client:start("waits", "new", { id = "taken" }))
    refused("finished", client:start("waits", "new", { id = "taken", on_conflict = "existing",
      event = { name = "go" } }))
    assert.equal("taken", client:start("echo", "new", { id = "taken", on_conflict = "replace_finished" }))
    assert.equal("new", client:wait("taken", 10))
    assert.is_nil((client:kv("taken", "input")))
  end)

  it("starts many, all or none", function()
    local ids = assert(client:start_many {
      { name = "echo", input = 1, id = "m1" }, { name = "echo", input = 2 },
      { name = "waits", input = 3, id = "m3", event = { name = "go", data = 4 } },
    })
    assert.same({ "m1", "m3" }, { ids[1], ids[3] })
    assert.same({ 1, 2 }, { client:wait(ids[1], 10), (client:wait(ids[2], 10)) })
    assert.same({ 3, 4 }, client:wait("m3", 10))
    refused("already_exists", client:start_many { { name = "echo", id = "none" }, { name = "echo", id = "m1" } })
    refused("already_exists", client:start_many { { name = "echo", id = "none" }, { name = "echo", id = "none" } })
    assert.equal("not_found", client:status("none").status)
    assert(client:start("waits", 5, { id = "m5" }))
    assert.same({ "m1", "m5", "m6" }, client:start_many {
      { name = "echo", input = "again", id = "m1", on_conflict = "replace_finished" },
      { name = "waits", id = "m5", on_conflict = "existing", event = { name = "go", data = 6 } },
      { name = "echo", input = "new", id = "m6" },
    })
    assert.equal("again", client:wait("m1", 10))
    assert.same({ 5, 6 }, client:wait("m5", 10))
    assert.equal("new", client:wait("m6", 10))
  end)

  it("raises events once for a dedup_id, and only for those that run", function()
    assert(client:start("waits", 1, { id = "raised" }))
    until_status("raised", "running")
    for _ = 1, 3 do assert.is_true(client:raise_event("raised", "other", 1, { dedup_id = "x" })) end
    assert.is_true(client:raise_event("raised", "go", 2))
    assert.same({ 1, 2 }, client:wait("raised", 10))
    local events = assert(client:history { instance = "raised", kinds = "event_received" }).events
    assert.equal(2, #events)
    refused("finished", client:raise_event("raised", "go", 3))
    refused("not_found", client:raise_event("nobody", "go", 3))
  end)

  it("cancels, terminates, suspends and resumes", function()
    for _, id in ipairs { "c", "t", "s" } do assert(client:start("parent", nil, { id = id })) end
    for _, id in ipairs { "c", "t", "s" } do until_status(id .. ".leaf", "running") end
    assert.is_true(client:cancel("c", "by the client"))
    refused("cancelled", client:wait("c", 10))
    refused("cancelled", client:wait("c.leaf", 10))
    assert.matches("by the client", client:status("c.leaf").error.message)
    assert.is_true(client:terminate("t", "at once"))
    refused("terminated", client:wait("t", 10))
    refused("terminated", client:wait("t.leaf", 10))
    assert.is_true(client:suspend("s"))
    assert.equal("suspended", client:status("s").status)
    assert.is_true(client:resume("s"))
    assert.equal("running", client:status("s").status)
    refused("running", client:delete_instance("s"))
    assert.equal(2, client:delete_instance("s", { force = true }).instances_deleted)
    for _, call in ipairs { "cancel", "terminate", "suspend", "resume", "delete_instance" } do
      refused("not_found", client[call](client, "s"))
    end
    for _, call in ipairs { "cancel", "terminate", "suspend", "resume" } do
      refused("finished", client[call](client, "c"))
    end
  end)

  it("hears how it ended: output, or error with code, message and data", function()
    assert(client:start("fails", nil, { id = "broken" }))
    local output, err = client:wait("broken", 10)
    assert.is_nil(output)
    assert.same({ "broken", "it is broken", { 1 } }, { err.code, err.message, err.data })
    assert.equal("broken", client:status("broken").error.code)
    refused("not_found", client:wait("nobody", 1))
    assert(client:start("waits", nil, { id = "patience" }))
    refused("timeout", client:wait("patience", 0.02))
  end)

  it("prunes executions", function()
    assert(client:start("rounds", 4, { id = "r" }))
    assert.equal("rounds", client:wait("r", 10))
    assert.equal(2, client:prune_executions("r", { keep_last = 2 }).executions_deleted)
    assert.same({ 3, 4 }, client:list_executions("r"))
    assert.equal("continued_as_new", client:status("r", { execution = 3 }).status)
  end)
end)


describe("a client of a file that nobody owns", function()
  before_each(function()
    path = runtimes.path()
    runtimes.open({ path = path, clock = "system" }):close()
    client = assert(duro.open { path = path, role = "client" })
  end)
  after_each(clean)

  it("starts one or many and raises events, which the next owner finds in order", function()
    assert.equal("w", client:start("three", nil, { id = "w", attributes = { region = "eu" } }))
    assert.is_true(client:raise_event("w", "go", "first"))
    assert.is_true(client:raise_event("w", "go", "second"))
    assert.same({ "a", "b" }, client:start_many {
      { name = "echo", input = "A", id = "a" }, { name = "waits", input = "B", id = "b",
        event = { name = "go", data = "with it" } },
    })
    assert(client:start("echo", "late", { id = "l", delay = "10ms" }))
    refused("already_exists", client:start("waits", 2, { id = "w" }))
    assert.equal("w", client:start("waits", 2, { id = "w", on_conflict = "existing" }))
    assert.equal("w", client:start("waits", 2, { id = "w", on_conflict = "existing",
      event = { name = "go", data = "third" } }))
    refused("already_exists", client:start_many { { name = "echo", id = "none" }, { name = "echo", id = "a" } })
    assert.equal("not_found", client:status("none").status)
    refused("not_found", client:raise_event("nobody", "go"))
    assert.equal(4, #client:list_instances())
    own()
    assert.same({ "first", "second", "third" }, client:wait("w", 10))
    assert.equal("A", client:wait("a", 10))
    assert.same({ "B", "with it" }, client:wait("b", 10))
    assert.equal("late", client:wait("l", 10))
    assert.same({ "w" }, client:list_instances({ attributes = { region = "eu" } }):ids())
  end)

  it("is told that the rest is unavailable, and why", function()
    assert(client:start("waits", 1, { id = "w" }))
    for _, call in ipairs {
      function() return client:cancel("w") end, function() return client:terminate("w") end,
      function() return client:suspend("w") end, function() return client:resume("w") end,
      function() return client:delete_instance("w", { force = true }) end,
      function() return client:query("w", "x") end, function() return client:prune { keep_last = 1 } end,
    } do
      local ok, err = call()
      assert.is_nil(ok)
      assert.equal("unavailable", err.code)
      assert.is_true(#err.message > 10)
    end
    refused("timeout", client:wait("w", 0.02))
  end)
end)
