-- calls: makes the methods of a runtime out of rows. A row says what a call takes, which verb of the
-- core (csrc/runtime/verbs.h) it becomes, and what its answer is; checking, waiting and help follow
-- from it.
--
--   calls.define(methods, {
--     "raise_event",                        -- the method, and the verb unless verb= says otherwise
--     params = { {"id", "id"}, {"event_name", "name", as = "name"}, {"data", "any", optional = true} },
--     options = RAISE,                      -- a spec of options.lua for the table that comes last
--     args = function(values, runtime) ... end,  -- the arguments of the verb; default: the values
--     result = function(answer, values)     -- what the caller gets; default: the answer
--     run = function(values, runtime)       -- instead of a verb: the whole call
--     waits = true,                         -- values.timeout_ms is how long to wait, in real time
--     on_timeout = function(runtime, values)  -- the answer then; default: nil, err(timeout)
--     doc = "...", returns = "true",
--   })
--
-- context of every method: anywhere but inside an orchestration. In an activity it yields the activity,
-- elsewhere it turns the loop until the answer is durable.

local options = require "duro.options"
local request = require "duro.request"

local calls = {}

-- Every row in the order of definition: what help prints.
calls.rows = {}


-- Positional values, then the table of options, in one table under the keys that the core knows.
local function collect(row, ...)
  local values, given, params = {}, select("#", ...), row.params
  local allowed = #params + (row.options and 1 or 0)
  if given > allowed then
    options.blame(("%s takes %d argument%s, got %d"):format(row[1], allowed, allowed == 1 and "" or "s", given))
  end
  for i, param in ipairs(params) do
    local value = select(i, ...)
    if value == nil then
      if not param.optional then options.blame(("%s needs %s"):format(row[1], param[1])) end
    else
      local checked, err = options.checked(param, value, param[1])
      if err then return nil, err end
      values[param.target] = checked
    end
  end
  if not row.options then return values end
  return options.check(row.options, (select(#params + 1, ...)), values)
end


local function call(row, runtime, ...)
  local values, err = collect(row, ...)
  if not values then return nil, err end
  if row.run then return row.run(values, runtime) end
  local timeout_ms
  if row.waits then timeout_ms, values.timeout_ms = values.timeout_ms, nil end
  local args = values
  if row.args then
    args, err = row.args(values, runtime)
    if not args then return nil, err end
  end
  local answer
  answer, err = request.ask(runtime, row.verb or row[1], args, timeout_ms)
  if err and err.code == "timeout" and row.on_timeout then return row.on_timeout(runtime, values) end
  if err then return nil, err end
  if row.result then return row.result(answer, values, runtime) end
  return answer
end


--- Adds the method of a row to the table `methods`.
function calls.define(methods, row)
  row.params = row.params or {}
  for _, param in ipairs(row.params) do param.target = options.target(param) end
  calls.rows[#calls.rows + 1] = row
  methods[row[1]] = function(runtime, ...) return call(row, runtime, ...) end
end


--- "rt:raise_event(id, event_name, [data], [{dedup_id=}])"
function calls.signature(row)
  local parts = {}
  for i, param in ipairs(row.params) do
    parts[i] = param.optional and "[" .. param[1] .. "]" or param[1]
  end
  if row.options then
    local keys = {}
    for i, key in ipairs(row.options.keys) do keys[i] = key .. "=" end
    parts[#parts + 1] = ("[{%s}]"):format(table.concat(keys, ", "))
  end
  return ("rt:%s(%s)"):format(row[1], table.concat(parts, ", "))
end


return calls
