-- Luau's interrupt stops Lua code and pattern matching, but not what else a library function does in one call.
-- Each function here that could run for seconds within the memory limit gets a bound, or is made to pass through Lua.

local find, match, gmatch, gsub, split = string.find, string.match, string.gmatch, string.gsub, string.split
local sort, move = table.sort, table.move
local error, type = error, type

-- Bytes compared in one call, at worst: a few milliseconds.
local MOST_WORK = 2 ^ 21
-- Elements moved in one call: a few milliseconds.
local MOST_ELEMENTS = 2 ^ 19

local function affordable(name, subject, pattern)
  if type(subject) == "string" and type(pattern) == "string" and #subject * #pattern > MOST_WORK then
    error(`string.{name}: {#subject} bytes searched for {#pattern} is more than one call may do`, 3)
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
  if type(first) == "number" and type(last) == "number" and last - first > MOST_ELEMENTS then
    error(`table.move: {last - first + 1} elements are more than one call may move`, 2)
  end
  return move(from, first, last, ...)
end
