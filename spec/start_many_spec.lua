-- Many starts at once, and more of them than can run at once.
local unpack = table.unpack or unpack
local runtimes = require "spec.support.runtimes"


local function entries(name, count)
  local list = {}
  for i = 1, count do list[i] = { name = name, input = i } end
  return list
end


local function open(options)
  options = options or {}
  options.path, options.clock = runtimes.path(), "system"
  local rt = runtimes.open(options)
  rt:activity("noop", function(_, value) return value end)
  rt:orchestration("echo", function(_, input) return input end)
  rt:orchestration("steps", function(ctx, input)
    return ctx:activity("noop", ctx:activity("noop", input))
  end)
  return rt
end


describe("starting many", function()
  after_each(runtimes.clean)

  it("begins them in the transaction that stores them, whatever else is ready", function()
    local rt = open()
    assert(rt:start_many(entries("steps", 1500)))
    local ids = assert(rt:start_many(entries("echo", 1500)))
    for i, row in ipairs(assert(rt:bulk_status(ids))) do
      assert.equal("completed", row.status)
      assert.equal(i, row.output)
    end
  end)

  it("runs each of them once, also when they come faster than they end", function()
    local rt = open { max_live_instances = 10 }
    local all = {}
    rt:activity("starts", function(ctx)
      for _, id in ipairs(assert(ctx.runtime:start_many(entries("steps", 1200)))) do all[#all + 1] = id end
    end)
    rt:orchestration("starter", function(ctx)
      for _ = 1, 2 do ctx:activity("starts") end
    end)
    for _ = 1, 3 do assert(rt:start("starter")) end
    assert(rt:run_until_idle(60))
    assert.equal(7200, #all)
    local completed = 0
    for first = 1, 7200, 1200 do
      for i, row in ipairs(assert(rt:bulk_status { unpack(all, first, first + 1199) })) do
        if row.output == i then completed = completed + 1 end
      end
    end
    assert.equal(7200, completed)
    assert.equal(7203, rt:runtime_metrics().total_instances_completed)
  end)

  it("can be closed while some wait for their turn", function()
    local rt = open { max_live_instances = 10 }
    local calls = 0
    rt:activity("starts", function(ctx)
      calls = calls + 1
      ctx.runtime:start_many(entries("steps", 1500))
    end)
    rt:orchestration("starter", function(ctx) ctx:activity("starts") end)
    assert(rt:start_many(entries("starter", 5)))
    runtimes.until_true(rt, function() return calls == 5 end)
    assert.is_true(rt:close())
  end)
end)
