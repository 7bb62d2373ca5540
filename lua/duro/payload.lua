-- payload: values that can be stored, and comparing them exactly.
--
-- Encoding and decoding live in C (csrc/binding/payload.c, which lists the tags). This file gives them
-- their Lua face, and on LuaJIT the few lines of ffi that C needs for integers beyond 2^53. Equality is
-- that of the stored text: 3 and 3.0 differ on 5.4, nan equals nan, 0.0 and -0.0 differ.

local core = require "duro.core"

local payload = {
  null = core.null,
  array = core.array,
  is_array = core.is_array,
  encode = core.encode,
  decode = core.decode,
}


-- An int64 as its signed high half and its unsigned low half, both exact in a double.
local function use_int64()
  local found, ffi = pcall(require, "ffi")
  if not found then return end
  local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
  -- Not as literals, which 5.4 could not read.
  local HALF, UNSIGNED_HALF, LIMIT = int64(2 ^ 32), uint64(2 ^ 32), uint64(2 ^ 63)

  local function read(value)
    if ffi.istype(uint64, value) then
      return tonumber(value / UNSIGNED_HALF), tonumber(value % UNSIGNED_HALF), value >= LIMIT
    end
    if not ffi.istype(int64, value) then return nil end
    local low = value % HALF
    if low < 0 then low = low + HALF end
    return tonumber((value - low) / HALF), tonumber(low), false
  end

  local function make(high, low)
    return int64(high) * HALF + int64(low)
  end

  core.setup { int64_read = read, int64_make = make }
end


--- Whether two values are stored as the same text. What cannot be stored equals nothing.
function payload.equal(a, b)
  local text_a = core.encode(a)
  return text_a ~= nil and text_a == core.encode(b)
end


--- The value as it comes back from the store; nil, err(invalid_payload) when it cannot go there.
function payload.copy(value)
  local text, err = core.encode(value)
  if not text then return nil, err end
  return core.decode(text)
end


if core.vm == "luajit" then use_int64() end

return payload
