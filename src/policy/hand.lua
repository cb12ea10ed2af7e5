-- What nearly every policy looks at is at hand when route is called, and is read without leaving Luau, which takes
-- longer than all the rest of reading a field. Everything else is fetched from Rust, as is everything of other builds.

-- Each reads a field of one kind of fact.
local fetch_of_request, fetch_of_build, fetch_of_worker = ...

-- Of workers, by their numbers: what scripts see of each, the zone it stands in, and the way straight to it.
local workers, zones, ways = {}, {}, {}

-- Those of the call that runs now.
local request, build, worker, zone, straight

local function call(route, asked, of, number, way)
  request, build, worker, zone, straight = asked, of, workers[number], zones[number], ways[way]
  local answer = route(asked)
  request, build = nil, nil
  return answer
end

-- After a call that failed.
local function let_go()
  request, build = nil, nil
end

local function of_request(fact, key)
  if key == "build" and rawequal(fact, request) then
    return build
  end
  return fetch_of_request(fact, key)
end

local function of_build(fact, key)
  if key == "worker" and rawequal(fact, build) then
    return worker
  end
  return fetch_of_build(fact, key)
end

local function of_worker(fact, key)
  if key == "zone" and rawequal(fact, worker) then
    return zone
  end
  return fetch_of_worker(fact, key)
end

-- Makes relay.direct of the function that makes any way.
local function directly(make)
  return function(of, ...)
    if straight and rawequal(of, worker) and select("#", ...) == 0 then
      return straight
    end
    return make(of, ...)
  end
end

return call, let_go, of_request, of_build, of_worker, directly, workers, zones, ways
