-- report: from what was measured to rows, and from rows to lines, Markdown and JSON.

local json = require "json"

local report = {}


-- --- Rows ---

-- The median, the least and the most of a list.
local function spread(list)
  if #list == 0 then return nil end
  local sorted = { table.unpack(list) }
  table.sort(sorted)
  return { median = sorted[(#sorted + 1) // 2], min = sorted[1], max = sorted[#sorted] }
end


local function by_durability(bound, durability)
  if type(bound) == "table" then return bound[durability] end
  return bound
end


local function meets(op, value, bound)
  if op == ">=" then return value >= bound end
  return value <= bound
end


-- Sets `target` (as text) and `met` of a row.
local function judge(row, target)
  local bound = target and by_durability(target.bound, row.durability)
  if not bound then return end
  local stretch = by_durability(target.stretch, row.durability)
  local subject = target.what == "ratio" and row.ratio or row.value
  if not subject then return end
  row.target = ("%s %s %g"):format(target.what, target.op, bound)
  row.met = meets(target.op, subject.median, bound)
  if target.or_value then
    row.target = row.target .. (" or %d/s"):format(target.or_value)
    row.met = row.met or row.value.median >= target.or_value
  end
  if stretch then
    row.target = row.target .. (" (stretch %g)"):format(stretch)
    row.stretch_met = meets(target.op, subject.median, stretch)
  end
end


--- The rows of one measurement. `taken`: {figures, ceiling} of each round.
function report.rows(m, taken, about)
  local rows = {}
  for i, made in ipairs(m.rows) do
    local values, ratios, ceilings = {}, {}, {}
    local row = { id = made[1], title = made[2], unit = made[4], vm = about.vm, durability = about.durability,
      options = about.options }
    for _, round in ipairs(taken) do
      local value, ceiling = round.figures[made[3]], round.ceiling
      row.note = row.note or round.figures.note or round.figures.unsupported
      values[#values + 1] = value
      if value and ceiling and made.ratio ~= false then
        ratios[#ratios + 1], ceilings[#ceilings + 1] = value / ceiling, ceiling
      end
    end
    row.value, row.ratio, row.rounds = spread(values), spread(ratios), #values
    if row.ratio then row.ceiling, row.ceiling_value = about.ceiling, spread(ceilings).median end
    if row.value then judge(row, made.target) end
    rows[i] = row
  end
  return rows
end


-- --- Text ---

local function grouped(n)
  if n >= 1000 then
    local digits = ("%.0f"):format(n):reverse():gsub("(%d%d%d)", "%1 "):reverse()
    return (digits:gsub("^ ", ""))
  end
  return n >= 100 and ("%.0f"):format(n) or n >= 10 and ("%.1f"):format(n) or ("%.2f"):format(n)
end


local function verdict(row)
  if row.met == nil then return "" end
  return row.met and (row.stretch_met and "met, stretch too" or "met") or "not met"
end


local function cells(row)
  return {
    row.title .. (row.note and (" (%s)"):format(row.note) or ""), row.vm, row.durability,
    row.value and ("%s %s"):format(grouped(row.value.median), row.unit) or "-",
    row.value and row.rounds > 1 and ("%s to %s"):format(grouped(row.value.min), grouped(row.value.max)) or "",
    row.ratio and ("%.3f"):format(row.ratio.median) or "",
    row.ratio and ("%.3f to %.3f"):format(row.ratio.min, row.ratio.max) or "",
    row.ceiling and ("%s: %s"):format(row.ceiling, grouped(row.ceiling_value)) or "",
    row.target or "", verdict(row),
  }
end


local TITLES = { "what", "VM", "durability", "median", "spread", "ratio", "spread of it", "ceiling of the same round",
  "target", "" }
local LINE = "%-56s %-7s %-7s %24s  %6s %-16s  %-46s %s"


function report.head(results)
  print(("duro %s, %s; %d rounds%s"):format(results.commit, results.machine, results.rounds,
    results.quick and ", QUICK: smaller sizes than the titles say, and full durability only" or ""))
  print(LINE:format("", "", "", "median", "ratio", "", "target", ""))
end


function report.line(row)
  local c = cells(row)
  print((LINE:format(c[1], c[2], c[3], c[4], c[6], c[7], c[9], c[10]):gsub("%s+$", "")))
  io.stdout:flush()
end


local function markdown(results)
  local lines = {
    "# Benchmarks of duro " .. results.commit, "",
    ("%s, %s, %d rounds: medians, and the ratio of each round's row to its own ceiling."):format(results.when,
      results.machine, results.rounds),
    results.quick and "QUICK: smaller sizes than the titles say, and full durability only." or "", "",
    "| " .. table.concat(TITLES, " | ") .. " |", "|" .. ("---|"):rep(#TITLES),
  }
  for _, row in ipairs(results.rows) do lines[#lines + 1] = "| " .. table.concat(cells(row), " | ") .. " |" end
  return table.concat(lines, "\n") .. "\n"
end


local function write_file(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
end


--- Writes BASE.md and BASE.json.
function report.write(base, results)
  write_file(base .. ".md", markdown(results))
  write_file(base .. ".json", json.encode(results, true) .. "\n")
end


return report
