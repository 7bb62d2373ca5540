-- show: any result as a person reads it: tables in aligned columns, times as "3 min ago", sizes with units.
-- Results print through it by the __tostring of their metatables (rows.lua); duro.show asks for more.
--
-- What a kind of result looks like is one entry of kinds.lua; a kind without one is drawn by its fields:
-- a list of rows as a table, one row as lines of "name  value", the unit by the end of a field's name (_at, _ms,
-- _bytes, _rate). On a terminal tables are cut to its width; anywhere else nothing is cut, ever.

local core = require "duro.core"
local literal = require "duro.literal"
local options = require "duro.options"
local runtime = require "duro.runtime"
local text = require "duro.text"

local show = {}

local SHOW = options.spec("show", {
  { "width", "integer", min = 0, doc = "columns to cut tables to; 0: never cut; default: the terminal's" },
  { "times", "string", one_of = { "relative", "absolute" }, doc = '"3 min ago", or the date and time' },
})

-- How many lines of a terminal a value in a sentence may fill.
local VALUE_LINES = 4

-- How long a line of a value gets where there is no terminal.
local LINE = 100

local KEPT = { ["\n"] = true, ["\t"] = true }

--- What tostring uses: times = "relative" or "absolute"; width (nil: the terminal's; 0: nothing is cut).
show.settings = { times = "relative" }


-- --- Units ---

local function plain_number(value)
  if value ~= value or value == math.huge or value == -math.huge then return tostring(value) end
  if value % 1 == 0 then
    return math.abs(value) < 1e15 and ("%.0f"):format(value) or tostring(value)
  end
  return ("%.6g"):format(value)
end


-- 1.50 -> "1.5", 3.0 -> "3"
local function rounded(value, digits)
  local shown = ("%%.%df"):format(digits):format(value)
  if digits > 0 then shown = shown:gsub("0+$", ""):gsub("%.$", "") end
  return shown
end


--- "850 ms", "1.5 s", "3 min 20 s", "2 h 5 min", "4 d 3 h": a duration in milliseconds.
function show.duration(ms)
  if type(ms) ~= "number" or ms ~= ms or math.abs(ms) == math.huge then return tostring(ms) end
  if ms < 0 then return "-" .. show.duration(-ms) end
  if ms < 10 then return rounded(ms, 2) .. " ms" end
  if ms < 1000 then return rounded(ms, 0) .. " ms" end
  if ms < 60000 then return rounded(math.floor(ms / 100) / 10, 1) .. " s" end
  local big, big_name, small, small_name
  if ms < 3600000 then
    big, big_name, small, small_name = 60000, "min", 1000, "s"
  elseif ms < 2 * 86400000 then
    big, big_name, small, small_name = 3600000, "h", 60000, "min"
  else
    big, big_name, small, small_name = 86400000, "d", 3600000, "h"
  end
  local whole = math.floor(ms / big)
  local rest = math.floor((ms - whole * big) / small)
  if rest == 0 then return ("%.0f %s"):format(whole, big_name) end
  return ("%.0f %s %.0f %s"):format(whole, big_name, rest, small_name)
end


--- "512 B", "1.5 KiB", "3.2 GiB"
function show.bytes(count)
  if type(count) ~= "number" then return tostring(count) end
  local unit = 1
  local UNITS = { "B", "KiB", "MiB", "GiB", "TiB" }
  while math.abs(count) >= 1024 and unit < #UNITS do
    count, unit = count / 1024, unit + 1
  end
  return ("%s %s"):format(rounded(count, unit == 1 and 0 or 1), UNITS[unit])
end


local LAST_DATE = 253402300799 -- the year 9999


--- "2026-01-31 12:00:00", in local time.
function show.date(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= LAST_DATE) then return tostring(seconds) end
  return os.date("%Y-%m-%d %H:%M:%S", math.floor(seconds))
end


-- One unit is enough for a glance; what is more than a month away is a date.
local function relative(seconds, now)
  local distance = math.abs(now - seconds)
  if distance < 1 then return "now" end
  local amount
  if distance < 60 then
    amount = ("%d s"):format(math.floor(distance))
  elseif distance < 3600 then
    amount = ("%d min"):format(math.floor(distance / 60))
  elseif distance < 2 * 86400 then
    amount = ("%d h"):format(math.floor(distance / 3600))
  elseif distance < 30 * 86400 then
    amount = ("%d d"):format(math.floor(distance / 86400))
  else
    return show.date(seconds):sub(1, 10)
  end
  return seconds > now and "in " .. amount or amount .. " ago"
end


-- --- Cells: one field of a row ---

local formats = {}

function formats.time(value, ui) return ui:time(value) end
function formats.time_ms(value, ui) return ui:time(value / 1000) end
function formats.ms(value) return show.duration(value), true end
function formats.seconds(value) return show.duration(value * 1000), true end
function formats.bytes(value) return show.bytes(value), true end
function formats.percent(value) return rounded(value * 100, 1) .. " %", true end
function formats.value(value, ui) return ui:value(value) end
function formats.error(value) return text.safe(tostring(value)) end

function formats.words(value)
  if type(value) ~= "table" then return text.safe(tostring(value)) end
  local words = {}
  for i, word in ipairs(value) do words[i] = text.safe(tostring(word)) end
  return table.concat(words, ", ")
end

function formats.plain(value, ui)
  if type(value) == "number" then return plain_number(value), true end
  if type(value) == "boolean" then return value and "yes" or "no" end
  if type(value) == "table" then return ui:value(value) end
  return text.safe(tostring(value))
end

local FORMAT_OF = { error = "error", input = "value", output = "value", custom_status = "value", data = "value",
  details = "value", attributes = "value", timestamp = "time", since = "time", waiting_on = "words",
  deadline_ms = "time_ms" }

local FORMAT_BY_END = { { "_at_ms$", "time_ms" }, { "_at$", "time" }, { "_ms$", "ms" }, { "_seconds$", "seconds" },
  { "_bytes$", "bytes" }, { "_rate$", "percent" } }


-- How a field is shown, by its name.
local function format_of(field)
  if FORMAT_OF[field] then return FORMAT_OF[field] end
  for _, rule in ipairs(FORMAT_BY_END) do
    if field:find(rule[1]) then return rule[2] end
  end
  return "plain"
end


local NUMERIC = { time = true, time_ms = true, ms = true, seconds = true, bytes = true, percent = true }


-- The text of a field, and whether it leans right.
local function cell(field, value, ui, format)
  if value == nil or value == core.null then return "" end
  format = format or format_of(field)
  if type(format) == "function" then return format(value, ui) end
  if type(value) == "table" and NUMERIC[format] then -- such as {p50=, p99=}
    local parts = {}
    for _, key in ipairs(literal.named_keys(value, 0)) do
      parts[#parts + 1] = ("%s %s"):format(tostring(key), (cell(field, value[key], ui, format)))
    end
    return table.concat(parts, ", ")
  end
  if NUMERIC[format] and type(value) ~= "number" then format = "plain" end
  return formats[format](value, ui)
end


-- --- Tables ---

-- An id has to be readable as a whole: a UUID has that many characters.
local KEY_WIDTH = 36


-- Makes columns narrower until the lines fit: first those whose cells are long texts, then other words, then
-- keys; `whole`: and last times, numbers and everything. False: they do not fit.
local function fit(widths, columns, width, whole)
  local room = width - 2 * (#widths - 1)
  local sum = 0
  for i, each in ipairs(widths) do
    widths[i] = math.min(each, math.max(room, 1))
    sum = sum + widths[i]
  end
  local function shrink(least, allowed)
    while sum > room do
      local widest
      for i, each in ipairs(widths) do
        if each > least and allowed(columns[i]) and (not widest or each > widths[widest]) then widest = i end
      end
      if not widest then return end
      widths[widest], sum = widths[widest] - 1, sum - 1
    end
  end
  shrink(12, function(column) return column.long end)
  shrink(10, function(column) return not column.key and not column.rigid end)
  shrink(6, function(column) return column.long end)
  shrink(KEY_WIDTH, function(column) return not column.rigid end)
  if whole then shrink(1, function() return true end) end
  return sum <= room
end


-- The columns that a terminal has room for, from the left, with their widths; the titles of the others. The first
-- one is always shown.
local function choose(columns, widths, width)
  local left_out = {}
  while true do
    local tried = {}
    for i, each in ipairs(widths) do tried[i] = each end
    if fit(tried, columns, width, #columns == 1) or #columns == 1 then return columns, tried, left_out end
    local last = #columns
    while last > 2 and columns[last].key do last = last - 1 end
    table.insert(left_out, 1, table.remove(columns, last).title)
    table.remove(widths, last)
  end
end


local Ui = {}
Ui.__index = Ui


-- Columns: {field, title=, format=, long=, key=} or just the field. long: cut first; key: cut last.
local function column_of(given)
  if type(given) == "string" then given = { given } end
  local field = given[1]
  local format = given.format or format_of(field)
  return { field = field, title = given.title or text.safe(field), format = format,
    key = given.key or field == "instance_id",
    rigid = NUMERIC[format],
    long = given.long or format == "value" or format == "error" }
end


-- The cells of every row, and which columns have any.
local function cells_of(columns, list, ui)
  local lines, right = {}, {}
  for i, row in ipairs(list) do
    local line = {}
    for j, column in ipairs(columns) do
      local shown, leans = cell(column.field, row[column.field], ui, column.format)
      line[j] = shown
      if shown ~= "" then
        column.used = true
        if right[j] == nil then right[j] = leans or false else right[j] = right[j] and leans end
      end
    end
    lines[i] = line
  end
  return lines, right
end


--- Rows under a head, in aligned columns; columns without any value are left out. nil: no rows.
function Ui:table(given, list, indent)
  local columns = {}
  for i, each in ipairs(given) do columns[i] = column_of(each) end
  local lines, right = cells_of(columns, list, self)
  if #lines == 0 then return nil end
  local used, widths, left_out = {}, {}, {}
  for j, column in ipairs(columns) do
    column.at, column.right = j, right[j]
    if column.used then
      used[#used + 1] = column
      widths[#widths + 1] = text.width(column.title)
      for _, line in ipairs(lines) do widths[#widths] = math.max(widths[#widths], text.width(line[j])) end
    end
  end
  indent = indent or ""
  if self.width and used[1] then used, widths, left_out = choose(used, widths, self.width - #indent) end
  local out = {}
  local function add(get)
    local parts = {}
    for i, column in ipairs(used) do
      local part = get(column)
      if self.width then part = text.cut(part, widths[i]) end
      parts[i] = text.pad(part, widths[i], column.right)
    end
    local line = indent .. table.concat(parts, "  "):gsub("%s+$", "")
    out[#out + 1] = self.width and text.cut(line, self.width) or line
  end
  add(function(column) return column.title end)
  for _, line in ipairs(lines) do add(function(column) return line[column.at] end) end
  if left_out[1] then
    out[#out + 1] = text.cut(("%s(no room for: %s)"):format(indent, table.concat(left_out, ", ")), self.width)
  end
  return table.concat(out, "\n")
end


--- The list with a title that counts it, indented below; nothing when it is empty.
function Ui:section(out, title, columns, list)
  if not list or #list == 0 then return end
  out[#out + 1] = title .. ":"
  out[#out + 1] = self:table(columns, list, "  ")
end


-- --- Rows without an entry in kinds.lua ---

-- Fields that come first, in this order; the others follow by name.
local FIRST = { "seq", "event_id", "timestamp", "key", "instance_id", "orchestration_name", "name", "version", "status",
  "kind", "event_type" }

local FIRST_AT = {}
for i, field in ipairs(FIRST) do FIRST_AT[field] = i end


local function fields_of(list)
  local seen, fields = {}, {}
  for _, row in ipairs(list) do
    for field in pairs(row) do
      if type(field) == "string" and not seen[field] then
        seen[field] = true
        fields[#fields + 1] = field
      end
    end
  end
  table.sort(fields, function(a, b)
    local x, y = FIRST_AT[a] or #FIRST + 1, FIRST_AT[b] or #FIRST + 1
    if x ~= y then return x < y end
    return a < b
  end)
  return fields
end


local function is_list(value)
  return type(value) == "table" and #value > 0
end


local function is_rows(value)
  return is_list(value) and type(value[1]) == "table" and #value[1] == 0
end


-- "commit_latency_ms" -> "commit latency": the unit stands behind the number.
local function words_of(field)
  local bare = field:gsub("_ms$", ""):gsub("_seconds$", ""):gsub("_bytes$", "")
  return text.safe((bare:gsub("_", " ")))
end


--- One row as lines of "name  value", its lists of rows as tables below; `order`: fields that come first.
function Ui:record(row, order)
  local fields, listed = {}, {}
  for _, field in ipairs(order or {}) do
    if row[field] ~= nil then fields[#fields + 1], listed[field] = field, true end
  end
  for _, field in ipairs(fields_of { row }) do
    if not listed[field] then fields[#fields + 1] = field end
  end
  local lines, tables, widest = {}, {}, 0
  for _, field in ipairs(fields) do
    local value, title = row[field], words_of(field)
    if is_rows(value) then
      self:section(tables, title, fields_of(value), value)
    else
      local shown = is_list(value) and formats.words(value) or cell(field, value, self)
      if type(value) == "table" and next(value) == nil then shown = "none" end
      lines[#lines + 1] = { title, shown }
      widest = math.max(widest, text.width(title))
    end
  end
  for i, line in ipairs(lines) do lines[i] = text.pad(line[1], widest) .. "  " .. line[2] end
  for _, each in ipairs(tables) do lines[#lines + 1] = each end
  return table.concat(lines, "\n")
end


local IN_A_LINE = 4


--- "events deleted: 12, instances deleted: 3"; more than a few in lines.
function Ui:counts(row)
  local fields = fields_of { row }
  if #fields > IN_A_LINE then return self:record(row) end
  local parts = {}
  for i, field in ipairs(fields) do
    local value = row[field]
    local shown = type(value) == "table" and (#value > 0 or next(value) == nil) and tostring(#value)
      or cell(field, value, self)
    parts[i] = ("%s: %s"):format(text.safe((field:gsub("_", " "))), shown)
  end
  return table.concat(parts, ", ")
end


function Ui:auto(value)
  if is_rows(value) then return self:table(fields_of(value), value) end
  if is_list(value) then return formats.words(value) end
  if next(value) == nil then return "nothing" end
  return self:record(value)
end


-- --- What the entries of kinds.lua use ---

function Ui:time(seconds)
  if seconds == nil then return "" end
  if type(seconds) ~= "number" then return text.safe(tostring(seconds)) end
  if self.times == "absolute" or math.abs(seconds) == math.huge or seconds ~= seconds then
    return show.date(seconds)
  end
  return relative(seconds, self.now)
end


--- A value in a sentence or a cell: in one line; on a terminal no more than a few lines of it.
function Ui:value(value)
  if value == nil then return "" end
  local room = self.width and self.width * VALUE_LINES
  local shown = literal.line(value, room)
  return room and text.cut(shown, room) or shown
end


Ui.duration = show.duration


--- An id or a name, quoted.
function Ui.name(name)
  return "'" .. text.safe(tostring(name)) .. "'"
end


--- Anything as safe text.
function Ui.plain(value)
  return text.safe(tostring(value))
end


-- --- The door ---

-- The default runtime's clock, since a virtual one differs from the system's.
local function now()
  local rt = runtime.default()
  local seconds = rt and rt:now()
  return seconds or core.wall_ms() / 1000
end


local function new_ui(given)
  local width = given and given.width
  if width == nil then width = show.settings.width end
  if width == nil then width = core.terminal_columns() end
  if width == 0 then width = nil end
  return setmetatable({ width = width, times = given and given.times or show.settings.times, now = now() }, Ui)
end


local function drawn(kind, value, ui)
  local draw = require("duro.kinds")[kind]
  if type(draw) == "table" then return ui:table(draw, value) or "nothing" end
  if draw then return draw(value, ui) or "nothing" end
  return ui:auto(value)
end


--- The text of a result of that kind: its __tostring.
function show.kind(kind, value)
  return text.safe(drawn(kind, value, new_ui()), KEPT)
end


--- duro.show: any value as a person reads it: results as they print, other tables as Lua would write them.
--- context: anywhere but inside an orchestration.
function show.text(value, given)
  local values, err = options.check(SHOW, given)
  if not values then return nil, err end
  local ui = new_ui(values)
  if type(value) == "string" then return text.safe(value, KEPT) end
  if type(value) ~= "table" then return literal.line(value) end
  local meta = getmetatable(value)
  if type(meta) == "table" and meta.__kind then return text.safe(drawn(meta.__kind, value, ui), KEPT) end
  if type(meta) == "table" and meta.__tostring then return text.safe(tostring(value), KEPT) end
  return text.safe(literal.lines(value, ui.width or LINE), KEPT)
end


return show
