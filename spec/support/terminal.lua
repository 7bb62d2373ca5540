-- Conversations with programs at a terminal (spec/support/pty.c): the Lua that runs the specs, with its paths.
--
--   local shown = terminal.talk { "expect > ", "send ls\\n", code = "require('duro').repl('x.db')", columns = 60 }

local shell = require "spec.support.shell"

local terminal = {}

local PTY = package.searchpath("duro.core", package.cpath):gsub("[^/]*/duro/core.so$", "spec/duro_pty")


--- The words that run the specs' interpreter: "-e", code or whatever is given.
function terminal.interpreter(...)
  local words = { "env", shell.lua_settings(), "TERM=dumb", "INPUTRC=/dev/null", shell.interpreter }
  for _, word in ipairs { ... } do words[#words + 1] = shell.quoted(word) end
  return table.concat(words, " ")
end


--- Everything that was shown, without carriage returns, ending in "(exit N)"; what did not come in time is
--- "(missing: ...)". Takes the lines of the script, and: code= for `-e`, or command= for the shell; columns=80.
function terminal.talk(script)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(table.concat(script, "\n"), "\n")
  file:close()
  local command = script.command or terminal.interpreter("-e", script.code)
  local shown = shell.output(("%s %d %s sh -c %s"):format(PTY, script.columns or 80, path, shell.quoted(command)))
  os.remove(path)
  return (shown:gsub("\r", ""))
end


return terminal
