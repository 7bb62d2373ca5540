local runtimes = require "spec.support.runtimes"


describe("the tree of an instance", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("leaf", function(ctx, wait)
      if wait then ctx:wait_event("go") end
    end)
    rt:orchestration("branch", function(ctx)
      ctx:join { ctx:schedule_sub_orchestration("leaf", nil, { id = "leaf-1" }),
        ctx:schedule_sub_orchestration("leaf", true, { id = "leaf-2" }) }
    end)
    rt:orchestration("root", function(ctx)
      ctx:start_orchestration("leaf", nil, { id = "detached" })
      ctx:sub_orchestration("branch", nil, { id = "branch-1" })
      ctx:sub_orchestration("leaf", true, { id = "leaf-3" })
    end)
    assert(rt:start("root", nil, { id = "r" }))
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  it("has the children of its children, and counts them all", function()
    local tree = assert(rt:dependencies("r"))
    assert.equal("r", tree.root_instance)
    assert.is_nil(tree.parent)
    assert.equal(3, tree.total_descendants)
    assert.same({ {
      instance_id = "branch-1", orchestration_name = "branch", status = "running", child_count = 2,
      children = {
        { instance_id = "leaf-1", orchestration_name = "leaf", status = "completed", child_count = 0 },
        { instance_id = "leaf-2", orchestration_name = "leaf", status = "running", child_count = 0 },
      },
    } }, tree.children)
  end)

  it("is cut at the depth asked for", function()
    local tree = assert(rt:dependencies("r", { depth = 1 }))
    assert.equal(2, tree.children[1].child_count)
    assert.is_nil(tree.children[1].children)
    assert.equal(3, tree.total_descendants)
    assert.same({}, rt:dependencies("r", { depth = 0 }).children)
    local none, err = rt:dependencies("r", { depth = 91 })
    assert.is_nil(none)
    assert.equal("invalid_argument", err.code)
  end)

  it("names the root and the parent of one below", function()
    local tree = assert(rt:dependencies("leaf-2"))
    assert.equal("r", tree.root_instance)
    assert.same({ instance_id = "branch-1", orchestration_name = "branch", status = "running", child_count = 2 },
      tree.parent)
    assert.same({}, tree.children)
    assert.equal(0, tree.total_descendants)
  end)

  it("prints as a tree", function()
    assert.equal("'r', 3 below it\n`- 'branch-1' (branch) is running\n   |- 'leaf-1' (leaf) is completed\n"
      .. "   `- 'leaf-2' (leaf) is running", tostring(rt:dependencies("r")))
    assert.equal("'r' (the root)\n'branch-1' (branch) is running\n`- 'leaf-2', 0 below it",
      tostring(rt:dependencies("leaf-2")))
    assert.equal("'r', 3 below it\n`- 'branch-1' (branch) is running, 2 children",
      tostring(rt:dependencies("r", { depth = 1 })))
  end)

  it("of an unknown instance is not_found", function()
    local tree, err = rt:dependencies("nobody")
    assert.is_nil(tree)
    assert.equal("not_found", err.code)
  end)
end)
