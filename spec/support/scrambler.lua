-- A codec for specs: it hides bytes, and gives another text each time, as encryption with a fresh nonce does.
-- Its functions are plain Lua, so that a child process can use it too.

local scrambler = {}


--- {encode=, decode=}, and `encoded` and `decoded`, how often each was called. What another key has encoded
--- is refused.
function scrambler.new(key)
  key = key or "k"
  local codec = { encoded = 0, decoded = 0 }

  local function shifted(bytes, by)
    return (bytes:gsub(".", function(c) return string.char((c:byte() + by) % 256) end))
  end

  function codec.encode(bytes)
    codec.encoded = codec.encoded + 1
    local nonce = codec.encoded % 200 + 1
    return key .. string.char(nonce) .. shifted(bytes, nonce)
  end

  function codec.decode(bytes)
    codec.decoded = codec.decoded + 1
    if bytes:sub(1, 1) ~= key then error("another key", 0) end
    return shifted(bytes:sub(3), -bytes:byte(2))
  end

  return codec
end


--- The two functions alone, as duro.open takes them.
function scrambler.pair(key)
  local codec = scrambler.new(key)
  return { encode = codec.encode, decode = codec.decode }
end


return scrambler
