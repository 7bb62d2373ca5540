-- The parent's side of a crash test: a folder with one database file, children that work on it with
-- faults injected (spec/support/fault.c), and a look into the file they leave.
--
--   local harness = require "spec.crash.harness"
--   after_each(harness.clean)
--   local scene = harness.new()
--   local run = scene:run([[ ... ]], { fault = "kill before commit 1" })   -- to its end
--   local other = scene:start([[ ... ]])  ...  other:line()  ...  other:kill()
--   scene:query("SELECT ...")
--
-- A script is Lua; `child` (spec/crash/child.lua) is at its disposal. It is the same one after each
-- kill: it goes on where it was. A child that takes longer than TIMEOUT_SECONDS is ended.

local invariants = require "spec.crash.invariants"

local harness = {}

local TIMEOUT_SECONDS = 40
-- Built with the module under test, and beside it.
local LIBRARY = package.searchpath("duro.core", package.cpath):gsub("[^/]*/duro/core.so$", "spec/libduro_fault.so")
local INTERPRETER = rawget(_G, "jit") and "luajit" or "lua5.4"

local Scene = {}
Scene.__index = Scene
local Child = {}
Child.__index = Child

local scenes = {}


local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end


local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end


local function lines_of(path)
  local lines, file = {}, io.open(path)
  if not file then return lines end
  for line in file:lines() do lines[#lines + 1] = line end
  file:close()
  return lines
end


-- The lines that a command of the shell prints.
local function shell(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end


--- A new scene: an empty folder, gone after the test (harness.clean).
function harness.new()
  local dir = shell("mktemp -d")[1]
  local scene = setmetatable({ dir = dir, path = dir .. "/test.db", children = {}, count = 0 }, Scene)
  scene.memory = invariants.memory()
  scenes[#scenes + 1] = scene
  return scene
end


--- For after_each: ends what still runs, and removes the folders (not so with CRASH_KEEP=1).
function harness.clean()
  for _, scene in ipairs(scenes) do
    for _, each in ipairs(scene.children) do each:close() end
    if os.getenv("CRASH_KEEP") then print("kept", scene.dir) else os.execute("rm -rf " .. quoted(scene.dir)) end
  end
  scenes = {}
end


-- --- Children ---

local function environment(scene, options)
  local set = { LD_PRELOAD = LIBRARY, DURO_FAULT = options.fault, DURO_FAULT_LOG = scene.dir .. "/acted" }
  if options.when_armed then set.DURO_FAULT_WHEN = scene.dir .. "/armed" end
  if options.leap then set.DURO_FAULT_LEAP = scene.dir .. "/leap" end
  if not (options.fault or options.leap) then set = {} end
  set.CRASH_DIR, set.LUA_PATH, set.LUA_CPATH, set.LUA_INIT = scene.dir, package.path, package.cpath, ""
  local words = {}
  for name, value in pairs(set) do words[#words + 1] = ("%s=%s"):format(name, quoted(value)) end
  return table.concat(words, " ")
end


--- Starts a child. options: fault= the rules of spec/support/fault.c, when_armed=true: they count only
--- between child.arm() and child.disarm(); leap=true: child.leap() sets the clock ahead; limit_kib=
--- of address space.
function Scene:start(script, options)
  options = options or {}
  self.count = self.count + 1
  local file = ("%s/script-%d.lua"):format(self.dir, self.count)
  write(file, 'local child = require "spec.crash.child"\n' .. script)
  os.remove(self.dir .. "/acted")
  os.remove(self.dir .. "/armed")
  local limit = options.limit_kib and ("ulimit -v %d; "):format(options.limit_kib) or ""
  local command = ("{ %stimeout -k 1 %d env %s %s %s 2>&1; echo exit $?; } 2>/dev/null"):format(limit,
    TIMEOUT_SECONDS, environment(self, options), INTERPRETER, quoted(file))
  local started = setmetatable({ scene = self, pipe = assert(io.popen(command)), lines = {} }, Child)
  self.children[#self.children + 1] = started
  return started
end


--- The lines of the rules that acted on the last child.
function Scene:acted()
  return lines_of(self.dir .. "/acted")
end


--- Runs a child to its end: {lines=, exit=, killed=, acted= lines of the rules that acted}.
function Scene:run(script, options)
  local run = self:start(script, options):finish()
  run.acted = self:acted()
  return run
end


--- Runs the script once with the fault, which must kill it, checks the file, and then again without
--- until it ends by itself; checks the file once more. Gives both runs.
function Scene:survives(script, fault, options)
  local all = { fault = fault }
  for key, value in pairs(options or {}) do all[key] = value end
  local first = self:run(script, all)
  if not first.killed then error(("not killed by %q:\n%s"):format(fault, first:text()), 2) end
  self:check()
  if all.between then all.between(first) end
  return first, self:completes(script)
end


--- Runs the script without faults; it must say "done". Then everything in the file must have ended.
function Scene:completes(script)
  local run = self:run(script)
  if run.exit ~= 0 or run.lines[#run.lines] ~= "done" then error("not done:\n" .. run:text(), 3) end
  self:check { ended = true }
  return run
end


--- The next line that the child prints; nil after its end.
function Child:line()
  if not self.pipe then return nil end
  local line = self.pipe:read("*l")
  if not line or line:match("^exit %d+$") then
    self.exit = line and tonumber(line:match("%d+"))
    self.killed = self.exit == 137
    self.pipe:close()
    self.pipe = nil
    return nil
  end
  self.pid = self.pid or tonumber(line:match("^pid (%d+)$"))
  self.lines[#self.lines + 1] = line
  return line
end


--- Reads until a line begins with `beginning`, and gives that line.
function Child:expect(beginning)
  for line in function() return self:line() end do
    if line:sub(1, #beginning) == beginning then return line end
  end
  error(("the child never said %q:\n%s"):format(beginning, self:text()), 2)
end


--- SIGKILL, to a child that has said "pid <number>" (child.say_pid).
function Child:kill()
  assert(os.execute(("kill -9 %d"):format(assert(self.pid, "its pid is not known"))))
  return self:finish()
end


--- Waits for its end.
function Child:finish()
  while self:line() do end -- luacheck: ignore 542
  return self
end


function Child:close()
  if not self.pipe then return end
  if self.pid then os.execute(("kill -9 %d 2>/dev/null"):format(self.pid)) end
  self:finish()
end


--- What it said, how it ended, and what its runtime logged last.
function Child:text()
  local text, log = { table.concat(self.lines, "\n"), "exit " .. tostring(self.exit) }, self.scene:log("log")
  for i = math.max(1, #log - 9), #log do text[#text + 1] = "log: " .. log[i] end
  return table.concat(text, "\n")
end


-- --- Files beside the database ---

--- Makes a file that child.wait_for(name) waits for.
function Scene:touch(name)
  write(self.dir .. "/" .. name, "")
end


--- Whether a child has made that file.
function Scene:touched(name)
  local file = io.open(self.dir .. "/" .. name)
  if file then file:close() end
  return file ~= nil
end


--- The lines of the log of that name (child.log).
function Scene:log(name)
  return lines_of(self.dir .. "/log-" .. name)
end


--- How many lines of that log are equal to `line`.
function Scene:count_log(name, line)
  local count = 0
  for _, each in ipairs(self:log(name)) do
    if each == line then count = count + 1 end
  end
  return count
end


-- --- The database ---

-- A copy: looking at the file itself would recover its log, which is the next child's to do.
local COPY = "rm -f %s/copy.db*; cp %s %s/copy.db 2>/dev/null && { cp %s-wal %s/copy.db-wal 2>/dev/null; "
local SQLITE = "sqlite3 -batch -separator '\t' %s/copy.db %s 2>&1; }"


--- The rows of a query (arrays of texts), on a copy of the file as it is.
function Scene:query(sql)
  local dir, path = quoted(self.dir), quoted(self.path)
  local rows = {}
  for i, line in ipairs(shell((COPY .. SQLITE):format(dir, path, dir, path, dir, dir, quoted(sql)))) do
    local row = {}
    for field in (line .. "\t"):gmatch("(.-)\t") do row[#row + 1] = field end
    rows[i] = row
  end
  return rows
end


--- The first value of a query.
function Scene:value(sql)
  local row = self:query(sql)[1]
  return row and row[1]
end


--- The same on the file itself, while children use it.
function Scene:live_value(sql)
  return shell(("sqlite3 -batch -readonly %s %s 2>/dev/null"):format(quoted(self.path), quoted(sql)))[1]
end


--- Checks the file against the laws of invariants.lua and what was acknowledged; raises with all that
--- is broken. options: ended=true: nothing may be left to do.
function Scene:check(options)
  local complaints = invariants.complaints(self, options or {})
  if complaints[1] then error("the file is not as it must be:\n" .. table.concat(complaints, "\n"), 2) end
end


return harness
