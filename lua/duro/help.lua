-- help: what duro.help([name]) answers: signature, sentences, options, errors and an example. Signatures and options
-- come from the rows that check the calls, the rest from manual.lua.

local calls = require "duro.calls"
local core = require "duro.core"
local manual = require "duro.manual"
local options = require "duro.options"

-- These declare the calls and their options.
local runtime = require "duro.runtime"
require "duro.activity"
require "duro.orchestration"
require "duro.registry"
require "duro.repl"
require "duro.show"

-- How wide lines get where there is no terminal.
local WIDTH = 110

-- What the types of options are called here; the others by their own names.
local TYPE_NAMES = { strings = "text or array", names = "text or array", ids = "array of ids", new_id = "id",
  moment = "time", string = "text", any = "value", attributes = "flat table" }


local function rows_by_name()
  local by_name = {}
  for _, row in ipairs(calls.rows) do by_name[row[1]] = row end
  return by_name
end


-- --- Laying out ---

local function wrapped(words, width, indent)
  local lines, line = {}, ""
  for word in words:gmatch("%S+") do
    if line ~= "" and #line + #word + 1 > width - #indent then
      lines[#lines + 1] = line
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. indent)
end


local function indented(block)
  return "  " .. block:gsub("\n", "\n  ")
end


local function range_text(row)
  if row.min and row.max then return ("%s to %s"):format(row.min, row.max) end
  if row.min and row.min > 0 then return ("at least %s"):format(row.min) end
  return row.max and ("at most %s"):format(row.max)
end


local function meaning(row)
  local parts = {}
  if row.doc then parts[1] = row.doc end
  if row.one_of then parts[#parts + 1] = "one of: " .. table.concat(row.one_of, ", ") end
  parts[#parts + 1] = range_text(row)
  return table.concat(parts, "; ")
end


-- A line an option: key, type, default (or "required"), meaning.
local function options_text(spec, width)
  local lines, widths = {}, { 0, 0, 0 }
  for i, row in ipairs(spec.rows) do
    local default = row.required and "required" or row.default ~= nil and tostring(row.default) or row.usual or "-"
    lines[i] = { row[1], TYPE_NAMES[row[2]] or row[2], default, meaning(row) }
    for column = 1, 3 do widths[column] = math.max(widths[column], #lines[i][column]) end
  end
  local layout = ("  %%-%ds  %%-%ds  %%-%ds  "):format(widths[1], widths[2], widths[3])
  for i, line in ipairs(lines) do
    local head = layout:format(line[1], line[2], line[3])
    lines[i] = (head .. wrapped(line[4], math.max(width, #head + 30), (" "):rep(#head))):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end


-- What the types among these options accept, when that is not plain.
local function units_text(spec)
  local used = {}
  for _, row in ipairs(spec.rows) do used[row[2]] = true end
  local said = {}
  if used.duration then said[#said + 1] = 'a duration is a number of seconds, or such as "250ms" "30s" "1h30m" "7d"' end
  if used.time or used.moment then said[#said + 1] = "a time is a number of epoch seconds" end
  return said[1] and "  (" .. table.concat(said, "; ") .. ")"
end


-- The options, and below them those of the tables among them, such as `management` of duro.open.
local function add_options(out, spec, width)
  out[#out + 1] = options_text(spec, width)
  out[#out + 1] = units_text(spec)
  for _, row in ipairs(spec.rows) do
    local inner = options.specs[spec.name .. "." .. row[1]] or row[1] == "retry" and options.specs.retry
    if inner then
      out[#out + 1] = ("  %s = {...}:"):format(row[1])
      out[#out + 1] = indented(options_text(inner, width - 2))
    end
  end
end


-- --- One call ---

local function spec_of(entry, row)
  if row and row.options then return row.options end
  return entry.options and options.specs[entry.options]
end


local function one(name, entry, row, width)
  local signature = row and calls.signature(row) or entry.signature or name
  local returns = row and row.returns or entry.returns
  local out = { signature .. (returns and " -> " .. returns or ""), "",
    wrapped(row and row.doc or entry.doc or "", width, "") }
  local spec = spec_of(entry, row)
  if spec then
    out[#out + 1] = "\noptions: key, type, default, meaning"
    add_options(out, spec, width)
  end
  if entry.errors then out[#out + 1] = "\nerrors: " .. entry.errors end
  if entry.example then out[#out + 1] = "\nexample:\n" .. indented(entry.example) end
  return table.concat(out, "\n")
end


-- --- Everything ---

local function first_sentence(words)
  return words:match("^(.-%.)%s+%u") or words
end


-- Calls that the manual has not heard of yet stand at the end.
local function unheard(rows)
  local names = {}
  for name in pairs(rows) do
    if not manual.entries[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end


local function overview(width)
  local rows, out = rows_by_name(), { "duro.help(name) says more about one of these." }
  local function add(title, names)
    out[#out + 1] = "\n" .. title
    for _, name in ipairs(names) do
      local words = rows[name] and rows[name].doc or (manual.entries[name] or {}).doc or ""
      local line = ("  %-32s %s"):format(name, wrapped(first_sentence(words), width, (" "):rep(35)))
      out[#out + 1] = (line:gsub("%s+$", ""))
    end
  end
  for _, part in ipairs(manual.parts) do add(part.title, part.names) end
  local others = unheard(rows)
  if others[1] then add("Others", others) end
  return table.concat(out, "\n")
end


local function known_names(rows)
  local names = {}
  for _, part in ipairs(manual.parts) do
    for _, name in ipairs(part.names) do names[#names + 1] = name end
  end
  for _, name in ipairs(unheard(rows)) do names[#names + 1] = name end
  return names
end


-- A function of the API is as good as its name.
local function name_of(value)
  if type(value) ~= "function" then return nil end
  for _, place in ipairs { require "duro", runtime.methods } do
    for name, member in pairs(place) do
      if member == value then return name end
    end
  end
end


--- A text about everything, or about one call; it takes "list_instances", "rt:list_instances", "ctx:sleep" and the
--- function itself. context: anywhere.
local function help(name)
  local width = math.max(core.terminal_columns() or WIDTH, 40)
  if name == nil then return overview(width) end
  local rows = rows_by_name()
  local wanted = name_of(name) or tostring(name)
  if not wanted:find("^ctx:") then wanted = wanted:gsub("^%a+[:.]", ""):gsub("%(.*$", "") end
  if not rows[wanted] and not manual.entries[wanted] and manual.entries["ctx:" .. wanted] then
    wanted = "ctx:" .. wanted
  end
  local entry, row = manual.entries[wanted], rows[wanted]
  if entry or row then return one(wanted, entry or {}, row, width) end
  return ("duro has no '%s'%s"):format(tostring(name), options.hint(wanted, known_names(rows)))
end


return help
