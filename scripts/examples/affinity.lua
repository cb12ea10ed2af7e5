--!strict
-- Sends all viewers of a build through the same gateway of its zone, so that what the gateway keeps of it is used again.
--
-- The order of gateways is a hash of the build. When a gateway goes, only its own builds move, each to the gateway that
-- was second for it; when it comes back, they come back. A gateway that does not run comes last for all.
--
--   policy:
--     file: affinity.lua

local policy = { api = 1 }

function policy.route(request: Request): Route | { Route }
  local worker = request.build and request.build.worker
  local zone = worker and worker.zone
  local gateways = if zone and zone ~= relay.zone then relay.gateways(zone) else {}
  if #gateways == 0 then
    return relay.hand_over("zuul")
  end
  return relay.via(gateways, { order = "hash" })
end

return policy
