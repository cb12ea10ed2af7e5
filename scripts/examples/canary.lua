--!strict
-- Sends a part of the streams through a new gateway, to see how it does before all of them go there.
--
-- Gateways whose host name matches the pattern are canaries; together they get so many percent of a zone's streams. When
-- one fails, the next is tried, as always. Streams are tagged, so that metrics and records tell both kinds apart.
--
--   policy:
--     file: canary.lua
--     params: { canaries: "*-canary.example.com", percent: 5 }

local policy = { api = 1 }

local canaries = relay.params.canaries
local percent = relay.params.percent or 5
assert(type(canaries) == "string", "params.canaries must be a pattern of host names")
assert(percent >= 0 and percent <= 100, "params.percent must be from 0 to 100")

local function split(gateways: { Gateway }): ({ Gateway }, { Gateway })
  local new, proven = {}, {}
  for _, gateway in gateways do
    table.insert(if glob.match(canaries, gateway.hostname) then new else proven, gateway)
  end
  return new, proven
end

function policy.route(request: Request): Route | { Route }
  local worker = request.build and request.build.worker
  local zone = worker and worker.zone
  local gateways = if zone and zone ~= relay.zone then relay.gateways(zone) else {}
  if #gateways == 0 then
    return relay.hand_over("zuul")
  end

  local new, proven = split(gateways)
  if #new == 0 or #proven == 0 then
    return relay.via(gateways)
  end
  -- Of two routes that are joined, the tags of the first hold.
  return relay.any({
    relay.via(new, { tags = { canary = "yes" } }),
    relay.via(proven, { tags = { canary = "no" } }),
  }, { order = "weighted", weights = { percent, 100 - percent } })
end

return policy
