-- kinds: what each kind of result looks like: one entry a kind, drawn by show.lua.
--
-- An entry is a list of columns (for an array of rows), or a function(value, ui) that gives the text. A column
-- is a field, or {field, title=, format=, long=, key=}: long ones are cut first on a narrow terminal, key ones
-- last; columns without any value are left out. `ui` has table, record, counts, section, time, value, name, plain
-- and duration. A result whose kind has no entry here is drawn by the names of its fields.
-- To show a new kind of row: result = rows.of "kind" in its row of calls, and an entry here if its fields alone
-- do not read well.

local show = require "duro.show"

local kinds = {}


local function lines(...)
  local out = {}
  for i = 1, select("#", ...) do
    local line = select(i, ...)
    if line then out[#out + 1] = line end
  end
  return table.concat(out, "\n")
end


-- A code that the status has said already is left out.
local function error_text(err, status)
  if not err then return "" end
  if err.code == status and err.message then return ": " .. tostring(err.message) end
  return ": " .. tostring(err)
end


local ENDED = { completed = "has completed", failed = "has failed", cancelled = "was cancelled",
  terminated = "was terminated" }


-- --- Instances ---

function kinds.status(row, ui)
  if row.status == "not_found" then return ("there is no instance %s"):format(ui.name(row.instance_id)) end
  local said = ("instance %s %s"):format(ui.name(row.instance_id), ENDED[row.status] or "is " .. row.status)
  if row.error then return said .. error_text(row.error, row.status) end
  if row.output ~= nil then return said .. " with " .. ui:value(row.output) end
  if row.custom_status ~= nil then return ("%s (%s)"):format(said, ui:value(row.custom_status)) end
  return said
end


kinds.statuses = { { "instance_id", key = true }, "status", "output", "error", "custom_status" }


function kinds.summary(row, ui)
  local said = ("%s %s "):format(ui.plain(row.orchestration_name), ui.name(row.instance_id))
  if row.completed_at then
    said = said .. ("%s %s"):format(row.status, ui:time(row.completed_at))
  else
    said = said .. ("is %s (created %s, updated %s)"):format(row.status, ui:time(row.created_at),
      ui:time(row.updated_at))
  end
  if row.waiting_on then said = said .. ", waiting on " .. table.concat(row.waiting_on, ", ") end
  return said .. error_text(row.error, row.status)
end


local INSTANCES = { { "instance_id", key = true }, { "orchestration_name", title = "orchestration" }, "status",
  { "created_at", title = "created" }, { "updated_at", title = "updated" }, { "waiting_on", long = true }, "error" }


function kinds.instances(list, ui)
  return lines(ui:table(INSTANCES, list) or "no instances", list.truncated and "(more matched)")
end


function kinds.page(page, ui)
  return lines(kinds.instances(page.instances, ui),
    page.total_count and ("(%s in all)"):format(ui.plain(page.total_count)),
    page.next_page_token and "(more with page_token=next_page_token)")
end


kinds.descriptor = function(row, ui)
  return ui:record(row, { "name", "version", "parent_instance", "parent_id" })
end


function kinds.ids(list, ui)
  local out = {}
  for i, id in ipairs(list) do out[i] = ui.plain(id) end
  return out[1] and table.concat(out, "\n")
end


-- --- What it waits for ---

local function pending_lines(out, current, ui)
  for _, row in ipairs(current.pending_activities or {}) do
    local again = row.next_attempt_at and ", next " .. ui:time(row.next_attempt_at) or ""
    out[#out + 1] = ("  activity %s is %s, attempt %d%s%s"):format(ui.name(row.name), row.state, row.attempt, again,
      error_text(row.last_error))
  end
  for _, row in ipairs(current.pending_timers or {}) do
    out[#out + 1] = ("  timer of %s fires %s"):format(ui.duration(row.delay_ms), ui:time(row.fire_at))
  end
  for _, row in ipairs(current.pending_events or {}) do
    out[#out + 1] = ("  waits for event %s (subscribed %s)"):format(ui.name(row.name), ui:time(row.subscribed_at))
  end
  for _, row in ipairs(current.pending_sub_orchestrations or {}) do
    out[#out + 1] = ("  waits for %s, instance %s"):format(ui.name(row.name), ui.name(row.instance_id))
  end
end


local function execution_line(row, ui)
  local ended = row.completed_at and ", ended " .. ui:time(row.completed_at) or ""
  local why = row.continue_as_new_reason and (" (%s)"):format(ui.plain(row.continue_as_new_reason)) or ""
  return ("execution %d is %s, %d events, started %s%s%s"):format(row.execution_id, row.status, row.event_count,
    ui:time(row.started_at), ended, why)
end


function kinds.details(row, ui)
  local out = { kinds.summary(row.summary, ui) }
  if row.summary.parent_instance then out[2] = "child of " .. ui.name(row.summary.parent_instance) end
  if row.summary.custom_status ~= nil then
    out[#out + 1] = "custom status: " .. ui:value(row.summary.custom_status)
  end
  if row.summary.attributes then out[#out + 1] = "attributes: " .. ui:value(row.summary.attributes) end
  for _, execution in ipairs(row.executions or {}) do out[#out + 1] = execution_line(execution, ui) end
  if row.current_execution then pending_lines(out, row.current_execution, ui) end
  return table.concat(out, "\n")
end


function kinds.at(row, ui)
  local out = { "custom status: " .. ui:value(row.custom_status), "kv: " .. ui:value(row.kv) }
  pending_lines(out, row.pending, ui)
  out[#out + 1] = row.stack and kinds.stack(row.stack, ui) or ui.plain(row.stack_error)
  return table.concat(out, "\n")
end


-- A reason tells how long already, so `since` is a date.
function kinds.why(row, ui)
  local since = row.since and (" (since %s)"):format(show.date(row.since)) or ""
  return ("%s: %s%s\n-> %s"):format(row.state, ui.plain(row.reason), since,
    ui.plain(row.suggestion or "nothing is to be done"))
end


-- --- Histories ---

-- What an event is about, beside its name: the first of these that it has.
local TOLD = { { "error" }, { "output" }, { "input" }, { "data" }, { "fire_at_ms", "fires " }, { "reason" },
  { "instance_id" }, { "value" } }


local function told(event, ui)
  for _, field in ipairs(TOLD) do
    local value = event[field[1]]
    if value ~= nil then
      if field[2] then return field[2] .. ui:time(value / 1000) end
      if field[1] == "error" or field[1] == "reason" or field[1] == "instance_id" then return ui.plain(value) end
      return ui:value(value)
    end
  end
  return ""
end


function kinds.events(list, ui)
  local drawn = {}
  for i, event in ipairs(list) do
    drawn[i] = { event_id = event.event_id, timestamp = event.timestamp, kind = event.kind, name = event.name,
      of = event.source_event_id, value = told(event, ui) }
  end
  return ui:table({ { "event_id", title = "id" }, { "timestamp", title = "time" }, { "kind", key = true }, "name", "of",
    { "value", format = "plain", long = true } }, drawn) or "no events"
end


function kinds.history(page, ui)
  return lines(kinds.events(page.events, ui), page.next_page_token and "(more with page_token=next_page_token)")
end


-- --- Where the code waits ---

function kinds.stack(list, ui)
  local out, block = { "stack traceback:" }, nil
  for _, frame in ipairs(list) do
    if frame.block ~= block then
      block = frame.block
      out[#out + 1] = block and ("block %d (ctx:spawn):"):format(block) or "the orchestration:"
    end
    out[#out + 1] = ("\t%s:%d: in function %s%s"):format(ui.plain(frame.source), frame.line,
      ui.name(frame["function"]), frame.tail_call and " (in its last call)" or "")
    local names = {}
    for name in pairs(frame.locals or {}) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      out[#out + 1] = ("\t\t%s = %s"):format(ui.plain(name), ui:value(frame.locals[name]))
    end
  end
  return table.concat(out, "\n")
end


-- --- Trees ---

local function relative_text(row, ui)
  return ("%s (%s) is %s"):format(ui.name(row.instance_id), ui.plain(row.orchestration_name), row.status)
end


local function add_branches(out, children, indent, ui)
  for i, row in ipairs(children) do
    local last = i == #children
    local more = row.child_count > 0 and not row.children and (", %d children"):format(row.child_count) or ""
    out[#out + 1] = indent .. (last and "`- " or "|- ") .. relative_text(row, ui) .. more
    add_branches(out, row.children or {}, indent .. (last and "   " or "|  "), ui)
  end
end


function kinds.dependencies(tree, ui)
  local out, indent = {}, ""
  if tree.parent then
    if tree.root_instance ~= tree.parent.instance_id then
      out[1] = ("%s (the root)"):format(ui.name(tree.root_instance))
    end
    out[#out + 1] = relative_text(tree.parent, ui)
    indent = "   "
  end
  out[#out + 1] = ("%s%s, %d below it"):format(tree.parent and "`- " or "", ui.name(tree.instance_id),
    tree.total_descendants)
  add_branches(out, tree.children, indent, ui)
  return table.concat(out, "\n")
end


-- --- Many at once ---

-- Lists are told by their lengths, which instances failed one by one.
function kinds.outcomes(row, ui)
  local counted, failed = {}, {}
  for key, value in pairs(row) do
    if type(value) == "table" and key ~= "failed_instances" then
      counted[#counted + 1] = ("%s: %d"):format((key:gsub("_", " ")), #value)
    end
  end
  table.sort(counted)
  counted[#counted + 1] = ("failed instances: %d"):format(#row.failed_instances)
  counted[#counted + 1] = ("total matched: %s"):format(ui.plain(row.total_matched))
  for i, each in ipairs(row.failed_instances) do
    failed[i] = ("  %s: %s"):format(ui.plain(each.instance_id), ui.plain(each.error))
  end
  return lines(table.concat(counted, ", "), failed[1] and table.concat(failed, "\n"))
end


function kinds.waited(row, ui)
  local out = {}
  for i, each in ipairs(row.completed) do out[i] = kinds.status(each, ui) end
  for _, id in ipairs(row.pending) do out[#out + 1] = ("instance %s has not ended"):format(ui.name(id)) end
  if row.timed_out then out[#out + 1] = "(timed out)" end
  return table.concat(out, "\n")
end


function kinds.counts(row, ui) return ui:counts(row) end


-- --- Numbers ---

kinds.orchestration_metrics = { { "orchestration_name", title = "orchestration", key = true },
  { "total_started", title = "started" }, { "active_count", title = "active" },
  { "total_completed", title = "completed" }, { "total_failed", title = "failed" },
  { "total_cancelled", title = "cancelled" }, { "average_duration_ms", title = "on average" },
  { "success_rate", title = "success" } }


-- Groups: the members of the key are columns of their own.
function kinds.groups(answer, ui)
  local flat, seen, columns = {}, {}, {}
  local function column(field, format)
    if not seen[field] then columns[#columns + 1] = { field, format = format } end
    seen[field] = true
  end
  for i, group in ipairs(answer.groups) do
    local row = {}
    for field, value in pairs(type(group.key) == "table" and group.key or { key = group.key }) do
      row[field] = value
    end
    for field, value in pairs(group) do
      if field ~= "key" then row[field] = value end
    end
    flat[i] = row
  end
  for _, group in ipairs(answer.groups) do
    local names = {}
    for field in pairs(type(group.key) == "table" and group.key or { key = true }) do names[#names + 1] = field end
    table.sort(names)
    for _, field in ipairs(names) do column(field) end
  end
  local numbers = {}
  for _, row in ipairs(flat) do
    for field in pairs(row) do
      if not seen[field] then
        numbers[#numbers + 1] = field
        seen[field] = true
      end
    end
  end
  table.sort(numbers)
  for _, field in ipairs(numbers) do
    columns[#columns + 1] = { field, format = field:find("_duration$") and "seconds" or nil }
  end
  return lines(ui:table(columns, flat) or "no groups", answer.truncated and "(more matched)")
end


local BAR = 40


-- Points in time with a bar each, the longest for the greatest value.
function kinds.series(answer, ui)
  local greatest = 0
  for _, point in ipairs(answer.points) do greatest = math.max(greatest, point.value) end
  local drawn = {}
  for i, point in ipairs(answer.points) do
    local length = greatest > 0 and math.floor(point.value / greatest * BAR + 0.5) or 0
    drawn[i] = { time = show.date(point.timestamp), value = point.value, bar = ("#"):rep(length) }
  end
  return ui:table({ { "time", key = true }, { "value", key = true }, { "bar", title = "", long = true } }, drawn)
    or "no points"
end


-- --- Streams and the audit log ---

local NUMBERS = { execution_id = true, event_id = true, source_event_id = true }


function kinds.stream_event(event, ui)
  local name = event.orchestration_name and ui.plain(event.orchestration_name) .. " " or ""
  local said = {}
  for key, value in pairs(event.details or {}) do
    if not NUMBERS[key] then said[key] = value end
  end
  local details = next(said) ~= nil and ": " .. ui:value(said) or ""
  return ("%s %s%s %s %s%s"):format(ui.plain(event.seq), name, ui.name(event.instance_id or "?"),
    (ui.plain(event.event_type):gsub("_", " ")), ui:time(event.timestamp), details)
end


-- Of several instances the first, and how many more.
function kinds.audit(list, ui)
  local drawn = {}
  for i, entry in ipairs(list) do
    local first = entry.targets[1] and ui.plain(entry.targets[1]) or ""
    local more = #entry.targets > 1 and (" and %d more"):format(#entry.targets - 1) or ""
    drawn[i] = { timestamp = entry.timestamp, user = entry.context and entry.context.user_id, call = entry.call,
      instance = first .. more, outcome = entry.outcome }
  end
  return lines(ui:table({ { "timestamp", title = "time" }, "user", { "call", key = true },
    { "instance", format = "plain", long = true }, "outcome" }, drawn) or "no entries",
    list.next_before and ("(more with before=%s)"):format(ui.plain(list.next_before)))
end


function kinds.status_change(change, ui)
  return ("%s %s %s"):format(ui.plain(change.seq), kinds.status(change, ui), ui:time(change.timestamp))
end


function kinds.registered(row, ui)
  local names = {}
  for i, each in ipairs(row.orchestrations) do
    names[i] = ("%s %s"):format(ui.plain(each.name), ui.plain(table.concat(each.versions, " ")))
  end
  return lines("orchestrations: " .. (names[1] and table.concat(names, ", ") or "none"),
    "activities: " .. (row.activities[1] and ui.plain(table.concat(row.activities, ", ")) or "none"))
end


return kinds
