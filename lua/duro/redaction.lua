-- redaction: the payloads of an answer, shown to a view as the author's `redact` hook lets them be seen.
--
-- The hook is asked about every value of every payload, from the outside in: redact(context, path, value)
-- with a path such as "input", "input.card", "output.items[3].name", "custom_status", "attributes.tenant",
-- "kv.step", "data" (of an event that was raised), "locals.total", "query.progress", "error.message",
-- "error.data", "reason" (what rt:why says). A payload has the same path wherever it is shown: in a
-- status, a list, a history, a stream. What the hook returns is shown; when that is another value than it
-- was asked about, nothing inside is asked about any more. nil, and a hook that raises, withhold the value.
-- To add a payload: its field in PAYLOADS, or an entry in `shapes` for an answer that is one as a whole.

local core = require "duro.core"
local errors = require "duro.errors"

local redaction = {}

local WITHHELD = "(withheld)"

-- Fields of answers that hold payloads.
local PAYLOADS = { input = true, output = true, data = true, custom_status = true, attributes = true, kv = true,
  locals = true, heartbeat_details = true, value = true }
local ERRORS = { error = true, last_error = true, stack_error = true }

-- Events keep their payload in a field of a general name.
local PATH_OF_EVENT = { event_received = "data", event_sent = "data", custom_status_updated = "custom_status",
  attributes_updated = "attributes" }


local function step(path, key)
  if type(key) == "number" then return ("%s[%d]"):format(path, key) end
  if key:find("^[%a_][%w_]*$") then return path .. "." .. key end
  return ('%s["%s"]'):format(path, key)
end


local function shown(ask, path, value)
  if value == nil or value == core.null then return value end
  local result = ask(path, value)
  if result ~= value or type(value) ~= "table" then return result end
  local length = #value
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  for _, key in ipairs(keys) do
    local inner = shown(ask, step(path, key), value[key])
    if inner == nil and type(key) == "number" and key <= length then inner = core.null end -- no hole
    value[key] = inner
  end
  return value
end


local function show_error(ask, err)
  if type(err) ~= "table" then return shown(ask, "error", err) end
  err.data = shown(ask, "error.data", err.data)
  err.details = shown(ask, "error.details", err.details)
  err.message = shown(ask, "error.message", err.message) or WITHHELD
  return err
end


-- One value of a keyed payload, as it would be seen among the others.
local function member(ask, path, key, value)
  local all = shown(ask, path, { [key] = value })
  if type(all) == "table" then return all[key] end
  return nil
end


local show_fields


local function show_event(ask, event)
  event.carry = nil -- mailbox and kv of the execution before: nobody reads it there
  if event.kind == "kv_set" then
    event.input = member(ask, "kv", event.name, event.input)
    event.output = shown(ask, "output", event.output)
    event.error = event.error and show_error(ask, event.error)
    return event
  end
  local path = PATH_OF_EVENT[event.kind]
  if not path then return show_fields(ask, event) end
  event.input = shown(ask, path, event.input)
  return event
end


-- Whatever an answer is made of.
function show_fields(ask, node)
  for key, value in pairs(node) do
    if PAYLOADS[key] then
      node[key] = shown(ask, key, value)
    elseif ERRORS[key] then
      node[key] = show_error(ask, value)
    elseif type(value) == "table" then
      node[key] = (value.kind and value.event_id) and show_event(ask, value) or show_fields(ask, value)
    end
  end
  return node
end


-- --- Exports: payloads are texts of JSON ---

local TEXTS = { "input", "output", "error", "heartbeat" }


local function show_exported(ask, event)
  for _, field in ipairs(TEXTS) do
    local value, problem
    if event[field] then value, problem = core.decode(event[field]) end
    event[field] = nil
    if value ~= nil and not problem then
      if field == "heartbeat" then
        value = shown(ask, "heartbeat_details", value)
      else
        value = show_event(ask, { kind = event.kind, name = event.name, [field] = value })[field]
      end
      if value ~= nil then event[field] = core.encode(value) end
    end
  end
  event.carry = nil
end


-- Answers that are a payload as a whole, or hide them.
local shapes = {
  kv = function(ask, answer, args)
    if args.key then return member(ask, "kv", args.key, answer) end
    return shown(ask, "kv", answer)
  end,
  query = function(ask, answer, args) return member(ask, "query", args.name, answer) end,
  why = function(ask, answer)
    answer.reason = shown(ask, "reason", answer.reason) or WITHHELD
    return answer
  end,
  export = function(ask, answer)
    for _, execution in ipairs(answer.executions) do
      for _, event in ipairs(execution.events) do show_exported(ask, event) end
    end
    return answer
  end,
}


--- The answer of a verb with its payloads as `ask(path, value)` shows them; it is changed in place.
function redaction.apply(ask, verb, answer, args)
  if shapes[verb] then return shapes[verb](ask, answer, args) end
  if type(answer) ~= "table" or answer == core.null then return answer end
  return show_fields(ask, answer)
end


--- An error that a call ended with: what code raised is in it, too.
function redaction.of_error(ask, err)
  if errors.is(err) and (err.data ~= nil or err.details ~= nil) then return show_error(ask, err) end
  return err
end


-- --- What is asked for ---

-- A value that the view would see as it is.
local function plain(ask, path, value)
  if value ~= core.null and ask(path, value) ~= value then return false end
  if type(value) ~= "table" or value == core.null then return true end
  for key, inner in pairs(value) do
    if not plain(ask, step(path, key), inner) then return false end
  end
  return true
end


-- A step of a search: digits are an index, or a key that looks like one.
local function plain_step(ask, path, key, value)
  if not plain(ask, step(path, key), value) then return nil end
  local index = key:find("^%d+$") and #key < 10 and tonumber(key)
  if not index then return step(path, key) end
  return plain(ask, step(path, index), value) and step(path, index)
end


-- Of a search, such as "customer.id" or "items.3": every step of the way is asked about, too.
local function plain_path(ask, root, searched, value)
  local path, at, key = root, 1, ""
  while at <= #searched do
    local c = searched:sub(at, at)
    if c == "\\" and searched:find("^[.\\]", at + 1) then
      at = at + 1
      key = key .. searched:sub(at, at)
    elseif c == "." then
      path = plain_step(ask, path, key, {})
      if not path then return false end
      key = ""
    else
      key = key .. c
    end
    at = at + 1
  end
  return plain(ask, root, {}) and plain_step(ask, path, key, value)
end


--- What in the arguments of a question would find out by asking what is redacted: its name, or nil.
function redaction.probed(ask, verb, args)
  local filter = type(args.filter) == "table" and args.filter or {}
  for key, value in pairs(filter.attributes or {}) do
    if not plain_path(ask, "attributes", key:gsub("[.\\]", "\\%0"), value) then return "attributes" end
  end
  if filter.error_contains and not plain(ask, "error.message", filter.error_contains) then return "error_contains" end
  if verb ~= "search_instances" then return nil end
  if args.text then return "text" end -- of any value
  for _, root in ipairs { "input", "output" } do
    for searched, value in pairs(args[root] or {}) do
      if not plain_path(ask, root, searched, value) then return root end
    end
  end
  return nil
end


return redaction
