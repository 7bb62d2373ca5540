local registry = require "duro.registry"


local function nothing() end


local function message_of(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end


describe("a registry", function()
  local own

  before_each(function() own = registry.new() end)

  it("knows what was registered, names sorted and versions ascending", function()
    assert.is_true(own:orchestration("order", { version = "1.10.0" }, nothing))
    assert.is_true(own:orchestration("order", { version = "1.9.0" }, nothing))
    assert.is_true(own:orchestration("order", { version = "2.0.0-rc.1" }, nothing))
    assert.is_true(own:orchestration("audit", nothing))
    assert.is_true(own:activity("ship", nothing))
    assert.is_true(own:activity("charge", {}, nothing))
    assert.same({
      orchestrations = {
        { name = "audit", versions = { "1.0.0" } },
        { name = "order", versions = { "1.9.0", "1.10.0", "2.0.0-rc.1" } },
      },
      activities = { "charge", "ship" },
    }, own:list())
  end)

  it("refuses the same name and version twice", function()
    own:orchestration("order", nothing)
    own:activity("order", nothing)
    assert.matches("orchestration 'order' version 1.0.0 is registered already",
      message_of(own.orchestration, own, "order", { version = "1.0.0" }, nothing))
    assert.matches("activity 'order' is registered already", message_of(own.activity, own, "order", nothing))
  end)

  it("takes the new one with replace=true", function()
    local function second() end
    own:orchestration("order", nothing)
    own:orchestration("order", { replace = true }, second)
    assert.equal(second, own:find("orchestration", "order", "1.0.0").fn)
    own:activity("ship", nothing)
    own:activity("ship", { replace = true }, second)
    assert.equal(second, own:find("activity", "ship").fn)
  end)

  it("raises at the caller's line for what is no registration", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local message = message_of(function() own:orchestration("order", { version = "1" }, nothing) end)
    assert.matches(("registry_spec.lua:%d: option 'version' is no semver: '1'"):format(line), message)
    assert.matches("needs a function, got nil", message_of(own.orchestration, own, "order"))
    assert.matches("needs a function, got nil", message_of(own.orchestration, own, "order", {}))
    assert.matches("needs a function, got string", message_of(own.activity, own, "ship", {}, "code"))
    assert.matches("the name of an activity must be a string, got nil", message_of(own.activity, own, nil, nothing))
    assert.matches("must not be empty", message_of(own.activity, own, "", nothing))
    assert.matches("is longer than 128 bytes", message_of(own.activity, own, ("x"):rep(129), nothing))
    assert.matches("unknown option 'verison' %(did you mean 'version'%?%)",
      message_of(own.orchestration, own, "order", { verison = "1.0.0" }, nothing))
    assert.matches("option 'guard' must be true, false or \"strict\", got lax",
      message_of(own.orchestration, own, "order", { guard = "lax" }, nothing))
    assert.same({ orchestrations = {}, activities = {} }, own:list())
  end)
end)


describe("a registry on top of another", function()
  local base, own

  before_each(function()
    base = registry.new()
    own = registry.new(base)
  end)

  it("sees what the other has, later entries too", function()
    base:activity("ship", nothing)
    own:activity("charge", nothing)
    base:orchestration("order", nothing)
    assert.same({ orchestrations = { { name = "order", versions = { "1.0.0" } } }, activities = { "charge", "ship" } },
      own:list())
    assert.same({ "ship" }, base:list().activities)
  end)

  it("hides an entry of the other only with replace=true", function()
    local function mine() end
    base:activity("ship", nothing)
    assert.matches("registered already", message_of(own.activity, own, "ship", mine))
    own:activity("ship", { replace = true }, mine)
    local seen = {}
    own:each(function(entry) seen[#seen + 1] = entry.fn end)
    assert.same({ mine }, seen)
    assert.equal(nothing, base:find("activity", "ship").fn)
  end)
end)


describe("a listener of a registry", function()
  it("hears of every new entry", function()
    local base = registry.new()
    local heard = {}
    base.listeners[heard] = function(who, entry, source)
      who[#who + 1] = entry.name
      return source == base
    end
    base:activity("ship", nothing)
    base:orchestration("order", nothing)
    base:activity("ship", { replace = true }, nothing)
    assert.same({ "ship", "order", "ship" }, heard)
  end)

  it("can fail the registration", function()
    local base = registry.new()
    base.listeners[base] = function() return nil, "refused" end
    assert.same({ nil, "refused" }, { base:activity("ship", nothing) })
  end)
end)
