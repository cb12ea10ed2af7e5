-- Luau's interrupt stops Lua code and pattern matching, but not what else a library function does in one call.
-- Each function here that could run for seconds within the memory limit gets a bound, or is made to pass through Lua.

-- Makes text of what a function of the relay failed with, and leaves all else as it is.
local plain = ...

local find, match, gmatch, gsub, split = string.find, string.match, string.gmatch, string.gsub, string.split
local format, len, offset = string.format, utf8.len, utf8.offset
local sort, move, concat = table.sort, table.move, table.concat
local abs, error, rawlen, tostring, type = math.abs, error, rawlen, tostring, type
local try, try_with, resume, close = pcall, xpcall, coroutine.resume, coroutine.close

-- Bytes compared in one call, at worst: a few milliseconds.
local MOST_WORK = 2 ^ 21
-- Elements moved in one call: a few milliseconds.
local MOST_ELEMENTS = 2 ^ 19
-- Elements joined in one call: a few milliseconds, if all are numbers.
local MOST_JOINED = 2 ^ 16
-- Bytes of a format: a few milliseconds, if they are full of the longest numbers.
local MOST_FORMAT = 2 ^ 13
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

local function countable(name, text)
  if bytes(text) > MOST_WORK then
    error(`utf8.{name}: {bytes(text)} bytes are more than one call may count`, 3)
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

string.format = function(text, ...)
  if bytes(text) > MOST_FORMAT then
    error(`string.format: a format of {bytes(text)} bytes is more than one call may fill`, 2)
  end
  return format(text, ...)
end

utf8.len = function(text, ...)
  countable("len", text)
  return len(text, ...)
end

utf8.offset = function(text, ...)
  countable("offset", text)
  return offset(text, ...)
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

table.concat = function(list, separator, first, last)
  local from = if first == nil then 1 else first
  local to = if last ~= nil then last elseif type(list) == "table" then rawlen(list) else 0
  if type(from) ~= "number" or type(to) ~= "number" then
    error(`table.concat: its bounds must be numbers, not a {type(from)} and a {type(to)}`, 2)
  elseif not (to - from < MOST_JOINED) then
    error(`table.concat: elements {from} to {to} are more than one call may join`, 2)
  end
  return concat(list, separator, first, last)
end

-- What a script catches is text, whether Lua failed or the relay.
local function caught(done, ...)
  if done then
    return done, ...
  end
  return done, plain((...))
end

pcall = function(...)
  return caught(try(...))
end

xpcall = function(body, handler, ...)
  if type(handler) ~= "function" then
    return try_with(body, handler, ...)
  end
  return caught(try_with(body, function(problem) return handler(plain(problem)) end, ...))
end

coroutine.resume = function(...)
  return caught(resume(...))
end

coroutine.close = function(...)
  return caught(close(...))
end
