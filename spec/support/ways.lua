-- One body, two specs: with live coroutines, and with every turn replayed. Whatever an orchestration does
-- must be the same both ways.
--
--   ways("adds", function(open)
--     local rt = open()                       -- as runtimes.open, with the options of the way added
--     ...
--   end)

local runtimes = require "spec.support.runtimes"


local function opener(debug_options)
  return function(options)
    local all = { debug = debug_options }
    for key, value in pairs(options or {}) do all[key] = value end
    return runtimes.open(all)
  end
end


return function(name, body)
  local it = require("busted").it
  it(name, function() body(opener(nil)) end)
  it(name .. " (every turn replayed)", function() body(opener { replay_every_turn = true }) end)
end
