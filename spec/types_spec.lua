-- lua/duro/types is written by hand: this compares it with the tables that check the calls, and with what the
-- calls really give.

local calls = require "duro.calls"
local options = require "duro.options"
local runtimes = require "spec.support.runtimes"

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


-- The type at the begin of an annotation, without what is said of it: "{a: integer}[]", "duro.Time".
local function type_at_begin(text)
  local inline = text:match("^(%b{}[%[%]?]*)")
  return inline or text:match("^%S+")
end


-- The fields that each class declares: {optional=, type=} by name. By the fields of one that is an array too:
-- the type of its elements.
local function classes(text)
  local all, current = {}, nil
  for line in text:gmatch("[^\n]+") do
    local class = line:match("^%-%-%-@class ([%w.]+)")
    local element = line:match("^%-%-%-@field %[integer%] (%S+)")
    if class then
      current = {}
      all[class] = current
    elseif current and element then
      all[current] = element
    elseif current then
      local field, optional, rest = line:match("^%-%-%-@field ([%w_]+)(%??)%s+(.*)")
      if field then current[field] = { optional = optional == "?", type = type_at_begin(rest) } end
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
          assert.is_table(declared[key], ("%s lacks '%s'"):format(class, key))
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

  describe("of results", function()
    local PRIMITIVE = { integer = "number", number = "number", string = "string", boolean = "boolean",
      ["duro.Time"] = "number", ["duro.Status"] = "string" }
    local fits

    -- {name: type, other?: type}
    local function inline_fields(kind)
      local fields = {}
      for name, optional, rest in kind:gmatch("([%w_]+)(%??): ([^,}]+)") do
        fields[name] = { optional = optional == "?", type = rest }
      end
      return fields
    end

    local function fits_fields(value, fields, where)
      for key in pairs(value) do
        if type(key) == "string" then
          assert.is_table(fields[key], ("%s has '%s', which no annotation tells"):format(where, key))
        end
      end
      for key, field in pairs(fields) do
        if value[key] ~= nil then
          fits(value[key], field.type, where .. "." .. key)
        else
          assert.is_true(field.optional, ("%s lacks '%s'"):format(where, key))
        end
      end
    end

    function fits(value, kind, where)
      kind = kind:gsub("%?$", "")
      if kind:sub(-2) == "[]" then
        assert.is_table(value, where)
        for i, element in ipairs(value) do fits(element, kind:sub(1, -3), ("%s[%d]"):format(where, i)) end
      elseif kind:sub(1, 1) == "{" then
        fits_fields(value, inline_fields(kind), where)
      elseif PRIMITIVE[kind] then
        assert.equal(PRIMITIVE[kind], type(value), where)
      elseif found[kind] and kind ~= "duro.Error" then
        fits_fields(value, found[kind], where)
        local element = found[found[kind]]
        if element then fits(value, element .. "[]", where) end
      end
    end

    local function result_of(method)
      local returned = text:match("%-%-%-@return ([^\n]+)\nfunction Runtime:" .. method .. "%(")
      return type_at_begin(returned):gsub(",$", "")
    end

    after_each(runtimes.clean)

    it("are those of the values that calls give", function()
      local rt = runtimes.open()
      rt:activity("fails", function() error { code = "down", message = "no luck" } end)
      rt:activity("works", function() return 1 end)
      rt:orchestration("child", function(ctx) ctx:wait_event("never") end)
      rt:orchestration("busy", function(ctx, n)
        if n == 1 then ctx:continue_as_new(2, { reason = "again" }) end
        ctx:set_custom_status("on the way")
        ctx:set_attributes { region = "eu" }
        ctx.kv.step = 1
        ctx:activity("works")
        ctx:schedule_activity("fails", nil, { retry = { max_attempts = 3, initial = 60 } })
        ctx:schedule_timer(100)
        ctx:schedule_sub_orchestration("child")
        ctx:wait_event("go")
      end)
      rt:orchestration("breaks", function() error("broken", 0) end)
      assert(rt:start("busy", 1, { id = "busy" }))
      assert(rt:start("breaks", nil, { id = "breaks" }))
      assert(rt:run_until_idle(10))
      local child_id = rt:dependencies("busy").children[1].instance_id
      local results = {
        list_instances = rt:list_instances(), list_failed_instances = rt:list_failed_instances(),
        list_instances_paginated = rt:list_instances_paginated { page_size = 1, with_total = true },
        search_instances = rt:search_instances { text = "1" },
        status = rt:status("breaks"), details = rt:details("busy"), statistics = rt:statistics("busy"),
        dependencies = rt:dependencies(child_id), why = rt:why("busy"), at = rt:at("busy", 3),
        list_executions = rt:list_executions("busy"), descriptor = rt:descriptor(child_id),
        stack = rt:stack("busy"), history = rt:history { instance = "busy", page_size = 2 },
        wait_for_instances = rt:wait_for_instances { instances = { "breaks", "busy" }, timeout = 0 },
        runtime_metrics = rt:runtime_metrics(), provider_diagnostics = rt:provider_diagnostics(),
        queue_metrics = rt:queue_metrics(), orchestration_metrics = rt:orchestration_metrics(),
        prometheus = rt:prometheus(), capabilities = rt:capabilities(),
        query_instances = rt:query_instances { group_by = { "status" }, aggregate = { "count", "average_duration",
          "p50_duration", "p95_duration", "success_rate", "failure_rate" } },
        time_series_metrics = rt:time_series_metrics { metric = "started" },
        suspend_instances = rt:suspend_instances { instances = { "busy", "nobody" } },
        resume_instances = rt:resume_instances { instances = { "busy" } },
        raise_event_bulk = rt:raise_event_bulk { instances = { "busy", "nobody" }, event_name = "later" },
        retry_failed = rt:retry_failed { instances = { "breaks" }, dry_run = true },
        cancel_instances = rt:cancel_instances { instances = { "nobody" } },
        prune_executions = rt:prune_executions("busy", { keep_last = 1 }),
        prune = rt:prune { keep_last = 1 },
        terminate_instances = rt:terminate_instances { instances = { "busy" } },
        delete_instance = rt:delete_instance("breaks"),
        delete_instances = rt:delete_instances { instances = { "busy" } },
        audit = rt:audit(),
      }
      local count = 0
      for method, value in pairs(results) do
        fits(value, result_of(method), method)
        count = count + 1
      end
      assert.equal(34, count) -- none of them gave nil
    end)
  end)

  it("are valid Lua", function()
    for _, name in ipairs(FILES) do assert.is_function(loadfile(path_of(name))) end
  end)
end)
