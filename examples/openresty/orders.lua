-- orders: what each worker process of nginx loads. The file of the orders has one owner at a time: the worker that
-- opened it first runs the orchestrations, the others start and ask, and one of them takes over when it goes
-- (role = "auto"). Activities run in timers of nginx, so cosockets work in them, and no call holds up a worker.

local duro = require "duro"

local orders = {}

local rt


duro.activity("charge", function(ctx, total)
  ngx.sleep(0.01) -- any call of nginx: a cosocket to the bank, say
  return ("receipt for %g, attempt %d"):format(total, ctx.attempt)
end)


duro.orchestration("order", function(ctx, total)
  local receipt = ctx:activity("charge", total, { retry = { max_attempts = 5 } })
  local shipped = ctx:wait_event("shipped", { timeout = "30d" })
  return { receipt = receipt, shipped = shipped }
end)


-- Turns the loop. A timer keeps its memory until it ends, so after a minute another one goes on.
local function turn(premature)
  local until_time = ngx.now() + 60
  while not premature and not ngx.worker.exiting() and ngx.now() < until_time do
    local turns, err = rt:step(0.5)
    if not turns then ngx.log(ngx.ERR, "duro: ", tostring(err)) end
  end
  if not premature and not ngx.worker.exiting() then ngx.timer.at(0, turn) end
end


--- For init_worker_by_lua.
function orders.open(path)
  rt = assert(duro.open {
    path = path,
    role = "auto",
    executor = function(run) assert(ngx.timer.at(0, run)) end,
    sleep = ngx.sleep,
    activity_concurrency = 64, -- nginx drops timers beyond lua_max_running_timers
  })
  assert(ngx.timer.at(0, turn))
end


--- For exit_worker_by_lua.
function orders.close()
  if rt then rt:close() end
end


local function answer(value, err)
  if err then ngx.status = err.code == "not_found" and 404 or 409 end
  ngx.say(err and tostring(err) or value)
end


--- /start?id=o-1&total=5: gives the id as soon as the order is durable.
function orders.start()
  answer(rt:start("order", tonumber(ngx.var.arg_total), { id = ngx.var.arg_id }))
end


--- /ship?id=o-1&by=mail: ends an order, and waits for its output.
function orders.ship()
  local id = ngx.var.arg_id
  local ok, err = rt:raise_event(id, "shipped", ngx.var.arg_by)
  if not ok then return answer(nil, err) end
  local output
  output, err = rt:wait(id, 5)
  answer(output and output.receipt .. ", shipped by " .. output.shipped, err)
end


--- /why?id=o-1: what an order waits for.
function orders.why()
  local why, err = rt:why(ngx.var.arg_id)
  answer(why and why.state .. ": " .. why.reason, err)
end


return orders
