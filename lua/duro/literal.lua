-- literal: payloads as Lua would write them, in one line or with one member a line. Nothing in them can move the
-- cursor of a terminal; what is no payload (functions, userdata) is shown by its tostring.

local text = require "duro.text"

local literal = {}

local WORD = "^[%a_][%w_]*$"

local KEYWORDS = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true "
  .. "until while"):gmatch("%a+") do KEYWORDS[word] = true end


local function quoted(s)
  return '"' .. text.safe((s:gsub('[\\"]', "\\%0"))) .. '"'
end


local function key_text(key)
  if type(key) == "string" then
    return key:find(WORD) and not KEYWORDS[key] and key or "[" .. quoted(key) .. "]"
  end
  return "[" .. tostring(key) .. "]"
end


local function by_kind_and_value(a, b)
  if type(a) ~= type(b) then return type(a) < type(b) end
  if type(a) == "number" or type(a) == "string" then return a < b end
  return tostring(a) < tostring(b)
end


-- The keys behind the array part, in order.
function literal.named_keys(value, count)
  local keys = {}
  for key in pairs(value) do
    local index = type(key) == "number" and key >= 1 and key <= count and key % 1 == 0
    if not index then keys[#keys + 1] = key end
  end
  table.sort(keys, by_kind_and_value)
  return keys
end


-- The shortest text that is read as the same number.
local function number(value)
  if math.type and math.type(value) == "integer" then return ("%d"):format(value) end
  if value ~= value then return "0/0" end
  if value == math.huge then return "math.huge" end
  if value == -math.huge then return "-math.huge" end
  if value % 1 == 0 and math.abs(value) < 2 ^ 53 then
    return ("%.0f"):format(value) .. (math.type and ".0" or "")
  end
  local short = ("%.14g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
end


local function scalar(value)
  if type(value) == "string" then return quoted(value) end
  if type(value) == "number" then
    return number(value)
  end
  return text.safe(tostring(value))
end


local line_of

-- The members of a table as texts: {"1", "x = 2"}. `room` is how many bytes are worth writing.
local function members(value, room, open)
  local out, used, count = {}, 0, #value
  local function add(prefix, item)
    out[#out + 1] = prefix .. line_of(item, room and room - used, open)
    used = used + #out[#out] + 2
    return not room or used <= room
  end
  for i = 1, count do
    if not add("", value[i]) then return out, true end
  end
  for _, key in ipairs(literal.named_keys(value, count)) do
    if not add(key_text(key) .. " = ", value[key]) then return out, true end
  end
  return out
end


function line_of(value, room, open)
  if type(value) ~= "table" then return scalar(value) end
  local meta = getmetatable(value)
  if type(meta) == "table" and meta.__tostring and not open[meta] then return text.safe(tostring(value)) end
  if open[value] then return "{...}" end
  open[value] = true
  local out, more = members(value, room, open)
  open[value] = nil
  if more then out[#out + 1] = "..." end
  if #out == 0 then return "{}" end
  return "{ " .. table.concat(out, ", ") .. " }"
end


--- A value in one line, as Lua would write it. `room`: about how many bytes are worth writing (nil: all).
function literal.line(value, room)
  return line_of(value, room, {})
end


-- A value that does not fit into a line is written with one member a line.
local function pretty(value, width, indent, open)
  local line = literal.line(value)
  if type(value) ~= "table" or open[value] or #indent + text.width(line) <= width then return line end
  open[value] = true
  local deeper, lines, count = indent .. "  ", {}, #value
  for i = 1, count do lines[i] = deeper .. pretty(value[i], width, deeper, open) .. "," end
  for _, key in ipairs(literal.named_keys(value, count)) do
    lines[#lines + 1] = ("%s%s = %s,"):format(deeper, key_text(key), pretty(value[key], width, deeper, open))
  end
  open[value] = nil
  return "{\n" .. table.concat(lines, "\n") .. "\n" .. indent .. "}"
end


--- A value in lines of at most `width` columns where that is possible.
function literal.lines(value, width)
  return pretty(value, width, "", {})
end


return literal
