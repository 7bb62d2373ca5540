-- Runs a Lua script in a process of its own, under the Lua that runs the specs and with its paths.

local child = {}

local INTERPRETER = rawget(_G, "jit") and "luajit" or "lua5.4"


local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end


--- The command that runs the script in file `path`; both outputs go to its standard output.
function child.command(path)
  return ("LUA_PATH=%s LUA_CPATH=%s LUA_INIT= %s %s 2>&1"):format(quoted(package.path), quoted(package.cpath),
    INTERPRETER, quoted(path))
end


--- The lines that `script` prints.
function child.lines(script)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local pipe = assert(io.popen(child.command(path)))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  os.remove(path)
  return lines
end


return child
