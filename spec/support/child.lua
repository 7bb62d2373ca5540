-- Runs Lua scripts in processes of their own, under the Lua that runs the specs and with its paths. What
-- still runs when a test ends, because it failed, is ended by runtimes.clean (child.clean).

local child = {}

local running = {} -- Child -> true

local Child = {}
Child.__index = Child

local INTERPRETER = rawget(_G, "jit") and "luajit" or "lua5.4"


local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end


-- The script in a file, and the shell command that runs it; both outputs go to the standard output.
local function prepare(script, before)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local command = ("%s echo $$; LUA_PATH=%s LUA_CPATH=%s LUA_INIT= exec %s %s 2>&1"):format(before or "",
    quoted(package.path), quoted(package.cpath), INTERPRETER, quoted(path))
  return path, "exec sh -c " .. quoted(command) -- one process, so that nobody reports its end
end


--- Starts a script: an object with `pid`, line() and kill(). `before`: shell commands to run first.
function child.start(script, before)
  local path, command = prepare(script, before)
  local pipe = assert(io.popen(command))
  local started = setmetatable({ path = path, pipe = pipe, pid = tonumber(pipe:read("*l")) }, Child)
  running[started] = true
  return started
end


--- Ends all that were started and neither killed nor finished.
function child.clean()
  local left = {}
  for each in pairs(running) do left[#left + 1] = each end
  for _, each in ipairs(left) do each:kill() end
end


--- The next line it prints; nil when it has ended.
function Child:line()
  return self.pipe:read("*l")
end


--- Ends it with SIGKILL.
function Child:kill()
  os.execute("kill -9 " .. self.pid)
  return self:finish()
end


--- Waits for its end, once: the lines it still printed.
function Child:finish()
  local lines = {}
  for line in self.pipe:lines() do lines[#lines + 1] = line end
  self.pipe:close()
  os.remove(self.path)
  running[self] = nil
  return lines
end


--- The lines that a script prints.
function child.lines(script, before)
  return child.start(script, before):finish()
end


return child
