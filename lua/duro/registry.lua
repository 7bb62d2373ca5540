-- registry: which code runs under which name. One default registry belongs to the module, and each
-- runtime has one of its own on top of it.
--
-- A runtime sees the default registry's entries, those made after it was opened too, so that
-- replace=true swaps code under running instances; an entry of its own hides the default one of the
-- same name and version. Faults here are the programmer's: they raise at the caller's line.

local guard = require "duro.guard"
local options = require "duro.options"
local semver = require "duro.semver"

local registry = {}

local Registry = {}
Registry.__index = Registry

local ORCHESTRATION = options.spec("orchestration", {
  { "version", "version", default = "1.0.0", doc = "semver; a start without a version takes the highest" },
  { "replace", "boolean", default = false,
    doc = "take the place of the same name and version; live instances are replayed with the new code" },
  { "guard", "any", default = true,
    doc = 'determinism guard: true, false, or "strict" for the functions of other modules too' },
})
local ACTIVITY = options.spec("activity", {
  { "replace", "boolean", default = false, doc = "take the place of the activity of that name" },
  { "thread", "boolean", default = false, doc = "run in a worker thread, with a Lua state of its own" },
  { "module", "name", doc = "the module that thread=true requires" },
  { "function_name", "name", doc = "the function of that module; the activity's name by default" },
})


--- A registry; one with a parent sees the parent's entries below its own.
function registry.new(parent)
  return setmetatable({
    parent = parent,
    orchestrations = {}, -- name -> version -> entry {kind, name, version, fn}
    activities = {},     -- name -> entry
    listeners = setmetatable({}, { __mode = "k" }), -- who -> f(who, entry, registry): told of new entries
  }, Registry)
end


registry.default = registry.new()


-- (name, fn) or (name, opts, fn).
local function arguments(kind, spec, name, opts, fn)
  if type(opts) == "function" and fn == nil then opts, fn = nil, opts end
  local checked_name, problem = options.argument(name, "name", ("the name of an %s"):format(kind))
  if problem then options.blame(problem.message) end
  local values, err = options.check(spec, opts)
  if err then options.blame(err.message) end
  return checked_name, values, fn
end


local function need_function(kind, name, fn)
  if type(fn) ~= "function" then
    options.blame(("%s '%s' needs a function, got %s"):format(kind, name, type(fn)))
  end
end


function Registry:find(kind, name, version)
  if kind == "activity" then return self.activities[name] end
  local versions = self.orchestrations[name]
  return versions and versions[version]
end


local function add(self, entry, replace)
  local taken = self:find(entry.kind, entry.name, entry.version)
    or (self.parent and self.parent:find(entry.kind, entry.name, entry.version))
  if taken and not replace then
    options.blame(("%s '%s'%s is registered already (replace=true takes its place)"):format(entry.kind,
      entry.name, entry.version and " version " .. entry.version or ""))
  end
  if entry.kind == "activity" then
    self.activities[entry.name] = entry
  else
    local versions = self.orchestrations[entry.name] or {}
    versions[entry.version] = entry
    self.orchestrations[entry.name] = versions
  end
  for listener, tell in pairs(self.listeners) do
    local ok, err = tell(listener, entry, self)
    if not ok then return nil, err end
  end
  return true
end


--- Registers an orchestration: (name, [opts,] fn). context: anywhere. Raises on faulty arguments and
--- when the name and version are taken.
function Registry:orchestration(name, opts, fn)
  local values
  name, values, fn = arguments("orchestration", ORCHESTRATION, name, opts, fn)
  need_function("orchestration", name, fn)
  guard.check_mode(values.guard)
  local entry = { kind = "orchestration", name = name, version = values.version, fn = fn }
  entry.fn = guard.attach(fn, values.guard)
  return add(self, entry, values.replace)
end


-- How many thread activities took the place of others. A worker thread that meets a higher number than
-- it has seen loads the module anew.
local generation = 0


local function thread_call(name, values)
  if not values.module then
    options.blame(("activity '%s' has thread=true: option 'module' says which module to require there"):format(name))
  end
  if values.replace then generation = generation + 1 end
  return { module = values.module, function_name = values.function_name or name,
    generation = values.replace and generation or 0 }
end


--- Registers an activity: (name, [opts,] fn), or (name, {thread=true, module=}) for one that runs in a
--- worker thread. context: anywhere. Raises like `orchestration`.
function Registry:activity(name, opts, fn)
  local values
  name, values, fn = arguments("activity", ACTIVITY, name, opts, fn)
  if values.thread then
    if fn ~= nil then
      options.blame(("activity '%s' runs in a worker thread: it is named by 'module' and 'function_name', "
        .. "a function cannot be moved there"):format(name))
    end
    return add(self, { kind = "activity", name = name, thread = thread_call(name, values) }, values.replace)
  end
  if values.module or values.function_name then
    options.blame("options 'module' and 'function_name' go with thread=true")
  end
  need_function("activity", name, fn)
  return add(self, { kind = "activity", name = name, fn = fn }, values.replace)
end


-- Every entry that is seen from here: those of its own hide the parent's.
function Registry:each(visit)
  for _, activity in pairs(self.activities) do visit(activity) end
  for _, versions in pairs(self.orchestrations) do
    for _, entry in pairs(versions) do visit(entry) end
  end
  if not self.parent then return end
  self.parent:each(function(entry)
    if not self:find(entry.kind, entry.name, entry.version) then visit(entry) end
  end)
end


--- {orchestrations={ {name, versions} }, activities={names}}: names sorted, versions ascending.
function Registry:list()
  local versions_of, names, activities = {}, {}, {}
  self:each(function(entry)
    if entry.kind == "activity" then
      activities[#activities + 1] = entry.name
      return
    end
    if not versions_of[entry.name] then
      versions_of[entry.name] = {}
      names[#names + 1] = entry.name
    end
    table.insert(versions_of[entry.name], entry.version)
  end)
  table.sort(names)
  table.sort(activities)
  local orchestrations = {}
  for i, name in ipairs(names) do
    table.sort(versions_of[name], semver.less)
    orchestrations[i] = { name = name, versions = versions_of[name] }
  end
  return { orchestrations = orchestrations, activities = activities }
end


return registry
