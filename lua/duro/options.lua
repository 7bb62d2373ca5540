-- options: the one validator of what callers pass, and the tables that say what every call takes.
--
-- A call's options are declared once, as an ordered list of rows {key, type, default=, doc=, ...}; the
-- same rows check the call, print its help and are compared with lua/duro/types by a spec. An unknown key
-- or a wrong type is the programmer's fault and raises at the line that called duro; a value out of
-- range is the world's and comes back as nil, err(invalid_argument).
-- To add an option: one row. To add a type: one entry in `types`.

local core = require "duro.core"
local errors = require "duro.errors"
local semver = require "duro.semver"

local options = {}

-- Every declared list of rows, by the name of its call, in the order of declaration.
options.specs = {}
options.order = {}


-- The year 9999: beyond it dates are no longer written with four digits.
local MAX_TIME_MS = 253402300799999

local HERE = debug.getinfo(1, "S").source:match("^(.*[/\\])") or "@"


--- Raises `message` at the place outside of duro that made the faulty call.
function options.blame(message)
  local level = 2
  local info = debug.getinfo(level, "S")
  while info and info.source:sub(1, #HERE) == HERE do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  error(message, level)
end


-- Edit distance with transpositions, so that 'staus' and 'sttaus' are both one step from 'status'.
local function distance(a, b)
  local before, last = nil, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, before[j - 2] + 1)
      end
      row[j] = best
    end
    before, last = last, row
  end
  return last[#b]
end


--- The known word that `word` was probably meant to be, or nil. Of equally near ones the first.
function options.nearest(word, known)
  local best, best_distance = nil, math.max(2, math.floor(#word / 2)) + 1
  for _, candidate in ipairs(known) do
    local d = distance(word, candidate)
    if d < best_distance then best, best_distance = candidate, d end
  end
  return best
end


--- " (did you mean 'x'?)", or the list of what is known when nothing is near.
function options.hint(word, known)
  local near = type(word) == "string" and options.nearest(word, known)
  if near then return (" (did you mean '%s'?)"):format(near) end
  if #known == 0 then return " (it takes no options)" end
  return (" (known: %s)"):format(table.concat(known, ", "))
end


-- A whole number that both VMs write without a point.
local function whole(number)
  number = math.floor(number + 0.5)
  return math.tointeger and math.tointeger(number) or number
end


--- Milliseconds of a duration: a number of seconds, or "250ms" "30s" "5m" "2h" "7d" or a sum of those.
--- nil and what is wrong with it when it is none. (The grammar: csrc/binding/duration.c.)
function options.duration(value)
  local ms, problem = core.duration_ms(value)
  if ms then return ms end
  return nil, ("cannot be %s: %s"):format(tostring(value), problem)
end


--- Milliseconds of a point in time given in epoch seconds; nil and what is wrong with it.
function options.time(value)
  local ms = value * 1000
  if ms ~= ms or ms < 0 or ms > MAX_TIME_MS then
    return nil, ("is no time in epoch seconds (%s)"):format(tostring(value))
  end
  return whole(ms)
end


local function utf8_valid(text)
  if not text:find("[\128-\255]") then return true end
  local at = 1
  while at <= #text do
    local a, b = text:byte(at, at + 1)
    local more
    if a < 0x80 then more = 0
    elseif a < 0xC2 then return false
    elseif a < 0xE0 then more = 1
    elseif a < 0xF0 then more = 2
    elseif a < 0xF5 then more = 3
    else return false end
    if more > 0 and not text:find("^[\128-\191]", at + 1) then return false end
    if (a == 0xE0 and b < 0xA0) or (a == 0xED and b > 0x9F) -- overlong; a half of a surrogate pair
      or (a == 0xF0 and b < 0x90) or (a == 0xF4 and b > 0x8F) then -- overlong; above U+10FFFF
      return false
    end
    for i = 2, more do
      if not text:find("^[\128-\191]", at + i) then return false end
    end
    at = at + 1 + more
  end
  return true
end


-- Ids and names: UTF-8 without control characters. The core checks again; here the faulty bytes are
-- still bytes, and not yet a tagged payload.
local function text_check(max_bytes)
  return function(value)
    if value == "" then return nil, "must not be empty" end
    if #value > max_bytes then
      return nil, ("is longer than %d bytes (has %d)"):format(max_bytes, #value)
    end
    if not value:find("[^ -~]") then return value end -- most are plain
    if value:find("[%z\1-\31\127]") then return nil, "has a control character" end
    if not utf8_valid(value) then return nil, "is not UTF-8" end
    return value
  end
end


local function is(...)
  local accepted = {}
  for _, name in ipairs { ... } do accepted[name] = true end
  return function(value) return accepted[type(value)] end
end


local function is_integer(value)
  return type(value) == "number" and (value % 1 == 0)
end


-- What is in a table beside 1..n would be passed over in silence: an id that is not acted upon.
local function array_check(value, what)
  local count = 0
  for key in pairs(value) do
    if not is_integer(key) or key < 1 then
      options.blame(("%s must be an array, not a table with the key '%s'"):format(what, tostring(key)))
    end
    count = count + 1
  end
  for i = 1, count do
    if value[i] == nil then options.blame(("%s has a hole: element %d is nil"):format(what, i)) end
  end
end


-- The elements of a list by a check of their own; a single value counts as a list of one.
local function list_of(element)
  return function(value, what)
    if type(value) ~= "table" then value = { value } end
    array_check(value, what)
    local list = core.array {} -- also when nothing is in it
    for i, item in ipairs(value) do
      if not element.accepts(item) then
        options.blame(("%s element %d must be %s, got %s"):format(what, i, element.says, type(item)))
      end
      local problem
      list[i], problem = element.convert(item, what)
      if list[i] == nil then return nil, ("%s (element %d)"):format(problem, i) end
    end
    return list
  end
end


-- Attributes are found by equality, and 5.0 == 5: whole floats are written as the integers they equal.
local function attribute_value(item)
  if type(item) ~= "number" or item % 1 ~= 0 or math.abs(item) >= 2 ^ 53 then return item end
  return whole(item)
end


local function attributes_check(value, what)
  local attributes = {}
  for key, item in pairs(value) do
    if type(key) ~= "string" then options.blame(("the keys of %s must be strings"):format(what)) end
    local kind = type(item)
    if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      options.blame(("%s: '%s' must be a string, number or boolean, got %s"):format(what, key, kind))
    end
    attributes[key] = attribute_value(item)
  end
  return attributes
end


local function same(value) return value end


local function finite(value)
  if value - value == 0 then return value end
  return nil, ("must be a finite number (is %s)"):format(tostring(value))
end


-- What a value may be. accepts: its type is right (else it raises); convert: the value as the core
-- takes it, or nil and what is wrong; suffix: what the key gets when its unit changes.
local types = {
  any = { says = "any value", accepts = function() return true end, convert = same },
  string = { says = "a string", accepts = is "string", convert = same },
  boolean = { says = "a boolean", accepts = is "boolean", convert = same },
  number = { says = "a number", accepts = is "number", convert = finite },
  integer = { says = "an integer", accepts = is_integer, convert = whole },
  table = { says = "a table", accepts = is "table", convert = same },
  ["function"] = { says = "a function", accepts = is "function", convert = same },
  duration = { says = 'a duration (a number of seconds, or such as "1h30m")',
    accepts = is("number", "string"), convert = options.duration, suffix = "_ms" },
  time = { says = "a time (epoch seconds)", accepts = is "number", convert = options.time, suffix = "_ms" },
  moment = { says = "a time (epoch seconds)", accepts = is "number", -- stays in seconds
    convert = function(value)
      local _, problem = options.time(value)
      if problem then return nil, problem end
      return value
    end },
  id = { says = "a string", accepts = is "string", convert = text_check(1024) },
  name = { says = "a string", accepts = is "string", convert = text_check(128) },
  version = { says = "a version such as \"1.0.0\"", accepts = is "string", convert = function(value)
    if semver.parse(value) then return value end
    return nil, ("is no semver: '%s' (write such as \"1.0.0\")"):format(value)
  end },
  attributes = { says = "a flat table", accepts = is "table", convert = attributes_check },
}
-- Ids that a person or program chooses are shorter than those derived for children.
types.new_id = { says = "a string", accepts = is "string", convert = text_check(256) }
types.ids = { says = "an array of ids", accepts = is "table", convert = list_of(types.id) }
types.strings = { says = "a string or an array of strings", accepts = is("string", "table"),
  convert = list_of(types.string) }
types.names = { says = "a string or an array of strings", accepts = is("string", "table"),
  convert = list_of(types.name) }
options.types = types


local function invalid(format, ...)
  return nil, errors.new("invalid_argument", format:format(...))
end


local function one_of_problem(words, given)
  for _, word in ipairs(words) do
    if word == given then return nil end
  end
  local near = options.nearest(given, words)
  return ("must be one of: %s (is '%s'%s)"):format(table.concat(words, ", "), given,
    near and (": did you mean '%s'?"):format(near) or "")
end


--- A value by its row: as the core takes it, or nil, err. Raises when its type is wrong.
function options.checked(row, value, what)
  local kind = types[row[2]]
  if not kind.accepts(value) then
    options.blame(("%s must be %s, got %s"):format(what, kind.says, type(value)))
  end
  local converted, problem = kind.convert(value, what)
  if converted == nil and value ~= nil then return invalid("%s %s", what, problem) end
  if row.one_of then
    if type(converted) == "table" then
      for _, given in ipairs(converted) do problem = problem or one_of_problem(row.one_of, given) end
    else
      problem = one_of_problem(row.one_of, converted)
    end
    if problem then return invalid("%s %s", what, problem) end
  end
  if (row.min and converted < row.min) or (row.max and converted > row.max) then
    local unit = kind.suffix and " ms" or ""
    return invalid("%s must be %s%s (is %s)", what,
      row.max and ("between %s and %s"):format(row.min or 0, row.max) or ("at least %s"):format(row.min), unit,
      tostring(value))
  end
  return converted
end


--- The same for a value that no row stands for.
function options.argument(value, kind, what)
  return options.checked({ what, kind }, value, what)
end


--- The key that the core knows a row's value by: its unit is in it ("timeout_ms").
function options.target(row)
  return row.as or row[1] .. (types[row[2]].suffix or "")
end


local function keys_of(rows)
  local keys = {}
  for i, row in ipairs(rows) do keys[i] = row[1] end
  return keys
end


-- What each check of the row needs, made once.
local function prepare(row)
  assert(types[row[2]], row[2])
  row.what, row.target = ("option '%s'"):format(row[1]), options.target(row)
  if row.default ~= nil then row.filled = options.checked(row, row.default, row.what) end
end


--- Declares what the call `name` takes: rows {key, type, default=, required=, min=, max=, one_of=,
--- as=, doc=, usual=}. `as` is the key that the core knows it by; `usual` is the default in words, when it is not
--- set here. Gives the spec, for `check`.
function options.spec(name, rows)
  local spec = { name = name, rows = rows, keys = keys_of(rows), by_key = {}, never_left_out = {} }
  for _, row in ipairs(rows) do
    prepare(row)
    spec.by_key[row[1]] = row
    if row.required or row.default ~= nil then spec.never_left_out[#spec.never_left_out + 1] = row end
  end
  options.specs[name] = spec
  options.order[#options.order + 1] = name
  return spec
end


--- Checks the table `given` (nil: empty) against a spec. Gives a new table (or adds to `values`) with the defaults
--- filled in and durations and times in milliseconds (their keys end in _ms), or nil, err(invalid_argument).
function options.check(spec, given, values)
  if given == nil then given = {} end
  if type(given) ~= "table" then
    options.blame(("the options of %s must be a table, got %s"):format(spec.name, type(given)))
  end
  for key in pairs(given) do
    if not spec.by_key[key] then
      options.blame(("unknown option '%s'%s"):format(tostring(key), options.hint(key, spec.keys)))
    end
  end
  values = values or {}
  for _, row in ipairs(next(given) == nil and spec.never_left_out or spec.rows) do
    local value = given[row[1]]
    if value ~= nil then
      local converted, err = options.checked(row, value, row.what)
      if err then return nil, err end
      values[row.target] = converted
    elseif row.required then
      options.blame(row.what .. " is required")
    else
      values[row.target] = row.filled
    end
  end
  return values
end


return options
