local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"
local shell = require "spec.support.shell"
local terminal = require "spec.support.terminal"


-- A file with three orders that wait; nobody owns it.
local function file_of_orders()
  local path = runtimes.path()
  local rt = runtimes.open { path = path, clock = "system" }
  rt:orchestration("order", function(ctx) return (ctx:wait_event("approval")) end)
  for i = 1, 3 do assert(rt:start("order", { total = i }, { id = "order-" .. i })) end
  assert(rt:run_until_idle(10))
  rt:close()
  return path
end


-- Code that opens the prompt, with options as text.
local function prompt(path, opts)
  return ("assert(require('duro').repl(%q, %s))"):format(path, opts or "nil")
end


describe("the interpreters' own prompt, with -l duro", function()
  after_each(runtimes.clean)

  it("has the global duro, whose results print to the width of the terminal", function()
    local shown = terminal.talk {
      "expect > ", ("send duro.open{path='%s', role='client'}\\n"):format(file_of_orders()),
      "expect > ", "send = duro.list_instances()\\n", "expect order-1",
      "expect > ", "send = duro.help('list_instances')\\n", "expect error_contains",
      "expect > ", "send = duro.status('order-9')\\n", "expect there is no instance 'order-9'",
      "expect > ", "send = { item = 'book', pages = { 1, 2 } }\\n", [[expect { item = "book", pages = { 1, 2 } }]],
      "expect > ", "send \\x04",
      command = terminal.interpreter("-l", "duro", "-i"), columns = 44,
    }
    assert.matches("(exit 0)", shown, 1, true)
    local row = shown:match("\n(order%-1 [^\n]*)")
    assert.matches("^order%-1 +order +running", row)
    assert.is_true(#row <= 44, row)
  end)

  it("is what makes a global: require does not", function()
    local run = shell.lua_settings() .. " " .. shell.interpreter
    assert.equal("nil\n", shell.output(run .. [[ -e 'require "duro" print(duro)' ]]))
    assert.equal("table\n", shell.output(run .. [[ -l duro -e 'print(type(duro))']]))
  end)

  it("prints tables at a prompt, and leaves print alone in a script", function()
    local run = shell.lua_settings() .. " " .. shell.interpreter
    assert.equal("{ 1 }\tnil\n", shell.output(run .. [[ -l duro -e 'print({ 1 }, nil)']]))
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("print({ 1 })")
    file:close()
    assert.matches("^table: ", shell.output(run .. " -l duro " .. path))
    os.remove(path)
  end)
end)


describe("the prompt over a file", function()
  after_each(runtimes.clean)

  it("says that nobody owns it, lists, tells and leaves with Ctrl-D", function()
    local shown = terminal.talk {
      "expect > ", "send ls\\n", "expect order-1",
      "expect > ", "send ls 'failed'\\n", "expect no instances",
      "expect > ", "send get 'order-2'\\n", "expect waits for event 'approval'",
      "expect > ", "send hist 'order-2'\\n", "expect event_subscribed",
      "expect > ", "send why 'order-3'\\n", "expect no_owner: ",
      "expect > ", "send tree 'order-1'\\n", "expect 'order-1', 0 below it",
      "expect > ", "send stack 'order-1'\\n", "expect unavailable: ",
      "expect > ", "send why\\n", "expect why(id): ",
      "expect > ", "send help\\n", "expect Ctrl-D leaves",
      "expect > ", "send \\x04",
      code = prompt(file_of_orders()),
    }
    assert.matches("no process owns '", shown, 1, true)
    assert.matches("(exit 0)", shown, 1, true)
  end)

  it("evaluates expressions and statements, over several lines, and keeps what they set", function()
    local shown = terminal.talk {
      "expect > ", "send x = {\\n", "expect >> ", "send 1, 'two\\\\27'}\\n",
      "expect > ", "send x\\n", [[expect { 1, "two\\027" }]],
      "expect > ", "send for i = 1, 2 do\\n", "expect >> ", "send print('line', i) end\\n", "expect line\t2",
      "expect > ", "send = #x, nil, 'a'\\n", "expect 2\tnil\ta",
      "expect > ", "send f(\\n", "expect >> ", "send \\x04", "expect <eof>",
      "expect > ", "send \\x04",
      code = prompt(file_of_orders()),
    }
    assert.matches("(exit 0)", shown, 1, true)
  end)

  it("prints errors and goes on", function()
    local shown = terminal.talk {
      "expect > ", "send error({})\\n", "expect a table without a message was raised",
      "expect > ", "send error('no luck')\\n", "expect no luck",
      "expect > ", "send x y\\n", "expect 'y'",
      "expect > ", "send ls { staus = 1 }\\n", "expect did you mean 'status'",
      "expect > ", "send rt:details('nobody')\\n", "expect not_found: no instance 'nobody'",
      "expect > ", "send setmetatable({}, { __tostring = error })\\n",
      "expect > ", "send 'still ' .. 'here'\\n", "expect still here",
      "expect > ", "send rt:close()\\n", "expect true",
      code = prompt(file_of_orders()),
    }
    assert.matches("(exit 0)", shown, 1, true)
  end)

  it("ends what waits or works with Ctrl-C, and goes on", function()
    local shown = terminal.talk {
      "expect > ", "send print 'waiting' return rt:wait('order-1')\\n", "expect waiting\\x0d\\n",
      "send \\x03", "expect interrupted!",
      "expect > ", "send print 'working' while true do end\\n", "expect working\\x0d\\n",
      "send \\x03", "expect interrupted!",
      "expect > ", "send print 'running' return rt:run()\\n", "expect running\\x0d\\n",
      "send \\x03", "expect interrupted!",
      "expect > ", "send half a li\\x03",
      "expect > ", "send do\\n", "expect >> ", "send \\x03",
      "expect > ", "send rt:status('order-1')\\n", "expect instance 'order-1' is running",
      "expect > ", "send \\x04",
      code = prompt(file_of_orders()),
    }
    assert.matches("(exit 0)", shown, 1, true)
  end)

  it("turns the loop while it waits for input", function()
    local shown = terminal.talk {
      "expect > ", "expect from an activity, unasked",
      "send rt:wait('timed', 10), rt:status('timed').status\\n", "expect completed", "expect > ", "send \\x04",
      code = ([[
        local duro = require 'duro'
        local rt = assert(duro.open(%q))
        rt:activity('tell', function() print('from an activity, ' .. 'unasked') end)
        rt:orchestration('timed', function(ctx) ctx:sleep(0.2) ctx:activity('tell') end)
        assert(rt:start('timed', nil, { id = 'timed' }))
        assert(duro.repl() and not rt:closed())]]):format(runtimes.path()),
    }
    assert.matches("this process runs '", shown, 1, true)
    assert.matches("(exit 0)", shown, 1, true)
  end)

  it("asks the owner, when there is one", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open(%q))
      rt:orchestration("order", function(ctx) return (ctx:wait_event("approval")) end)
      rt:start("order", nil, { id = "a" })
      rt:run_until_idle()
      print("up")
      io.stdout:flush()
      rt:wait("a")
      print("done")]]):format(path))
    finally(function() owner:kill() end)
    assert.equal("up", owner:line())
    local shown = terminal.talk {
      ("expect is owned by process %d on host "):format(owner.pid),
      "expect > ", "send stack 'a'\\n", "expect in function '",
      "expect > ", "send why 'a'\\n", "expect waiting: waits for event 'approval'",
      "expect > ", "send rt:raise_event('a', 'approval', { by = 'Ada' }), rt:wait('a')\\n",
      'expect { by = "Ada" }',
      "expect > ", "send \\x04",
      code = prompt(path),
    }
    assert.matches("(exit 0)", shown, 1, true)
    assert.equal("done", owner:line())
  end)

  it("leaves the terminal as it was, also by os.exit", function()
    local path = file_of_orders()
    for _, bye in ipairs { "\\x04", "os.exit()\\n" } do
      local shown = terminal.talk {
        "expect > ", "send " .. bye, "expect intr = ^C", "expect eol = <undef>",
        command = terminal.interpreter("-e", prompt(path)) .. "; stty -a",
      }
      assert.matches("(exit 0)", shown, 1, true)
    end
  end)

  it("shows times as dates when asked to", function()
    local shown = terminal.talk {
      "expect > ", "send ls\\n", "expect " .. os.date("%Y-"), "expect > ", "send \\x04",
      code = prompt(file_of_orders(), "{ times = 'absolute' }"), columns = 160,
    }
    assert.matches("(exit 0)", shown, 1, true)
  end)

  it("reads commands from a pipe, without prompts", function()
    local shown = shell.output(("printf %s | env %s %s -e %s 2>&1"):format(
      shell.quoted("ls{id_prefix='order-1'}[1].status\\nx =\\n5\\nx\\nrt:details('nobody')\\n1 +"),
      shell.lua_settings(), shell.interpreter, shell.quoted(prompt(file_of_orders()))))
    local lines = {}
    for line in shown:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.matches("^no process owns '", lines[1])
    assert.same({ "running", "5", "not_found: no instance 'nobody'" }, { lines[2], lines[3], lines[4] })
    assert.matches("<eof>", lines[5])
    assert.equal(5, #lines)
  end)

  it("is not opened over a file that is missing or no database, and says so", function()
    local path = runtimes.path()
    local ok, err = duro.repl(path)
    assert.is_nil(ok)
    assert.equal("not_found", err.code)
    assert.matches("there is no file to look at: " .. path, err.message, 1, true)
    assert.is_nil(io.open(path))
    ok, err = duro.repl("spec/repl_spec.lua")
    assert.is_nil(ok)
    assert.equal("corrupt", err.code)
    assert.error_matches(function() duro.repl(5) end, "duro.repl needs a path or a runtime, got number")
    assert.error_matches(function() duro.repl(path, { rol = "auto" }) end, "did you mean 'role'")
  end)
end)
