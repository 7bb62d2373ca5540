-- lua/duro/types is written by hand: this compares it with the tables that check the calls.

local calls = require "duro.calls"
local options = require "duro.options"

require "duro" -- declares everything
require "duro.repl"
require "duro.show"


local FILES = { "module", "client", "management", "metrics", "orchestration", "activity", "testing", "access",
  "streams" }


local function path_of(name)
  local found = package.searchpath("duro.types." .. name, package.path)
  assert(found, name)
  return found
end


local function text_of_types()
  local texts = {}
  for i, name in ipairs(FILES) do
    local file = assert(io.open(path_of(name), "r"))
    texts[i] = file:read("*a")
    file:close()
  end
  return table.concat(texts, "\n")
end


-- The fields that each class declares.
local function classes(text)
  local all, current = {}, nil
  for line in text:gmatch("[^\n]+") do
    local class = line:match("^%-%-%-@class ([%w.]+)")
    if class then
      current = {}
      all[class] = current
    elseif current then
      local field = line:match("^%-%-%-@field ([%w_]+)%??%s")
      if field then current[field] = true end
    end
  end
  return all
end


-- Which class describes which spec.
local CLASS_OF = {
  orchestration = "duro.OrchestrationOptions", activity = "duro.ActivityOptions", open = "duro.OpenOptions",
  ["open.codec"] = "duro.Codec", ["open.access_control"] = "duro.AccessControl",
  with_context = "duro.Context", audit = "duro.AuditOptions",
  replay = "duro.ReplayOptions", check = "duro.CheckOptions",
  ["open.debug"] = "duro.DebugOptions", ["open.management"] = "duro.ManagementOptions",
  start = "duro.StartOptions", ["start.event"] = "duro.StartEvent", raise_event = "duro.RaiseOptions",
  status = "duro.StatusOptions", delete_instance = "duro.DeleteOptions", prune_executions = "duro.PruneOptions",
  show = "duro.ShowOptions", repl = "duro.ReplOptions", retry = "duro.Retry",
  ["ctx:activity"] = "duro.ActivityCallOptions",
  ["ctx:sub_orchestration"] = "duro.SubOrchestrationOptions",
  ["ctx:start_orchestration"] = "duro.StartOrchestrationOptions", ["ctx:wait_event"] = "duro.WaitOptions",
  ["ctx:wait_until"] = "duro.WaitOptions", ["ctx:continue_as_new"] = "duro.ContinueOptions",
  list_instances_paginated = "duro.PageOptions", search_instances = "duro.SearchOptions",
  cancel_instances = "duro.Choice", terminate_instances = "duro.Choice", suspend_instances = "duro.Choice",
  resume_instances = "duro.Choice", delete_instances = "duro.DeleteChoice", raise_event_bulk = "duro.RaiseChoice",
  prune = "duro.BulkPruneOptions", retry_failed = "duro.Choice",
  query_instances = "duro.QueryOptions", time_series_metrics = "duro.SeriesOptions",
  filter = "duro.Filter", history = "duro.HistoryOptions",
    stream_instance_events = "duro.StreamOptions", watch_instances = "duro.WatchOptions",
    dependencies = "duro.DependenciesOptions", at = "duro.AtOptions", wait_for_instances = "duro.WaitForOptions",
}
local COVERED = { start_many = true, ["filter.inner"] = true } -- StartOptions and two fields; Filter without limit


describe("the annotations", function()
  local text = text_of_types()
  local found = classes(text)

  it("have every option that a call takes, and no other", function()
    for _, name in ipairs(options.order) do
      if not COVERED[name] and not name:find("_spec") then
        local class = CLASS_OF[name]
        assert.is_string(class, name .. " has no class in lua/duro/types")
        local declared = found[class] or {}
        for _, key in ipairs(options.specs[name].keys) do
          assert.is_true(declared[key], ("%s lacks '%s'"):format(class, key))
        end
        for key in pairs(declared) do
          assert.is_table(options.specs[name].by_key[key], ("%s has '%s', which is no option"):format(class, key))
        end
      end
    end
  end)

  it("have every method of a runtime", function()
    for _, row in ipairs(calls.rows) do
      assert.matches("function Runtime:" .. row[1] .. "(", text, 1, true)
    end
  end)

  it("are valid Lua", function()
    for _, name in ipairs(FILES) do assert.is_function(loadfile(path_of(name))) end
  end)
end)
