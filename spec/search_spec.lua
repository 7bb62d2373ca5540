-- Searching instances by what is in their inputs and outputs.

local duro = require "duro"
local runtimes = require "spec.support.runtimes"


describe("a search", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("echo", function(_, input) return { echoed = input } end)
    rt:orchestration("silent", function() end)
  end)
  after_each(runtimes.clean)

  local function start(id, input, name)
    assert(rt:start(name or "silent", input, { id = id }))
    assert(rt:run_until_idle(10))
  end

  local function found(options)
    local list, err = rt:search_instances(options)
    assert(list, tostring(err))
    return table.concat(list:ids(), " ")
  end

  it("goes down by dots, into arrays by numbers from 1", function()
    start("a", { customer = { id = 42, tags = { "gold", { level = 2 } } } })
    start("b", { customer = { id = 43, tags = { "silver" } } })
    start("c", { customer = "42" })
    assert.equal("a", found { input = { ["customer.id"] = 42 } })
    assert.equal("b", found { input = { ["customer.tags.1"] = "silver" } })
    assert.equal("a", found { input = { ["customer.tags.2.level"] = 2, ["customer.id"] = 42 } })
    assert.equal("c", found { input = { customer = "42" } })
    assert.equal("", found { input = { ["customer.tags.0"] = "gold" } })
    assert.equal("", found { input = { ["customer.tags.3"] = "gold" } })
    assert.equal("a", found { input = { ["customer.tags"] = { "gold", { level = 2 } } } })
  end)

  it("takes a dot behind a backslash as it is", function()
    start("dot", { ["a.b"] = { c = 1 } })
    start("path", { a = { b = { c = 1 } } })
    start("slash", { ["a\\"] = { b = { c = 1 } } })
    assert.equal("dot", found { input = { ["a\\.b.c"] = 1 } })
    assert.equal("path", found { input = { ["a.b.c"] = 1 } })
    assert.equal("slash", found { input = { ["a\\\\.b.c"] = 1 } })
  end)

  it("compares values and not their spelling", function()
    start("float", { n = 42.0 })
    start("integer", { n = 42 })
    start("text", { n = "42" })
    start("quoted", { n = 'say "hi"\n' })
    start("null", { n = duro.null })
    start("infinite", { n = 1 / 0 })
    start("bytes", { n = "\255\0" })
    start("dollar", { ["$duro"] = "mine" })
    assert.equal("integer float", found { input = { n = 42 } })
    assert.equal("text", found { input = { n = "42" } })
    assert.equal("quoted", found { input = { n = 'say "hi"\n' } })
    assert.equal("null", found { input = { n = duro.null } })
    assert.equal("infinite", found { input = { n = 1 / 0 } })
    assert.equal("bytes", found { input = { n = "\255\0" } })
    assert.equal("dollar", found { input = { ["$duro"] = "mine" } })
  end)

  it("does not match what is not there", function()
    start("none")
    start("empty", {})
    start("list", { 1 })
    assert.equal("", found { input = { x = duro.null } })
    assert.equal("", found { input = { ["1.x"] = 1 } })
    assert.equal("", found { output = { x = 1 } })
    assert.equal("list", found { input = { ["1"] = 1 } })
  end)

  it("looks into outputs", function()
    start("a", { n = 1 }, "echo")
    start("b", { n = 2 }, "echo")
    assert.equal("b", found { output = { ["echoed.n"] = 2 } })
    assert.equal("b", found { output = { ["echoed.n"] = 2 }, input = { n = 2 } })
    assert.equal("", found { output = { ["echoed.n"] = 2 }, input = { n = 1 } })
  end)

  it("finds a text in the strings and numbers of either", function()
    start("a", { note = 'an "urgent" matter', n = 4711 })
    start("b", "urgent", "echo")
    start("c", { urgent = true })
    assert.equal("b a", found { text = "urgent" })
    assert.equal("a", found { text = '"urgent" m' })
    assert.equal("a", found { text = "4711" })
    assert.equal("", found { text = "URGENT" })
    assert.equal("", found { text = "%" })
    assert.equal("b", found { text = "urgent", filter = { name = "echo" } })
  end)

  it("finds the input of the first execution, and of one whose start lies ahead", function()
    rt:orchestration("counts", function(ctx, n)
      if n < 3 then ctx:continue_as_new(n + 1) end
      ctx:wait_event("end")
    end)
    assert(rt:start("counts", 1, { id = "counts" }))
    assert(rt:start("silent", { later = true }, { id = "later", delay = "1h" }))
    assert(rt:run_until_idle(10))
    assert.equal("counts", found { text = "1", filter = { name = "counts" } })
    assert.equal("", found { text = "3", filter = { name = "counts" } })
    assert.equal("later", found { input = { later = true } })
  end)

  it("keeps to its limit and says when there is more", function()
    for i = 1, 5 do start("i" .. i, { kind = "same" }) end
    local list = rt:search_instances { input = { kind = "same" }, limit = 3 }
    assert.same({ "i5", "i4", "i3" }, list:ids())
    assert.is_true(list.truncated)
    assert.is_nil(rt:search_instances({ input = { kind = "same" }, limit = 5 }).truncated)
  end)

  it("stops after the newest 20000 and says so", function()
    start("oldest", { needle = true })
    assert(rt:advance(1))
    for _ = 1, 2 do
      local starts = {}
      for i = 1, 10000 do starts[i] = { name = "silent", delay = "1d" } end
      assert(rt:start_many(starts))
    end
    local list = assert(rt:search_instances { input = { needle = true } })
    assert.equal(0, #list)
    assert.is_true(list.truncated)
    list = assert(rt:search_instances { input = { needle = true }, filter = { status = "completed" } })
    assert.equal(1, #list)
    assert.is_nil(list.truncated)
  end)

  it("needs something to look for", function()
    local list, err = rt:search_instances {}
    assert.is_nil(list)
    assert.equal("invalid_argument", err.code)
    assert.error_matches(function() rt:search_instances { input = { 42 } } end, "must be paths")
    assert.error_matches(function() rt:search_instances { input = 42 } end, "option 'input' must be a table")
  end)

  it("is unsupported where a codec hides the payloads", function()
    local same = function(bytes) return bytes end
    local hidden = runtimes.open { codec = { encode = same, decode = same } }
    local list, err = hidden:search_instances { text = "x" }
    assert.is_nil(list)
    assert.equal("unsupported", err.code)
  end)
end)
