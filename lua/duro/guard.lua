-- guard: keeps the code of orchestrations deterministic, so that its replay does what it did.
--
-- A registered function gets a guarded environment in place of its globals: calls whose answer differs
-- between runs raise and name what to use instead, pairs and next walk in the order of the keys,
-- table.sort is stable, globals cannot be written. The environment is shared: both setfenv (LuaJIT)
-- and debug.upvaluejoin (5.4) change the function itself, whichever instance runs it. So it asks the
-- core whether an orchestration runs right now; anywhere else (in the function of a side effect, too) the
-- same function sees plain Lua.
--
-- Covered are the function and the functions written inside it, also where they use a local of their file
-- that holds a plain function or library (local time = os.time). guard="strict" also covers helpers
-- that it reaches through upvalues, and, by wrapping the global functions themselves, modules. Not
-- covered: "%s" and "%p" of tables in string.format, and what other modules kept in locals earlier.
-- To deny another function: one row in DENIED. What ordered means: ordered.lua.

local core = require "duro.core"
local options = require "duro.options"
local ordered = require "duro.ordered"

local guard = {}

-- The plain functions, for when a strict guard has replaced the global ones.
local real = {
  pairs = pairs, tostring = tostring, load = load, loadstring = rawget(_G, "loadstring"),
  collectgarbage = collectgarbage, date = os.date,
}
local HERE = debug.getinfo(1, "S").source:match("^(.*[/\\])") or "@"


local IN_ACTIVITY = "do it in an activity"
local NOW = "use ctx:now()"
local RANDOM = "use ctx:random()"

-- What differs from run to run, and what to use instead. `true` for a whole library: every field.
local DENIED = {
  os = {
    time = NOW, clock = NOW, date = NOW .. ', or os.date("!...", time) with a time of yours',
    getenv = "read it in an activity, or pass it as input", execute = IN_ACTIVITY, remove = IN_ACTIVITY,
    rename = IN_ACTIVITY, tmpname = IN_ACTIVITY, setlocale = "set it before duro.open",
    exit = "return, or raise an error",
  },
  math = { random = RANDOM, randomseed = RANDOM },
}
local DENIED_WHOLE = {
  io = IN_ACTIVITY,
  package = "use require",
  debug = "only debug.traceback and debug.getinfo can be used",
  ngx = IN_ACTIVITY,
  vim = IN_ACTIVITY,
}
local ALLOWED = { debug = { traceback = true, getinfo = true } }
local DENIED_GLOBALS = { dofile = IN_ACTIVITY, loadfile = IN_ACTIVITY }


-- The function of a side effect may ask what it likes: its answer is recorded.
local function in_orchestration()
  return core.context() == "orchestration"
end


-- But what it writes would be lost all the same.
local function writes_are_lost()
  local context = core.context()
  return context == "orchestration" or context == "side_effect"
end


local function deny(name, instead, level)
  error(("%s is not deterministic here: %s"):format(name, instead), level + 1)
end


-- `fn`, refused while `applies`.
local function denied(name, fn, instead, applies)
  return function(...)
    if applies() then deny(name, instead, 2) end
    return fn(...)
  end
end


-- os.date of a given time in UTC depends on its arguments alone.
local function date_guarded(format, time)
  local pure = time and type(format) == "string" and format:sub(1, 1) == "!"
  if not pure and in_orchestration() then deny("os.date", DENIED.os.date, 2) end
  if time then return real.date(format, time) end
  return real.date(format)
end


-- --- Values that show an address ---

local function tostring_guarded(...)
  local value = ...
  local kind = type(value)
  if kind == "table" or kind == "function" or kind == "userdata" or kind == "thread" then
    local meta = debug.getmetatable(value)
    if not (meta and rawget(meta, "__tostring")) and in_orchestration() then
      error(("tostring of a %s is its address, which differs between runs: write its fields"):format(kind), 2)
    end
  end
  return real.tostring(...)
end


local function collectgarbage_guarded(option, ...)
  if option == "count" and in_orchestration() then
    deny('collectgarbage("count")', "it measures this process", 2)
  end
  return real.collectgarbage(option, ...)
end


-- --- The environment ---

-- A library with some of its functions replaced. Writing into it while an orchestration runs is
-- writing a global.
local function library(name, original, replaced)
  return setmetatable(replaced, {
    __index = original,
    __newindex = function(_, key, value)
      if writes_are_lost() then deny(("writing %s.%s"):format(name, real.tostring(key)), "use a local", 2) end
      original[key] = value
    end,
  })
end


local function denied_library(name, original, instead)
  return setmetatable({}, {
    __index = function(_, key)
      if in_orchestration() and not (ALLOWED[name] and ALLOWED[name][key]) then
        deny(("%s.%s"):format(name, real.tostring(key)), instead, 2)
      end
      return original[key]
    end,
  })
end


-- load compiles into the real globals: give it the guarded ones.
local function load_guarded(env, original)
  if setfenv then
    return function(...)
      local chunk, message = original(...)
      if not chunk or select("#", ...) >= 4 then return chunk, message end
      return setfenv(chunk, env)
    end
  end
  return function(chunk, name, mode, ...)
    if select("#", ...) > 0 then return original(chunk, name, mode, ...) end
    return original(chunk, name, mode, env)
  end
end


local function write_global(original)
  return function(_, name, value)
    if writes_are_lost() then
      error(("global '%s' must not be written here: it does not survive a restart (use a local, or ctx.kv)")
        :format(real.tostring(name)), 2)
    end
    original[name] = value
  end
end


local function new_environment(original)
  local env, globals = {}, {}
  for name, functions in real.pairs(DENIED) do
    local replaced, lib = {}, original[name]
    if type(lib) == "table" then
      for key, instead in real.pairs(functions) do
        replaced[key] = lib[key] and denied(name .. "." .. key, lib[key], instead, in_orchestration)
      end
      globals[name] = library(name, lib, replaced)
    end
  end
  if globals.os then rawset(globals.os, "date", date_guarded) end -- in UTC it is allowed
  for name, instead in real.pairs(DENIED_WHOLE) do
    if type(original[name]) == "table" then
      globals[name] = denied_library(name, original[name], instead)
    end
  end
  for name, instead in real.pairs(DENIED_GLOBALS) do
    globals[name] = original[name] and denied(name, original[name], instead, in_orchestration)
  end
  globals.table = original.table and library("table", original.table, { sort = ordered.sort })
  globals.pairs, globals.next, globals.tostring = ordered.pairs, ordered.next, tostring_guarded
  globals.collectgarbage = collectgarbage_guarded
  globals.load = load_guarded(env, real.load)
  globals.loadstring = real.loadstring and load_guarded(env, real.loadstring)
  globals._G = env
  setmetatable(globals, { __index = original })
  local meta = { __index = globals, __newindex = write_global(original), __metatable = "guarded" }
  return setmetatable(env, meta), globals
end


-- What stands in the place of each plain function and library: guarded by plain. While a strict guard is
-- installed, the global functions are wrappers: `plain_of` knows what they wrap.
local plain_of = setmetatable({}, { __mode = "k" })


-- {[plain] = guarded}, for the locals in which a file keeps them.
local function substitutes(original, env, globals)
  local found = { [original] = env }
  local function note(plain, replaced)
    if plain ~= nil and replaced and plain ~= replaced then found[plain_of[plain] or plain] = replaced end
  end
  for name, replaced in real.pairs(globals) do note(original[name], replaced) end
  for name, functions in real.pairs(DENIED) do
    for key in real.pairs(globals[name] and functions or {}) do
      note(original[name][key], rawget(globals[name], key))
    end
  end
  for name, instead in real.pairs(DENIED_WHOLE) do
    for key, fn in real.pairs(globals[name] and original[name] or {}) do
      if type(fn) == "function" and not (ALLOWED[name] and ALLOWED[name][key]) then
        note(fn, denied(("%s.%s"):format(name, real.tostring(key)), plain_of[fn] or fn, instead, in_orchestration))
      end
    end
  end
  if globals.table then note(original.table.sort, ordered.sort) end
  return found
end


local environments = setmetatable({}, { __mode = "k" }) -- the guarded one of each original
local substitutes_in = setmetatable({}, { __mode = "k" }) -- by guarded environment
local guarded = setmetatable({}, { __mode = "k" })      -- which environments are guarded ones


local function environment_for(original)
  if guarded[original] then return original end
  local env = environments[original]
  if not env then
    local globals
    env, globals = new_environment(original)
    environments[original], guarded[env] = env, true
    substitutes_in[env] = substitutes(original, env, globals)
  end
  return env
end


-- The index of the upvalue that holds the globals of `fn`, and the globals. (Stripped code has lost
-- the names of its upvalues.)
local function globals_of(fn)
  local i = 1
  local name, value = debug.getupvalue(fn, i)
  while name do
    if name == "_ENV" or value == _G or (type(value) == "table" and guarded[value]) then return i, value end
    i = i + 1
    name, value = debug.getupvalue(fn, i)
  end
end


-- Gives `fn` an upvalue of its own: other functions of its file keep the one they share.
local function set_upvalue(fn, index, value)
  debug.upvaluejoin(fn, index, function() return value end, 1)
end


-- The locals of its file that hold something plain.
local function attach_locals(fn, env)
  local found = substitutes_in[env]
  local i = 1
  local name, value = debug.getupvalue(fn, i)
  while name do
    local guarded_value = value ~= nil and found[plain_of[value] or value]
    if guarded_value then set_upvalue(fn, i, guarded_value) end
    i = i + 1
    name, value = debug.getupvalue(fn, i)
  end
end


local function attach(fn)
  if debug.getinfo(fn, "S").what == "C" then return end
  local env
  if setfenv then
    env = environment_for(getfenv(fn))
    setfenv(fn, env)
  else
    local index, globals = globals_of(fn)
    env = environment_for(type(globals) == "table" and globals or _G)
    if type(globals) == "table" then set_upvalue(fn, index, env) end
  end
  attach_locals(fn, env)
end


-- Every Lua function that `fn` reaches through upvalues, itself included; duro's own are left alone.
local function attach_all(fn, seen)
  if seen[fn] or debug.getinfo(fn, "S").source:sub(1, #HERE) == HERE then return end
  seen[fn] = true
  attach(fn)
  local i = 1
  local name, value = debug.getupvalue(fn, i)
  while name do
    if type(value) == "function" then attach_all(value, seen) end
    i = i + 1
    name, value = debug.getupvalue(fn, i)
  end
end


-- --- Strict: the global functions themselves ---

local strict_installed = false
local strict_contexts = setmetatable({}, { __mode = "k" }) -- the ctx of each strict instance in memory


local function in_strict_orchestration()
  return in_orchestration() and strict_contexts[core.current()]
end


local function wrap(lib, lib_name, key, instead)
  local name = lib_name and lib_name .. "." .. key or key
  local plain = lib[key]
  if not plain then return end
  lib[key] = denied(name, plain, instead, in_strict_orchestration)
  plain_of[lib[key]] = plain
end


-- A global function with another one in its place while a strict orchestration runs.
local function replace(lib, key, fn)
  local plain = lib[key]
  lib[key] = function(...)
    if in_strict_orchestration() then return fn(...) end
    return plain(...)
  end
  plain_of[lib[key]] = plain
end


local function install_strict()
  if strict_installed then return end
  strict_installed = true
  for name, functions in real.pairs(DENIED) do
    for key, instead in real.pairs(functions) do
      if key ~= "date" then wrap(_G[name], name, key, instead) end
    end
  end
  replace(os, "date", date_guarded)
  for key, fn in real.pairs(io) do
    if type(fn) == "function" then wrap(io, "io", key, IN_ACTIVITY) end
  end
  for name, instead in real.pairs(DENIED_GLOBALS) do wrap(_G, nil, name, instead) end
  replace(_G, "pairs", ordered.pairs)
  replace(_G, "next", ordered.next)
  replace(table, "sort", ordered.sort)
end


local function strict(fn)
  install_strict()
  attach_all(fn, {})
  return function(ctx, input)
    strict_contexts[ctx] = true
    return fn(ctx, input)
  end
end


--- Raises when `mode` is none: the programmer's fault.
function guard.check_mode(mode)
  if type(mode) == "boolean" or mode == "strict" then return end
  options.blame(("option 'guard' must be true, false or \"strict\", got %s"):format(real.tostring(mode)))
end


--- Guards the function of an orchestration and gives the one to run. mode: true, "strict", or false for
--- no guard at all.
function guard.attach(fn, mode)
  if mode == "strict" then return strict(fn) end
  if mode then attach(fn) end
  return fn
end


return guard
