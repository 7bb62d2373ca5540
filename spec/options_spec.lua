local options = require "duro.options"


local function message_of(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end


describe("the durations of options", function()
  it("are seconds when they are numbers", function()
    assert.equal(1500, options.duration(1.5))
    assert.equal(0, options.duration(0))
    assert.equal(1, options.duration(0.001))
  end)

  it("are read with their unit when they are text", function()
    assert.equal(250, options.duration("250ms"))
    assert.equal(30000, options.duration("30s"))
    assert.equal(5 * 60000, options.duration("5m"))
    assert.equal(2 * 3600000, options.duration("2h"))
    assert.equal(7 * 86400000, options.duration("7d"))
    assert.equal(90 * 60000, options.duration("1h30m"))
    assert.equal(1500, options.duration("1.5s"))
  end)

  it("are whole milliseconds, without a point on any VM", function()
    assert.equal("1500", tostring(options.duration(1.5)))
    assert.equal("100", tostring(options.duration(0.1)))
  end)

  it("say what is wrong when they are none", function()
    for _, text in ipairs { "", "30", "30 s", "s", "5x", "1h-5m", "-5s", "1h30" } do
      local ms, problem = options.duration(text)
      assert.is_nil(ms)
      assert.matches("^cannot be .*: this is no duration", problem)
    end
  end)

  it("are neither negative, nor nan, nor longer than a century", function()
    assert.is_nil((options.duration(-1)))
    assert.is_nil((options.duration(0 / 0)))
    assert.is_nil((options.duration(math.huge)))
    assert.is_nil((options.duration("40000d")))
    assert.equal(36500 * 86400000, options.duration("36500d"))
  end)
end)


describe("the check of options", function()
  local spec = options.spec("options_spec", {
    { "status", "string", default = "running" },
    { "limit", "integer", min = 1, max = 1000 },
    { "delay", "duration" },
    { "start_at", "time" },
    { "mode", "string", one_of = { "all", "any" } },
    { "names", "strings" },
    { "attributes", "attributes" },
    { "force", "boolean" },
    { "renamed", "id", as = "instance" },
  })
  local strict = options.spec("options_spec_required", { { "name", "name", required = true } })

  it("fills in defaults and leaves the caller's table alone", function()
    local given = { limit = 5 }
    assert.same({ status = "running", limit = 5 }, options.check(spec, given))
    assert.same({ limit = 5 }, given)
    assert.same({ status = "running" }, options.check(spec, nil))
  end)

  it("gives durations and times in milliseconds, under keys that say so", function()
    assert.same({ status = "running", delay_ms = 1500, start_at_ms = 1700000000123 },
      options.check(spec, { delay = "1.5s", start_at = 1700000000.123 }))
  end)

  it("keeps false, and renames what the core calls otherwise", function()
    assert.same({ status = "running", force = false, instance = "a" },
      options.check(spec, { force = false, renamed = "a" }))
  end)

  it("takes one text where a list of texts is allowed", function()
    assert.same({ "a" }, options.check(spec, { names = "a" }).names)
    assert.same({ "a", "b" }, options.check(spec, { names = { "a", "b" } }).names)
  end)

  it("names the nearest option for an unknown one", function()
    assert.matches("unknown option 'staus' %(did you mean 'status'%?%)",
      message_of(options.check, spec, { staus = "x" }))
    assert.matches("%(did you mean 'limit'%?%)", message_of(options.check, spec, { limti = 1 }))
    assert.matches("unknown option '1'", message_of(options.check, spec, { "status" }))
  end)

  it("lists the known options when none is near", function()
    assert.matches("unknown option 'zzzzzzzz' %(known: status, limit,",
      message_of(options.check, spec, { zzzzzzzz = 1 }))
  end)

  it("raises for a wrong type, naming the option, what it takes and what it got", function()
    assert.matches("option 'limit' must be an integer, got string",
      message_of(options.check, spec, { limit = "5" }))
    assert.matches("option 'limit' must be an integer, got number", message_of(options.check, spec, { limit = 1.5 }))
    assert.matches("option 'delay' must be a duration .*, got boolean",
      message_of(options.check, spec, { delay = true }))
    assert.matches("the options of options_spec must be a table, got number", message_of(options.check, spec, 5))
    assert.matches("option 'names' element 2 must be a string, got number",
      message_of(options.check, spec, { names = { "a", 2 } }))
  end)

  it("raises for a missing option that is required", function()
    assert.matches("option 'name' is required", message_of(options.check, strict, {}))
  end)

  it("raises at the line that called duro", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local message = message_of(function() options.check(spec, { staus = 1 }) end)
    assert.matches(("options_spec.lua:%d: unknown option"):format(line), message)
  end)

  it("gives nil and invalid_argument for a value out of range", function()
    local cases = {
      { { limit = 0 }, "option 'limit' must be between 1 and 1000 %(is 0%)" },
      { { limit = 1001 }, "option 'limit' must be between 1 and 1000 %(is 1001%)" },
      { { delay = -1 }, "option 'delay' cannot be %-1: a duration must not be negative" },
      { { delay = "soon" }, "option 'delay' cannot be soon: this is no duration" },
      { { start_at = -1 }, "option 'start_at' is no time" },
      { { mode = "al" }, "option 'mode' must be one of: all, any %(is 'al': did you mean 'all'%?%)" },
      { { renamed = "" }, "option 'renamed' must not be empty" },
    }
    for _, case in ipairs(cases) do
      local values, err = options.check(spec, case[1])
      assert.is_nil(values)
      assert.equal("invalid_argument", err.code)
      assert.matches(case[2], err.message)
    end
  end)

  it("knows which ids and names are allowed", function()
    for text, problem in pairs {
      ["a\nb"] = "has a control character", ["a\0b"] = "has a control character",
      ["a\255"] = "is not UTF%-8", ["\237\160\128"] = "is not UTF%-8", ["\192\128"] = "is not UTF%-8",
      [("x"):rep(129)] = "is longer than 128 bytes %(has 129%)",
    } do
      local value, err = options.check(strict, { name = text })
      assert.is_nil(value)
      assert.matches(problem, err.message)
    end
    for _, text in ipairs { "a", ("x"):rep(128), "grüße ☃ 🎈", "\239\191\189" } do
      assert.same({ name = text }, options.check(strict, { name = text }))
    end
  end)

  it("takes flat attributes only", function()
    local flat = { region = "eu", size = 3, gold = true }
    assert.same(flat, options.check(spec, { attributes = flat }).attributes)
    assert.matches("option 'attributes': 'a' must be a string, number or boolean, got table",
      message_of(options.check, spec, { attributes = { a = {} } }))
    assert.matches("the keys of option 'attributes' must be strings",
      message_of(options.check, spec, { attributes = { "a" } }))
  end)
end)
