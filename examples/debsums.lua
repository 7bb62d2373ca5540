-- debsums: a durable integrity audit of every package that dpkg has installed on this machine.
--
--   lua5.4 examples/debsums.lua audit DB       runs the audit, or goes on with it after a crash
--   lua5.4 examples/debsums.lua until DB N     waits (beside it) until N packages are done
--   lua5.4 examples/debsums.lua report DB      what it found, and what being killed has cost
--   lua5.4 examples/debsums.lua failures DB    one line for each file that is not as it should be
--
-- The shape: `audit` walks over the packages, a few at a time; each is a sub-orchestration that plans
-- its work and hashes its files, a few hundred at a time, in md5sum processes beside the loop. What an
-- activity answered stands in DB; what was in flight when the process was killed runs again, and the
-- run log (DB-runs.log, written outside of the database) shows it.
-- DEBSUMS_ROOT audits another root directory (for the spec). DEBSUMS_PAUSE makes each chunk take that
-- many seconds longer: for machines with so few packages that the audit would end before it is killed.

local duro = require "duro"

local ROOT = os.getenv("DEBSUMS_ROOT") or "/"
local PAUSE = tonumber(os.getenv("DEBSUMS_PAUSE")) or 0
local INFO = ROOT .. "/var/lib/dpkg/info/"

local PACKAGES_AT_ONCE = 8
local CHUNKS_AT_ONCE = 4
local CHUNK_FILES = 300
local DEADLINE = "170s"  -- then the audit fails instead of running on
local HEARTBEAT = 0.1    -- seconds between two updates of the progress
local RETRY = { max_attempts = 3, initial = 0.2 }

local KINDS = { "mismatched", "missing", "unreadable" }


-- --- Files and processes ---

local work -- {log=, prefix=, count=} of this process; set by `audit`


local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end


local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end


local function write_file(path, mode, text)
  local file = assert(io.open(path, mode))
  assert(file:write(text))
  assert(file:close())
end


local function temporary_file()
  work.count = work.count + 1
  return work.prefix .. work.count
end


-- Runs a shell command without holding up the loop: it runs in the background and writes its exit
-- status behind its output, where we look for it now and then. Output, exit status.
local function run(ctx, command)
  local output = temporary_file()
  os.execute(("( %s; printf 'exit %%d' $? ) >%s 2>/dev/null </dev/null &"):format(command, quoted(output)))
  while true do
    ctx:sleep(0.02)
    local body, status = (read_file(output) or ""):match("^(.*)exit (%d+)$")
    if status then
      os.remove(output)
      return body, tonumber(status)
    end
  end
end


-- An activity that notes in the run log when each attempt begins and ends.
local function logged_activity(name, fn)
  duro.activity(name, function(ctx, input)
    local function note(what)
      write_file(work.log, "a", ("%s %.3f %s\n"):format(what, ctx.runtime:now(), ctx.activity_id))
    end
    note("begin")
    local output = fn(ctx, input)
    note("end")
    return output
  end)
end


-- --- What dpkg knows ---

-- A line of a .md5sums file: hash, path without the first slash. As in md5sum's own output a line
-- that starts with a backslash has the backslashes and newlines of its path escaped.
local function parse_checksum(line)
  local escaped, md5, path = line:match("^(\\?)(%x+)%s+%*?(.+)$")
  if not md5 or #md5 ~= 32 then return nil end
  if escaped ~= "" then path = path:gsub("\\(.)", { n = "\n", ["\\"] = "\\" }) end
  return md5:lower(), (path:gsub("^%.?/+", ""))
end


-- Where the files of a package really are: {path = other path} for those that another package has
-- diverted (dpkg-divert).
local function diverted_files(package)
  local lines, moved = {}, {}
  for line in (read_file(ROOT .. "/var/lib/dpkg/diversions") or ""):gmatch("[^\n]+") do
    lines[#lines + 1] = line:gsub("^/", "")
  end
  for i = 1, #lines - 2, 3 do
    if lines[i + 2] ~= package:gsub(":.*", "") then moved[lines[i]] = lines[i + 1] end
  end
  return moved
end


-- The paths that still belong to a package: one that another package has taken over (Replaces) leaves
-- the .list but stays in the .md5sums.
local function owned_files(package)
  local owned = {}
  for path in assert(read_file(INFO .. package .. ".list")):gmatch("[^\n]+") do owned[path:sub(2)] = true end
  return owned
end


-- --- Activities ---

logged_activity("list_packages", function(ctx)
  local text = run(ctx, ("cd %s && ls"):format(quoted(INFO)))
  local packages = {}
  for package in text:gmatch("([^\n]+)%.md5sums\n") do packages[#packages + 1] = package end
  return packages
end)


-- Cuts a package's checksums into chunks. A chunk names a piece of the .md5sums file instead of holding
-- it, which keeps the history small: {package=, offset=, count=, elsewhere={path = where it really is,
-- false when it is not this package's any more}}.
logged_activity("plan_package", function(_, package)
  local moved, owned = diverted_files(package), owned_files(package)
  local chunks, chunk = {}, nil
  local file = assert(io.open(INFO .. package .. ".md5sums", "rb"))
  local offset = 0
  for line in file:lines() do
    if not chunk or chunk.count == CHUNK_FILES then
      chunk = { package = package, offset = offset, count = 0, elsewhere = {} }
      chunks[#chunks + 1] = chunk
    end
    local _, path = parse_checksum(line)
    if path and not owned[path] then
      chunk.elsewhere[path] = false
    elseif path then
      chunk.elsewhere[path] = moved[path]
    end
    chunk.count, offset = chunk.count + 1, offset + #line + 1
  end
  file:close()
  return chunks
end)


-- The files of a chunk: array of {path=, md5=}.
local function files_of(chunk)
  local file = assert(io.open(INFO .. chunk.package .. ".md5sums", "rb"))
  file:seek("set", chunk.offset)
  local files = {}
  for _ = 1, chunk.count do
    local md5, path = parse_checksum(file:read() or "")
    if not md5 then error("the checksums of " .. chunk.package .. " cannot be read") end
    local elsewhere = chunk.elsewhere[path]
    if elsewhere ~= false then files[#files + 1] = { md5 = md5, path = elsewhere or path } end
  end
  file:close()
  return files
end


-- {path = md5} of the files that md5sum can read.
local function hash_all(ctx, files)
  local names = {}
  for i, file in ipairs(files) do names[i] = file.path .. "\0" end
  local list = temporary_file()
  write_file(list, "wb", table.concat(names))
  local text, status = run(ctx, ("cd %s && xargs -0 -r md5sum -z -- <%s"):format(quoted(ROOT), quoted(list)))
  os.remove(list)
  -- 123: some files could not be read. Other failures are tried again.
  if status ~= 0 and status ~= 123 then error("md5sum ended with exit status " .. status) end
  local hashes = {}
  for md5, path in text:gmatch("(%x+) [ *]([^%z]+)%z") do hashes[path] = md5 end
  return hashes
end


-- Why a file has no hash. (The numbers are ENOENT and ENOTDIR.)
local function why_unread(path)
  local file, _, number = io.open(ROOT .. "/" .. path, "rb")
  if file then file:close() end
  return (number == 2 or number == 20) and "missing" or "unreadable"
end


local function new_result()
  return { files = 0, mismatched = {}, missing = {}, unreadable = {} }
end


logged_activity("check_files", function(ctx, chunk)
  local files, result = files_of(chunk), new_result()
  local hashes = hash_all(ctx, files)
  if PAUSE > 0 then ctx:sleep(PAUSE) end
  for _, file in ipairs(files) do
    local hash, kind = hashes[file.path], nil
    if not hash then
      kind = why_unread(file.path)
    elseif hash ~= file.md5 then
      kind = "mismatched"
    end
    if kind then table.insert(result[kind], file.path) end
  end
  result.files = #files
  return result
end)


-- --- Orchestrations ---

-- Calls work(item) for each item, at most `width` at once: that many blocks of code take the next item
-- whenever they are done with one.
local function in_window(ctx, width, items, visit)
  local taken, blocks = 0, {}
  for i = 1, math.min(width, #items) do
    blocks[i] = ctx:spawn(function()
      while taken < #items do
        taken = taken + 1
        visit(items[taken])
      end
    end)
  end
  ctx:join(blocks)
end


local function add(total, result)
  total.files = total.files + result.files
  for _, kind in ipairs(KINDS) do
    for _, path in ipairs(result[kind]) do table.insert(total[kind], path) end
  end
end


duro.orchestration("audit_package", function(ctx, package)
  local chunks = ctx:activity("plan_package", package, { retry = RETRY })
  local result = new_result()
  in_window(ctx, CHUNKS_AT_ONCE, chunks, function(chunk)
    add(result, ctx:activity("check_files", chunk, { retry = RETRY }))
  end)
  return result
end)


duro.orchestration("audit", function(ctx)
  local packages = ctx:activity("list_packages", nil, { retry = RETRY })
  local total, done = new_result(), 0

  local sweep = ctx:spawn(function()
    in_window(ctx, PACKAGES_AT_ONCE, packages, function(package)
      add(total, ctx:sub_orchestration("audit_package", package, { id = ctx.instance_id .. "/" .. package }))
      done = done + 1
    end)
  end)
  -- Progress for whoever looks from outside: a durable timer, so it beats on after a crash too.
  ctx:spawn(function()
    while true do
      ctx:set_custom_status {
        done = done, packages = #packages, files = total.files,
        failures = #total.mismatched + #total.missing + #total.unreadable,
      }
      ctx:sleep(HEARTBEAT)
    end
  end)

  -- The deadline counts from the first start, however often the process dies in between.
  local first = ctx:select { sweep, ctx:schedule_timer(DEADLINE) }
  if first == 2 then error(("%d of %d packages were done after %s"):format(done, #packages, DEADLINE), 0) end
  total.packages = #packages
  for _, kind in ipairs(KINDS) do table.sort(total[kind]) end
  return total
end)


-- --- Commands ---

local AUDIT = "audit" -- the instance's id
local ENDED = { completed = true, failed = true, cancelled = true, terminated = true }


local function fail(message)
  io.stderr:write("debsums: ", tostring(message), "\n")
  os.exit(1)
end


local function need(value, err)
  if value == nil or value == false then fail(err) end
  return value
end


local function log_path(path)
  return path .. "-runs.log"
end


local function progress_line(status)
  return ("%4d of %d packages, %6d files, %d failures"):format(status.done, status.packages, status.files,
    status.failures)
end


-- Runs the audit to its end and shows its progress: on a terminal in one line, else now and then.
local function audit(path)
  if not io.open(INFO) then fail("no dpkg database in " .. INFO .. ": this audits Debian packages") end
  local rt = need(duro.open { path = path, activity_concurrency = PACKAGES_AT_ONCE })
  local files = path .. "-files"
  os.execute(("rm -rf %s && mkdir %s"):format(quoted(files), quoted(files)))
  work = { log = log_path(path), prefix = ("%s/%d-"):format(files, rt:now() * 1000), count = 0 }
  write_file(work.log, "a", ("run %.3f\n"):format(rt:now()))
  need(rt:start("audit", nil, { id = AUDIT, on_conflict = "existing" }))

  local terminal = os.execute("test -t 1")
  terminal = terminal == true or terminal == 0
  local shown, shown_at = nil, 0
  local row
  repeat
    rt:wait(AUDIT, 0.2)
    row = need(rt:status(AUDIT))
    local line = row.custom_status and progress_line(row.custom_status)
    if line and line ~= shown and (terminal or rt:now() >= shown_at + 2) then
      io.write(terminal and "\r" or "", "  ", line, terminal and "" or "\n")
      io.flush()
      shown, shown_at = line, rt:now()
    end
  until ENDED[row.status]
  if terminal and shown then io.write("\r", (" "):rep(#shown + 2), "\r") end
  rt:close()
  os.execute("rm -rf " .. quoted(files))
  if row.status ~= "completed" then fail(row.error or row.status) end
end


-- Opens the file as it is, beside the process that runs the audit or after it.
local function open_client(path)
  return duro.open { path = path, role = "client", management = { max_list_instances = 100000 } }
end


-- Waits until `count` packages are done, and prints how many are. Fails when the audit ends before, or
-- does not beat any more.
local function until_done(path, count)
  local rt, done, seen = nil, 0, 0
  local patience = os.time() + 30
  repeat
    rt = rt or open_client(path)
    local status, version
    if rt then status, version = rt:wait_custom_status(AUDIT, seen, 1) end
    if status then
      done, seen, patience = status.done, version, os.time() + 30
    elseif version and version.code == "finished" then
      fail(version)
    else
      if os.time() > patience then fail(version or "the audit has not begun") end
      os.execute("sleep 0.05") -- the file or the instance may not be there yet
    end
  until done >= count
  print(done)
  rt:close()
end


local function output_of(rt)
  local row = need(rt:status(AUDIT))
  if row.status ~= "completed" then fail(("the audit is not complete: %s %s"):format(row.status,
    tostring(row.error or ""))) end
  return row.output
end


-- What the run log tells about each kill: {gap=, again=, wasted=} (seconds without a process, activities
-- that ran again, seconds of their work that were thrown away); and when everything began and ended.
local function read_log(path)
  local kills, begun, ended, from, to = {}, {}, {}, nil, nil
  local kill
  for line in need(io.open(log_path(path))):lines() do
    local what, at, id = line:match("^(%S+) (%S+) ?(.*)$")
    at = tonumber(at)
    from, to = from or at, at
    if what == "kill" then
      kill = { at = at, again = 0, wasted = 0, seen = {} }
      kills[#kills + 1] = kill
    elseif what == "begin" then
      if kill then
        kill.gap = kill.gap or at - kill.at
        local before = begun[id]
        if before and before < kill.at and not kill.seen[id] then
          kill.again, kill.seen[id] = kill.again + 1, true
          kill.wasted = kill.wasted + math.min(ended[id] or kill.at, kill.at) - before
        end
      end
      begun[id], ended[id] = at, nil
    elseif what == "end" then
      ended[id] = at
    end
  end
  return kills, to - from
end


-- How often the histories say that an attempt was lost with its process.
local function count_lost(rt)
  local ids, lost = { AUDIT }, 0
  for _, row in ipairs(need(rt:list_instances { parent_instance = AUDIT, limit = 100000 })) do
    ids[#ids + 1] = row.instance_id
  end
  for _, id in ipairs(ids) do
    for _, event in ipairs(need(rt:history { instance = id, kinds = { "activity_retry_scheduled" } }).events) do
      if event.lost then lost = lost + 1 end
    end
  end
  return lost
end


local function report(path)
  local rt = need(open_client(path))
  local total = output_of(rt)
  local kills, seconds = read_log(path)
  print(("packages    %7d"):format(total.packages))
  print(("files       %7d"):format(total.files))
  print(("mismatches  %7d"):format(#total.mismatched))
  print(("missing     %7d"):format(#total.missing))
  print(("unreadable  %7d"):format(#total.unreadable))
  local gaps, wasted = 0, 0
  for i, kill in ipairs(kills) do
    gaps, wasted = gaps + (kill.gap or 0), wasted + kill.wasted
    print(("kill %d: at work again after %.2f s; %d activities ran again"):format(i, kill.gap or 0, kill.again))
  end
  print(("attempts lost with their process, begun or still in the queue: %d"):format(count_lost(rt)))
  print(("time: %.1f s; lost: %.2f s without a process, %.1f s of work that was done twice"):format(seconds, gaps,
    wasted))
  rt:close()
end


-- "mismatch PATH" or "unread PATH" for each failure, and the number of files: what demo.sh compares.
local function failures(path)
  local rt = need(open_client(path))
  local total = output_of(rt)
  for _, kind in ipairs(KINDS) do
    for _, file in ipairs(total[kind]) do
      print((kind == "mismatched" and "mismatch " or "unread ") .. file)
    end
  end
  print("files " .. total.files)
  rt:close()
end


local command, path, count = arg[1], arg[2], tonumber(arg[3])
if command == "audit" and path then
  audit(path)
elseif command == "until" and path and count then
  until_done(path, count)
elseif command == "report" and path then
  report(path)
elseif command == "failures" and path then
  failures(path)
else
  fail("usage: debsums.lua audit|report|failures DB, or debsums.lua until DB COUNT")
end
