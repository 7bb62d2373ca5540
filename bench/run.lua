-- run: what `make bench` does. Compiles the ceiling (raw_append.c), then measures the throughput of
-- durable activities beside it, for both Lua VMs and both durabilities.
--
--   lua5.4 bench/run.lua [instances=5000] [steps=20] [rounds=3]
--
-- Numbers of a shared machine drift: read the ratios (README.md in this folder).

local instances, steps, rounds = arg[1] or "5000", arg[2] or "20", arg[3] or "3"


local function shell(command)
  local ok = os.execute(command)
  if ok ~= true and ok ~= 0 then error("failed: " .. command, 0) end
end


shell("cc -O2 bench/raw_append.c -o build/raw_append -lsqlite3")
for _, vm in ipairs { "lua5.4", "luajit" } do
  for _, durability in ipairs { "full", "normal" } do
    local paths = ("LUA_PATH='./lua/?.lua;./lua/?/init.lua;;' LUA_CPATH='./build/%s/?.so;;'"):format(vm)
    shell(("%s %s bench/throughput.lua %s %s %s %s"):format(paths, vm, instances, steps, durability, rounds))
  end
end
