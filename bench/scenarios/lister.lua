-- lister: the client beside the engine in `throughput`: lists, and reads the stream of events, until the file
-- FILE.stop exists. spin=1: it only burns as much of the machine, which is what it is to be compared with.

local duro = require "duro"
local support = require "support"


local function stopped(o)
  local file = io.open(o.file .. ".stop")
  if file then file:close() end
  return file ~= nil
end


local function spin(o)
  while not stopped(o) do end
  return {}
end


return function(o)
  if o.spin == 1 then return spin(o) end
  local rt = assert(duro.open { path = o.file, role = "client" })
  local stream = assert(rt:stream_instance_events {})
  local lists, events, began = 0, 0, nil -- since there is something to list
  while not stopped(o) do
    local listed = assert(rt:list_instances { limit = 100 })
    assert(rt:list_instances { limit = 100, status = "completed" })
    if listed[1] then lists, began = lists + 2, began or support.now() end
    for _ = 1, 1000 do
      if not stream:next(0) then break end
      events = events + 1
    end
  end
  local took = began and support.now() - began or 1
  rt:close()
  return { lists_per_second = lists / took, events_per_second = events / took }
end
