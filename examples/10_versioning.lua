-- Versions: code changes while instances of the old code are under way, perhaps for months. Look at the
-- three ways: rt:check says before a deploy whom a change would hurt, ctx:patched lets one function serve
-- both, and another version leaves what runs on the code it began with.

local duro = require "duro"

for _, name in ipairs { "charge", "check_address", "drone" } do
  duro.activity(name, function(_, order) print("  " .. name .. " " .. order) end)
end

local function original(ctx, order)
  ctx:activity("charge", order)
  ctx:wait_event("packed")
  return "posted"
end

local function careless(ctx, order)
  ctx:activity("check_address", order) -- orders under way have been past this line
  return original(ctx, order)
end

local function careful(ctx, order)
  if ctx:patched("check the address") then ctx:activity("check_address", order) end
  return original(ctx, order)
end

local rt = assert(duro.open { path = ":memory:", clock = "virtual" })
rt:orchestration("order", original)
rt:start("order", "old", { id = "old" })
rt:run_until_idle()

print(rt:check { name = "order", fn = careless })
print(rt:check { name = "order", fn = careful })
rt:orchestration("order", { replace = true }, careful)
rt:start("order", "new", { id = "new" })
rt:run_until_idle()

rt:orchestration("order", { version = "2.0.0" }, function(ctx, order)
  ctx:activity("drone", order)
  return "dropped"
end)
rt:start("order", "newest", { id = "newest" })
for _, id in ipairs { "old", "new" } do rt:raise_event(id, "packed") end
for _, id in ipairs { "old", "new", "newest" } do
  print(("%s: %s by version %s"):format(id, assert(rt:wait(id)), rt:descriptor(id).version))
end
rt:close()
