-- repl: duro.repl(path): a prompt over a file, with the questions of an operator at hand: ls, get, why, hist,
-- stack, tree. It opens the file as a client and turns the runtime's loop while it waits for input.
--
-- Input is read in pieces by core.terminal_* (csrc/binding/terminal.c): Ctrl-C comes as the character "\3" and
-- Ctrl-D as an empty piece, so no signal handler is needed. While code runs, the input is looked at after each
-- slice of a wait (request.between) and now and then by a count hook; "\3" then raises where the code stands.
-- To add a command: one entry in COMMANDS.

local core = require "duro.core"
local errors = require "duro.errors"
local options = require "duro.options"
local request = require "duro.request"
local runtime = require "duro.runtime"
local show = require "duro.show"

local repl = {}

local REPL = options.spec("repl", {
  { "role", "string", default = "client", one_of = { "client", "auto", "runtime" },
    doc = '"client" looks and manages beside the owner; the others own the file, and run what is registered' },
  { "codec", "table", doc = "as for duro.open" },
  { "times", "string", default = "relative", one_of = { "relative", "absolute" }, doc = "how times are shown" },
})

local INTERRUPTED = "interrupted!"

-- How often running code looks for Ctrl-C, in instructions of the VM.
local HOOK_EVERY = 10000

-- The longest sleep at the prompt in one piece.
local LONGEST_WAIT_MS = 1000

-- How many instances ls shows when it is not told.
local SHOWN = 50


-- --- Output ---

local function say(words)
  io.stdout:write(words, "\n")
end


local function complain(words)
  io.stdout:flush()
  io.stderr:write(words, "\n")
end


-- nil, err is told as the error; values of a line stand beside each other, others below.
local function print_results(count, ...)
  local first, second = ...
  if count == 2 and first == nil and errors.is(second) then
    complain(show.text(second))
    return
  end
  local shown, separator = {}, "\t"
  for i = 1, count do
    shown[i] = show.text((select(i, ...)))
    if shown[i]:find("\n", 1, true) then separator = "\n" end
  end
  if count > 0 then say(table.concat(shown, separator)) end
end


-- --- Input ---

-- Takes what is there into the buffer; what came before the last Ctrl-C is forgotten. True: there was one.
local function take_input(self)
  local bytes = core.terminal_read()
  if not bytes then return false end
  if bytes == "" then
    self.ended = true
    return false
  end
  self.buffer = self.buffer .. bytes
  if not self.is_terminal then return false end
  local kept = self.buffer:match("^.*\3(.*)$")
  if not kept then return false end
  self.buffer = kept
  return true
end


-- The next line that is complete; at the end of the input, what is left of it.
local function next_line(self)
  local line, rest = self.buffer:match("^([^\n]*)\n(.*)$")
  if line then
    self.buffer = rest
  elseif self.ended and self.buffer ~= "" then
    line, self.buffer = self.buffer, ""
    self.ended = not self.is_terminal -- there, Ctrl-D within a line only sends it
  end
  return line
end


-- Turns the loop once: for how many milliseconds it may rest then.
local function turn(self)
  local rt = self.rt
  if rt:closed() then return LONGEST_WAIT_MS, -1 end
  local turns, err = rt.core:step(0)
  if not turns and not self.loop_fault then
    self.loop_fault = true
    complain(tostring(err))
  end
  if not turns then return LONGEST_WAIT_MS, -1 end
  local wait_ms = rt.core:next_timeout_ms()
  if wait_ms < 0 or wait_ms > LONGEST_WAIT_MS then wait_ms = LONGEST_WAIT_MS end
  return wait_ms, rt.core:fd()
end


-- The next line; nil at the end of the input; nil, true after Ctrl-C.
local function read_line(self, prompt)
  if self.is_terminal then io.stdout:write(prompt) end
  io.stdout:flush()
  while true do
    if self.is_terminal then core.terminal_lines() end -- what ran, or a shell, may have changed it
    local line = next_line(self)
    if line then return line end
    if self.ended then return nil end
    local wait_ms, fd = turn(self)
    io.stdout:flush() -- what activities printed
    if core.terminal_wait(fd, wait_ms) and take_input(self) then return nil, true end
  end
end


-- Raises when Ctrl-C was typed. Other input is kept for the prompt.
local function look_for_interrupt(self)
  while not self.ended and core.terminal_wait(-1, 0) do
    if take_input(self) then error(INTERRUPTED, 0) end
  end
end


-- --- Evaluation ---

-- A chunk of the text, as an expression if it is one; nil, message; and whether more lines may mend it.
local function compile(given, env)
  local chunk, problem = load("return " .. given, "=input", "t", env)
  if chunk then return chunk end
  local unfinished = "<eof>'?$"
  if problem:find(unfinished) then return load(given, "=input", "t", env) or nil, problem, true end
  chunk, problem = load(given, "=input", "t", env)
  return chunk, problem, not chunk and problem:find(unfinished) ~= nil
end


-- What was raised, as words.
local function message_of(value)
  return errors.is(value) and tostring(value) or errors.of(value).message
end


local function finish(ok, ...)
  debug.sethook()
  request.between, request.turning = nil, false
  if not ok then
    complain(show.text(message_of((...))))
    return
  end
  local printed, problem = pcall(print_results, select("#", ...), ...)
  if not printed then complain(message_of(problem)) end
end


local function evaluate(self, chunk)
  local jit = rawget(_G, "jit")
  if jit then jit.off(chunk, true) end -- hooks are not heard in compiled loops
  if self.is_terminal then
    request.between = function() look_for_interrupt(self) end
    debug.sethook(function()
      if not request.turning and core.context() == nil then look_for_interrupt(self) end
    end, "", HOOK_EVERY)
  end
  finish(pcall(chunk))
end


-- One statement or expression, from as many lines as it takes. False: the input has ended.
local function read_and_evaluate(self)
  local line, interrupted = read_line(self, "> ")
  if not line then
    if interrupted then say("") end
    return interrupted or false
  end
  local given = line:gsub("^%s*=", "")
  while true do
    local chunk, problem, more = compile(given, self.env)
    if chunk then
      evaluate(self, chunk)
      return true
    end
    line, interrupted = nil, nil
    if more then line, interrupted = read_line(self, ">> ") end
    if not line then
      if interrupted then say("") else complain(problem) end
      return interrupted or not self.ended
    end
    given = given .. "\n" .. line
  end
end


-- --- Commands ---

local STATUSES = {}
for status in ("pending running suspended stalled completed failed cancelled terminated"):gmatch("%a+") do
  STATUSES[status] = true
end


-- 'failed' is a status, any other text a name; a filter that names no limit shows some.
local function listed(rt, filter)
  if type(filter) == "string" then filter = STATUSES[filter] and { status = filter } or { name = filter } end
  if filter ~= nil and type(filter) ~= "table" then
    options.blame("ls takes a status, a name or a filter: ls 'failed', ls 'order*', ls{waiting_on='timer'}")
  end
  local all = { limit = SHOWN }
  for key, value in pairs(filter or {}) do all[key] = value end
  return rt:list_instances(all)
end


-- {name, how it is called, what it tells, function(rt, ...)}. Typed without arguments it says how it is called,
-- or what it gives then.
local COMMANDS = {
  { "ls", "ls([filter])", "the newest instances: ls, ls 'failed', ls 'order*', ls{waiting_on='timer', limit=500}",
    listed, alone = true },
  { "get", "get(id)", "everything about one instance", function(rt, id) return rt:details(id) end },
  { "why", "why(id)", "why nothing happens with it, and what would help", function(rt, id) return rt:why(id) end },
  { "hist", "hist(id, [execution])", "what has happened to it",
    function(rt, id, execution) return rt:history { instance = id, execution = execution } end },
  { "stack", "stack(id)", "where its code waits", function(rt, id) return rt:stack(id) end },
  { "tree", "tree(id)", "what it has started", function(rt, id) return rt:dependencies(id) end },
  { "show", "show(value, [{width=, times=}])", "any value as text",
    function(_, value, given) return show.text(value, given) end },
}


local function commands_text()
  local lines = {}
  for i, row in ipairs(COMMANDS) do lines[i] = ("  %-32s %s"):format(row[2], row[3]) end
  lines[#lines + 1] = ("  %-32s %s"):format("rt", "the runtime: every method, such as rt:cancel(id, reason)")
  lines[#lines + 1] = ("  %-32s %s"):format("help, help(name)",
    "this; all calls: help(''); one: help('list_instances')")
  lines[#lines + 1] = "Ctrl-C ends what waits, Ctrl-D leaves."
  return table.concat(lines, "\n")
end


-- A function that may also stand alone on a line: then `alone` is shown.
local function command(fn, alone)
  return setmetatable({}, {
    __call = function(_, ...) return fn(...) end,
    __tostring = function() return alone() end,
  })
end


local function text_of_results(value, err)
  return show.text(value == nil and err or value)
end


local function environment(self)
  local env = setmetatable({ rt = self.rt, duro = require "duro" }, { __index = _G })
  for _, row in ipairs(COMMANDS) do
    local function run(...) return row[4](self.rt, ...) end
    env[row[1]] = command(run, function()
      if row.alone then return text_of_results(run()) end
      return ("%s: %s"):format(row[2], row[3])
    end)
  end
  env.help = command(function(name)
    if name == nil then return commands_text() end
    return require("duro.help")(name ~= "" and name or nil)
  end, commands_text)
  return env
end


-- --- The session ---

-- What stands in "<path>-owner": the owner told it when it came.
local function owner_text(path)
  local file = io.open(path .. "-owner", "r")
  local told = file and file:read("*l")
  if file then file:close() end
  return told and told ~= "" and told or "another process"
end


local function greet(self, opened)
  local rt = self.rt
  local words
  if not rt.core:has_owner() then
    words = ("no process owns '%s' now: nothing runs there until one opens it"):format(rt.path)
  elseif opened == "client" then
    words = ("'%s' is owned by %s"):format(rt.path, owner_text(rt.path))
  else
    words = ("this process runs '%s'"):format(rt.path)
  end
  words = show.text(words)
  if not self.is_terminal then
    if not rt.core:has_owner() then complain(words) end
    return
  end
  say(("duro %s: %s\nls, get(id), why(id), hist(id), stack(id), tree(id); help; Ctrl-D leaves")
    :format(core.version, words))
end


local function open(given, values)
  local file, problem = io.open(given, "rb")
  if not file then
    return nil, errors.new("not_found", ("there is no file to look at: %s (duro.open makes one)"):format(problem))
  end
  file:close()
  return runtime.open { path = given, role = values.role, codec = values.codec }
end


local function run(self)
  while read_and_evaluate(self) do
    if self.rt:closed() then break end
  end
  if self.is_terminal then say("") end
end


-- Everything as it was, whatever happened.
local function leave(self, opened, times, ok, ...)
  debug.sethook()
  request.between, request.turning = nil, false
  core.terminal_restore()
  show.settings.times = times
  if opened then self.rt:close() end
  if not ok then error((...), 0) end
  return true
end


--- A prompt over a file: as a client beside its owner, unless opts.role says otherwise. Instead of a path it takes
--- an open runtime (which stays open), or nothing for the default one. true when it was left; nil, err when the
--- file cannot be opened. context: anywhere but inside an orchestration or an activity.
function repl.run(path_or_runtime, opts)
  if core.context() then options.blame("duro.repl cannot be called inside an orchestration or an activity") end
  local values, err = options.check(REPL, opts)
  if not values then return nil, err end
  local given, opened = path_or_runtime, nil
  if given == nil then given = runtime.default() end
  if given == nil then options.blame("duro.repl needs the path of a file, or an open runtime") end
  local rt = given
  if type(given) == "string" then
    rt, err = open(given, values)
    if not rt then return nil, err end
    opened = values.role
  elseif getmetatable(given) ~= runtime.methods then
    options.blame(("duro.repl needs a path or a runtime, got %s"):format(type(given)))
  end
  local self = { rt = rt, buffer = "", ended = false }
  self.is_terminal = core.terminal_lines()
  self.env = environment(self)
  local times = show.settings.times
  show.settings.times = values.times
  return leave(self, opened, times, pcall(function()
    greet(self, opened)
    run(self)
  end))
end


return repl
