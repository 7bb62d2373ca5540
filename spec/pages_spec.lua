-- Pages of a list: no row twice or missing, in every order; tokens that cannot be bent.

local runtimes = require "spec.support.runtimes"


describe("pages of a list", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    for _, name in ipairs { "alpha", "beta", "gamma" } do rt:orchestration(name, function() end) end
    local starts = {}
    for i = 1, 23 do
      starts[i] = { name = ({ "alpha", "beta", "gamma" })[i % 3 + 1], id = ("i%02d"):format(i * 7 % 23) }
    end
    assert(rt:start_many(starts)) -- all in one millisecond: ties everywhere
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  local function walk(options, each_page)
    local ids, token = {}, nil
    repeat
      options.page_token = token
      local page = assert(rt:list_instances_paginated(options))
      for _, row in ipairs(page.instances) do ids[#ids + 1] = row.instance_id end
      token = page.next_page_token
      if each_page then each_page(page) end
    until not token
    return ids
  end

  it("have every row once, in each order and both directions", function()
    for _, order_by in ipairs { "created_at", "updated_at", "instance_id", "orchestration_name" } do
      local whole = walk { order_by = order_by, page_size = 1000 }
      assert.equal(23, #whole)
      local descending = walk { order_by = order_by, page_size = 5 }
      assert.same(whole, descending)
      local ascending = walk { order_by = order_by, order = "asc", page_size = 4 }
      for i = 1, 23 do assert.equal(whole[24 - i], ascending[i], order_by) end
    end
  end)

  it("are sorted by what was asked", function()
    local ids = walk { order_by = "instance_id", order = "asc", page_size = 7 }
    local sorted = {}
    for i, id in ipairs(ids) do sorted[i] = id end
    table.sort(sorted)
    assert.same(sorted, ids)
    local names = {}
    walk({ order_by = "orchestration_name", order = "asc", page_size = 7 }, function(page)
      for _, row in ipairs(page.instances) do names[#names + 1] = row.orchestration_name end
    end)
    assert.equal("alpha", names[1])
    assert.equal("gamma", names[23])
    for i = 2, 23 do assert.is_true(names[i - 1] <= names[i]) end
  end)

  it("are stable while others are started", function()
    local before = walk { page_size = 1000 }
    local n = 0
    local ids = walk({ page_size = 5 }, function()
      n = n + 1
      assert(rt:start("alpha", nil, { id = "new" .. n }))
    end)
    assert.same(before, ids)
    ids = walk({ page_size = 5, order_by = "instance_id", order = "asc", filter = { id_prefix = "i" } }, function()
      n = n + 1
      assert(rt:start("alpha", nil, { id = "a" .. n }))
    end)
    assert.equal(23, #ids)
  end)

  it("keep to the filter, and count all that match", function()
    local page = rt:list_instances_paginated { filter = { name = "beta" }, page_size = 3, with_total = true }
    assert.equal(3, #page.instances)
    assert.equal(8, page.total_count)
    assert.equal(8, #walk { filter = { name = "beta" }, page_size = 3 })
    assert.equal(16, rt:list_instances_paginated({ with_total = true, filter = { name = { "beta", "g*" },
      status = "completed", has_parent = false } }).total_count)
    assert.equal(23, rt:list_instances_paginated({ with_total = true }).total_count)
    assert.is_nil(rt:list_instances_paginated({}).total_count)
  end)

  it("end without a token", function()
    local page = rt:list_instances_paginated { page_size = 23 }
    assert.equal(23, #page.instances)
    assert.is_nil(page.next_page_token)
    assert.same({}, rt:list_instances_paginated({ filter = { name = "nobody" } }).instances)
  end)

  it("refuse a token that was altered, or is of another filter, order or file", function()
    local token = assert(rt:list_instances_paginated { page_size = 5 }).next_page_token
    local last = token:sub(-1) == "0" and "1" or "0"
    local other = runtimes.open()
    other:orchestration("alpha", function() end)
    local cases = {
      { rt, { page_token = token:sub(1, -2) .. last } },
      { rt, { page_token = token .. "00" } },
      { rt, { page_token = "next" } },
      { rt, { page_token = "" } },
      { rt, { page_token = token, filter = { name = "alpha" } } },
      { rt, { page_token = token, order = "asc" } },
      { rt, { page_token = token, order_by = "instance_id" } },
      { other, { page_token = token } },
    }
    for i, case in ipairs(cases) do
      local page, err = case[1]:list_instances_paginated(case[2])
      assert.is_nil(page, "case " .. i)
      assert.equal("invalid_argument", err.code)
    end
    assert(rt:list_instances_paginated { page_token = token, page_size = 2, filter = {} })
  end)

  it("have a size in range", function()
    for _, size in ipairs { 0, -1, 1001 } do
      local page, err = rt:list_instances_paginated { page_size = size }
      assert.is_nil(page)
      assert.equal("invalid_argument", err.code)
    end
    local page, err = rt:list_instances_paginated { order_by = "luck" }
    assert.is_nil(page)
    assert.equal("invalid_argument", err.code)
  end)

  it("can be walked by an iterator", function()
    local small = runtimes.open { management = { max_list_instances = 4 } }
    small:orchestration("alpha", function() end)
    for i = 1, 10 do assert(small:start("alpha", nil, { id = "x" .. i })) end
    assert(small:run_until_idle(10))
    local count = 0
    for row in small:each_instance { status = "completed" } do
      count = count + 1
      assert.equal("alpha", row.orchestration_name)
    end
    assert.equal(10, count)
    local iterator, err = small:each_instance { status = "sleeping" }
    assert.is_nil(iterator)
    assert.equal("invalid_argument", err.code)
  end)

  it("print as a list that goes on", function()
    local text = tostring(rt:list_instances_paginated { page_size = 2, with_total = true })
    assert.matches("instance_id", text)
    assert.matches("(23 in all)", text, 1, true)
    assert.matches("next_page_token", text)
  end)
end)
