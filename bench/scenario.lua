-- scenario: one measurement in a process of its own. bench/run.lua starts it, on either VM:
--
--   luajit bench/scenario.lua NAME [key=value ...]     prints one line of JSON
--
-- NAME is a file of bench/scenarios, which returns a function from the options to a flat table of figures.
-- A scenario that needs what this build does not have returns {unsupported = "what is missing"}.

local json = require "json"

local options = {}
for i = 2, #arg do
  local key, value = arg[i]:match("^([%w_]+)=(.*)$")
  options[assert(key, "expected key=value, got " .. arg[i])] = tonumber(value) or value
end

local figures = dofile(("bench/scenarios/%s.lua"):format(arg[1]))(options)
io.stdout:write(json.encode(figures), "\n")
os.exit(0)
