-- json: enough of JSON for the results of benchmarks: tables, strings, finite numbers, booleans.

local json = {}


-- --- Writing: keys sorted, so that two files can be compared as text ---

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }


local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return ESCAPES[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end


local write


local function write_object(value, indent)
  local keys, parts = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = quoted(key) .. ": " .. write(value[key], indent) end
  return "{" .. table.concat(parts, ", ") .. "}"
end


local function write_array(value, indent)
  local parts = {}
  for i, item in ipairs(value) do parts[i] = write(item, indent and "") end
  if not indent then return "[" .. table.concat(parts, ", ") .. "]" end
  return "[\n  " .. table.concat(parts, ",\n  ") .. "\n]"
end


function write(value, indent)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "number" then return value % 1 == 0 and ("%.0f"):format(value) or ("%.6g"):format(value) end
  if kind == "boolean" then return tostring(value) end
  if kind ~= "table" then error("no JSON for a " .. kind, 0) end
  if value[1] ~= nil then return write_array(value, indent) end
  return write_object(value, indent)
end


--- JSON text; `lines`: the items of arrays stand on lines of their own.
function json.encode(value, lines)
  return write(value, lines and "" or nil)
end


-- --- Reading ---

local read


local function skip(text, at) return text:find("%S", at) or #text + 1 end


local LITERALS = { { "true", true }, { "false", false }, { "null", nil } }
local UNESCAPED = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f" }


local function read_string(text, at)
  local stop = at + 1
  while true do
    stop = assert(text:find('["\\]', stop), "unfinished string")
    if text:sub(stop, stop) == '"' then break end
    stop = stop + 2
  end
  local body = text:sub(at + 1, stop - 1):gsub("\\(u?)(%x?%x?%x?%x?)(.?)", function(u, hex, rest)
    if u == "u" then return string.char(tonumber(hex, 16) % 256) .. rest end
    local c = hex:sub(1, 1) ~= "" and hex:sub(1, 1) or rest
    local tail = hex:sub(2) .. (hex ~= "" and rest or "")
    return (UNESCAPED[c] or c) .. tail
  end)
  return body, stop + 1
end


local function read_list(text, at, close, item)
  at = skip(text, at + 1)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = skip(text, item(at))
    local c = text:sub(at, at)
    if c == close then return at + 1 end
    assert(c == ",", "expected ',' or '" .. close .. "' at byte " .. at)
    at = skip(text, at + 1)
  end
end


function read(text, at)
  at = skip(text, at)
  local c, value = text:sub(at, at), {}
  if c == '"' then return read_string(text, at) end
  if c == "[" then
    local stop = read_list(text, at, "]", function(from)
      local item, after = read(text, from)
      value[#value + 1] = item
      return after
    end)
    return value, stop
  end
  if c == "{" then
    local stop = read_list(text, at, "}", function(from)
      local key, after = read_string(text, from)
      after = skip(text, after)
      assert(text:sub(after, after) == ":", "expected ':' at byte " .. after)
      value[key], after = read(text, after + 1)
      return after
    end)
    return value, stop
  end
  for _, literal in ipairs(LITERALS) do
    if text:sub(at, at + #literal[1] - 1) == literal[1] then return literal[2], at + #literal[1] end
  end
  local number = assert(text:match("^-?[%d.eE+-]+", at), "no JSON at byte " .. at)
  return tonumber(number), at + #number
end


function json.decode(text)
  return (read(text, 1))
end


return json
