local runtimes = require "spec.support.runtimes"


local calls = 0 -- an upvalue that orchestrations may count in: the guard watches globals


local function helper_time() return os.time() end
local os_time, libraries, maths, files = os.time, os, math, io -- as many files keep them
local open_file, each, sort_all, globals = io.open, pairs, table.sort, _G


describe("the determinism guard", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    calls = 0
  end)
  after_each(runtimes.clean)

  -- What `fn` returns when it is an orchestration's code; or nil and the message it failed with.
  local function inside(fn, guard)
    local output, err = runtimes.run(rt, fn, nil, { guard = guard })
    return output, err and err.message
  end

  describe("denies", function()
    local denied = {
      { "os.time", function() return (os.time()) end, "ctx:now()" },
      { "os.clock", function() return (os.clock()) end, "ctx:now()" },
      { "os.date", function() return (os.date()) end, "ctx:now()" },
      { "os.date", function() return (os.date("%Y", 0)) end, "ctx:now()" },
      { "os.getenv", function() return (os.getenv("HOME")) end, "input" },
      { "os.execute", function() return (os.execute("true")) end, "activity" },
      { "os.exit", function() return (os.exit(1)) end, "return" },
      { "os.remove", function() return (os.remove("/nonexistent/file")) end, "activity" },
      { "os.tmpname", function() return (os.tmpname()) end, "activity" },
      { "math.random", function() return (math.random()) end, "ctx:random()" },
      { "math.randomseed", function() return (math.randomseed(1)) end, "ctx:random()" },
      { "io.open", function() return (io.open("/dev/null")) end, "activity" },
      { "io.write", function() return (io.write("")) end, "activity" },
      { "io.stdout", function() return (io.stdout ~= nil) end, "activity" },
      { "dofile", function() return (dofile("/dev/null")) end, "activity" },
      { "debug.sethook", function() return (debug.sethook()) end, "debug.traceback" },
    }
    for _, case in ipairs(denied) do
      local name, fn, instead = case[1], case[2], case[3]
      it(name .. ", and names " .. instead, function()
        local output, message = inside(fn)
        assert.is_nil(output)
        assert.matches(name .. " is not deterministic here", message, 1, true)
        assert.matches(instead, message, 1, true)
        assert.matches("guard_spec.lua:%d+:", message)
      end)
    end

    it("through _G and through code compiled with load too", function()
      local _, message = inside(function() return _G.os.time() end)
      assert.matches("os.time is not deterministic", message, 1, true)
      _, message = inside(function() return load("return os.time()")() end)
      assert.matches("os.time is not deterministic", message, 1, true)
    end)

    it("through locals of its file that hold a plain function or library too", function()
      for name, fn in pairs {
        ["os.time"] = function() return (os_time()) end,
        ["os.clock"] = function() return (libraries.clock()) end,
        ["os.getenv"] = function() return (globals.os.getenv("HOME")) end,
        ["math.random"] = function() return (function() return (maths.random()) end)() end,
        ["io.open"] = function() return (open_file("/dev/null")) end,
        ["io.stdout"] = function() return (files.stdout ~= nil) end,
      } do
        local _, message = inside(fn)
        assert.matches(name .. " is not deterministic here", message, 1, true)
        assert.matches("guard_spec.lua:%d+:", message)
      end
      assert.equal("number", type(os_time()))
      assert.equal(os.time, os_time)
    end)

    it("in functions written inside the orchestration too", function()
      local _, message = inside(function()
        local function nested() return os.time() end
        return nested()
      end)
      assert.matches("os.time is not deterministic", message, 1, true)
    end)
  end)

  it("can be caught, and then the orchestration goes on", function()
    local output = inside(function()
      local ok, message = pcall(os.time)
      return { ok = ok, refused = message:find("ctx:now()", 1, true) ~= nil }
    end)
    assert.same({ ok = false, refused = true }, output)
  end)

  it("lets what is deterministic pass", function()
    local output = inside(function()
      local set = require "spec.support.guarded_module"
      local numbers = { 3, 1, 2 }
      table.sort(numbers)
      return {
        date = os.date("!%Y-%m-%d", 86400), floor = math.floor(2.5), text = ("x"):rep(3),
        joined = table.concat(numbers, ","), required = set.answer, difference = os.difftime(5, 3),
        number = tostring(12), compiled = load("return 1 + 1")(),
        traced = type(debug.traceback()) == "string",
      }
    end)
    assert.same({
      date = "1970-01-02", floor = 2, text = "xxx", joined = "1,2,3", required = 42, difference = 2,
      number = "12", compiled = 2, traced = true,
    }, output)
  end)

  it("leaves the same function alone outside of orchestrations", function()
    local function both() return os.time() end
    local output, message = inside(both)
    assert.is_nil(output)
    assert.matches("os.time", message)
    assert.is_number(both())
  end)

  it("does not reach helpers of the same file unless it is strict", function()
    assert.is_number(inside(function() return helper_time() end))
  end)

  it("lets the function of a side effect ask what it likes, and write no globals", function()
    for _, mode in ipairs { true, "strict" } do
      local output, err = inside(function(ctx)
        local value = ctx:side_effect(function() return { os.time(), math.random(), os.getenv("HOME") or "" } end)
        local written = ctx:side_effect(function()
          return { pcall(function() lost_at_the_next_restart = 1 end) } -- luacheck: ignore
        end)
        return { type(value[1]), written[1], written[2], (pcall(os.time)) }
      end, mode)
      assert.equal("number", output and output[1], err)
      assert.is_false(output[2])
      assert.matches("global 'lost_at_the_next_restart' must not be written here", output[3], 1, true)
      assert.is_false(output[4])
    end
  end)

  it("is switched off with guard=false", function()
    assert.is_number(inside(function() return os.time() end, false))
  end)

  it("refuses to write globals, and names them", function()
    local output, message = inside(function()
      guard_spec_counter = 1 -- luacheck: ignore
    end)
    assert.is_nil(output)
    assert.matches("global 'guard_spec_counter' must not be written here", message)
    assert.is_nil(rawget(_G, "guard_spec_counter"))
  end)

  it("orders what is walked and sorted through locals of its file", function()
    assert.same({ "a", "b", "c" }, inside(function()
      local keys = {}
      for key in each { c = 1, a = 1, b = 1 } do keys[#keys + 1] = key end
      return keys
    end))
    local items = {}
    for i = 1, 100 do items[i] = { key = i % 2, at = i } end
    assert.is_true(inside(function()
      sort_all(items, function(a, b) return a.key < b.key end)
      for i = 2, 100 do
        if items[i].key == items[i - 1].key and items[i].at < items[i - 1].at then return false end
      end
      return true
    end))
  end)

  it("refuses to write into libraries", function()
    local _, message = inside(function() os.shared = 1 end) -- luacheck: ignore
    assert.matches("writing os.shared", message)
    assert.is_nil(os.shared) -- luacheck: ignore
  end)

  it("lets upvalues and globals be read", function()
    calls = 5
    assert.equal(5, inside(function() return calls end))
  end)

  it("refuses to show addresses as text", function()
    for _, fn in ipairs {
      function() return tostring({}) end, function() return tostring(print) end,
      function() return tostring(coroutine.create(print)) end,
    } do
      local output, message = inside(fn)
      assert.is_nil(output)
      assert.matches("is its address", message)
    end
    assert.equal("me", inside(function()
      return tostring(setmetatable({}, { __tostring = function() return "me" end }))
    end))
  end)


  it("shows what has a text of its own", function()
    assert.same({ "null", true }, inside(function(ctx)
      return { tostring(require("duro").null), type(tostring(ctx:schedule_wait("never"))) == "string" }
    end))
  end)


  describe("makes pairs", function()
    it("walk numbers, then strings, then booleans, each in order", function()
      local output = inside(function()
        local t = { c = 1, a = 1, b = 1, [true] = 1, [false] = 1, [3] = 1, [1] = 1, [-2] = 1, [1.5] = 1 }
        local seen = {}
        for key in pairs(t) do seen[#seen + 1] = tostring(key) end
        return table.concat(seen, " ")
      end)
      assert.equal("-2 1 1.5 3 a b c false true", output)
    end)

    it("walk many string keys in the same order whatever order they came in", function()
      local output = inside(function()
        local up, down = {}, {}
        for i = 1, 500 do up["key" .. i] = i end
        for i = 500, 1, -1 do down["key" .. i] = i end
        local a, b = {}, {}
        for key in pairs(up) do a[#a + 1] = key end
        for key in pairs(down) do b[#b + 1] = key end
        return { same = table.concat(a) == table.concat(b), count = #a, first = a[1], last = a[500] }
      end)
      assert.same({ same = true, count = 500, first = "key1", last = "key99" }, output)
    end)

    it("allow fields to be changed and cleared on the way", function()
      local output = inside(function()
        local t, seen = { a = 1, b = 2, c = 3, d = 4 }, {}
        for key, value in pairs(t) do
          seen[#seen + 1] = key .. value
          t[key] = nil
          t.c = nil
          if t.d then t.d = 40 end
        end
        return { seen = table.concat(seen, " "), empty = next(t) == nil }
      end)
      assert.same({ seen = "a1 b2 d40", empty = true }, output)
    end)

    it("refuse keys that have no order", function()
      local output, message = inside(function()
        for _ in pairs { [{}] = 1, [print] = 2 } do calls = calls + 1 end
      end)
      assert.is_nil(output)
      assert.matches("the order of %a+ keys differs between runs", message)
      assert.equal(0, calls)
    end)

    it("accept a single key of any kind, which needs no order", function()
      assert.equal(1, inside(function()
        local count = 0
        for _ in pairs { [print] = true } do count = count + 1 end
        return count
      end))
    end)

    it("be plain pairs elsewhere", function()
      local function count(ctx)
        if ctx then return 0 end
        local n = 0
        for _ in pairs { [{}] = 1, [print] = 2 } do n = n + 1 end
        return n
      end
      assert.equal(0, inside(count))
      assert.equal(2, count())
    end)
  end)


  describe("makes next", function()
    it("walk in the same order as pairs", function()
      local output = inside(function()
        local t = { z = 1, y = 2, [2] = 3, [1] = 4, [false] = 5 }
        local seen = {}
        for key, value in next, t do seen[#seen + 1] = tostring(key) .. "=" .. value end
        return table.concat(seen, " ")
      end)
      assert.equal("1=4 2=3 y=2 z=1 false=5", output)
    end)

    it("say that an empty table is empty", function()
      assert.is_true(inside(function() return next({}) == nil end))
    end)

    it("refuse keys that have no order", function()
      local _, message = inside(function() return (next { [{}] = 1, [print] = 2 }) ~= nil end)
      assert.matches("the order of %a+ keys differs between runs", message)
    end)
  end)


  describe("makes table.sort", function()
    it("keep the order of equal elements", function()
      local output = inside(function()
        local rows = {}
        for i = 1, 300 do rows[i] = { group = (i * 7) % 3, place = i } end
        table.sort(rows, function(a, b) return a.group < b.group end)
        for i = 2, #rows do
          local a, b = rows[i - 1], rows[i]
          if a.group > b.group then return "not sorted" end
          if a.group == b.group and a.place > b.place then return "not stable" end
        end
        return "stable"
      end)
      assert.equal("stable", output)
    end)

    it("sort all lengths around powers of two", function()
      local output = inside(function(ctx)
        for n = 0, 70 do
          local list = {}
          for i = 1, n do list[i] = ctx:random(20) end
          table.sort(list)
          if #list ~= n then return "lost elements at " .. n end
          for i = 2, n do
            if list[i - 1] > list[i] then return "wrong at " .. n end
          end
        end
        return "sorted"
      end)
      assert.equal("sorted", output)
    end)

    it("sort by a given order, downwards", function()
      assert.equal("3 2 1", inside(function()
        local list = { 2, 3, 1 }
        table.sort(list, function(a, b) return a > b end)
        return table.concat(list, " ")
      end))
    end)
  end)
end)


-- A strict guard replaces global functions of the process: it gets a process of its own.
describe("the strict guard", function()
  local script = [[
    local duro = require "duro"
    local helpers = require "spec.support.guarded_module"
    local function same_file() return os.time() end
    local function writes() strict_leak = 1 end
    local rt = assert(duro.open { path = ":memory:", clock = "virtual" })
    local function message(fn, guard)
      assert(rt:orchestration("o", { replace = true, guard = guard }, fn))
      local output, err = rt:wait(assert(rt:start("o")), 10)
      return (tostring(err and err.message or output):gsub("^.-:%d+: ", ""))
    end
    print(message(function() return helpers.time() end, true):match("^%d+$") and "not covered")
    print(message(function() return helpers.time() end, "strict"))
    print(message(function() return helpers.open() end, "strict"))
    print(message(function() return same_file() end, "strict"))
    print(message(function() return writes() end, "strict"))
    print(message(function() return helpers.keys { c = 1, b = 1, a = 1 } end, "strict"))
    print(type(helpers.time()), type(helpers.open()))
    print(message(function() return helpers.time() end, true):match("^%d+$") and "others are not covered")
    rt:close()
  ]]

  it("covers helpers and modules, and leaves everything outside alone", function()
    local child = require "spec.support.child"
    local lines = child.lines(script)
    assert.same({
      "not covered",
      "os.time is not deterministic here: use ctx:now()",
      "io.open is not deterministic here: do it in an activity",
      "os.time is not deterministic here: use ctx:now()",
      "global 'strict_leak' must not be written here: it does not survive a restart (use a local, or ctx.kv)",
      "a b c",
      "number\tuserdata",
      "others are not covered",
    }, lines)
  end)
end)
