local calls = require "duro.calls"
local child = require "spec.support.child"
local duro = require "duro"
local help = require "duro.help"
local manual = require "duro.manual"
local options = require "duro.options"
local runtime = require "duro.runtime"
local runtimes = require "spec.support.runtimes"


-- --- What every example finds: orders that wait, one that failed, a loop, an activity that was left open ---

local tokens = {}


local function code_of_fixture(rt)
  rt:activity("charge", function() return "parcel receipt" end)
  rt:activity("ask", function(ctx)
    tokens[#tokens + 1] = ctx:defer()
  end)
  rt:orchestration("add", function(_, input) return #input end)
  rt:orchestration("order", function(ctx)
    ctx.kv.step = "approval"
    ctx:set_custom_status("waiting")
    ctx:on_query("progress", function() return 50 end)
    return (ctx:wait_event("approval"))
  end)
  rt:orchestration("refused", function(ctx) return ctx:activity("breaks") end)
  rt:activity("breaks", function() error("no luck") end)
  rt:orchestration("loop", function(ctx, round)
    if round < 3 then ctx:continue_as_new(round + 1) end
    ctx:wait_event("never")
  end)
  rt:orchestration("ask", function(ctx) return ctx:activity("ask") end)
end


local function yes() return true end


-- A runtime with instances, and what examples call by name.
local function fixture()
  local rt = runtimes.open { access_control = { can_list_instances = yes, can_view_instance = yes } }
  tokens = {}
  code_of_fixture(rt)
  assert(rt:start("refused", nil, { id = "order-6" }))
  assert(rt:start("order", { total = 5 }, { id = "order-7" }))
  assert(rt:start("loop", 1, { id = "loop-1" }))
  assert(rt:start("ask", nil, { id = "ask-1" }))
  assert(rt:run_until_idle(10))
  local env = { rt = rt, duro = duro, token = assert(tokens[1]), print = function(...)
    assert(select("#", ...) > 0 and (...) ~= nil, tostring((select(2, ...))))
    for i = 1, select("#", ...) do tostring((select(i, ...))) end
  end }
  return setmetatable(env, { __index = _G })
end


-- These would not come back, or need a place of their own: they only have to be Lua.
local ONLY_READ = { run = true, repl = true, orchestration = true, activity = true, stop = true }

local IN_ACTIVITY = {}
for _, part in ipairs(manual.parts) do
  if part.title == "Inside an activity" then
    for _, name in ipairs(part.names) do IN_ACTIVITY[name] = true end
  end
end


local function chunk_of(name, example, env)
  local chunk, problem = load(example, "=" .. name, "t", env)
  assert(chunk, problem)
  return chunk
end


-- The example as the body of an orchestration or an activity.
local function run_inside(name, example)
  local env = fixture()
  local rt = env.rt
  local body = assert(load("return function(ctx, input) " .. example .. " end", "=" .. name))()
  if IN_ACTIVITY[name] then
    rt:activity("example", body)
    rt:orchestration("example", function(ctx) ctx:schedule_activity("example") end)
  else
    rt:orchestration("example", body)
  end
  assert(rt:start("example", nil, { id = "example" }))
  assert(rt:run_until_idle(10))
  rt:raise_event("example", "approval", { by = "Ada" }) -- one that has ended needs none
  assert(rt:advance("4d"))
  local status = rt:status("example")
  assert.equal("completed", status.status, name .. ": " .. tostring(status))
end


local function run_example(name, example)
  if name:find("^ctx:") or name == "retry" then return run_inside(name, example) end
  local env = fixture()
  local chunk = chunk_of(name, example, env)
  if not ONLY_READ[name] then chunk() end
end


describe("the examples of help", function()
  after_each(runtimes.clean)

  for _, part in ipairs(manual.parts) do
    for _, name in ipairs(part.names) do
      local example = manual.entries[name].example
      if example then
        it("work, of " .. name, function() run_example(name, example) end)
      end
    end
  end
end)


describe("help", function()
  it("has an entry with an example for every public name", function()
    local missing = {}
    local function check(name)
      local entry = manual.entries[name]
      if not entry or not entry.example then missing[#missing + 1] = name end
    end
    for name, member in pairs(runtime.methods) do
      if type(member) == "function" and name:sub(1, 2) ~= "__" then check(name) end
    end
    for name, member in pairs(duro) do
      if type(member) ~= "string" then check(name) end
    end
    for _, name in ipairs { "testing", "help", "show", "repl" } do check(name) end
    for name in pairs(require("duro.orchestration").methods) do check("ctx:" .. name) end
    table.sort(missing)
    assert.equal("", table.concat(missing, " "), "to be added to lua/duro/manual/")
  end)

  it("knows of every name a signature, a sentence and what it gives", function()
    local rows = {}
    for _, row in ipairs(calls.rows) do rows[row[1]] = row end
    for name, entry in pairs(manual.entries) do
      local row = rows[name] or entry
      assert.is_string(row.doc, name)
      assert.is_true(rows[name] ~= nil or entry.signature ~= nil, name)
      assert.is_true(not rows[name] or rows[name].returns ~= nil, name)
    end
  end)

  it("says of every option what it means", function()
    local silent = {}
    for _, name in ipairs(options.order) do
      for _, row in ipairs(options.specs[name].rows) do
        if not row.doc and not name:find("_spec") then silent[#silent + 1] = name .. "." .. row[1] end
      end
    end
    table.sort(silent)
    assert.equal("", table.concat(silent, " "))
  end)

  it("names only errors that exist", function()
    local core = require "duro.core"
    for name, entry in pairs(manual.entries) do
      for code in ((entry.errors or ""):gsub("%b()", "")):gmatch("%f[%w_]%l+_%l[%l_]*") do
        assert.is_true(core.codes[code], name .. ": " .. code)
      end
    end
  end)

  it("lists every call, by what it is for", function()
    local text = help()
    for _, row in ipairs(calls.rows) do assert.matches("\n  " .. row[1] .. " ", text, 1, true) end
    assert.matches("\nFinding instances\n  list_instances +Instances that match, newest first", text)
  end)

  it("says what a call takes, from the table that checks it", function()
    local text = help("start")
    assert.matches("^rt:start%(name, %[input%], %[{id=, version=,.*%) %-> the instance id\n\nStarts an instance%.",
      text)
    for _, key in ipairs(options.specs.start.keys) do assert.matches("\n  " .. key .. " ", text, 1, true) end
    assert.matches("\n  on_conflict +text +fail +when the id exists; one of: fail, existing, replace_finished\n", text)
    assert.matches("\n  id +id +a UUID +", text)
    assert.matches("\nerrors: already_exists,", text)
    assert.matches("\nexample:\n  local id = assert(rt:start(", text, 1, true)
    assert.matches('a duration is a number of seconds, or such as "250ms"', text, 1, true)
  end)

  it("says what is required, and what the tables among the options take", function()
    assert.matches("\n  instance +id +required ", help("history"))
    local text = help("open")
    assert.matches("\n  lease_wait +duration +0 ", text)
    assert.matches("\n  management = {...}:\n", text, 1, true)
    assert.matches("\n    max_list_instances +integer +1000 ", text)
    assert.matches("\n    max_attempts +integer +3 ", help("ctx:activity"))
  end)

  it("takes a name as it is written in code, or the function itself", function()
    local text = help("list_instances")
    for _, name in ipairs { "rt:list_instances", "duro.list_instances", "rt:list_instances{status='failed'}" } do
      assert.equal(text, help(name:gsub("{.*", "()")))
    end
    assert.equal(text, help(duro.list_instances))
    assert.equal(help("ctx:select"), help("select"))
  end)

  it("knows the nearest name", function()
    assert.equal("duro has no 'strat' (did you mean 'start'?)", help("strat"))
    assert.matches("did you mean 'list_instances'", help("rt:list_instance"))
  end)

  it("breaks its lines at the width of a terminal", function()
    for line in help("open"):gmatch("[^\n]+") do assert.is_true(#line <= 110, line) end
  end)

  it("is loaded only when it is asked for", function()
    assert.same({ "nil\tnil", "string\ttable" }, child.lines [[
      local duro = require "duro"
      print(package.loaded["duro.manual"], package.loaded["duro.show"])
      print(type(duro.help("start")), type(package.loaded["duro.manual"]))]])
  end)
end)
