-- Shell commands for specs that look at whole programs: their output, and the settings under which a
-- program finds the Lua, and the duro, that run the specs.

local shell = {}


--- `text` as one word for the shell.
function shell.quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end


--- What a command prints on its standard output.
function shell.output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end


--- The interpreter that runs the specs.
shell.interpreter = rawget(_G, "jit") and "luajit" or "lua5.4"


--- Its paths, as settings to write before a command.
function shell.lua_settings()
  return ("LUA_INIT= LUA_PATH=%s LUA_CPATH=%s"):format(shell.quoted(package.path), shell.quoted(package.cpath))
end


return shell
