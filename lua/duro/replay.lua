-- replay: does this code still fit what has happened? Exports of instances, their replay against any
-- function (duro.replay), and the check of every unfinished instance before a deploy (rt:check). No activity
-- ever runs, and nothing is written.
--
-- An export is a plain table that every JSON library can write and read: an event has its fields as on
-- disk, and payloads are texts of JSON in it, so that nothing is lost on the way (1 and 1.0, {} and [], what
-- a codec made). To change its form: `format` here and in csrc/runtime/verbs_history.c.

local calls = require "duro.calls"
local core = require "duro.core"
local errors = require "duro.errors"
local guard = require "duro.guard"
local options = require "duro.options"
local request = require "duro.request"

local replay = {}
local methods = {}
replay.methods = methods

local FORMAT = 1


-- --- Exports as files: one line an event ---

local function file_text(export)
  local head, executions = {}, {}
  for key, value in pairs(export) do head[key] = value end
  head.executions = nil
  for i, execution in ipairs(export.executions) do
    local lines = {}
    for j, event in ipairs(execution.events) do lines[j] = core.encode(event) end
    executions[i] = ('{"execution_id":%d,"events":[\n%s\n]}'):format(execution.execution_id,
      table.concat(lines, ",\n"))
  end
  return ('%s,"executions":[\n%s\n]}\n'):format(core.encode(head):sub(1, -2), table.concat(executions, ",\n"))
end


local function write_file(path, text)
  local file, problem = io.open(path, "wb")
  local ok = file
  if file then
    ok, problem = file:write(text)
    local closed, why = file:close()
    if ok and not closed then ok, problem = nil, why end
  end
  if ok then return true end
  return nil, errors.new("storage", ("the export cannot be written: %s"):format(problem))
end


local function read_file(path)
  local file, problem = io.open(path, "rb")
  local text
  if file then
    text, problem = file:read("*a")
    file:close()
  end
  if not text then return nil, errors.new("storage", ("the export cannot be read: %s"):format(problem)) end
  local export = core.decode(text)
  if type(export) == "table" then return export end
  return nil, errors.new("corrupt", ("'%s' is no export: it is no JSON object"):format(path))
end


calls.define(methods, {
  "export",
  params = { { "id", "id" }, { "path", "string", optional = true } },
  args = function(values) return { id = values.id } end,
  result = function(export, values)
    if not values.path then return export end
    local ok, err = write_file(values.path, file_text(export))
    if not ok then return nil, err end
    return export
  end,
  returns = "{format, vm, instance_id, ..., executions={ {execution_id, events} }}, ready for JSON",
  doc = "The whole instance with its histories, for duro.replay; with a path, into that file too.",
})


-- --- One execution against a function ---

-- Some JSON libraries give every number as a float.
local function scalar(value)
  if type(value) == "number" and value % 1 == 0 then value = ("%.0f"):format(value) + 0 end
  return core.encode(value)
end


-- An event as on disk.
local function event_text(event)
  local parts = {}
  for key, value in pairs(event) do
    local text = core.json_fields[key] and type(value) == "string" and value or scalar(value)
    parts[#parts + 1] = ("%s:%s"):format(core.encode(key), text)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end


local function events_text(events)
  local texts = {}
  for i, event in ipairs(events) do texts[i] = event_text(event) end
  return "[" .. table.concat(texts, ",") .. "]"
end


local Verdict = {}


function Verdict.__tostring(verdict)
  if verdict.ok then return "the code fits the history" end
  return ("the code departs at event %d of execution %d: expected %s, got %s%s"):format(verdict.event_id,
    verdict.execution_id, verdict.expected, verdict.got, verdict.detail and " (" .. verdict.detail .. ")" or "")
end


-- The verdict about one execution; nil, err when it cannot be replayed.
local function replay_execution(instance_id, execution, fn, codec)
  local id = math.floor(execution.execution_id)
  local fits, departure = core.replay(fn, instance_id, id, events_text(execution.events),
    codec and codec.encode, codec and codec.decode)
  if fits == nil then return nil, departure end
  local verdict = fits and { ok = true } or core.decode(departure)
  if not fits then verdict.ok, verdict.execution_id = false, id end
  return setmetatable(verdict, Verdict)
end


-- --- duro.replay ---

local REPLAY = options.spec("replay", {
  { "execution", "integer", min = 1, doc = "only this one; default: all that ran the version of the latest" },
  { "codec", "table", doc = "as for duro.open, when the instance was stored with one" },
  { "guard", "any", default = true, doc = 'as for duro.orchestration: true, false or "strict"' },
})


local function no_export(why)
  return nil, errors.new("corrupt", "this is no export of an instance: " .. why)
end


local function check_export(export)
  if export.format ~= FORMAT then
    return no_export(("its format is %s, and %d is known here"):format(tostring(export.format), FORMAT))
  end
  if type(export.instance_id) ~= "string" then return no_export("it lacks instance_id") end
  if type(export.executions) ~= "table" then return no_export("it lacks executions") end
  for _, execution in ipairs(export.executions) do
    local whole = type(execution) == "table" and type(execution.execution_id) == "number"
    if not whole or type(execution.events) ~= "table" then
      return no_export("an execution lacks execution_id or events")
    end
    for _, event in ipairs(execution.events) do
      if type(event) ~= "table" then return no_export("an event is no table") end
    end
  end
  return export
end


local function version_of(execution)
  return execution.events[1] and execution.events[1].version
end


-- The executions to be replayed; those without events have not begun.
local function chosen(export, only)
  local all, found = export.executions, {}
  local version = #all > 0 and version_of(all[#all])
  for _, execution in ipairs(all) do
    local wanted = not only and version_of(execution) == version or execution.execution_id == only
    if wanted and #execution.events > 0 then found[#found + 1] = execution end
  end
  if only and #found == 0 then
    return nil, errors.new("not_found", ("the export has no execution %d with events"):format(only))
  end
  return found
end


--- Replays an export (or the file of one) against `fn`: {ok=true}, or {ok=false, event_id, expected, got,
--- detail?, execution_id}. Strict: another input of the same call departs, too. It needs no open runtime, and runs no
--- activities. Errors: storage (the file), corrupt, unsupported (a codec is missing), not_found.
function replay.run(export, fn, opts)
  if type(fn) ~= "function" then
    options.blame(("duro.replay needs the function of an orchestration, got %s"):format(type(fn)))
  end
  local values, err = options.check(REPLAY, opts)
  if not values then return nil, err end
  guard.check_mode(values.guard)
  if type(export) == "string" then
    export, err = read_file(export)
    if not export then return nil, err end
  elseif type(export) ~= "table" then
    options.blame(("duro.replay needs an export or the path of one, got %s"):format(type(export)))
  end
  export, err = check_export(export)
  local executions
  if export then executions, err = chosen(export, values.execution) end
  if not executions then return nil, err end
  local guarded = guard.attach(fn, values.guard)
  for _, execution in ipairs(executions) do
    local verdict
    verdict, err = replay_execution(export.instance_id, execution, guarded, values.codec)
    if not verdict then return nil, err end
    if not verdict.ok then return verdict end
  end
  return setmetatable({ ok = true }, Verdict)
end


-- --- rt:check ---

local UNFINISHED = { "running", "suspended", "stalled" }


local Report = {}


function Report.__tostring(report)
  local lines = { ("checked: %d, failing: %d, skipped: %d"):format(report.checked, #report.failing, report.skipped) }
  for i, row in ipairs(report.failing) do
    lines[i + 1] = ("  '%s' at event %d: expected %s, got %s%s"):format(row.instance_id, row.event_id, row.expected,
      row.got, row.detail and " (" .. row.detail .. ")" or "")
  end
  return table.concat(lines, "\n")
end


-- The verdict about the execution that an instance is in. nil: another VM runs it, or it is gone.
local function check_instance(runtime, row, fn)
  local export, err = request.ask(runtime, "export",
    { id = row.instance_id, execution = row.execution_count })
  if not export and err.code == "not_found" then return nil end
  if not export then return nil, err end
  if export.vm ~= core.vm then return nil end
  local execution = export.executions[1]
  if #execution.events == 0 then return { ok = true } end -- it has not begun
  return replay_execution(export.instance_id, execution, fn, runtime.codec)
end


local function add_verdict(report, row, verdict)
  if not verdict then
    report.skipped = report.skipped + 1
    return
  end
  report.checked = report.checked + 1
  if verdict.ok then return end
  table.insert(report.failing, { instance_id = row.instance_id, event_id = verdict.event_id,
    expected = verdict.expected, got = verdict.got, detail = verdict.detail })
end


local function check(values, runtime)
  guard.check_mode(values.guard)
  local fn = guard.attach(values.fn, values.guard)
  local report = setmetatable({ checked = 0, failing = {}, skipped = 0 }, Report)
  local each, err = runtime:each_instance { name = values.name, version = values.version, status = UNFINISHED }
  if not each then return nil, err end
  for row in each do
    if row.orchestration_name == values.name then -- a name may end in *, which the filter takes for more
      local verdict
      verdict, err = check_instance(runtime, row, fn)
      if err then return nil, err end
      add_verdict(report, row, verdict)
    end
  end
  return report
end


calls.define(methods, {
  "check",
  options = options.spec("check", {
    { "name", "name", required = true, doc = "the orchestration" },
    { "version", "version", doc = "only instances that run this version" },
    { "fn", "function", required = true, doc = "the new code" },
    { "guard", "any", default = true, doc = 'as for duro.orchestration: true, false or "strict"' },
  }),
  run = check,
  returns = "{checked, failing={ {instance_id, event_id, expected, got, detail?} }, skipped}",
  doc = "Replays `fn` against every unfinished instance of that name: which would stall with it?",
})


return replay
