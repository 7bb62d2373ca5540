-- An instance of many executions: pruned by count, by time, by both; while it runs, and over a restart.

local runtimes = require "spec.support.runtimes"

local rt


-- Six executions a minute apart: the last one waits.
local function register(runtime)
  runtime:orchestration("rounds", function(ctx, n)
    ctx.kv["round " .. n] = n
    if n == 6 then return ctx:wait_event("end") end
    ctx:sleep(60)
    ctx:continue_as_new(n + 1, { reason = "round " .. n .. " is over" })
  end)
end


local function open(path)
  rt = runtimes.open { path = path }
  register(rt)
  assert(rt:start("rounds", 1, { id = "r" }))
  assert(rt:advance("1h"))
  assert.same({ 1, 2, 3, 4, 5, 6 }, rt:list_executions("r"))
end


describe("pruning the executions of an instance", function()
  after_each(runtimes.clean)

  it("keeps the last ones, the current one counted, and counts what went", function()
    open()
    local r = assert(rt:prune_executions("r", { keep_last = 4 }))
    assert.same({ executions_deleted = 2, events_deleted = 2 * 5 }, r)
    assert.same({ 3, 4, 5, 6 }, rt:list_executions("r"))
    assert.equal(0, rt:prune_executions("r", { keep_last = 4 }).executions_deleted)
    assert.equal(0, rt:prune_executions("r", { keep_last = 100 }).executions_deleted)
  end)

  it("never takes the current one, whatever is asked", function()
    for _, options in ipairs { { keep_last = 0 }, { keep_last = 1 }, { completed_before = "later" } } do
      open()
      if options.completed_before then options.completed_before = rt:now() + 3600 end
      assert.equal(5, rt:prune_executions("r", options).executions_deleted)
      assert.same({ 6 }, rt:list_executions("r"))
      assert(rt:raise_event("r", "end", "unharmed"))
      assert.equal("unharmed", rt:wait("r", 10))
      assert.same({ 6 }, rt:list_executions("r"))
      rt:close()
    end
  end)

  it("takes those that ended before a time, and no others", function()
    open()
    local third = rt:details("r").executions[3].completed_at
    assert.equal(2, rt:prune_executions("r", { completed_before = third }).executions_deleted)
    assert.same({ 3, 4, 5, 6 }, rt:list_executions("r"))
    assert.equal(0, rt:prune_executions("r", { completed_before = third }).executions_deleted)
  end)

  it("by count and time takes what both allow", function()
    open()
    local fifth = rt:details("r").executions[5].completed_at
    assert.equal(3, rt:prune_executions("r", { keep_last = 3, completed_before = fifth }).executions_deleted)
    assert.same({ 4, 5, 6 }, rt:list_executions("r"))
    assert.equal(1, rt:prune_executions("r", { keep_last = 1, completed_before = fifth }).executions_deleted)
    assert.same({ 5, 6 }, rt:list_executions("r"))
  end)

  it("leaves kv, status and the newer histories alone, and nothing of the older ones", function()
    open()
    assert(rt:prune_executions("r", { keep_last = 2 }))
    for n = 1, 6 do assert.equal(n, rt:kv("r", "round " .. n)) end
    assert.equal("running", rt:status("r").status)
    assert.equal(0, #rt:history({ instance = "r", execution = 4 }).events)
    assert.equal(5, #rt:history({ instance = "r", execution = 5 }).events)
    assert.equal("round 5 is over", rt:details("r").executions[1].continue_as_new_reason)
    assert.same({ 5, 6 }, { rt:details("r").executions[1].execution_id, rt:details("r").executions[2].execution_id })
  end)

  it("is there after a restart, and the instance goes on from there", function()
    local path = runtimes.path()
    open(path)
    assert(rt:prune_executions("r", { keep_last = 2 }))
    rt:close()
    rt = runtimes.open { path = path }
    register(rt)
    assert.same({ 5, 6 }, rt:list_executions("r"))
    assert(rt:raise_event("r", "end", "went on"))
    assert.equal("went on", rt:wait("r", 10))
    assert.equal(1, rt:prune_executions("r", { keep_last = 1 }).executions_deleted)
    assert.equal("went on", rt:status("r").output)
  end)

  it("may be done by the instance itself while it goes on and on", function()
    rt = runtimes.open()
    rt:activity("prune", function(ctx)
      return ctx.runtime:prune_executions(ctx.instance_id, { keep_last = 2 }).executions_deleted
    end)
    rt:orchestration("eternal", function(ctx, n)
      ctx.kv.pruned = (ctx.kv.pruned or 0) + ctx:activity("prune")
      if n == 20 then return ctx.kv.pruned end
      ctx:continue_as_new(n + 1)
    end)
    assert(rt:start("eternal", 1, { id = "e" }))
    assert.equal(18, rt:wait("e", 10))
    assert.same({ 19, 20 }, rt:list_executions("e"))
  end)

  it("is refused for nobody, and when it does not say what to keep", function()
    open()
    for code, call in pairs {
      not_found = function() return rt:prune_executions("nobody", { keep_last = 1 }) end,
      invalid_argument = function() return rt:prune_executions("r", { keep_last = -1 }) end,
    } do
      local r, err = call()
      assert.is_nil(r)
      assert.equal(code, err.code)
    end
    local r, err = rt:prune_executions("r", {})
    assert.is_nil(r)
    assert.equal("invalid_argument", err.code)
    assert.has_error(function() rt:prune_executions("r", { keep = 1 }) end)
    assert.equal(6, #rt:list_executions("r"))
  end)
end)
