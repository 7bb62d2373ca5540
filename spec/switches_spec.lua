-- The keys of `management`, each with what it does, and what a runtime says it can do.

local duro = require "duro"
local runtimes = require "spec.support.runtimes"


describe("management", function()
  local rt
  after_each(function() if rt then rt:close() end end)

  local function open(management)
    rt = runtimes.open { management = management }
    rt:orchestration("order", function(ctx) ctx:wait_event("go") end)
    for i = 1, 4 do assert(rt:start("order", nil, { id = "o-" .. i })) end
    return rt
  end

  local function code_of(value, err)
    assert.is_nil(value)
    return err.code
  end

  it("enable_metrics=false: numbers are unsupported, all else works", function()
    open { enable_metrics = false }
    for _, name in ipairs { "runtime_metrics", "queue_metrics", "orchestration_metrics", "provider_diagnostics",
      "prometheus" } do
      assert.equal("unsupported", code_of(rt[name](rt)))
    end
    assert.equal("unsupported", code_of(rt:stream_runtime_metrics(1)))
    assert.equal("unsupported", code_of(rt:time_series_metrics { metric = "started", bucket = "1h" }))
    assert.equal(4, #rt:list_instances())
    assert.is_false(rt:capabilities().metrics)
  end)

  it("enable_streaming=false: streams are unsupported, all else works", function()
    open { enable_streaming = false }
    assert.equal("unsupported", code_of(rt:stream_instance_events {}))
    assert.equal("unsupported", code_of(rt:watch_instances { "o-1" }))
    assert.equal(4, #rt:list_instances())
    assert.is_false(rt:capabilities().streams)
  end)

  it("max_list_instances: the default and the cap of lists, pages, searches and the audit log", function()
    open { max_list_instances = 2 }
    local list = rt:list_instances()
    assert.equal(2, #list)
    assert.is_true(list.truncated)
    assert.equal("invalid_argument", code_of(rt:list_instances { limit = 3 }))
    assert.equal("invalid_argument", code_of(rt:list_instances_paginated { page_size = 3 }))
    assert.equal("invalid_argument", code_of(rt:search_instances { text = "x", limit = 3 }))
    assert.equal("invalid_argument", code_of(rt:audit { limit = 3 }))
    assert.equal(2, #rt:list_instances_paginated {}.instances)
    assert.equal(2, rt:capabilities().max_list_instances)
  end)

  it("max_bulk_operations: beyond it nothing is done", function()
    open { max_bulk_operations = 3 }
    assert.equal("too_large", code_of(rt:cancel_instances { filter = { name = "order" } }))
    assert.equal("too_large", code_of(rt:terminate_instances { instances = { "o-1", "o-2", "o-3", "o-4" } }))
    assert.equal("too_large", code_of(rt:bulk_status { "o-1", "o-2", "o-3", "o-4" }))
    for i = 1, 4 do assert.equal("running", rt:status("o-" .. i).status) end
    assert.equal(3, #rt:cancel_instances { filter = { name = "order" }, max_instances = 3 }.cancelled_instances)
    assert.equal(3, rt:capabilities().max_bulk_operations)
  end)

  it("metrics_retention_hours: counts by time are kept for so long", function()
    rt = runtimes.open { management = { metrics_retention_hours = 2 } }
    rt:orchestration("order", function() end)
    local began = rt:now()
    local function started()
      local answer = assert(rt:time_series_metrics { metric = "started", bucket = "1h", from = began - 3600,
        to = rt:now() + 60 })
      local sum = 0
      for _, point in ipairs(answer.points) do sum = sum + point.value end
      return sum
    end
    assert(rt:start("order", nil, { id = "first" }))
    assert(rt:run_until_idle())
    assert.equal(1, started())
    assert(rt:advance("3h"))
    assert(rt:start("order", nil, { id = "second" }))
    runtimes.until_true(rt, function() return started() == 1 end, "the old counts go")
  end)

  it("cache_ttl_seconds: numbers may be that old", function()
    open { cache_ttl_seconds = 3600 }
    local before = rt:runtime_metrics().total_instances_started
    assert(rt:start("order", nil, { id = "o-5" }))
    assert.equal(before, rt:runtime_metrics().total_instances_started)
    rt:close()
    open {}
    before = rt:runtime_metrics().total_instances_started
    assert(rt:start("order", nil, { id = "o-5" }))
    assert.equal(before + 1, rt:runtime_metrics().total_instances_started)
  end)

  it("refuses values out of range, and names the unknown key", function()
    for _, management in ipairs { { max_list_instances = 0 }, { max_bulk_operations = 0 },
      { metrics_retention_hours = 0 }, { cache_ttl_seconds = -1 } } do
      assert.equal("invalid_argument", code_of(duro.open { path = ":memory:", management = management }))
    end
    local ok, message = pcall(duro.open, { path = ":memory:", management = { enable_metric = true } })
    assert.is_false(ok)
    assert.matches("did you mean 'enable_metrics'", message)
  end)
end)


describe("capabilities", function()
  it("tell what the store, the process and the build can do", function()
    local rt = runtimes.open {}
    local can = assert(rt:capabilities())
    assert.equal("sqlite", can.store)
    assert.equal("runtime", can.role)
    assert.equal(rawget(_G, "jit") and "luajit" or "lua5.4", can.vm)
    assert.equal(duro.version, can.version)
    assert.equal(duro.management_version, can.management_version)
    for _, name in ipairs { "search", "streams", "metrics", "task_queues", "worker_threads", "audit",
      "counters", "checkpoint" } do
      assert.is_true(can[name], name)
    end
    assert.is_false(can.codec)
    rt:close()
  end)

  it("tell what a codec, and a store that does less, leave out", function()
    local pair = require("spec.support.scrambler").new()
    local rt = runtimes.open { codec = { encode = pair.encode, decode = pair.decode } }
    assert.is_true(rt:capabilities().codec)
    assert.is_false(rt:capabilities().search)
    rt:close()
    rt = runtimes.open { debug = { store = "basic" } }
    local can = assert(rt:capabilities())
    assert.equal("basic", can.store)
    for _, name in ipairs { "streams", "task_queues", "audit" } do assert.is_false(can[name], name) end
    local _, err = rt:audit()
    assert.equal("unsupported", err.code)
    rt:close()
  end)

  it("are apart from the library's version in the management's", function()
    assert.matches("^%d+%.%d+%.%d+$", duro.management_version)
    assert.matches("^%d+%.%d+%.%d+$", duro.version)
  end)
end)
