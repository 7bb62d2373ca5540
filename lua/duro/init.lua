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


-- Whether the options of the interpreter, which stand before the script, have `-l duro`.
local function named_by_option()
  local words = rawget(_G, "arg")
  if type(words) ~= "table" then return false end
  local i = -1
  while words[i] ~= nil do
    if words[i] == "-lduro" or (words[i] == "-l" and words[i + 1] == "duro") then return true end
    i = i - 1
  end
  return false
end


if core.vm == "luajit" and rawget(_G, "duro") == nil and named_by_option() then rawset(_G, "duro", duro) end


return duro
