-- text: strings as a terminal shows them: what would move its cursor or change its colours is written as an
-- escape, widths are counted in columns (two for wide characters, none for combining ones), and a cut never
-- falls into a character.

local text = {}

-- Shown as escapes: controls of terminals above ASCII, line separators, and what turns the direction of text.
local UNSAFE = { { 0x80, 0x9F }, { 0x2028, 0x202E }, { 0x2066, 0x2069 } }

local COMBINING = { { 0x300, 0x36F }, { 0x200B, 0x200F }, { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F }, { 0xFE20, 0xFE2F },
  { 0xFEFF, 0xFEFF } }

local WIDE = { { 0x1100, 0x115F }, { 0x2E80, 0x303E }, { 0x3041, 0xA4CF }, { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF },
  { 0xFE30, 0xFE6F }, { 0xFF00, 0xFF60 }, { 0xFFE0, 0xFFE6 }, { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF },
  { 0x1F900, 0x1F9FF }, { 0x20000, 0x3FFFD } }

local SHORT = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }


local function among(ranges, code)
  for _, range in ipairs(ranges) do
    if code >= range[1] and code <= range[2] then return true end
  end
  return false
end


-- The code point at a byte and how many bytes it has; nil when they are no UTF-8.
local function decode(s, at)
  local a = s:byte(at)
  if a < 0x80 then return a, 1 end
  local more, code
  if a >= 0xC2 and a < 0xE0 then
    more, code = 1, a - 0xC0
  elseif a >= 0xE0 and a < 0xF0 then
    more, code = 2, a - 0xE0
  elseif a >= 0xF0 and a < 0xF5 then
    more, code = 3, a - 0xF0
  else
    return nil
  end
  for i = at + 1, at + more do
    local byte = s:byte(i)
    if not byte or byte < 0x80 or byte > 0xBF then return nil end
    code = code * 64 + byte - 0x80
  end
  if (more == 2 and code < 0x800) or (more == 3 and (code < 0x10000 or code > 0x10FFFF)) then return nil end
  if code >= 0xD800 and code <= 0xDFFF then return nil end
  return code, more + 1
end


local function escaped(char)
  return SHORT[char] or ("\\%03d"):format(char:byte())
end


--- `s` without anything that a terminal would obey. `keep`: a set of control characters to leave as they are.
function text.safe(s, keep)
  if not s:find("[%z\1-\31\127-\255]") then return s end
  s = s:gsub("[%z\1-\31\127]", function(char)
    return keep and keep[char] and char or escaped(char)
  end)
  if not s:find("[\128-\255]") then return s end
  local out, at = {}, 1
  while at <= #s do
    local start = s:find("[\128-\255]", at)
    if not start then break end
    out[#out + 1] = s:sub(at, start - 1)
    local code, size = decode(s, start)
    if not code then
      size = 1
      out[#out + 1] = escaped(s:sub(start, start))
    elseif among(UNSAFE, code) then
      out[#out + 1] = ("\\u{%x}"):format(code)
    else
      out[#out + 1] = s:sub(start, start + size - 1)
    end
    at = start + size
  end
  out[#out + 1] = s:sub(at)
  return table.concat(out)
end


local function columns_of(code)
  if not code or code < 0x300 then return 1 end
  if among(COMBINING, code) then return 0 end
  return among(WIDE, code) and 2 or 1
end


--- How many columns a safe text takes.
function text.width(s)
  if not s:find("[\128-\255]") then return #s end
  local width, at = 0, 1
  while at <= #s do
    local code, size = decode(s, at)
    width, at = width + columns_of(code), at + (size or 1)
  end
  return width
end


-- The longest beginning of at most `width` columns.
local function head(s, width)
  if not s:find("[\128-\255]") then return s:sub(1, width) end
  local used, at = 0, 1
  while at <= #s do
    local code, size = decode(s, at)
    used = used + columns_of(code)
    if used > width then break end
    at = at + (size or 1)
  end
  return s:sub(1, at - 1)
end


--- `s` in at most `width` columns; "..." says that something is missing.
function text.cut(s, width)
  if text.width(s) <= width then return s end
  if width < 4 then return head(s, width) end
  return head(s, width - 3) .. "..."
end


--- `s` with spaces to `width` columns, behind it or before it.
function text.pad(s, width, before)
  local spaces = (" "):rep(width - text.width(s))
  return before and spaces .. s or s .. spaces
end


return text
