-- run: what `make bench` does: every row of bench/rows.lua, as one table.
--
--   lua5.4 bench/run.lua [ONLY]        ONLY: a part of row ids, such as "throughput"
--
-- Environment: QUICK=1 smaller sizes, full only (two or three minutes); ROUNDS=3; NAME of the results (the time);
-- BENCH_DIR where the folder of files goes (/tmp); BUILD the folder with duro's modules and libduro.a (build).
--
-- In each round the ceiling is taken right before its row, and the ratio is of that pair, so that a machine
-- whose speed drifts spoils neither. Written: bench/results/NAME.md, NAME.json and NAME.svg.

package.path = "./bench/?.lua;" .. package.path

local json = require "json"
local report = require "report"
local measurements = require "rows"

local only = arg[1]
local quick = (os.getenv("QUICK") or "") ~= "" and os.getenv("QUICK") ~= "0"
local rounds = tonumber(os.getenv("ROUNDS") or 3)
local folder -- of this run, so that two runs do not meet
local build = os.getenv("BUILD") or "build"
local tools = build .. "/bench"


-- --- Programs ---

local function shell(command)
  local ok = os.execute(command)
  if ok ~= true and ok ~= 0 then error("failed: " .. command, 0) end
end


local function first_line(command)
  local p = assert(io.popen(command))
  local line = p:read("*l")
  p:close()
  return line
end


local function compile()
  shell("mkdir -p bench/results " .. tools)
  shell(("cc -O2 bench/raw_append.c -o %s/raw_append -lsqlite3"):format(tools))
  shell(("cc -O2 bench/fdatasync.c -o %s/fdatasync"):format(tools))
  shell(("cc -O2 -D_GNU_SOURCE -Icsrc -o %s/fill bench/fill.c %s/libduro.a -lsqlite3 -luv -lpthread -lm"):format(
    tools, build))
  for _, vm in ipairs { "lua5.4", "luajit" } do
    shell(("mkdir -p %s/%s"):format(tools, vm))
    shell(("cc -O2 -shared -fPIC $(pkg-config --cflags %s) bench/machine.c -o %s/%s/machine.so"):format(vm, tools, vm))
  end
end


local function merged(...)
  local all = {}
  for i = 1, select("#", ...) do
    for key, value in pairs((select(i, ...)) or {}) do all[key] = value end
  end
  return all
end


-- Runs one scenario in a process of its own; nil when it died (which `dies` expects).
local function run(vm, scenario, options, dies)
  local words = {}
  for key, value in pairs(options) do
    words[#words + 1] = ("%s=%s"):format(key, math.type(value) == "float" and ("%.0f"):format(value) or value)
  end
  local paths = ("LUA_PATH='./lua/?.lua;./lua/?/init.lua;./bench/?.lua;;' LUA_CPATH='%s/%s/?.so;%s/%s/?.so;;'"):format(
    build, vm, tools, vm)
  local line = first_line(("BENCH_DIR=%s %s timeout 900 %s bench/scenario.lua %s vm=%s %s%s"):format(folder, paths, vm,
    scenario, vm, table.concat(words, " "), dies and " 2>/dev/null" or ""))
  if line then return json.decode(line) end
  return dies and {} or { unsupported = "it failed: see above" }
end


-- --- One measurement ---

local function take_ceiling(m, vm, options)
  local ceiling = m.ceiling
  if not ceiling then return nil end
  if ceiling[1] == "appends" then
    return tonumber(first_line(("%s/raw_append %s/duro-bench.raw %d %d %s %d"):format(tools, folder,
      quick and ceiling.per > 1 and ceiling.rows // 5 or ceiling.rows, ceiling.per, options.durability, ceiling.bytes)))
  end
  if ceiling[1] == "fdatasync" then
    return tonumber(first_line(("%s/fdatasync %s/duro-bench.sync 1000 %s"):format(tools, folder, ceiling[2])))
  end
  local other = merged(options, ceiling.options)
  other.file = nil
  return run(vm, ceiling[1], other)[ceiling[2]]
end


local function ceiling_name(m, durability)
  local ceiling = m.ceiling
  if not ceiling then return nil end
  if ceiling[1] == "appends" then
    return ("appends of %d B, %s to a transaction, %s"):format(ceiling.bytes, ceiling.per, durability)
  end
  if ceiling[1] ~= "fdatasync" then return ceiling[3] end
  return ceiling[2] == "over" and "fdatasync in place, p50" or "fdatasync of an append, p50"
end


local function one_round(m, vm, options)
  local given = options
  if m.before then
    local first = merged(m.before[2], quick and m.before.quick)
    first.durability, first.file = options.durability, options.file
    given = merged(options, run(vm, m.before[1], first, m.before.dies))
  end
  local ceiling = take_ceiling(m, vm, options)
  return run(vm, m.scenario, given), ceiling
end


local function wanted(m)
  if not only then return true end
  for _, row in ipairs(m.rows) do
    if row[1]:find(only, 1, true) then return true end
  end
  return false
end


local function measure(m, vm, durability, file)
  local options = merged(m.options, quick and m.quick, { durability = durability, file = file })
  local taken = {}
  for round = 1, rounds do
    local figures, ceiling = one_round(m, vm, options)
    taken[round] = { figures = figures, ceiling = ceiling }
    if figures.unsupported then break end
  end
  return report.rows(m, taken, { vm = vm, durability = durability, ceiling = ceiling_name(m, durability),
    options = options })
end


local function fill(m)
  if not m.fill then return nil end
  local path = folder .. "/duro-bench-filled.db"
  local size = quick and m.quick_fill or m.fill
  shell(("rm -f %s %s-*"):format(path, path))
  shell(("%s/fill %s %d %s"):format(tools, path, size[1], size[2]))
  return path
end


-- --- All of them ---

compile()
folder = assert(first_line("mktemp -d " .. (os.getenv("BENCH_DIR") or "/tmp") .. "/duro-bench-XXXXXX"))
local results = { quick = quick, rounds = rounds, when = os.date("!%Y-%m-%dT%H:%M:%SZ"), rows = {},
  commit = first_line("git rev-parse --short HEAD 2>/dev/null") or "?",
  machine = first_line("echo $(nproc) x $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), $(uname -sr)") or "?" }
report.head(results)
for _, m in ipairs(measurements) do
  if wanted(m) then
    local file = fill(m)
    for _, vm in ipairs(m.vms or { "lua5.4", "luajit" }) do
      for _, durability in ipairs(quick and { "full" } or m.durabilities or { "full", "normal" }) do
        for _, row in ipairs(measure(m, vm, durability, file)) do
          results.rows[#results.rows + 1] = row
          report.line(row)
        end
      end
    end
    if file then shell(("rm -f %s %s-*"):format(file, file)) end
  end
end
shell("rm -rf " .. folder)
local base = "bench/results/" .. (os.getenv("NAME") or os.date("!%Y%m%d-%H%M%S"))
report.write(base, results)
shell(("lua5.4 bench/plot %s.json"):format(base))
print(("\nwritten: %s.md, %s.json, %s.svg"):format(base, base, base))
