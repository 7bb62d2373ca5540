-- Values that can be stored: they come back exactly, equal values are equal texts, and what cannot be
-- stored is refused with the path to it. The second half makes values at random (with a printed seed).

local payload = require "duro.payload"

local encode, decode, null, array = payload.encode, payload.decode, payload.null, payload.array
local on_luajit = rawget(_G, "jit") ~= nil


local function text(value)
  local encoded, err = encode(value)
  assert(encoded, tostring(err))
  return encoded
end


local function back(value)
  local decoded, err = decode(text(value))
  assert(decoded ~= nil or err == nil, tostring(err))
  return decoded
end


-- As exact as Lua can tell: type, integer or float, sign of zero, nan, the mark of arrays.
local function same(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) == "number" then
    if a ~= a then return b ~= b end
    if math.type and math.type(a) ~= math.type(b) then return false end
    return a == b and (a ~= 0 or 1 / a == 1 / b)
  end
  if type(a) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return next(a) ~= nil or payload.is_array(a) == payload.is_array(b)
end


local function assert_comes_back(value)
  local encoded = text(value)
  local decoded = decode(encoded)
  if not same(value, decoded) then error("came back differently: " .. encoded) end
  assert.equal(encoded, text(decoded))
end


describe("a value that is stored", function()
  it("is plain JSON wherever JSON can say it", function()
    assert.equal("null", text(nil))
    assert.equal("true", text(true))
    assert.equal("false", text(false))
    assert.equal("42", text(42))
    assert.equal("-1", text(-1))
    assert.equal("0.5", text(0.5))
    assert.equal('"hi"', text("hi"))
    assert.equal('""', text(""))
    assert.equal("[1,2,3]", text({ 1, 2, 3 }))
    assert.equal('{"a":1,"b":[true]}', text({ b = { true }, a = 1 }))
    assert.equal('{"a":null}', text({ a = null }))
  end)

  it("keeps integers and floats apart on 5.4, and writes whole numbers as integers on LuaJIT", function()
    assert.equal("3", text(3))
    assert.equal(on_luajit and "3" or "3.0", text(3.0))
    assert.equal("-0.0", text(-0.0))
    assert.equal(on_luajit and "1000000" or "1000000.0", text(1e6))
    for _, number in ipairs { 3, 3.0, 0, 0.0, -0.0, 0.1, -1.5, 1e100, 2 ^ 53, 2 ^ 53 - 1, -2 ^ 53, 2 ^ 63, 5e-324,
      1.7976931348623157e308 } do
      assert_comes_back(number)
    end
  end)

  it("may be infinite, or no number", function()
    assert.equal('{"$duro":"inf"}', text(math.huge))
    assert.equal('{"$duro":"-inf"}', text(-math.huge))
    assert.equal('{"$duro":"nan"}', text(0 / 0))
    assert_comes_back { math.huge, -math.huge, 0 / 0 }
  end)

  it("may be a string of any bytes", function()
    assert.equal('"a\\u0000b\\n\\"\\\\"', text('a\0b\n"\\'))
    assert.equal('"h\195\182he"', text("h\195\182he"))
    assert.equal('{"$duro":"bytes","base64":"/w=="}', text("\255"))
    local all = {}
    for byte = 0, 255 do all[byte + 1] = string.char(byte) end
    assert_comes_back(table.concat(all))
    for _, s in ipairs { "", "\255", "\255\254", "\255\254\253", "\192\128", "\237\160\128", "\244\144\128\128",
      "\226\130\172", "\240\159\152\128", ("x"):rep(100000), ("\255"):rep(1000) } do
      assert_comes_back(s)
    end
  end)

  it("keeps an empty table an object, unless it is marked as an array", function()
    assert.equal("{}", text({}))
    assert.equal("[]", text(array {}))
    assert.equal("[]", text(array()))
    assert.equal("[1]", text(array { 1 }))
    assert.is_true(payload.is_array(back(array {})))
    assert.is_false(payload.is_array(back({})))
    assert.is_nil(getmetatable(back({ 1 })))
  end)

  it("has its keys sorted, so that equal values are equal texts", function()
    local a, b = {}, {}
    for i = 1, 100 do a["k" .. i] = i end
    for i = 100, 1, -1 do b["k" .. i] = i end
    assert.equal(text(a), text(b))
    assert.equal('{"":0,"A":1,"a":2,"aa":3,"b":4}', text({ b = 4, aa = 3, a = 2, A = 1, [""] = 0 }))
  end)

  it("may have keys of any bytes, also those that look like our tags", function()
    assert.equal('{"$duro:key:$duro":"nan"}', text({ ["$duro"] = "nan" }))
    assert.equal('{"$duro:base64:/w==":1}', text({ ["\255"] = 1 }))
    assert.equal('{"$":1}', text({ ["$"] = 1 }))
    assert_comes_back { ["$duro"] = "bytes", base64 = "!!" }
    assert_comes_back { ["$duro:"] = 1, ["$duro:key:x"] = 2, ["$duro:base64:/w=="] = 3, ["$durox"] = 4 }
    assert_comes_back { ["\255\n"] = { ["a.b"] = 1, ["with \"quotes\""] = 2, ["\0"] = 3 } }
  end)

  it("may be an array built in any order", function()
    local backwards = {}
    for i = 20, 1, -1 do backwards[i] = i end
    assert.equal(text(backwards), "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]")
    local holes_filled = { 1, 2, nil, 4 }
    holes_filled[3] = 3
    assert.equal("[1,2,3,4]", text(holes_filled))
  end)

  it("has duro.null for what is missing inside of tables", function()
    assert.equal("null", tostring(null))
    local value = back({ null, { x = null } })
    assert.equal(null, value[1])
    assert.equal(null, value[2].x)
    assert.is_nil(back(nil))
  end)

  it("is nested up to 200 deep", function()
    local deep = { "\255" }
    for _ = 2, 200 do deep = { x = deep } end
    assert_comes_back(deep)
  end)

  it("is what rawget says: metatables are not asked", function()
    local proxy = setmetatable({ a = 1 }, { __index = { b = 2 }, __pairs = error })
    assert.equal('{"a":1}', text(proxy))
  end)

  if on_luajit then
    it("may hold 64-bit integers as cdata", function()
      local ffi = require "ffi"
      local int64 = ffi.typeof("int64_t")
      local max, min = int64(2 ^ 62) + (int64(2 ^ 62) - 1), -int64(2 ^ 62) - int64(2 ^ 62)
      assert.equal("9223372036854775807", text(max))
      assert.equal("-9223372036854775808", text(min))
      assert.equal("5", text(int64(5)))
      assert.equal("5", text(ffi.new("uint64_t", 5)))
      for _, i in ipairs { max, min, max - 1, min + 1, int64(2 ^ 53), -int64(2 ^ 53), int64(2 ^ 53) + 1 } do
        local value = back({ i })[1]
        assert.equal("cdata", type(value))
        assert.is_true(value == i)
      end
      assert.equal(5, back(int64(5)))
      assert.equal("number", type(back(int64(2 ^ 53) - 1)))
      assert.equal("invalid_payload", select(2, encode(ffi.new("uint64_t", -1))).code)
      assert.equal("invalid_payload", select(2, encode(ffi.new("int32_t[2]"))).code)
    end)
  else
    it("may hold 64-bit integers", function()
      assert.equal("9223372036854775807", text(math.maxinteger))
      assert_comes_back { math.maxinteger, math.mininteger, math.tointeger(2 ^ 53), math.tointeger(-2 ^ 53) }
    end)
  end
end)


describe("a value that cannot be stored", function()
  local function refused(value, code, path, pattern)
    local encoded, err = encode(value, "input")
    assert.is_nil(encoded)
    assert.equal(code, err.code)
    assert.equal(path, err.path)
    assert.matches(pattern, err.message)
    assert.equal(path .. ": ", err.message:sub(1, #path + 2))
  end

  it("is named by its path", function()
    refused(print, "invalid_payload", "input", "a function cannot be stored")
    refused({ items = { {}, {}, { cb = print } } }, "invalid_payload", "input.items[3].cb", "a function")
    refused({ a = { ["b c"] = io.stdout } }, "invalid_payload", 'input.a["b c"]', "a userdata")
    refused({ coroutine.create(print) }, "invalid_payload", "input[1]", "a thread")
    refused({ ["\255"] = print }, "invalid_payload", "input[bytes]", "a function")
    local many = {}
    for i = 1, 40 do many["k" .. i] = i end
    many.k7 = { 1, print }
    refused(many, "invalid_payload", "input.k7[2]", "a function")
  end)

  it("is a table with holes or with keys of two kinds", function()
    refused({ 1, nil, 3 }, "invalid_payload", "input[2]", "hole")
    refused({ x = { [2] = 1 } }, "invalid_payload", "input.x[1]", "hole")
    refused({ [1000000] = 1 }, "invalid_payload", "input[1]", "hole")
    refused({ 1, 2, x = 3 }, "invalid_payload", "input", "not both")
    refused({ [0] = 1 }, "invalid_payload", "input", "0 cannot be a key")
    refused({ [1.5] = 1 }, "invalid_payload", "input", "1.5 cannot be a key")
    refused({ [-1] = 1, 1 }, "invalid_payload", "input", "cannot be a key")
    refused({ [true] = 1 }, "invalid_payload", "input", "boolean cannot be a key")
    refused({ [{}] = 1 }, "invalid_payload", "input", "table cannot be a key")
    refused(array { x = 1 }, "invalid_payload", "input", "not both")
  end)

  it("contains itself, or is too deep", function()
    local cycle = { name = "x" }
    cycle.child = { cycle }
    refused(cycle, "invalid_payload", "input.child[1]", "contains itself")
    local outer = { a = { b = cycle } }
    refused(outer, "invalid_payload", "input.a.b.child[1]", "contains itself")
    local deep = {}
    for _ = 2, 201 do deep = { deep } end
    refused(deep, "invalid_payload", "input" .. ("[1]"):rep(200), "more than 200 deep")
  end)

  it("is larger than 16 MiB", function()
    local mib = ("x"):rep(1024 * 1024)
    refused(mib:rep(16), "too_large", "input", "16 MiB")
    local parts = {}
    for i = 1, 17 do parts[i] = mib end
    refused({ parts = parts }, "too_large", "input.parts[16]", "16 MiB")
    assert(encode(mib:rep(15)))
  end)

  it("does not hurt the next one", function()
    encode({ { print } })
    assert.equal("[[1]]", text({ { 1 } }))
  end)
end)


describe("a text that is read", function()
  it("is corrupt when it is not what was written", function()
    for _, broken in ipairs { "", "x", "[1", "[1,]", "{", '{"a"}', '{"a":1,}', "nul", "1 2", '"\255"', '"a', "01",
      '{"$duro":"what"}', '{"$duro":1}', '{"$duro":"bytes"}', '{"$duro":"bytes","base64":"/"}',
      '{"$duro":"bytes","base64":"/x=="}', '{"$duro":"nan","x":1}', '{"$duro:base64:*":1}', "1e999",
      ("["):rep(401) .. ("]"):rep(401) } do
      local value, err = decode(broken)
      assert.is_nil(value)
      assert.equal("corrupt", err.code, broken)
    end
  end)

  it("may have been written by somebody else", function()
    assert.same({ a = { 1, 2.5, "\195\164\240\159\152\128" }, b = {} },
      decode(' { "a" : [ 1 , 2.5, "\\u00e4\\ud83d\\ude00" ] , "b" : {} } '))
    assert.same({ 1 }, decode("[1]\n"))
    assert.equal(10, decode("1e1"))
  end)
end)


describe("equality of values", function()
  it("is that of the stored texts", function()
    assert.is_true(payload.equal({ a = { 1, 0 / 0 } }, { a = { 1, 0 / 0 } }))
    assert.is_true(payload.equal(nil, nil))
    assert.is_false(payload.equal(0.0, -0.0))
    assert.is_false(payload.equal({}, array {}))
    assert.is_false(payload.equal("1", 1))
    assert.is_false(payload.equal(print, print))
    assert.equal(on_luajit, payload.equal(3, 3.0))
  end)
end)


describe("any value", function()
  local seed = os.time()
  local random = math.random

  local function random_string()
    local bytes, plain = {}, random(3) > 1
    for i = 1, random(0, 12) do bytes[i] = string.char(plain and random(32, 126) or random(0, 255)) end
    return (random(10) == 1 and "$duro" or "") .. table.concat(bytes)
  end

  local function random_number()
    local kind = random(8)
    if kind == 1 then return random(-10, 10) end
    if kind == 2 then return random(0, 2 ^ 30) * 2 ^ random(-60, 60) end
    if kind == 3 then return -random() end
    if kind == 4 then return random() * 10 ^ random(-300, 300) end
    if kind == 5 then return ({ math.huge, -math.huge, 0 / 0, -0.0, 0.0 })[random(5)] end
    if kind == 6 then return random(0, 1000000) / 100 end
    if kind == 7 and math.type then return random(0) end
    return 2 ^ random(0, 62) + random(-1, 1)
  end

  local random_value

  local function random_table(depth)
    local t = {}
    if random(2) == 1 then
      for i = 1, random(0, 6) do t[i] = random_value(depth - 1) end
      if random(2) == 1 then array(t) end
    else
      for _ = 1, random(0, random(10) == 1 and 40 or 6) do t[random_string()] = random_value(depth - 1) end
    end
    return t
  end

  function random_value(depth)
    local kind = random(depth > 0 and 7 or 4)
    if kind == 1 then return random(2) == 1 end
    if kind == 2 then return random_string() end
    if kind == 3 then return random_number() end
    if kind == 4 then return null end
    return random_table(depth)
  end

  it("comes back as it was, and as the same text", function()
    math.randomseed(seed)
    for round = 1, 3000 do
      local value = random_table(4)
      local ok, problem = pcall(assert_comes_back, value)
      if not ok then error(("seed %d, round %d: %s"):format(seed, round, problem)) end
    end
  end)

  it("that is damaged on disk is corrupt or another value, never a crash", function()
    math.randomseed(seed + 1)
    for _ = 1, 2000 do
      local encoded = text(random_table(3))
      local at = random(#encoded)
      local damaged = encoded:sub(1, at - 1) .. string.char(random(0, 255)) .. encoded:sub(at + random(0, 2))
      local value, err = decode(damaged)
      if value == nil and err then assert.equal("corrupt", err.code) end
    end
  end)
end)
