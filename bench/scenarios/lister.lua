-- lister: the client beside the engine in `throughput visible=1`: lists, and reads the stream of events, until
-- the file FILE.stop exists.

local duro = require "duro"
local support = require "support"


return function(o)
  local rt = assert(duro.open { path = o.file, role = "client" })
  local stream, problem
  if rt.stream_instance_events then stream, problem = rt:stream_instance_events {} end
  local lists, events, began = 0, 0, nil -- since there is something to list
  while true do
    local stopped = io.open(o.file .. ".stop")
    if stopped then
      stopped:close()
      break
    end
    local listed = assert(rt:list_instances { limit = 100 })
    assert(rt:list_instances { limit = 100, status = "completed" })
    if listed[1] then lists, began = lists + 2, began or support.now() end
    for _ = 1, stream and 1000 or 0 do
      if not stream:next(0) then break end
      events = events + 1
    end
  end
  local took = began and support.now() - began or 1
  rt:close()
  return { lists_per_second = lists / took, events_seen = events,
    note = not stream and ("no stream: " .. tostring(problem)) or nil }
end
