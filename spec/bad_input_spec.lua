local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"


local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end


-- After whatever went wrong, the runtime still does its work.
local function assert_unharmed(rt)
  rt:orchestration("unharmed", { replace = true }, function(_, input) return input end)
  assert.equal("fine", rt:wait(assert(rt:start("unharmed", "fine")), 10))
end


describe("opening", function()
  after_each(runtimes.clean)

  local function refused(options)
    local rt, err = duro.open(options)
    assert.is_nil(rt)
    return err
  end

  it("a path that cannot be opened gives storage, and names it", function()
    local err = refused("/nonexistent/folder/file.db")
    assert.equal("storage", err.code)
    assert.matches("/nonexistent/folder/file.db", err.message, 1, true)
    assert.equal("storage", refused("/tmp").code)
  end)

  it("a file that is no database gives an error and leaves it as it was", function()
    local path = runtimes.path()
    local bytes = ("this is not a database\n"):rep(100)
    write(path, bytes)
    local err = refused(path)
    assert.is_true(err.code == "corrupt" or err.code == "storage")
    local file = assert(io.open(path, "rb"))
    assert.equal(bytes, file:read("*a"))
    file:close()
  end)

  it("a kind of store that there is not is refused, never taken for a file", function()
    assert.equal("unsupported", refused("postgres://host/db").code)
  end)

  it("a path with a zero byte is refused, never cut there", function()
    assert.equal("invalid_argument", refused("a\0b").code)
    assert.is_nil(io.open("a", "rb"))
  end)

  it("memory is for one process, so nobody is its client or worker", function()
    assert.equal("invalid_argument", refused({ path = ":memory:", role = "client" }).code)
    assert.equal("invalid_argument", refused({ path = ":memory:", role = "worker", queues = { "q" } }).code)
  end)

  it("with an unknown option or a wrong type raises", function()
    assert.error_matches(function() duro.open { path = ":memory:", durabilty = "full" } end,
      "unknown option 'durabilty' %(did you mean 'durability'%?%)")
    assert.error_matches(function() duro.open { path = ":memory:", debug = { replay = true } } end, "unknown option")
    assert.error_matches(function() duro.open { path = ":memory:", management = { max = 1 } } end, "unknown option")
    assert.error_matches(function() duro.open { path = 5 } end, "option 'path' must be a string")
    assert.error_matches(function() duro.open {} end, "option 'path' is required")
    assert.error_matches(function() duro.open() end, "needs a path or a table")
  end)

  it("with a value out of range gives invalid_argument", function()
    for _, options in ipairs {
      { path = ":memory:", durability = "some" }, { path = ":memory:", clock = "slow" },
      { path = ":memory:", role = "boss" }, { path = ":memory:", activity_concurrency = 0 },
      { path = ":memory:", max_live_instances = 0 }, { path = ":memory:", lease_wait = -1 },
      { path = ":memory:", feed_retention = "long" },
    } do
      assert.equal("invalid_argument", refused(options).code)
    end
  end)

  it("a file twice gives busy, and names the owner", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    local err = refused(path)
    assert.equal("busy", err.code)
    assert.matches("process %d+ on host %S+", err.message)
    assert_unharmed(rt)
    rt:close()
    runtimes.open { path = path }
  end)

  it("a file that another process owns gives busy, naming its pid, and works once it was killed", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open(%q))
      rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
      assert(rt:start("waits", nil, { id = "w" }))
      print("ready")
      io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    local err = refused(path)
    assert.equal("busy", err.code)
    assert.matches(tostring(owner.pid), err.message, 1, true)
    owner:kill()
    local rt = runtimes.open { path = path }
    rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
    assert(rt:raise_event("w", "go", "after the kill"))
    assert.equal("after the kill", rt:wait("w", 10))
  end)

  it("a newer schema gives a clear error, and leaves the file alone", function()
    local path = runtimes.path()
    runtimes.open({ path = path }):close()
    assert(os.execute(("sqlite3 '%s' 'PRAGMA user_version = 999999'"):format(path)))
    local err = refused(path)
    assert.is_string(err.code)
    assert.matches("newer", err.message)
  end)
end)


describe("a client beside the owner", function()
  after_each(runtimes.clean)

  it("starts, signals and reads, and runs nothing itself", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open(%q))
      rt:orchestration("greets", function(ctx, name) return "hello " .. name .. ctx:wait_event("end") end)
      print("ready")
      io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    local client = assert(duro.open { path = path, role = "client" })
    local id = assert(client:start("greets", "client"))
    assert.is_true(client:raise_event(id, "end", "!"))
    assert.equal("hello client!", client:wait(id, 10))
    assert.equal("completed", client:status(id).status)
    assert.equal(id, client:list_instances()[1].instance_id)
    client:close()
    owner:kill()
  end)

  it("with role='auto' takes over when the owner goes", function()
    local path = runtimes.path()
    local owner = runtimes.open { path = path, clock = "system" }
    local auto = runtimes.open { path = path, clock = "system", role = "auto" }
    auto:orchestration("echo", function(_, input) return input end)
    local id = assert(auto:start("echo", "taken over"))
    owner:close()
    assert.equal("taken over", auto:wait(id, 10))
  end)

  it("waits for the owner's place with lease_wait", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open(%q))
      print("ready")
      io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    local rt, err = duro.open { path = path, lease_wait = 0.05 }
    assert.is_nil(rt)
    assert.equal("busy", err.code)
    owner:kill()
    rt = assert(duro.open { path = path, lease_wait = 10 })
    rt:close()
  end)
end)


describe("a payload that cannot be stored", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("echo", function(_, input) return input end)
  end)
  after_each(function()
    assert_unharmed(rt)
    runtimes.clean()
  end)

  local cycle = {}
  cycle.self = cycle
  local deep = {}
  local tip = deep
  for _ = 1, 250 do
    tip.next = {}
    tip = tip.next
  end
  local cases = {
    { "a function", { items = { 1, 2, { cb = print } } }, "input.items[3].cb" },
    { "a userdata", { file = io.stdout }, "input.file" },
    { "a coroutine", { co = coroutine.create(print) }, "input.co" },
    { "a cycle", cycle, "input.self" },
    { "a hole", { 1, nil, 3 }, "input" },
    { "mixed keys", { 1, 2, key = 3 }, "input" },
    { "a key that is a table", { [{}] = 1 }, "input" },
    { "too many levels", deep, "input.next" },
  }
  for _, case in ipairs(cases) do
    it("has " .. case[1] .. ": invalid_payload names the path", function()
      local id, err = rt:start("echo", case[2])
      assert.is_nil(id)
      assert.equal("invalid_payload", err.code)
      assert.matches(case[3], err.message, 1, true)
      id, err = rt:raise_event("nobody", "e", case[2])
      assert.is_nil(id)
      assert.equal("invalid_payload", err.code)
    end)
  end

  it("is too large: too_large names the limit", function()
    local id, err = rt:start("echo", ("x"):rep(17 * 1024 * 1024))
    assert.is_nil(id)
    assert.equal("too_large", err.code)
    assert.matches("16 MiB", err.message)
  end)

  it("as an output fails the instance", function()
    local output, err = runtimes.run(rt, function() return { callback = print } end)
    assert.is_nil(output)
    assert.equal("invalid_payload", err.code)
    assert.matches("callback", err.message)
  end)
end)


describe("an orchestration", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(function()
    assert_unharmed(rt)
    runtimes.clean()
  end)

  it("that yields by itself fails with a clear message", function()
    local output, err = runtimes.run(rt, function() coroutine.yield("mine") end)
    assert.is_nil(output)
    assert.equal("failed", err.code)
    assert.matches("yield", err.message)
  end)

  it("may use coroutines of its own, but not call ctx in them", function()
    local output = runtimes.run(rt, function(ctx)
      local count = 0
      for n in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do count = count + n end
      local ok, err = coroutine.resume(coroutine.create(function() ctx:sleep(1) end))
      return { count, ok, tostring(err) }
    end)
    assert.equal(6, output[1])
    assert.is_false(output[2])
    assert.matches("coroutine", output[3])
  end)

  it("that throws anything fails, and nothing else", function()
    for _, thrown in ipairs { false, 42, {}, print, io.stdout, coroutine.create(print) } do
      local output, err = runtimes.run(rt, function() error(thrown) end)
      assert.is_nil(output)
      assert.equal("failed", err.code)
      assert.is_string(err.message)
    end
    local _, err = runtimes.run(rt, function() error() end)
    assert.equal("failed", err.code)
  end)

  it("that overflows the stack fails", function()
    local output, err = runtimes.run(rt, function()
      local function down() return 1 + down() end
      return down()
    end)
    assert.is_nil(output)
    assert.equal("failed", err.code)
    assert.matches("stack overflow", err.message)
  end)

  it("whose ctx is used after its end is refused", function()
    local leaked
    runtimes.run(rt, function(ctx) leaked = ctx end)
    assert.has_error(function() leaked:sleep(1) end)
    assert.has_error(function() leaked:now() end)
  end)

  it("whose ctx is used by another orchestration is refused", function()
    local leaked
    rt:orchestration("leaks", function(ctx)
      leaked = ctx
      ctx:wait_event("never")
    end)
    assert(rt:start("leaks"))
    assert(rt:run_until_idle(10))
    local output, err = runtimes.run(rt, function() leaked:sleep(1) end)
    assert.is_nil(output)
    assert.is_string(err.message)
  end)
end)
