-- ordered: pairs, next and table.sort whose results depend on their arguments alone.
--
-- The plain ones differ between runs: string hashes are seeded, tables hash by their address, 5.4's
-- sort picks random pivots. Here keys go numbers < strings < booleans; keys of any other type have no
-- order that lasts, and raise while an orchestration runs (elsewhere the plain function answers).

local core = require "duro.core"

local ordered = {}

-- The plain functions, for when a strict guard has replaced the global ones.
local real = { pairs = pairs, next = next, sort = table.sort }
local rawget, type, getmetatable = rawget, type, debug.getmetatable

local HONOURS_PAIRS = pairs(setmetatable({}, { __pairs = function() return 1 end })) == 1
local RANK = { number = 1, string = 2, boolean = 3 }


local function key_less(a, b)
  local rank_a, rank_b = RANK[type(a)], RANK[type(b)]
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a == 3 then return not a and b end
  return a < b
end


-- The same for any keys.
local function ordered_mixed_keys(t)
  local keys, count, in_order = {}, 0, true
  for key in real.next, t do
    if not RANK[type(key)] then
      if real.next(t, real.next(t)) ~= nil then return nil, type(key) end
    elseif in_order and count > 0 and not key_less(keys[count], key) then
      in_order = false
    end
    count = count + 1
    keys[count] = key
  end
  if not in_order then real.sort(keys, key_less) end
  return keys
end


-- The keys of `t` in order; nil and the type of a key that has none. Most tables have numbers alone or
-- strings alone, which need no comparison of ours.
local function ordered_keys(t)
  local keys, count, kind, in_order = {}, 0, nil, true
  local last
  for key in real.next, t do
    local this = type(key)
    if kind == nil and (this == "string" or this == "number") then
      kind = this
    elseif this ~= kind then
      return ordered_mixed_keys(t)
    elseif in_order and key < last then
      in_order = false
    end
    count = count + 1
    keys[count], last = key, key
  end
  if not in_order then real.sort(keys) end
  return keys
end


local function refuse_key(kind)
  error(("the order of %s keys differs between runs: use string or number keys"):format(kind), 3)
end


--- pairs, in the order of the keys.
function ordered.pairs(t)
  local meta = getmetatable(t)
  if type(t) == "userdata" and meta and rawget(meta, "__pairs") then return meta.__pairs(t) end -- ctx.kv
  if type(t) ~= "table" or (HONOURS_PAIRS and meta and rawget(meta, "__pairs")) then
    return real.pairs(t)
  end
  local keys, kind = ordered_keys(t)
  if not keys then
    if core.context() == "orchestration" then refuse_key(kind) end
    return real.pairs(t)
  end
  local at = 0
  local function step()
    at = at + 1
    local key = keys[at]
    while key ~= nil do
      local value = rawget(t, key)
      if value ~= nil then return key, value end
      at = at + 1
      key = keys[at]
    end
  end
  return step, t, nil
end


--- The successor of `after` in the order of keys. It depends on the table and the key alone (no memory
-- of an earlier call), so each step looks at every key: pairs is faster.
function ordered.next(t, after)
  if type(t) ~= "table" or (after ~= nil and not RANK[type(after)]) then return real.next(t, after) end
  local best, count, unordered
  for key in real.next, t do
    count = (count or 0) + 1
    if not RANK[type(key)] then
      unordered = type(key)
    elseif (after == nil or key_less(after, key)) and (best == nil or key_less(key, best)) then
      best = key
    end
  end
  if unordered then
    if count > 1 and core.context() == "orchestration" then refuse_key(unordered) end
    return real.next(t, after)
  end
  if best == nil then return nil end
  return best, rawget(t, best)
end


local function merge(from, to, left, middle, right, less)
  local i, j = left, middle
  for k = left, right - 1 do
    if i < middle and (j >= right or not less(from[j], from[i])) then
      to[k], i = from[i], i + 1
    else
      to[k], j = from[j], j + 1
    end
  end
end


local function default_less(a, b) return a < b end


--- table.sort as a merge sort: equal elements keep their order. (5.4 picks random pivots.)
function ordered.sort(t, less)
  less = less or default_less
  local n = #t
  local from, to = {}, {}
  for i = 1, n do from[i] = t[i] end
  local width = 1
  while width < n do
    for left = 1, n, 2 * width do
      merge(from, to, left, math.min(left + width, n + 1), math.min(left + 2 * width, n + 1), less)
    end
    from, to, width = to, from, 2 * width
  end
  for i = 1, n do t[i] = from[i] end
end


return ordered
