-- Orchestrations that harm their own process: one that does not come back, and one that eats all memory.
-- Each harms itself and nobody else.

local harness = require "spec.crash.harness"
local runtimes = require "spec.support.runtimes"


describe("an orchestration that works without waiting for over 10 s", function()
  after_each(harness.clean)

  -- What a client asks meanwhile: of the code (no answer, an error), and what the file tells.
  local function ask(client, scene)
    local error_text = "unavailable: '%s' gets no answer: the owner is stuck in a turn of instance 'stuck-1'; " ..
      "orchestrations must not work for long: end that process (nothing is lost), and mend the code"
    for _, id in ipairs { "other", "stuck-1" } do
      local answer, err = client:stack(id) -- the first one is asked before it is noted
      assert.is_nil(answer)
      assert.equal(error_text:format("stack"), tostring(err))
      answer, err = client:query(id, "anything")
      assert.is_nil(answer)
      assert.equal(error_text:format("query"), tostring(err))
      answer, err = client:at(id, 1)
      assert.is_nil(answer)
      assert.equal(error_text:format("at"), tostring(err))
    end
    assert.equal("running", client:status("other").status)
    assert.equal("0", scene:live_value "SELECT count(*) FROM requests WHERE kind IN ('query', 'at')")
  end

  local function noted(scene, fault, options)
    -- The clock leaps instead of the test waiting; the watchdog looks once a second.
    local run = scene:start(([[
      local io_open = io.open
      local function told(name) return io_open(child.dir .. "/" .. name) end
      child.duro.orchestration("stuck", { guard = false }, function()
        child.leap()
        local deadline = os.time() + 20
        while not told("enough") and os.time() < deadline do end
        return "came back"
      end)
      local rt = child.open(%s)
      child.start(rt, "waiter", "other")
      child.say("begins")
      child.say(rt:wait(assert(rt:start("stuck", nil, { id = "stuck-1" })), 40))
      child.wait_for(rt, "seen")
      child.raise_safely(rt, "other", 1, "go")
      child.finish(rt, { "other" })
      child.done(rt)
    ]]):format(options or "{}"), { leap = true, fault = fault })
    run:expect("begins")
    local client = runtimes.open { path = scene.path, role = "client", clock = "system" }
    if not fault then
      runtimes.until_true(client, function() return scene:touched "leap" end, "the turn begins")
      ask(client, scene)
    end

    local function until_noted(wanted)
      local deadline = os.time() + 20
      local found
      repeat
        found = scene:live_value "SELECT value ->> '$.stuck.instance_id' FROM meta WHERE key = 'owner_figures'"
      until found == wanted or os.time() > deadline
      return found
    end

    assert.equal("stuck-1", until_noted("stuck-1"))
    local since = scene:live_value "SELECT value ->> '$.stuck.since' FROM meta WHERE key = 'owner_figures'"
    assert.is_true(math.abs(os.time() - 20 - tonumber(since)) < 10, since)
    local why = assert(client:why("stuck-1"))
    assert.equal("stuck", why.state)
    assert.equal("its turn does not come back: its code works without waiting", why.reason)
    assert.near(tonumber(since), why.since, 0.002)
    assert.equal("the owner is stuck in a turn of instance 'stuck-1'", client:why("other").reason)
    client:close()
    scene:touch("enough")
    run:expect("came back")
    assert.equal("", until_noted(""))
    scene:touch("seen")
    run:expect("done")
    run:finish()
    scene:check { ended = true }
  end

  it("is noted in the file while it does, and no longer", function() noted(harness.new()) end)

  it("is noted also without metrics, and under a virtual clock", function()
    noted(harness.new(), nil, [[{ clock = "virtual", management = { enable_metrics = false } }]])
  end)

  it("is noted as soon as the file can be written again", function()
    local scene = harness.new()
    noted(scene, [[enospc before row 1-2 {"stuck":{"instance_id"]])
    assert.equal(2, #scene:acted())
  end)
end)


describe("an orchestration that runs out of memory", function()
  after_each(harness.clean)

  local function body(greedy)
    return ([[
      child.duro.orchestration("greedy", function(ctx)
        ctx:activity("add", { 1, 2 })
        %s
      end)
      local rt = child.open()
      for i = 1, 5 do child.start(rt, "sequence", "s" .. i, 5) end
      child.start(rt, "waiter", "waiter", 0.001)
      child.start(rt, "greedy", "greedy")
      local output, err = rt:wait("greedy", 30)
      child.say(output, err.code, err.message)
      child.raise_safely(rt, "waiter", 1, "go")
      child.finish(rt, { "s1", "s2", "s3", "s4", "s5", "waiter" })
      child.start(rt, "fan_out", "later", 50)
      child.finish(rt, { "later" })
      child.done(rt)
    ]]):format(greedy)
  end

  for what, greedy in pairs {
    ["with one huge text"] = [[ return ("x"):rep(1500000000) ]],
    ["little by little"] = [[ local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end ]],
    ["little by little, and catches it"] = [[
        local ok, err = pcall(function() local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end end)
        error("caught: " .. tostring(err), 0)
    ]],
  } do
    it(what .. " fails alone", function()
      local scene = harness.new()
      local run = scene:run(body(greedy), { limit_kib = 700000 })
      assert.equal("done", run.lines[#run.lines], run:text())
      assert.matches("^nil failed .*memory", run.lines[1])
      scene:check { ended = true }
    end)
  end
end)
