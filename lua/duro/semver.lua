-- semver: versions of orchestrations, "major.minor.patch[-prerelease][+build]", read and ordered as
-- semver.org says. Build metadata does not count in the order.

local semver = {}


local function identifiers(text)
  local list = {}
  for part in (text .. "."):gmatch("([^.]*)%.") do
    if not part:find("^[%w-]+$") then return nil end
    if part:find("^0%d+$") then return nil end
    list[#list + 1] = part
  end
  return list
end


local function number_of(text)
  if text ~= "0" and text:sub(1, 1) == "0" then return nil end
  if #text > 9 then return nil end
  return tonumber(text)
end


--- {major, minor, patch, prerelease = {...} or nil}, or nil when `text` is no version.
function semver.parse(text)
  local core, build = text:match("^([^+]+)%+(.+)$")
  if core and build:find("[^%w.-]") then return nil end
  local major, minor, patch, rest = (core or text):match("^(%d+)%.(%d+)%.(%d+)(.*)$")
  if not major or (text:find("+", 1, true) and not core) then return nil end
  local version = { number_of(major), number_of(minor), number_of(patch) }
  if not (version[1] and version[2] and version[3]) then return nil end
  if rest ~= "" then
    if rest:sub(1, 1) ~= "-" then return nil end
    version.prerelease = identifiers(rest:sub(2))
    if not version.prerelease then return nil end
  end
  return version
end


local function compare_identifiers(a, b)
  local a_number, b_number = a:find("^%d+$"), b:find("^%d+$")
  if a_number and b_number then
    if #a ~= #b then return #a < #b and -1 or 1 end
  elseif a_number then
    return -1
  elseif b_number then
    return 1
  end
  if a == b then return 0 end
  return a < b and -1 or 1
end


local function compare_prereleases(a, b)
  if not a and not b then return 0 end
  if not a then return 1 end
  if not b then return -1 end
  for i = 1, math.max(#a, #b) do
    if not a[i] then return -1 end
    if not b[i] then return 1 end
    local order = compare_identifiers(a[i], b[i])
    if order ~= 0 then return order end
  end
  return 0
end


--- -1, 0 or 1: how the versions `a` and `b` (texts that parse) stand to each other.
function semver.compare(a, b)
  local va, vb = semver.parse(a), semver.parse(b)
  for i = 1, 3 do
    if va[i] ~= vb[i] then return va[i] < vb[i] and -1 or 1 end
  end
  return compare_prereleases(va.prerelease, vb.prerelease)
end


function semver.less(a, b)
  return semver.compare(a, b) < 0
end


return semver
