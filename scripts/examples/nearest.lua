--!strict
-- Prefers the nearest of several regions, and falls back to the others.
--
-- The gateways of a zone may stand in several regions. Their host names tell which: the configuration lists patterns of
-- names, the nearest to this relay first. Gateways that match none come last, and after all gateways the executor itself.
--
--   policy:
--     file: nearest.lua
--     params:
--       nearest: ["*.eu-west.example.com", "*.eu-*.example.com", "*.us-*.example.com"]

local policy = { api = 1 }

local patterns = relay.params.nearest
assert(type(patterns) == "table", "params.nearest must be a list of patterns of host names, the nearest first")

-- The place of a gateway's region in the list; one beyond the last if it is in none.
local function distance(gateway: Gateway): number
  for place, pattern in patterns do
    if glob.match(pattern, gateway.hostname) then
      return place
    end
  end
  return #patterns + 1
end

function policy.route(request: Request): Route | { Route }
  local worker = request.build and request.build.worker
  local zone = worker and worker.zone
  if not worker or not zone or zone == relay.zone then
    return relay.hand_over("zuul")
  end

  -- They come in an order that spreads load, which each region keeps.
  local regions: { { Gateway } } = {}
  for _, gateway in relay.gateways(zone) do
    local place = distance(gateway)
    regions[place] = regions[place] or {}
    table.insert(regions[place], gateway)
  end

  local routes = {}
  for place = 1, #patterns + 1 do
    if regions[place] then
      table.insert(routes, relay.via(regions[place], { connect_timeout = 2 }))
    end
  end
  if worker.log_port then
    table.insert(routes, relay.direct(worker))
  end
  return if #routes > 0 then routes else relay.hand_over("zuul")
end

return policy
