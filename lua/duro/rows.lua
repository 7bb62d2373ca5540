-- rows: what the answers of calls look like to people. Rows are plain tables (pairs, # and JSON
-- libraries work on them); a metatable adds only __tostring and methods, and errors in them become
-- error tables.
--
-- To show a new kind of row: a function here that sets its metatable, named in its row of calls.

local core = require "duro.core"

local rows = {}

-- The statuses that do not change any more.
rows.FINAL = { completed = true, failed = true, cancelled = true, terminated = true, not_found = true }


--- A payload as it came: the JSON null of an answer's field is nil.
function rows.value(value)
  if value == core.null then return nil end
  return value
end


local function time_text(seconds)
  if not seconds then return "" end
  return os.date("%Y-%m-%d %H:%M:%S", math.floor(seconds))
end


-- A payload in at most `width` characters.
local function brief(value, width)
  if value == nil then return "" end
  local text = core.encode(value) or "?"
  if #text > width then text = text:sub(1, width - 3) .. "..." end
  return text
end


-- Lines of cells under a head, in columns as wide as their widest cell; numbers lean right.
local function table_text(head, lines)
  local widths = {}
  for column, title in ipairs(head) do widths[column] = #title end
  for _, line in ipairs(lines) do
    for column in ipairs(head) do
      widths[column] = math.max(widths[column], #tostring(line[column]))
    end
  end
  local out = {}
  local function add(line)
    local cells = {}
    for column in ipairs(head) do
      local cell = line[column]
      local space = (" "):rep(widths[column] - #tostring(cell))
      cells[column] = type(cell) == "number" and space .. cell or cell .. space
    end
    out[#out + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  add(head)
  for _, line in ipairs(lines) do add(line) end
  return table.concat(out, "\n")
end


local function with_error(row)
  if type(row.error) == "table" then setmetatable(row.error, core.error_metatable) end
  return row
end


-- --- The status of one instance ---

local Status = {}
Status.__index = Status


function Status:__tostring()
  if self.status == "not_found" then return ("there is no instance '%s'"):format(self.instance_id) end
  local text = ("instance '%s' is %s"):format(self.instance_id, self.status)
  if self.error then
    text = text .. ": " .. tostring(self.error)
  elseif self.output ~= nil then
    text = text .. " with " .. brief(self.output, 60)
  elseif self.custom_status ~= nil then
    text = text .. " (" .. brief(self.custom_status, 60) .. ")"
  end
  return text
end


function rows.status(row)
  row.output, row.custom_status = rows.value(row.output), rows.value(row.custom_status)
  return setmetatable(with_error(row), Status)
end


-- --- The statuses of many: an array, also indexable by id ---

local function statuses_text(list)
  local lines = {}
  for i, row in ipairs(list) do
    lines[i] = { row.instance_id, row.status, row.error and tostring(row.error) or brief(row.output, 60) }
  end
  return table_text({ "instance_id", "status", "output" }, lines)
end


function rows.statuses(list)
  local by_id = {}
  for _, row in ipairs(list) do by_id[row.instance_id] = rows.status(row) end
  return setmetatable(list, { __index = by_id, __tostring = statuses_text })
end


-- --- Summaries ---

local Summary = {}
Summary.__index = Summary


function Summary:__tostring()
  local text = ("%s '%s' is %s since %s"):format(self.orchestration_name, self.instance_id, self.status,
    time_text(self.completed_at or self.updated_at))
  if self.waiting_on then text = text .. ", waiting on " .. table.concat(self.waiting_on, ", ") end
  if self.error then text = text .. ": " .. tostring(self.error) end
  return text
end


function rows.summary(row)
  row.custom_status = rows.value(row.custom_status)
  return setmetatable(with_error(row), Summary)
end


local Instances = {}
Instances.__index = Instances


--- The ids of the listed instances, for a bulk call.
function Instances:ids()
  local ids = {}
  for i, row in ipairs(self) do ids[i] = row.instance_id end
  return ids
end


function Instances:__tostring()
  local lines = {}
  for i, row in ipairs(self) do
    lines[i] = { row.instance_id, row.orchestration_name, row.status, time_text(row.created_at),
      time_text(row.updated_at), row.waiting_on and table.concat(row.waiting_on, " ") or "" }
  end
  local text = table_text({ "instance_id", "orchestration", "status", "created", "updated", "waiting on" }, lines)
  return self.truncated and text .. "\n(more matched)" or text
end


function rows.instances(list)
  for _, row in ipairs(list) do rows.summary(row) end
  return setmetatable(list, Instances)
end


-- --- Pages: the list, and how to go on ---

local Page = {}


function Page:__tostring()
  local text = tostring(self.instances)
  if self.total_count then text = ("%s\n(%d in all)"):format(text, self.total_count) end
  return self.next_page_token and text .. "\n(more with page_token=next_page_token)" or text
end


function rows.page(answer)
  return setmetatable(answer, Page)
end


-- --- Outcomes of a bulk call ---

local Outcomes = {}


function Outcomes:__tostring()
  local keys, lines = {}, {}
  for key, value in pairs(self) do
    if type(value) == "table" and key ~= "failed_instances" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for i, key in ipairs(keys) do lines[i] = ("%s: %d"):format((key:gsub("_", " ")), #self[key]) end
  lines[#lines + 1] = ("failed instances: %d"):format(#self.failed_instances)
  lines[#lines + 1] = ("total matched: %d"):format(self.total_matched)
  local text = table.concat(lines, ", ")
  for _, row in ipairs(self.failed_instances) do
    text = ("%s\n  %s: %s"):format(text, row.instance_id, tostring(row.error))
  end
  return text
end


function rows.outcomes(answer)
  for _, row in ipairs(answer.failed_instances) do with_error(row) end
  return setmetatable(answer, Outcomes)
end


-- --- One instance in full ---

local Details = {}
Details.__index = Details


local function pending_lines(current)
  local lines = {}
  for _, row in ipairs(current.pending_activities or {}) do
    lines[#lines + 1] = ("  activity '%s' is %s, attempt %d"):format(row.name, row.state, row.attempt)
  end
  for _, row in ipairs(current.pending_timers or {}) do
    lines[#lines + 1] = ("  timer fires at %s"):format(time_text(row.fire_at))
  end
  for _, row in ipairs(current.pending_events or {}) do
    lines[#lines + 1] = ("  waits for event '%s'"):format(row.name)
  end
  for _, row in ipairs(current.pending_sub_orchestrations or {}) do
    lines[#lines + 1] = ("  waits for '%s', instance '%s'"):format(row.name, row.instance_id)
  end
  return lines
end


function Details:__tostring()
  local lines = { tostring(self.summary) }
  for _, execution in ipairs(self.executions or {}) do
    lines[#lines + 1] = ("execution %d is %s, %d events"):format(execution.execution_id, execution.status,
      execution.event_count)
  end
  if self.current_execution then
    for _, line in ipairs(pending_lines(self.current_execution)) do lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n")
end


local function pending_values(current)
  for _, pending in ipairs(current.pending_activities) do
    pending.input = rows.value(pending.input)
    if type(pending.last_error) == "table" then
      setmetatable(pending.last_error, core.error_metatable)
    end
  end
end


function rows.details(answer)
  rows.summary(answer.summary)
  if answer.current_execution then pending_values(answer.current_execution) end
  return setmetatable(answer, Details)
end


-- --- Trees ---

local Tree = {}


local function add_branches(lines, children, indent)
  for i, row in ipairs(children) do
    local last = i == #children
    local more = row.child_count > 0 and not row.children and (", %d children"):format(row.child_count) or ""
    lines[#lines + 1] = ("%s%s '%s' (%s) is %s%s"):format(indent, last and "`-" or "|-", row.instance_id,
      row.orchestration_name, row.status, more)
    add_branches(lines, row.children or {}, indent .. (last and "   " or "|  "))
  end
end


function Tree:__tostring()
  local lines, indent = {}, ""
  if self.parent then
    if self.root_instance ~= self.parent.instance_id then
      lines[1] = ("'%s' (the root)"):format(self.root_instance)
    end
    lines[#lines + 1] = ("'%s' (%s) is %s"):format(self.parent.instance_id, self.parent.orchestration_name,
      self.parent.status)
    indent = "   "
  end
  lines[#lines + 1] = ("%s'%s', %d below it"):format(self.parent and "`- " or "", self.instance_id,
    self.total_descendants)
  add_branches(lines, self.children, indent)
  return table.concat(lines, "\n")
end


function rows.dependencies(answer)
  return setmetatable(answer, Tree)
end


-- --- Why nothing happens ---

local Why = {}


function Why:__tostring()
  local since = self.since and (" (since %s)"):format(time_text(self.since)) or ""
  return ("%s: %s%s\n-> %s"):format(self.state, self.reason, since, self.suggestion or "nothing is to be done")
end


function rows.why(answer)
  return setmetatable(answer, Why)
end


-- --- Histories ---

local Events = {}
Events.__index = Events


function Events:__tostring()
  local lines = {}
  for i, event in ipairs(self) do
    local shown = event.output
    if shown == nil then shown = event.input end
    lines[i] = { event.event_id, time_text(event.timestamp), event.kind, event.name or "",
      event.source_event_id or "", event.error and tostring(event.error) or brief(shown, 60) }
  end
  return table_text({ "id", "time", "kind", "name", "of", "value" }, lines)
end


function rows.events(list)
  for _, event in ipairs(list) do
    event.input, event.output = rows.value(event.input), rows.value(event.output)
    event.heartbeat_details = rows.value(event.heartbeat_details)
    with_error(event)
  end
  return setmetatable(list, Events)
end


-- --- Where the code waits ---

local Stack = {}


function Stack:__tostring()
  local lines, block = { "stack traceback:" }, nil
  for _, frame in ipairs(self) do
    if frame.block ~= block then
      block = frame.block
      lines[#lines + 1] = block and ("block %d (ctx:spawn):"):format(block) or "the orchestration:"
    end
    lines[#lines + 1] = ("\t%s:%d: in function '%s'"):format(frame.source, frame.line, frame["function"])
    local names = {}
    for name in pairs(frame.locals or {}) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      lines[#lines + 1] = ("\t\t%s = %s"):format(name, brief(frame.locals[name], 60))
    end
  end
  return table.concat(lines, "\n")
end


function rows.stack(list)
  return setmetatable(list, Stack)
end


-- --- Looking back ---

local At = {}


function At:__tostring()
  local lines = { "custom status: " .. brief(self.custom_status, 60), "kv: " .. brief(self.kv, 60) }
  for _, line in ipairs(pending_lines(self.pending)) do lines[#lines + 1] = line end
  lines[#lines + 1] = tostring(self.stack or self.stack_error)
  return table.concat(lines, "\n")
end


function rows.at(answer)
  answer.custom_status = rows.value(answer.custom_status)
  pending_values(answer.pending)
  if answer.stack then rows.stack(answer.stack) end
  if answer.stack_error then setmetatable(answer.stack_error, core.error_metatable) end
  return setmetatable(answer, At)
end


-- --- Counts: "events deleted: 12, instances deleted: 3"; many of them in a column ---

local Counts = {}
local IN_A_LINE = 4


local function count_text(value)
  if type(value) ~= "table" then return tostring(value) end
  if #value > 0 or next(value) == nil then return tostring(#value) end
  return brief(value, 60)
end


function Counts.__tostring(row)
  local keys, lines = {}, {}
  for key in pairs(row) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do lines[i] = { (key:gsub("_", " ")), count_text(row[key]) } end
  if #lines > IN_A_LINE then return table_text({ "count", "value" }, lines) end
  for i, line in ipairs(lines) do lines[i] = table.concat(line, ": ") end
  return table.concat(lines, ", ")
end


function rows.counts(row)
  return setmetatable(row, Counts)
end


return rows
