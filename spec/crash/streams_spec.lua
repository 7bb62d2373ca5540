-- A reader of the change feed that goes on from the last event it has written down has, in the end, every
-- event once and in order, whoever was killed when.

local harness = require "spec.crash.harness"


-- What every reader does: goes on behind the last line of the log "feed", and adds a line per event.
local READER = [[
  local function last_seq()
    local file, last = io.open(child.dir .. "/log-feed"), 0
    if not file then return last end
    for line in file:lines() do last = tonumber(line:match("^%d+")) end
    file:close()
    return last
  end

  local function write_down(event)
    child.log("feed", ("%d"):format(event.seq), event.event_type, event.instance_id)
  end
]]

-- The owner reads what it does itself, and is done when everything has completed.
local READING_OWNER = READER .. [[
  local rt = child.open()
  local stream = assert(rt:stream_instance_events { since = last_seq() })
  local ids = { "fan-out" }
  child.start(rt, "fan_out", "fan-out", 100)
  for i = 1, 6 do
    ids[i + 1] = "s" .. i
    child.start(rt, "sequence", "s" .. i, 40 + i)
  end
  local function completed()
    local count = 0
    for line in pairs(child.logged("feed")) do
      if line:match(" completed ") then count = count + 1 end
    end
    return count
  end
  while completed() < #ids do write_down(assert(stream:next(20))) end
  child.done(rt)
]]

-- Another process reads, until the parent has made the file "stop" and nothing more comes.
local TAIL = READER .. [[
  child.say_pid()
  local rt = child.open { role = "client" }
  local stream = assert(rt:stream_instance_events { since = last_seq() })
  child.say("reads")
  local function is_over()
    local file = io.open(child.dir .. "/stop")
    if file then file:close() end
    return file ~= nil
  end
  while true do
    local over = is_over() -- before the look, so that what came before it is seen
    local event, err = stream:next(0.05)
    if event then
      write_down(event)
    elseif err.code ~= "timeout" then
      error(err)
    elseif over then
      break
    end
  end
  child.done(rt)
]]

local WORK = [[
  local rt = child.open()
  require("spec.crash.workload").run(child, rt)
  child.done(rt)
]]

-- A client that is to become the owner, and reads all the time.
local HEIR = [[
  local rt = child.open { role = "auto" }
  local stream = assert(rt:stream_instance_events { kinds = "completed" })
  child.say("reads")
  child.wait_for(rt, "killed")
  child.start(rt, "sequence", "after", 3)
  child.say(assert(stream:next(20)).instance_id)
  child.done(rt)
]]

local WHOLE = [[
  local rt = child.open()
  for event in assert(rt:stream_instance_events { since = 0 }):iter(0) do
    child.log("whole", ("%d"):format(event.seq), event.event_type, event.instance_id)
  end
  child.done(rt)
]]


-- What the feed says of an end is what the file says.
local function assert_whole(scene)
  assert.equal(0, scene:run(WHOLE).exit)
  local whole, ended = scene:log("whole"), 0
  for i = 2, #whole do
    assert.is_true(tonumber(whole[i]:match("^%d+")) > tonumber(whole[i - 1]:match("^%d+")), whole[i])
  end
  for _, line in ipairs(whole) do
    local word = line:match(" (%S+) ")
    if word == "completed" or word == "failed" or word == "cancelled" or word == "terminated" then ended = ended + 1 end
  end
  assert.equal(scene:value("SELECT count(*) FROM instances"), tostring(ended))
  assert.same(whole, scene:log("feed"))
end


describe("a stream", function()
  after_each(harness.clean)

  it("gives the owner each event once, however often it is killed", function()
    local scene = harness.new()
    local faults = { "kill before commit 4", "kill after commit 6", "kill after step 200", "kill after commit 3",
      "kill before any 900", "kill after commit 8", "kill after step 60 INSERT INTO journal" }
    local kills = 0
    for _, fault in ipairs(faults) do
      if scene:run(READING_OWNER, { fault = fault }).killed then kills = kills + 1 end
    end
    assert.is_true(kills >= 5)
    scene:completes(READING_OWNER)
    assert_whole(scene)
  end)

  it("gives another process each event once, however often both are killed", function()
    local scene = harness.new()
    scene:run "child.done(child.open())"
    local reader = scene:start(TAIL)
    reader:expect("reads")
    for i, fault in ipairs { "kill after commit 9", "kill before commit 5", "kill after commit 14" } do
      assert.is_true(scene:run(WORK, { fault = fault }).killed)
      if i < 3 then
        reader:kill()
        reader = scene:start(TAIL)
        reader:expect("reads")
      end
    end
    scene:completes(WORK)
    scene:touch("stop")
    assert.equal("done", reader:expect("done"))
    assert_whole(scene)
  end)

  it("goes on in a client that takes the owner's place", function()
    local scene = harness.new()
    local owner = scene:start [[
      child.say_pid()
      local rt = child.open()
      child.say("owns")
      rt:run()
    ]]
    owner:expect("owns")
    local heir = scene:start(HEIR)
    heir:expect("reads")
    owner:kill()
    scene:touch("killed")
    heir:expect("done")
    assert.same({ "reads", "after", "done" }, heir.lines)
  end)
end)
