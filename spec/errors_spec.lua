-- The error table, and how whatever Lua code throws becomes one.

local core = require "duro.core"
local errors = require "duro.errors"


describe("an error table", function()
  it("prints its code and its message, alone and inside of other text", function()
    local err = errors.new("not_found", "no instance 'x'", { data = 1 })
    assert.equal("not_found: no instance 'x'", tostring(err))
    assert.equal("> not_found: no instance 'x' <", "> " .. err .. " <")
    assert.equal(1, err.data)
    assert.is_true(errors.is(err))
    assert.is_false(errors.is({ code = "x", message = "y" }))
    assert.is_false(errors.is("x"))
  end)

  it("knows the codes that are duro's own", function()
    assert.is_true(errors.codes.not_found)
    assert.is_nil(errors.codes.whatever)
  end)

  it("is what faults of the core come as", function()
    local _, err = core.decode("[")
    assert.is_true(errors.is(err))
    assert.matches("^corrupt: ", tostring(err))
  end)
end)


describe("a thrown value", function()
  it("that is an error table stays the same one", function()
    local err = errors.new("my_code", "text")
    assert.equal(err, errors.of(err))
    assert.equal("trace", errors.of(err, "trace").details)
    assert.equal("trace", errors.of(err, "another").details)
  end)

  it("that is text or a number becomes the message", function()
    assert.same({ code = "failed", message = "boom" }, errors.of("boom"))
    assert.equal("42", errors.of(42).message)
  end)

  it("that is a table keeps code, message, data and what a retry needs", function()
    local err = errors.of { code = "c", message = "m", data = { 1 }, retryable = false, other = 1 }
    assert.same({ code = "c", message = "m", data = { 1 }, retryable = false }, err)
    assert.same({ code = "just_code", message = "just_code" }, errors.of { code = "just_code" })
    assert.equal("failed", errors.of({ code = 42, message = "m" }).code)
    assert.equal("a table without a message was raised", errors.of({}).message)
    assert.equal("shown", errors.of(setmetatable({}, { __tostring = function() return "shown" end })).message)
  end)

  it("may be nothing at all, or something that cannot even be shown", function()
    assert.matches("error%(nil%)", errors.of(nil).message)
    assert.equal("false", errors.of(false).message)
    assert.equal("a function was raised", errors.of(print).message) -- and not where it lies in memory
    assert.equal("a table without a message was raised", errors.of({ message = {} }).message)
    assert.equal("a thread was raised", errors.of(coroutine.create(print)).message)
    local broken = setmetatable({}, { __tostring = function() error("no") end })
    assert.equal("a table whose __tostring fails", errors.of(broken).message)
    local odd = setmetatable({}, { __tostring = function() return {} end })
    assert.equal("a table whose __tostring fails", errors.of(odd).message)
  end)
end)


describe("the record of an error", function()
  it("says all that the table does", function()
    local err = errors.of { code = "c", message = "m", data = { x = { 1, 2 } }, retryable = true }
    local again = core.decode(errors.to_record(err, "trace"))
    assert.same({ code = "c", message = "m", data = { x = { 1, 2 } }, retryable = true, details = "trace" }, again)
  end)

  it("leaves out data that cannot be stored, and says so", function()
    local record = core.decode(errors.to_record({ message = "m", data = { f = print } }, "trace"))
    assert.is_nil(record.data)
    assert.equal("(left out: data.f: a function cannot be stored)\ntrace", record.details)
  end)

  it("has text that any JSON reader can read", function()
    local text = errors.to_record("bad \255 byte")
    assert.equal('{"code":"failed","message":"bad ? byte"}', text)
  end)

  it("is never missing, however large the error", function()
    local record = core.decode(errors.to_record({ message = ("x"):rep(17 * 1024 * 1024) }))
    assert.equal("too_large", record.code)
  end)
end)
