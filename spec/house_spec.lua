-- The laws of the house that can be read off the sources: which way includes point, who may know Lua,
-- SQLite and libuv, what a library never calls, and how long a file gets.
--
-- The checkers take a path and a text and return the complaints, so that the last part can show on
-- sources made up here that each of them is able to complain. A new room or an exception is a line in
-- one of the tables below.

local lfs = require "lfs"


-- What each room may include: rooms, and single headers by their path in csrc. The public headers show
-- what hosts and stores share with the core: the nouns, and what a program is.
local MAY_INCLUDE = {
  base = { "base" },
  model = { "base", "model" },
  replay = { "base", "model", "replay" },
  store = { "base", "model", "store", "duro_store.h" },
  runtime = { "base", "model", "replay", "store", "runtime", "duro.h", "duro_store.h" },
  binding = { "binding", "duro.h" },
  ["duro.h"] = { "base", "model", "replay/program.h" },
  ["duro_store.h"] = { "base", "model" },
  examples = { "examples", "duro.h", "duro_store.h" },
}

-- Who may include the headers of others: the paths (Lua patterns) of the only places that know them.
local KNOWN_ONLY_IN = {
  ["lua.h"] = { "^csrc/binding/" },
  ["lauxlib.h"] = { "^csrc/binding/" },
  ["lualib.h"] = { "^csrc/binding/" },
  ["luajit.h"] = { "^csrc/binding/" },
  ["sqlite3.h"] = { "^csrc/store/sqlite/" },
  ["uv.h"] = { "^csrc/runtime/", "^csrc/base/clock%.c$" },
}

-- A library never prints, ends its process, or installs signal handlers.
local NEVER_CALLED = {
  "printf", "vprintf", "fprintf", "vfprintf", "dprintf", "puts", "fputs", "putchar", "perror",
  "exit", "_exit", "_Exit", "quick_exit", "abort", "signal", "sigaction",
}

local LONG_LINES, TOO_LONG_LINES = 600, 800


-- Every file under dir, sorted, as paths relative to the root of the repository.
local function files_under(dir, found)
  found = found or {}
  if lfs.attributes(dir, "mode") ~= "directory" then return found end
  for name in lfs.dir(dir) do
    local path = dir .. "/" .. name
    if name:sub(1, 1) ~= "." then
      if lfs.attributes(path, "mode") == "directory" then
        files_under(path, found)
      else
        found[#found + 1] = path
      end
    end
  end
  table.sort(found)
  return found
end


local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end


local function read_all(dir, pattern)
  local texts = {}
  for _, path in ipairs(files_under(dir)) do
    if path:find(pattern) then texts[path] = read(path) end
  end
  return texts
end


-- The text with comments and the insides of literals as blanks; lines stay where they are.
local function code_of(text)
  local out, at = {}, 1
  local function blank(from, to)
    out[#out + 1] = (text:sub(from, to):gsub("[^\n]", " "))
    at = to + 1
  end
  while at <= #text do
    local start = text:find("[/\"']", at)
    if not start then break end
    out[#out + 1] = text:sub(at, start - 1)
    at = start
    local two, one = text:sub(start, start + 1), text:sub(start, start)
    if two == "/*" then
      local _, last = text:find("*/", start + 2, true)
      blank(start, last or #text)
    elseif two == "//" then
      blank(start, (text:find("\n", start, true) or #text + 1) - 1)
    elseif one == "/" then
      out[#out + 1] = one
      at = start + 1
    else
      local last = start + 1
      while last <= #text and text:sub(last, last) ~= one and text:sub(last, last) ~= "\n" do
        last = last + (text:sub(last, last) == "\\" and 2 or 1)
      end
      blank(start, math.min(last, #text))
    end
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end


-- The room of a path: a folder of csrc, a public header by its name, or "examples".
local function room_of(path)
  return path:match("^csrc/([^/]+)") or path:match("^(examples)/")
end


local function is_member(list, value)
  for _, each in ipairs(list) do
    if each == value then return true end
  end
  return false
end


local function matches_one(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:find(pattern) then return true end
  end
  return false
end


-- The path that #include "name" means in the file at path; `sources` are those that exist.
local function resolve(name, path, sources)
  local beside = path:match("^(.*/)") .. name
  local ups = 1
  while ups > 0 do beside, ups = beside:gsub("[^/.]+/%.%./", "", 1) end
  if sources[beside] then return beside end
  return "csrc/" .. name
end


local function line_of(text, position)
  local _, count = text:sub(1, position):gsub("\n", "")
  return count + 1
end


local function include_complaints(path, text, sources)
  local complaints = {}
  local function complain(position, message)
    complaints[#complaints + 1] = ("%s:%d: %s"):format(path, line_of(text, position), message)
  end
  local room = room_of(path)
  local allowed = MAY_INCLUDE[room]
  if not allowed then complain(1, ("there is no room called %s"):format(tostring(room))) end

  for position, quote, name in ("\n" .. text):gmatch('()\n[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]') do
    local owners = KNOWN_ONLY_IN[name:match("[^/]+$")]
    if owners then
      if not matches_one(path, owners) then complain(position, ("%s is not known here"):format(name)) end
    elseif quote == '"' and allowed then
      local target = resolve(name, path, sources)
      if not is_member(allowed, room_of(target)) and not is_member(allowed, target:match("^csrc/(.*)")) then
        complain(position, ("%s may not include %s"):format(room, name))
      end
    end
  end
  return complaints
end


local function call_complaints(path, text)
  local complaints = {}
  local code = code_of(text)
  for _, name in ipairs(NEVER_CALLED) do
    for position in code:gmatch("()%f[%w_]" .. name .. "%s*%(") do
      local before = code:sub(1, position - 1):match("(..)%s*$") or ""
      if not before:find("%.$") and before ~= "->" then
        complaints[#complaints + 1] = ("%s:%d: calls %s"):format(path, line_of(code, position), name)
      end
    end
  end
  return complaints
end


local function length_of(text)
  local _, lines = text:gsub("\n", "")
  return lines
end


local function head_complaints(path, text)
  if text:find("^/[/*]") or text:find("^%-%-") then return {} end
  return { ("%s:1: does not open with a comment that says what it is for"):format(path) }
end


-- All complaints of one checker about all the sources, as one text; "" when there are none.
local function complaints_about(sources, checker)
  local all = {}
  for path, text in pairs(sources) do
    for _, complaint in ipairs(checker(path, text, sources)) do all[#all + 1] = complaint end
  end
  table.sort(all)
  return table.concat(all, "\n")
end


describe("the house", function()
  local c_sources = read_all("csrc", "%.[ch]$")
  local all_sources = {}
  for _, of in ipairs { { "csrc", "%.[ch]$" }, { "csrc", "%.sql$" }, { "lua", "%.lua$" } } do
    for path, text in pairs(read_all(of[1], of[2])) do all_sources[path] = text end
  end

  it("has sources to check, from the root of the repository", function()
    assert.is_truthy(next(c_sources))
  end)

  it("has only includes that point down, and one door for each library of others", function()
    assert.equal("", complaints_about(c_sources, include_complaints))
  end)

  it("is visited by C programs through the front door alone", function()
    assert.equal("", complaints_about(read_all("examples", "%.[ch]$"), include_complaints))
  end)

  it("never prints, exits, aborts or installs signal handlers", function()
    assert.equal("", complaints_about(c_sources, call_complaints))
  end)

  it("opens every file with what it is for", function()
    assert.equal("", complaints_about(all_sources, head_complaints))
  end)

  it("keeps its files short", function()
    local long = {}
    assert.equal("", complaints_about(all_sources, function(path, text)
      local lines = length_of(text)
      if lines > TOO_LONG_LINES then return { ("%s: %d lines"):format(path, lines) } end
      if lines > LONG_LINES then long[#long + 1] = ("%s: %d lines"):format(path, lines) end
      return {}
    end))
    table.sort(long)
    if long[1] then print(("\nover %d lines:\n  %s"):format(LONG_LINES, table.concat(long, "\n  "))) end
  end)
end)


describe("the checks of the house", function()
  local function includes(path, text, others)
    local made_up = others or {}
    made_up[path] = text
    return include_complaints(path, text, made_up)
  end

  it("find an include that points up or sideways", function()
    assert.same({ "csrc/replay/engine.c:3: replay may not include store/store.h" },
      includes("csrc/replay/engine.c", '/* x */\n#include "base/bytes.h"\n#include "store/store.h"\n'))
    assert.same({ "csrc/base/bytes.h:1: base may not include model/event.h" },
      includes("csrc/base/bytes.h", '#include "model/event.h"\n'))
    assert.same({ "csrc/binding/task.c:1: binding may not include runtime/runtime.h" },
      includes("csrc/binding/task.c", '#  include "runtime/runtime.h"\n'))
    assert.same({ "csrc/store/memory/memory.c:1: store may not include duro.h" },
      includes("csrc/store/memory/memory.c", '#include "duro.h"\n'))
    assert.same({ "csrc/duro.h:2: duro.h may not include replay/engine.h" },
      includes("csrc/duro.h", '#include "replay/program.h"\n#include "replay/engine.h"\n'))
    assert.same({ "examples/c_host/main.c:1: examples may not include runtime/runtime.h" },
      includes("examples/c_host/main.c", '#include "runtime/runtime.h"\n'))
  end)

  it("are not misled by a path that starts beside the file", function()
    assert.same({}, includes("csrc/model/event.c", '#include "event.h"\n', { ["csrc/model/event.h"] = "" }))
    assert.equal(1, #includes("csrc/model/event.c", '#include "../store/store.h"\n',
      { ["csrc/store/store.h"] = "" }))
  end)

  it("find a library of others outside of its door", function()
    assert.same({ "csrc/runtime/loop.c:1: lua.h is not known here" },
      includes("csrc/runtime/loop.c", "#include <lua.h>\n#include <uv.h>\n"))
    assert.equal(1, #includes("csrc/store/store/wrapper.c", "#include <sqlite3.h>\n"))
    assert.equal(1, #includes("csrc/base/ids.c", "#include <uv.h>\n"))
    assert.same({}, includes("csrc/base/clock.c", "#include <uv.h>\n"))
    assert.same({}, includes("csrc/binding/task.c", "#include <lua5.4/lauxlib.h>\n"))
  end)

  it("find a room that the plan does not have", function()
    assert.equal(1, #includes("csrc/misc/things.c", "\n"))
  end)

  it("find a forbidden call, but not its name in a comment, a string or another name", function()
    assert.same({ "csrc/base/log.c:2: calls printf" },
      call_complaints("csrc/base/log.c", 'void f(void) {\n  printf ("x");\n}\n'))
    assert.equal(2, #call_complaints("csrc/base/log.c", "if (x) abort(); else exit(1);"))
    assert.same({}, call_complaints("csrc/base/log.c",
      '/* exit(1) */ // abort()\nsnprintf(s, n, "exit(1) \\" abort()"); on_exit(1); c = \'"\'; job->signal(1);'))
  end)

  it("count lines and miss no file without a head", function()
    assert.equal(3, length_of("a\nb\nc\n"))
    assert.equal(1, #head_complaints("csrc/base/log.c", "int x;\n"))
    assert.same({}, head_complaints("csrc/base/log.c", "/* x */\n"))
  end)
end)
