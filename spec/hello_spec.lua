local duro = require "duro"
local runtimes = require "spec.support.runtimes"


local UUID7 = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-7%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"


describe("a first program", function()
  after_each(runtimes.clean)

  it("gets the output of its orchestration", function()
    local rt = runtimes.open()
    rt:activity("greet", function(_, name) return "hello " .. name end)
    rt:orchestration("hello", function(ctx, name) return ctx:activity("greet", name) end)
    local id = assert(rt:start("hello", "world"))
    assert.equal("hello world", rt:wait(id, 10))
  end)

  it("may register before it opens, and after", function()
    duro.activity("hello_spec_before", function(_, name) return "before " .. name end)
    local rt = runtimes.open()
    duro.orchestration("hello_spec_after", function(ctx, name) return ctx:activity("hello_spec_before", name) end)
    assert.equal("before me", rt:wait(assert(rt:start("hello_spec_after", "me")), 10))
  end)

  it("works without input and without output", function()
    local rt = runtimes.open()
    local output, err = runtimes.run(rt, function(_, input) if input ~= nil then error("there is input") end end)
    assert.is_nil(output)
    assert.is_nil(err)
  end)

  it("gets a time-ordered UUID as id when it names none", function()
    local rt = runtimes.open()
    rt:orchestration("nothing", function() end)
    local first, second = rt:start("nothing"), rt:start("nothing")
    assert.matches(UUID7, first)
    assert.matches(UUID7, second)
    assert.is_true(first < second)
  end)

  it("leaves no globals behind", function()
    local child = require "spec.support.child"
    assert.same({ "" }, child.lines [[
      local before = {}
      for name in pairs(_G) do before[name] = true end
      require "duro"
      local new = {}
      for name in pairs(_G) do if not before[name] then new[#new + 1] = name end end
      print(table.concat(new, " "))
    ]])
  end)
end)


describe("the default runtime", function()
  after_each(runtimes.clean)

  it("is the one opened last", function()
    local first = runtimes.open()
    local second = runtimes.open()
    assert.equal(second, duro.default())
    second:close()
    assert.equal(first, duro.default())
  end)

  it("can be set", function()
    local first = runtimes.open()
    runtimes.open()
    duro.set_default(first)
    assert.equal(first, duro.default())
    assert.has_error(function() duro.set_default({}) end)
  end)

  it("answers the calls on the module", function()
    local rt = runtimes.open()
    rt:orchestration("double", function(_, n) return n * 2 end)
    local id = assert(duro.start("double", 21))
    assert.equal(42, duro.wait(id, 10))
    assert.equal("completed", duro.status(id).status)
    assert.equal(id, duro.list_instances({ status = "completed" })[1].instance_id)
  end)

  it("is missed with a clear message when none is open", function()
    assert.is_nil(duro.default())
    assert.error_matches(function() duro.start("hello") end, "no runtime is open: call duro.open%(path%) first")
  end)
end)


describe("a closed runtime", function()
  after_each(runtimes.clean)

  it("can be closed again", function()
    local rt = runtimes.open()
    assert.is_true(rt:close())
    assert.is_true(rt:close())
  end)

  it("answers everything with closed", function()
    local rt = runtimes.open()
    rt:close()
    for _, call in ipairs {
      function() return rt:start("hello") end, function() return rt:wait("x") end, function() return rt:step() end,
      function() return rt:run() end, function() return rt:run_until_idle() end, function() return rt:now() end,
      function() return rt:advance(1) end, function() return rt:fd() end, function() return rt:next_timeout() end,
      function() return rt:list_instances() end, function() return rt:details("x") end,
      function() return rt:orchestration("x", function() end) end,
      function() return rt:activity("x", function() end) end, function() return rt:registered() end,
    } do
      local value, err = call()
      assert.is_nil(value)
      assert.equal("closed", err.code)
    end
  end)
end)
