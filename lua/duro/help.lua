-- help: what duro.help([name]) answers, a text made from the same rows that check the calls.

local calls = require "duro.calls"
local options = require "duro.options"

-- These declare the calls and their options.
require "duro.runtime"
require "duro.orchestration"

-- What is not a call of the core: {signature, sentence, spec}.
local OTHERS = {
  { "orchestration", "duro.orchestration(name, [opts,] function(ctx, input) ... end)",
    "Registers an orchestration.", "orchestration" },
  { "activity", "duro.activity(name, [opts,] function(ctx, input) ... end)", "Registers an activity.", "activity" },
  { "open", "duro.open(path) or duro.open{path=, ...}", "Opens a file: a runtime, or nil, err.", "open" },
  { "run", "rt:run()", "Runs until rt:stop()." },
  { "run_until_idle", "rt:run_until_idle([timeout])",
    "Runs until nothing can move without outside input or the passing of time." },
  { "step", "rt:step([timeout])", "Does what is ready now, waiting at most `timeout` for more: turns run." },
  { "stop", "rt:stop()", "Makes rt:run() return." },
  { "close", "rt:close()", "Closes the file; again is fine." },
  { "now", "rt:now()", "The runtime's time in epoch seconds." },
  { "advance", "rt:advance(duration)", "Moves the virtual clock, firing timers at their own times." },
  { "fd", "rt:fd()", "For a foreign loop: readable when rt:step() has something to do." },
  { "next_timeout", "rt:next_timeout()", "For a foreign loop: seconds until rt:step() is due; nil: never." },
  { "each_instance", "for row in rt:each_instance([{...}]) do", "Walks all instances that match, page by page.",
    "filter.inner" },
  { "replay", "duro.replay(export_or_path, function(ctx, input) ... end, [{execution=, codec=, guard=}])",
    "Whether code fits the history of an export: {ok=true}, or where they part. Runs no activity.", "replay" },
  { "testing", "duro.testing.runtime([{...}]): mock_activity, run, assert_completed",
    "A runtime for tests: in memory, with a clock that skips time by itself." },
  { "registered", "rt:registered()", "What this process has registered." },
}


-- The calls inside an orchestration that take options, and retry.
local CTX = {}
for _, name in ipairs(options.order) do
  if name:find("^ctx:") or name == "retry" then CTX[#CTX + 1] = name end
end


local function options_text(spec)
  local lines = {}
  for i, row in ipairs(spec.rows) do
    local default = row.default ~= nil and ("%s; "):format(tostring(row.default)) or ""
    local words = row.one_of and " (" .. table.concat(row.one_of, ", ") .. ")" or ""
    lines[i] = ("  %-20s %s: %s%s%s"):format(row[1], row[2], default, row.doc or "", words):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end


local function overview()
  local lines = { "duro.help(name) says more about one of these:" }
  for _, entry in ipairs(OTHERS) do lines[#lines + 1] = ("  %-22s %s"):format(entry[1], entry[3]) end
  for _, row in ipairs(calls.rows) do lines[#lines + 1] = ("  %-22s %s"):format(row[1], row.doc) end
  lines[#lines + 1] = "and about the options of " .. table.concat(CTX, ", ")
  return table.concat(lines, "\n")
end


local function names()
  local list = {}
  for _, entry in ipairs(OTHERS) do list[#list + 1] = entry[1] end
  for _, row in ipairs(calls.rows) do list[#list + 1] = row[1] end
  for _, ctx_name in ipairs(CTX) do list[#list + 1] = ctx_name end
  return list
end


--- A text about everything, or about one call. context: anywhere.
local function help(name)
  if name == nil then return overview() end
  for _, entry in ipairs(OTHERS) do
    if entry[1] == name then
      local spec = entry[4] and "\n" .. options_text(options.specs[entry[4]]) or ""
      return ("%s\n%s%s"):format(entry[2], entry[3], spec)
    end
  end
  for _, row in ipairs(calls.rows) do
    if row[1] == name then
      local spec = row.options and "\n" .. options_text(row.options) or ""
      return ("%s -> %s\n%s%s"):format(calls.signature(row), row.returns, row.doc, spec)
    end
  end
  for _, ctx_name in ipairs(CTX) do
    if ctx_name == name then return ("options of %s\n%s"):format(name, options_text(options.specs[name])) end
  end
  return ("duro has no '%s'%s"):format(tostring(name), options.hint(name, names()))
end


return help
