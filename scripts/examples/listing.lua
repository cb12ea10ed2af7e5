--!strict
-- Answers questions itself: `finger zones@relay` lists the zones, `finger @relay` a tenant's running builds.
--
-- Whose builds are listed depends on the name by which the relay was asked over TLS, or else on the configuration:
--
--   policy:
--     file: listing.lua
--     params:
--       tenant: acme
--       tenants: { logs.acme.example.com: acme, logs.globex.example: globex }

local policy = { api = 1 }

local tenants = relay.params.tenants or {}

-- Builds of one list.
local MOST = 500

local function zones(): string
  local lines = {}
  for _, zone in relay.zones() do
    table.insert(lines, string.format("%-24s %5d builds  %d gateways", zone, relay.running_count(zone), #relay.gateways(zone)))
  end
  return if #lines > 0 then table.concat(lines, "\n") .. "\n" else "There are no zones\n"
end

local function builds(tenant: string): string
  local lines = {}
  for _, build in relay.builds(tenant) do
    -- A reply has room for so many and no more.
    if #lines == MOST then
      table.insert(lines, "and more")
      break
    end
    if build.worker and build.state ~= "completed" then
      local zone = build.worker.zone or "-"
      table.insert(lines, string.format("%s  %-12s %-12s %s", build.uuid, build.pipeline or "-", zone, build.state or "-"))
    end
  end
  return if #lines > 0 then table.concat(lines, "\n") .. "\n" else `No build of {tenant} is running\n`
end

function policy.route(request: Request): Route | { Route }
  if request.query == "zones" then
    return relay.reply(zones())
  end
  local name = request.server_name
  local tenant = name and tenants[name] or relay.params.tenant
  if request.query == "" and tenant then
    return relay.reply(builds(tenant))
  end
  return relay.hand_over("zuul")
end

return policy
