-- task: what ctx:schedule_* and ctx:spawn give, and waiting for several of them.
--
-- All waiting has two halves: a C function that yields in tail position when there is nothing to see
-- yet, and one that looks at the result, or raises the failure or the cancellation that interrupted the
-- wait. Raising happens after the yield, in plain Lua call chains, so pcall works across waits on both
-- VMs. done(), cancel() and tostring are in C (csrc/binding/task.c).

local core = require "duro.core"
local errors = require "duro.errors"

local ops = core.ops
local task_wait, task_take = ops.task_wait, ops.task_take
local list_copy, take_task = ops.list_copy, ops.take_task
local join_wait, join_take = ops.join_wait, ops.join_take
local select_wait, select_take = ops.select_wait, ops.select_take

local task = {}


--- The output of the task, or its failure raised. context: orchestration.
function ops.task_methods:await()
  task_wait(self)
  return task_take(self)
end


local function wait_for_all(ctx, list)
  while not join_wait(ctx, list) do end -- luacheck: ignore 542 (each round waits for one more)
end


--- Outputs in the order of `tasks`; waits for all, then raises the failure that came first in history.
function task.join(ctx, tasks)
  local list = list_copy(ctx, tasks, "join")
  wait_for_all(ctx, list)
  return join_take(ctx, list)
end


--- {ok=true, value=} or {ok=false, error=} for each of `tasks`, in their order. Never raises a failure.
function task.join_settled(ctx, tasks)
  local list = list_copy(ctx, tasks, "join_settled")
  wait_for_all(ctx, list)
  local settled = {}
  for i = 1, #list do
    local ok, value = pcall(take_task, ctx, list[i])
    settled[i] = ok and { ok = true, value = value } or { ok = false, error = errors.of(value) }
  end
  return settled
end


--- The index and output of the task that is done first; the others are cancelled.
function task.select(ctx, tasks)
  local list = list_copy(ctx, tasks, "select")
  select_wait(ctx, list)
  return select_take(ctx, list)
end


return task
