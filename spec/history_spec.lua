local runtimes = require "spec.support.runtimes"


describe("a history in pages", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:activity("add", function(_, n) return n + 1 end)
    rt:orchestration("adds", function(ctx, n)
      for _ = 1, 5 do n = ctx:activity("add", n) end
      ctx:wait_event("more")
      return n
    end)
    assert(rt:start("adds", 0, { id = "h" }))
    assert(rt:run_until_idle(10)) -- started, 5 times 2 events, the wait
  end)
  after_each(runtimes.clean)

  -- The ids of the events, one text a page.
  local function pages(options)
    local texts, token = {}, nil
    repeat
      options.instance, options.page_token = "h", token
      local page = assert(rt:history(options))
      local ids = {}
      for i, event in ipairs(page.events) do ids[i] = event.event_id end
      texts[#texts + 1] = table.concat(ids, " ")
      token = page.next_page_token
    until not token
    return texts
  end

  it("has each event once, and no token on the last page", function()
    assert.same({ "1 2 3 4 5", "6 7 8 9 10", "11 12" }, pages { page_size = 5 })
    assert.same({ "1 2 3 4 5 6", "7 8 9 10 11 12" }, pages { page_size = 6 })
    assert.same({ "12 11 10 9 8", "7 6 5 4 3", "2 1" }, pages { page_size = 5, order = "desc" })
    assert.same({ "1 2 3 4 5 6 7 8 9 10 11 12" }, pages {})
  end)

  it("has each event of a long one, too", function()
    rt:orchestration("long", function(ctx)
      for i = 1, 6000 do ctx:side_effect(function() return i end) end
      ctx:wait_event("more")
    end)
    assert(rt:start("long", nil, { id = "long" }))
    assert(rt:run_until_idle(10))
    local after, token = 0, nil
    repeat
      local page = assert(rt:history { instance = "long", page_token = token })
      for _, event in ipairs(page.events) do
        after = after + 1
        assert.equal(after, event.event_id)
      end
      token = page.next_page_token
    until not token
    assert.equal(6002, after)
  end)

  it("pages what was asked for only", function()
    assert.same({ "3 5", "7 9", "11" }, pages { page_size = 2, kinds = "activity_completed" })
    assert.same({ "1 3 5 7 9 11" }, pages { kinds = { "activity_completed", "orchestration_started" } })
    assert.same({ "9 10", "11 12" }, pages { page_size = 2, since_event = 8 })
    assert.same({ "12 11", "10 9" }, pages { page_size = 2, since_event = 8, order = "desc" })
    assert.same({ "" }, pages { since_event = 12 })
  end)

  it("goes on where it was while the instance goes on", function()
    local first = assert(rt:history { instance = "h", page_size = 10 })
    assert(rt:raise_event("h", "more"))
    assert(rt:wait("h", 10))
    local rest = assert(rt:history { instance = "h", page_size = 10, page_token = first.next_page_token })
    assert.equal(11, rest.events[1].event_id)
    assert.equal("orchestration_completed", rest.events[#rest.events].kind)
  end)

  it("stays with its execution when another one begins meanwhile", function()
    rt:orchestration("again", function(ctx, n)
      ctx:wait_event("go")
      if n < 2 then ctx:continue_as_new(n + 1) end
    end)
    assert(rt:start("again", 1, { id = "a" }))
    assert(rt:run_until_idle(10))
    local first = assert(rt:history { instance = "a", page_size = 1 })
    assert(rt:raise_event("a", "go"))
    assert(rt:run_until_idle(10))
    local rest = assert(rt:history { instance = "a", page_token = first.next_page_token })
    assert.equal(2, rest.events[1].event_id)
    assert.equal("orchestration_continued_as_new", rest.events[#rest.events].kind)
  end)

  it("refuses a token that is altered or of other pages", function()
    local token = rt:history({ instance = "h", page_size = 5 }).next_page_token
    assert(rt:start("adds", 0, { id = "other" }))
    assert(rt:run_until_idle(10))
    local last = token:sub(-1)
    for _, options in ipairs {
      { page_token = token:sub(1, -2) .. (last == "0" and "1" or "0") },
      { page_token = "" },
      { page_token = "next" },
      { page_token = token, order = "desc" },
      { page_token = token, kinds = "activity_completed" },
      { page_token = token, since_event = 3 },
      { page_token = token, execution = 1 },
      { page_token = token, instance = "other" },
    } do
      options.instance = options.instance or "h"
      local page, err = rt:history(options)
      assert.is_nil(page)
      assert.equal("invalid_argument", err.code)
    end
    assert(rt:history { instance = "h", page_token = token, page_size = 100 }) -- the size may change
  end)

  it("refuses unknown kinds and sizes out of range", function()
    for _, options in ipairs {
      { kinds = "activity_compleated" }, { page_size = 0 }, { page_size = 10001 }, { order = "newest" },
      { kinds = { "activity_completed", "luck" } }, { execution = 0 },
    } do
      options.instance = "h"
      local page, err = rt:history(options)
      assert.is_nil(page)
      assert.equal("invalid_argument", err.code)
    end
    local _, err = rt:history { instance = "h", kinds = "activity_compleated" }
    assert.matches("'activity_compleated' (did you mean 'activity_completed'?)", err.message, 1, true)
    local page, empty = rt:history { instance = "h", kinds = {} }
    assert.is_nil(page)
    assert.equal("'kinds' names no event kind", empty.message)
  end)

  it("of an execution that never was is empty", function()
    assert.same({}, rt:history({ instance = "h", execution = 7 }).events)
  end)
end)
