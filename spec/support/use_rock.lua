-- A user's first program, run against the installed rock by install_rock.sh: it must find everything
-- it needs on the paths that it is given.
local duro = require "duro"

duro.activity("greet", function(_, name)
  return "hello " .. name
end)

duro.orchestration("hello", function(ctx, name)
  return ctx:activity("greet", name)
end)

local rt = assert(duro.open(":memory:"))
local id = assert(rt:start("hello", "rock"))
local output = assert(rt:wait(id, 30))
assert(output == "hello rock", tostring(output))
rt:close()
