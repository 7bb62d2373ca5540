local runtimes = require "spec.support.runtimes"


describe("the version of an orchestration", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  local function register(version, options)
    local all = { version = version }
    for key, value in pairs(options or {}) do all[key] = value end
    rt:orchestration("v", all, function(ctx)
      ctx:wait_event("go")
      return ctx.version
    end)
  end

  local function version_of(options)
    local id = assert(rt:start("v", nil, options))
    assert(rt:raise_event(id, "go"))
    return (rt:wait(id, 10))
  end

  it("is 1.0.0 when none is named", function()
    rt:orchestration("v", function(ctx) return ctx.version end)
    assert.equal("1.0.0", rt:wait(assert(rt:start("v")), 10))
  end)

  it("is the highest for a new start, by the order of semver", function()
    register("1.9.0")
    register("1.10.0")
    register("1.2.0")
    assert.equal("1.10.0", version_of())
  end)

  it("is a release rather than its prerelease", function()
    register("2.0.0-rc.1")
    assert.equal("2.0.0-rc.1", version_of())
    register("2.0.0")
    assert.equal("2.0.0", version_of())
  end)

  it("can be named by the start", function()
    register("1.0.0")
    register("2.0.0")
    assert.equal("1.0.0", version_of { version = "1.0.0" })
  end)

  it("stays what it was while the instance runs", function()
    register("1.0.0")
    local id = assert(rt:start("v"))
    assert(rt:run_until_idle(10))
    register("2.0.0")
    assert(rt:raise_event(id, "go"))
    assert.equal("1.0.0", rt:wait(id, 10))
    assert.equal("2.0.0", version_of())
  end)

  it("that is not registered stalls the instance until it is", function()
    register("1.0.0")
    local id = assert(rt:start("v", nil, { version = "3.0.0" }))
    assert(rt:run_until_idle(10))
    assert.equal("stalled", rt:status(id).status)
    assert.equal("not_registered", rt:status(id).error.code)
    register("3.0.0")
    assert(rt:raise_event(id, "go"))
    assert.equal("3.0.0", rt:wait(id, 10))
  end)

  it("of a child is the highest, or the one named", function()
    register("1.0.0")
    register("2.0.0")
    rt:orchestration("parent", function(ctx)
      local latest = ctx:schedule_sub_orchestration("v", nil, { id = "latest" })
      local named = ctx:schedule_sub_orchestration("v", nil, { id = "named", version = "1.0.0" })
      return ctx:join { latest, named }
    end)
    local id = assert(rt:start("parent"))
    assert(rt:run_until_idle(10))
    assert(rt:raise_event("latest", "go"))
    assert(rt:raise_event("named", "go"))
    assert.same({ "2.0.0", "1.0.0" }, rt:wait(id, 10))
  end)

  it("is listed", function()
    register("1.10.0")
    register("1.9.0")
    local found
    for _, row in ipairs(rt:registered().orchestrations) do
      if row.name == "v" then found = row.versions end
    end
    assert.same({ "1.9.0", "1.10.0" }, found)
    assert(rt:start("v", nil, { id = "x" }))
    assert.equal("1.10.0", rt:list_instances()[1].version)
  end)
end)


describe("replacing code", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("needs replace=true", function()
    rt:orchestration("o", function() return "old" end)
    assert.error_matches(function() rt:orchestration("o", function() return "new" end) end, "registered already")
    assert.equal("old", rt:wait(assert(rt:start("o")), 10))
  end)

  it("changes what running instances do next", function()
    rt:orchestration("o", function(ctx)
      local data = ctx:wait_event("go")
      return "old " .. data
    end)
    local id = assert(rt:start("o"))
    assert(rt:run_until_idle(10))
    rt:orchestration("o", { replace = true }, function(ctx)
      local data = ctx:wait_event("go")
      return "new " .. data
    end)
    assert(rt:raise_event(id, "go", "event"))
    assert.equal("new event", rt:wait(id, 10))
  end)

  it("in the default registry reaches the runtimes that are open", function()
    local duro = require "duro"
    duro.activity("versions_spec_act", function() return "old" end)
    duro.orchestration("versions_spec_orc", function(ctx)
      ctx:wait_event("go")
      return ctx:activity("versions_spec_act")
    end)
    local id = assert(rt:start("versions_spec_orc"))
    assert(rt:run_until_idle(10))
    duro.activity("versions_spec_act", { replace = true }, function() return "new" end)
    assert(rt:raise_event(id, "go"))
    assert.equal("new", rt:wait(id, 10))
  end)

  it("in the default registry does not reach a runtime with an entry of its own", function()
    local duro = require "duro"
    rt:activity("versions_spec_own", function() return "own" end)
    duro.activity("versions_spec_own", function() return "default" end)
    local other = runtimes.open()
    for runtime, expected in pairs { [rt] = "own", [other] = "default" } do
      assert.equal(expected, runtimes.run(runtime, function(ctx) return ctx:activity("versions_spec_own") end))
    end
  end)

  it("of activities takes the next attempt", function()
    rt:activity("a", function() error("old code fails") end)
    rt:orchestration("o", function(ctx)
      return ctx:activity("a", nil, { retry = { max_attempts = 2, initial = 60 } })
    end)
    local id = assert(rt:start("o"))
    assert(rt:run_until_idle(10))
    rt:activity("a", { replace = true }, function() return "new" end)
    assert(rt:advance(61))
    assert.equal("new", rt:wait(id, 10))
  end)
end)


describe("ctx:patched", function()
  after_each(runtimes.clean)

  it("is true for new instances, and false for those that were past the point", function()
    local rt = runtimes.open()
    rt:orchestration("o", function(ctx)
      ctx:wait_event("go")
      return "old"
    end)
    local before = assert(rt:start("o", nil, { id = "before" }))
    assert(rt:run_until_idle(10))
    rt:orchestration("o", { replace = true }, function(ctx)
      local way = ctx:patched("new way") and "new" or "old"
      ctx:wait_event("go")
      ctx:wait_event("go")
      return way
    end)
    local after = assert(rt:start("o", nil, { id = "after" }))
    for _ = 1, 2 do
      assert(rt:raise_event(before, "go"))
      assert(rt:raise_event(after, "go"))
    end
    assert.equal("old", rt:wait(before, 10))
    assert.equal("new", rt:wait(after, 10))
  end)
end)
