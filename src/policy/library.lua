-- Luau's interrupt stops Lua code and pattern matching, but not what else a library function does in one call.
-- Each function here that could run for seconds within the memory limit gets a bound, or is made to pass through Lua.

local find, match, gmatch, gsub, split = string.find, string.match, string.gmatch, string.gsub, string.split
local sort, move = table.sort, table.move
local abs, error, tostring, type = math.abs, error, tostring, type

-- Bytes compared in one call, at worst: a few milliseconds.
local MOST_WORK = 2 ^ 21
-- Elements moved in one call: a few milliseconds.
local MOST_ELEMENTS = 2 ^ 19
-- Where the library's own indices end.
local MOST_INDEX = 2 ^ 31

-- The library reads numbers where it wants text, and text where it wants numbers: so must its guards.
local function bytes(text)
  return if type(text) == "string" or type(text) == "number" then #tostring(text) else 0
end

local function affordable(name, subject, pattern)
  local searched, sought = bytes(subject), bytes(pattern)
  if searched * sought > MOST_WORK then
    error(`string.{name}: {searched} bytes searched for {sought} is more than one call may do`, 3)
  end
end

string.find = function(subject, pattern, ...)
  affordable("find", subject, pattern)
  return find(subject, pattern, ...)
end

string.match = function(subject, pattern, ...)
  affordable("match", subject, pattern)
  return match(subject, pattern, ...)
end

string.gmatch = function(subject, pattern)
  affordable("gmatch", subject, pattern)
  return gmatch(subject, pattern)
end

string.gsub = function(subject, pattern, ...)
  affordable("gsub", subject, pattern)
  return gsub(subject, pattern, ...)
end

string.split = function(subject, ...)
  affordable("split", subject, (...))
  return split(subject, ...)
end

table.sort = function(list, before)
  -- Comparisons by the library itself, or by another library function, would run without a look at the clock.
  if before == nil then
    return sort(list, function(a, b) return a < b end)
  elseif type(before) ~= "function" then
    error(`table.sort: the order must be a function, not {before}`, 2)
  end
  return sort(list, function(a, b) return before(a, b) end)
end

table.move = function(from, first, last, ...)
  if type(first) ~= "number" or type(last) ~= "number" then
    error(`table.move: its bounds must be numbers, not a {type(first)} and a {type(last)}`, 2)
  -- Written so that what is not a number fails too, and what is no index: the library would make indices of them.
  elseif not (abs(first) < MOST_INDEX and abs(last) < MOST_INDEX and last - first < MOST_ELEMENTS) then
    error(`table.move: elements {first} to {last} are more than one call may move`, 2)
  end
  return move(from, first, last, ...)
end
