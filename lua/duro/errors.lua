-- errors: the one error table of duro, {code=, message=, data=, ...}, and how any value that Lua code
-- can throw becomes one.
--
-- The metatable is made by the core, which fills it too when a fault comes from C; here it gets
-- __tostring ("not_found: no instance 'x'") and __concat. Fields are plain, so an error table is also
-- a payload. A record is an error as JSON text, the way history keeps it.
-- To let another field survive a throw: KEPT below.

local core = require "duro.core"

local errors = {}

local Error = core.error_metatable

--- The codes of duro itself: {not_found = true, ...}. Users' codes may be any other string.
errors.codes = core.codes

-- What a thrown table may bring along, beside code, message and data.
local KEPT = { "name", "attempts", "retryable", "details", "path" }


function Error:__tostring()
  return ("%s: %s"):format(tostring(self.code), tostring(self.message))
end


function Error.__concat(a, b)
  return tostring(a) .. tostring(b)
end


--- An error table. `fields` (optional) are copied into it.
function errors.new(code, message, fields)
  local err = { code = code, message = message }
  if fields then
    for key, value in pairs(fields) do err[key] = value end
  end
  return setmetatable(err, Error)
end


--- Whether `v` is an error table of duro.
function errors.is(v)
  return type(v) == "table" and getmetatable(v) == Error
end


--- Raises an error table, without a position in its message.
function errors.throw(code, message, fields)
  error(errors.new(code, message, fields), 0)
end


local function text_of(value)
  local ok, text = pcall(tostring, value)
  if ok and type(text) == "string" then return text end
  return ("a %s whose __tostring fails"):format(type(value))
end


-- A value without a text of its own would show its address, which differs each time the code is replayed.
local function has_text(value)
  local kind = type(value)
  if kind ~= "table" and kind ~= "function" and kind ~= "userdata" and kind ~= "thread" then return true end
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__tostring") ~= nil
end


local function message_of(value)
  local kind = type(value)
  if kind == "string" or kind == "number" then return tostring(value) end
  if kind == "nil" then return "an error without a value was raised (error(nil))" end
  if kind == "table" then
    local message = rawget(value, "message")
    if message ~= nil and has_text(message) then return text_of(message) end
    if has_text(value) then return text_of(value) end
    if type(rawget(value, "code")) == "string" then return value.code end
    return "a table without a message was raised"
  end
  if not has_text(value) then return ("a %s was raised"):format(kind) end
  return text_of(value)
end


--- The error table of whatever was thrown: an error table stays the same one, a table with `code` or
--- `message` keeps them, anything else becomes the message of code "failed". `details` (a traceback)
--- is added where there is none. Never raises.
function errors.of(value, details)
  if errors.is(value) and type(rawget(value, "message")) == "string" then
    if details and value.details == nil then value.details = details end
    return value
  end
  local err = { code = "failed", message = message_of(value), details = details }
  if type(value) == "table" then
    local code = rawget(value, "code")
    if type(code) == "string" and code ~= "" then err.code = code end
    err.data = rawget(value, "data")
    for _, key in ipairs(KEPT) do
      local kept = rawget(value, key)
      if kept ~= nil then err[key] = kept end
    end
  end
  return setmetatable(err, Error)
end


-- Text that JSON can hold as such, since the core reads it.
local function plain(text)
  text = tostring(text)
  local encoded = core.encode(text)
  if not encoded or encoded:byte() == 34 then return text end
  return (text:gsub("[\128-\255]", "?"))
end


--- The record (JSON) of whatever was thrown. Never raises; data that cannot be stored is left out and
--- `details` says so.
function errors.to_record(value, details)
  local err = errors.of(value, details)
  local record = { code = plain(err.code), message = plain(err.message) }
  if err.name ~= nil then record.name = plain(err.name) end
  if err.path ~= nil then record.path = plain(err.path) end
  if type(err.attempts) == "number" then record.attempts = err.attempts end
  if type(err.retryable) == "boolean" then record.retryable = err.retryable end
  if err.details ~= nil then record.details = plain(text_of(err.details)) end
  if err.data ~= nil then
    local text, problem = core.encode(err.data, "data")
    if text then
      record.data = err.data
    else
      record.details = ("(left out: %s)\n%s"):format(plain(problem.message), record.details or "")
    end
  end
  return core.encode(record)
    or '{"code":"too_large","message":"an error was raised that is too large to be stored"}'
end


core.setup { thrown = errors.of, thrown_record = errors.to_record }

return errors
