-- duro: durable execution for Lua. This is what `require "duro"` gives: registration, opening, the
-- values that payloads need, and every method of a runtime, called on the default one (the one opened
-- last). Requiring it sets no globals and does nothing else; only the interpreters' own `-l duro` makes
-- the global `duro`: lua5.4 does that itself, for LuaJIT it is done here.

local core = require "duro.core"
local guard = require "duro.guard" -- luacheck: ignore 211 (keeps the plain functions of this moment)
local orchestration = require "duro.orchestration" -- luacheck: ignore 211 (tells the core how to run code)
local activity = require "duro.activity" -- luacheck: ignore 211 (the same)
local management = require "duro.management"
local options = require "duro.options"
local payload = require "duro.payload"
local registry = require "duro.registry"
local replay = require "duro.replay"
local runtime = require "duro.runtime"

-- What this half expects of the C half: DURO_ABI in csrc/duro.h.
local ABI = 1
local unpack = table.unpack or unpack

if core.abi ~= ABI then
  error(("duro: the C module has interface %s, the Lua files need %s: install both from one version")
    :format(tostring(core.abi), ABI), 0)
end

local duro = {
  version = core.version,
  management_version = management.version,
  null = payload.null,
  array = payload.array,
  open = runtime.open,
  default = runtime.default,
  set_default = runtime.set_default,
}


--- Registers an orchestration for every runtime: (name, [opts,] function(ctx, input) ... end).
function duro.orchestration(name, opts, fn)
  return registry.default:orchestration(name, opts, fn)
end


--- Registers an activity for every runtime: (name, [opts,] function(ctx, input) ... end).
function duro.activity(name, opts, fn)
  return registry.default:activity(name, opts, fn)
end


--- Replays an export of an instance (rt:export), or the file of one, against a function: {ok=true}, or
--- {ok=false, event_id, expected, got}. No runtime is needed. context: anywhere but inside an orchestration.
function duro.replay(export, fn, opts)
  return replay.run(export, fn, opts)
end


for name, method in pairs(runtime.methods) do
  if duro[name] == nil and type(method) == "function" and name:sub(1, 2) ~= "__" then
    duro[name] = function(...)
      local rt = runtime.default()
      if not rt then options.blame("no runtime is open: call duro.open(path) first") end
      return method(rt, ...)
    end
  end
end


-- Parts that few programs need are loaded when they are first used.
local PARTS = { testing = { "duro.testing" }, help = { "duro.help" }, show = { "duro.show", "text" },
  repl = { "duro.repl", "run" } }


setmetatable(duro, {
  __index = function(_, key)
    if not PARTS[key] then return nil end
    local part = require(PARTS[key][1])
    if PARTS[key][2] then part = part[PARTS[key][2]] end
    rawset(duro, key, part)
    return part
  end,
})


-- Whether `-l duro` stands among the interpreter's words from `first` on, by `step`.
local function has_option(words, first, step)
  for i = first, first + 100 * step, step do
    if words[i] == "-lduro" or (words[i] == "-l" and words[i + 1] == "duro") then return true end
    if words[i] == nil then return false end
  end
  return false
end


-- At a prompt payloads, which are plain tables, print as Lua writes them and not as addresses.
local function print_tables()
  local plain = print
  rawset(_G, "print", function(...)
    local values = { n = select("#", ...), ... }
    for i = 1, values.n do
      if type(values[i]) == "table" and getmetatable(values[i]) == nil then values[i] = duro.show(values[i]) end
    end
    return plain(unpack(values, 1, values.n))
  end)
end


-- The interpreter's own words stand before the script's: there `-l duro` makes a global. Without a script
-- it is a prompt (or -e); then lua5.4 has its words from 0 on.
local words = rawget(_G, "arg")
if type(words) == "table" then
  local named = has_option(words, -1, -1)
  if core.vm == "luajit" and named and rawget(_G, "duro") == nil then rawset(_G, "duro", duro) end
  if words[0] == nil and named or words[-1] == nil and has_option(words, 1, 1) then print_tables() end
end


return duro
