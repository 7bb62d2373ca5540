-- listing: finding instances: lists, pages, searches. Each row becomes a method of a runtime (calls.lua).
-- To add a filter: one row in FILTER_ROWS, its member in csrc/runtime/filter.c, its field in
-- types/management.lua.

local calls = require "duro.calls"
local errors = require "duro.errors"
local options = require "duro.options"
local rows = require "duro.rows"

local listing = {}
local methods = {}
listing.methods = methods


local FILTER_ROWS = {
  { "status", "strings", doc = "one or several" },
  { "name", "strings", doc = "one or several; * at the end matches a prefix" },
  { "version", "string", doc = "exactly this one" },
  { "id_prefix", "string", doc = "ids that begin so" },
  { "created_after", "moment", doc = "by the time of the start; all times are exclusive" },
  { "created_before", "moment", doc = "the same" },
  { "updated_after", "moment", doc = "by the last change" },
  { "updated_before", "moment", doc = "the same" },
  { "completed_after", "moment", doc = "by the end; those that have not ended do not match" },
  { "completed_before", "moment", doc = "the same" },
  { "has_parent", "boolean", doc = "only sub-orchestrations, or only roots" },
  { "parent_instance", "id", doc = "children of this instance" },
  { "attributes", "attributes", doc = "all of these" },
  { "error_contains", "string", doc = "a part of the error's text" },
  { "waiting_on", "string",
    doc = '"activity", "timer", "event", "event:NAME", "sub_orchestration" or "condition" (of ctx:wait_until)' },
}
local LIMIT = { "limit", "integer", min = 1, usual = "the cap", doc = "the cap: management.max_list_instances" }

-- As the `filter` of another call, and by itself, with a limit.
local INNER = options.spec("filter.inner", FILTER_ROWS)
local OUTER_ROWS = {}
for i, row in ipairs(FILTER_ROWS) do OUTER_ROWS[i] = row end
OUTER_ROWS[#OUTER_ROWS + 1] = LIMIT
local FILTER = options.spec("filter", OUTER_ROWS)


--- The row for an option `filter`; listing.check_filter checks what is in it.
listing.FILTER_ROW = { "filter", "table", doc = "as for list_instances, without limit" }


--- Puts the checked filter in place of the given one: the values, or nil, err.
function listing.check_filter(values)
  if values.filter == nil then return values end
  local filter, err = options.check(INNER, values.filter)
  if not filter then return nil, err end
  values.filter = filter
  return values
end


local function filter_args(values)
  local limit = values.limit
  values.limit = nil
  return { filter = values, limit = limit }
end


local function listed(answer)
  local list = answer.instances
  list.truncated = answer.truncated or nil
  return rows.instances(list)
end


-- --- Whole lists ---

calls.define(methods, {
  "list_instances",
  options = FILTER,
  args = filter_args,
  result = listed,
  returns = "array of summaries",
  doc = "Instances that match, newest first; truncated=true when more matched.",
})

calls.define(methods, {
  "list_instances_by_orchestration",
  verb = "list_instances",
  params = { { "name", "name" } },
  args = filter_args,
  result = listed,
  returns = "array of summaries",
  doc = "Instances of one orchestration, newest first.",
})

calls.define(methods, {
  "list_running_instances",
  verb = "list_instances",
  args = function() return { filter = { status = { "running" } } } end,
  result = listed,
  returns = "array of summaries",
  doc = "Instances that are running, newest first.",
})

calls.define(methods, {
  "list_failed_instances",
  verb = "list_instances",
  params = { { "since", "moment", optional = true, as = "completed_after" } },
  args = function(values)
    values.status = { "failed" }
    return { filter = values }
  end,
  result = listed,
  returns = "array of summaries",
  doc = "Instances that failed, after the time `since` when it is given.",
})


-- --- Pages ---

calls.define(methods, {
  "list_instances_paginated",
  options = options.spec("list_instances_paginated", {
    listing.FILTER_ROW,
    { "page_size", "integer", min = 1, usual = "100", doc = "the cap: management.max_list_instances" },
    { "page_token", "string", doc = "next_page_token of the page before" },
    { "order_by", "string", default = "created_at",
      one_of = { "created_at", "updated_at", "instance_id", "orchestration_name" }, doc = "sorted by" },
    { "order", "string", default = "desc", one_of = { "desc", "asc" }, doc = "or ascending" },
    { "with_total", "boolean", default = false, doc = "total_count too: costs a scan" },
  }),
  args = listing.check_filter,
  result = rows.page,
  returns = "{instances, next_page_token?, total_count?}",
  doc = "One page of those that match; stable while others are started.",
})


--- An iterator over all that match, newest first, page by page: `for row in rt:each_instance{...} do`.
--- When the first page cannot be read: nil, err; a later one raises its error.
function methods.each_instance(runtime, filter)
  local page, err = runtime:list_instances_paginated { filter = filter }
  if not page then return nil, err end
  local at = 0
  return function()
    while at == #page.instances and page.next_page_token do
      page, err = runtime:list_instances_paginated { filter = filter, page_token = page.next_page_token }
      if not page then error(err, 2) end
      at = 0
    end
    at = at + 1
    return page.instances[at]
  end
end


-- --- Searches ---

calls.define(methods, {
  "search_instances",
  options = options.spec("search_instances", {
    listing.FILTER_ROW,
    { "text", "string", doc = "contained in a string or number of the input or output" },
    { "input", "table", doc = '{["customer.id"]=42}: dots go down, \\. is a literal dot, numbers are 1-based indexes' },
    { "output", "table", doc = "the same of the output" },
    LIMIT,
  }),
  args = function(values, runtime)
    if runtime.codec then return nil, errors.new("unsupported", "payloads behind a codec cannot be searched") end
    for _, key in ipairs { "input", "output" } do
      for path in pairs(values[key] or {}) do
        if type(path) ~= "string" then
          options.blame(("the keys of option '%s' must be paths such as \"customer.id\""):format(key))
        end
      end
    end
    if not values.text and not values.input and not values.output then
      return nil, errors.new("invalid_argument", "search_instances needs text, input or output")
    end
    return listing.check_filter(values)
  end,
  result = listed,
  returns = "array of summaries",
  doc = "Instances whose input or output matches; looks at the newest 20000 that pass the filter.",
})


return listing
