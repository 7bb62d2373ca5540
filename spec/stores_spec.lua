-- Management on stores that do less: the specs of the reads and of the bulk calls once more, on the
-- reference store in memory, and on the basic one, whose optional verbs are missing: the core's default
-- implementations answer, and what they cannot do is `unsupported`.

local duro = require "duro"
local runtimes = require "spec.support.runtimes"

local SPECS = { "list", "pages", "search", "bulk", "prune", "instance", "history", "why", "at", "management",
  "query", "metrics", "analytics", "retry_failed", "client", "waits", "suspend", "terminate", "deletion", "analytics" }
-- No audit log, pruning or feed on the basic one.
local ALSO = { memory = { "access", "audit", "bulk_slices", "streams" }, basic = {} }


-- The file's chunk with the words of busted that this one has.
local function chunk(name)
  local path = ("spec/%s_spec.lua"):format(name)
  local environment = rawget(_G, "setfenv") and getfenv(1) or _ENV -- luacheck: ignore 113
  local loaded = assert(loadfile(path, "t", environment))
  if rawget(_G, "setfenv") then setfenv(loaded, environment) end -- luacheck: ignore 113
  return loaded
end


for _, store in ipairs { "memory", "basic" } do
  describe("on the store '" .. store .. "'", function()
    runtimes.store = store -- until teardown: also while the descriptions below are gathered
    teardown(function() runtimes.store = nil end)
    for _, name in ipairs(SPECS) do chunk(name)() end
    for _, name in ipairs(ALSO[store]) do chunk(name)() end
  end)
end


describe("debug.store", function()
  after_each(runtimes.clean)

  it("is the store by its name", function()
    for _, store in ipairs { "sqlite", "memory", "basic" } do
      local rt = runtimes.open { debug = { store = store } }
      assert.equal(store, rt:provider_diagnostics().provider_type)
      rt:close()
    end
  end)

  it("without optional verbs says so of what needs them", function()
    local rt = runtimes.open { debug = { store = "basic" } }
    local function refused(verb, answer, err)
      assert.is_nil(answer)
      assert.equal(("unsupported: the store 'basic' has no verb '%s'"):format(verb), tostring(err))
    end
    refused("audit", rt:audit())
    refused("changes", rt:stream_instance_events {})
    refused("changes", rt:watch_instances { "a" })
    local worker, err = duro.open { path = ":memory:", queues = { "gpu" }, debug = { store = "basic" } }
    assert.is_nil(worker)
    assert.equal("unsupported: this store has no task queues", tostring(err))
  end)

  it("is for what has no file", function()
    local rt, err = duro.open { path = runtimes.path(), debug = { store = "memory" } }
    assert.is_nil(rt)
    assert.equal('invalid_argument: debug.store needs path = ":memory:"', tostring(err))
  end)
end)
