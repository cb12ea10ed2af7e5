--!strict
-- Zuul's own routing, which is what a relay does when no policy is configured.
--
-- A build that runs in this relay's zone, or in none, is reached at its executor. A build in another zone is reached
-- through that zone's gateways, the best first and the next when one fails; through the executor itself only where
-- no gateway is registered.

local policy = { api = 1 }

function policy.route(request)
  local build = request.build
  if not build then
    return relay.refuse("Build not found")
  end
  local worker = build.worker
  if not worker then
    return relay.refuse("Build did not start yet")
  end
  local zone = worker.zone
  if zone and zone ~= relay.zone then
    local gateways = relay.gateways(zone)
    if #gateways > 0 then
      return relay.via(gateways)
    end
  end
  return relay.direct(worker)
end

return policy
