-- Everything an operator can ask, section by section: who waits, and for what; what failed, and how it goes
-- on; how much there is of everything; who may see it. The shop below has a bad night: the card terminal is
-- down, a card has expired, and nobody is there to approve. README.md beside this file says which symptom
-- leads to which call, and how its answer is read.

local duro = require "duro"

local function own(context, id) return id:sub(1, #context.user_id) == context.user_id end

local rt = assert(duro.open {
  path = ":memory:",
  clock = "virtual",
  feed_retention = "1d",
  access_control = { -- for the views of 6.9; the plain handle is the process's own
    can_list_instances = function() return true end,
    can_view_instance = own,
    can_cancel_instance = own,
    redact = function(_, path, value)
      if path:match("card$") then return "hidden" end
      return value
    end,
  },
})

-- --- The shop ---

local night = { terminal_works = false, card_is_renewed = false }

rt:activity("charge", function(_, card)
  if card == "old" and not night.card_is_renewed then
    error { code = "declined", message = "the card has expired", retryable = false }
  end
  if not night.terminal_works then error { code = "failed", message = "the card terminal is down" } end
  return "paid"
end)
rt:activity("pack", function(_, item) return item .. " in a box" end)

local function order(ctx, input)
  ctx.kv.item = input.item
  ctx:set_custom_status("charging")
  ctx:activity("charge", input.card, { retry = { max_attempts = 10, backoff = "fixed", initial = "1m", max = "1m" } })
  ctx:set_custom_status("to be approved")
  ctx:wait_event("approval")
  return ctx:sub_orchestration("shipping", input.item, { id = ctx.instance_id .. "-box" })
end
rt:orchestration("order", order)

rt:orchestration("shipping", function(ctx, item)
  local box = ctx:activity("pack", item)
  ctx:sleep("4h")
  return box
end)

rt:orchestration("nightly", function(ctx, round)
  ctx:sleep("1h")
  if round < 3 then ctx:continue_as_new(round + 1, { reason = "round " .. round .. " is done" }) end
end)

local function title(text) print("\n== " .. text) end

local function ids(list) return table.concat(list:ids(), " ") end

local function why(id)
  local answer = rt:why(id)
  print(id, answer.state .. ": " .. answer.reason)
  print("", "-> " .. answer.suggestion)
end

local function place(id, item, card, country)
  assert(rt:start("order", { item = item, card = card }, { id = id, attributes = { country = country } }))
end

local feed = assert(rt:stream_instance_events { filter = { name = "order" } }) -- for 6.6: from here on
local watch = assert(rt:watch_instances { "ann-1-box" })
place("ann-1", "lamp", "4711", "nl")
place("ann-2", "chair", "old", "nl")
place("bob-1", "table", "0815", "de")
assert(rt:start("nightly", 1, { id = "nightly" }))
assert(rt:advance("2m"))

title "6.1 What is there?"
print(rt:list_instances())
print("wait for an activity", ids(rt:list_instances { waiting_on = "activity" }))
print("failed within an hour", ids(rt:list_failed_instances(rt:now() - 3600)))
print("from the Netherlands", ids(rt:list_instances { attributes = { country = "nl" } }))
print("ordered a table", ids(rt:search_instances { input = { item = "table" } }))
local query = { filter = { name = "order" }, page_size = 2, with_total = true }
local page = rt:list_instances_paginated(query)
print("first page", ids(page.instances), "of " .. page.total_count)
query.page_token = page.next_page_token
print("second page", ids(rt:list_instances_paginated(query).instances))

title "6.7 Why does nothing happen?"
why "bob-1"
why "ann-2"

title "6.2 One instance"
print(rt:details("bob-1"))
print(rt:history { instance = "ann-2" })
print(rt:stack("bob-1"))
print("turns of bob-1", rt:statistics("bob-1").turns)
print("its code", rt:descriptor("bob-1").name, rt:descriptor("bob-1").version)
print("executions of nightly", table.concat(rt:list_executions("nightly"), " "))

-- The terminal is switched on again, the bank has renewed the card. What backs off goes on by itself, what
-- has failed is told to.
night.terminal_works, night.card_is_renewed = true, true

title "6.8 Looking back, repairing"
print("does the code fit?", rt:check { name = "order", fn = order })
print("goes on", table.concat(rt:retry_failed({ filter = { error_contains = "expired" } }).retried_instances, " "))
assert(rt:advance("1m"))
print("ann-2 after event 3", rt:at("ann-2", 3).custom_status)
print("ann-2 now", rt:status("ann-2").custom_status)
why "ann-2"

title "6.3 Many at once"
print(rt:bulk_status { "ann-1", "bob-1", "nobody" })
print(rt:cancel_instances { instances = { "ann-2" }, reason = "she changed her mind" })
local waiting = { filter = { waiting_on = "event:approval" }, event_name = "approval", event_data = "by the owner" }
waiting.dry_run = true
print("would be approved", table.concat(rt:raise_event_bulk(waiting).delivered_instances, " "))
waiting.dry_run = nil
print(rt:raise_event_bulk(waiting))
assert(rt:run_until_idle())
print(rt:dependencies("ann-1"))
print(rt:suspend_instances { filter = { name = "shipping" }, reason = "snow" })
why "ann-1"
why "ann-1-box"
print(rt:resume_instances { filter = { status = "suspended" } })
assert(rt:advance("5h"))
print(rt:wait_for_instances { instances = { "ann-1", "bob-1" }, timeout = 10 })
print(rt:prune { keep_last = 1, filter = { name = "nightly" } })
print(rt:delete_instances { filter = { status = "cancelled" } })

title "6.4 How much of everything?"
local metrics, queues, store = rt:runtime_metrics(), rt:queue_metrics(), rt:provider_diagnostics()
print("started, completed, failed", metrics.total_instances_started, metrics.total_instances_completed,
  metrics.total_instances_failed)
print("healthy", metrics.orchestrator_dispatcher_healthy, metrics.worker_dispatcher_healthy, store.connection_healthy)
print("waiting in queues", queues.orchestrator_queue_size, queues.worker_queue_size, queues.timer_queue_size)
print("stored", store.total_instances_stored, store.provider_type)
print(rt:orchestration_metrics())
for line in rt:prometheus():gmatch("[^\n]+") do
  if line:find("^duro_instances_completed_total") then print(line) end
end

title "6.5 How does it compare?"
print(rt:query_instances { group_by = { "orchestration_name", "status" }, aggregate = { "count", "p95_duration" } })
print(rt:query_instances { filter = { name = "order" }, aggregate = { "count", "success_rate" } })
local started = rt:time_series_metrics { metric = "started", bucket = "1m", from = rt:now() - 6 * 3600 }
for _, point in ipairs(started.points) do
  if point.value > 0 then print("started in one minute", point.value) end
end

title "6.6 What happened to ann-1?"
for event in feed:iter() do
  if event.instance_id == "ann-1" then print(event.event_type) end
  if event.instance_id == "ann-1" and event.event_type == "completed" then feed:close() end
end
for change in watch:iter() do
  print("its box", change.status)
  if change.status == "completed" then watch:close() end
end
print("live instances", rt:stream_runtime_metrics("1m"):next(10).live_instances)

title "6.9 Who may see what"
local ann = rt:with_context { user_id = "ann", roles = {}, source_ip = "192.0.2.7" }
print("ann sees", ids(ann:list_instances()))
print("of herself", ann:history({ instance = "ann-1" }).events[1].input.card)
print("of bob", ann:status("bob-1"))
print("ann cancels", ann:cancel("bob-1"))
print(rt:audit { limit = 10 })

title "6.10 What can this file and this process do?"
local can = rt:capabilities()
print(can.store, "metrics", can.metrics, "streams", can.streams, "task queues", can.task_queues)
rt:close()
