--!strict
-- Gives a customer the way to its private zone by the server name that its viewers ask for, and to no other zone.
--
-- The gateways of such a zone are not in our registry: they belong to the customer, who tells their addresses. Who asks by
-- another name is served as usual, but for the builds of private zones.
--
--   policy:
--     file: private.lua
--     params:
--       customers:
--         logs.acme.example.com:
--           zone: acme-private
--           gateways: [{ host: gw1.acme.example, port: 7979 }, { host: gw2.acme.example, port: 7979 }]
--           server_name: relay.acme.internal

local policy = { api = 1 }

type Customer = { zone: string, gateways: { { host: string, port: number } }, server_name: string }

local customers: { [string]: Customer } = relay.params.customers or {}

local private = {}
for _, customer in customers do
  private[customer.zone] = true
end

local function through(customer: Customer): { Route }
  local routes = {}
  for _, gateway in customer.gateways do
    table.insert(routes, relay.connect{
      host = gateway.host,
      port = gateway.port,
      tls = true,
      server_name = customer.server_name,
    })
  end
  return routes
end

function policy.route(request: Request): Route | { Route }
  local worker = request.build and request.build.worker
  local zone = worker and worker.zone
  local customer = request.server_name and customers[request.server_name]
  if customer then
    return if zone == customer.zone then through(customer) else relay.refuse("Build not found")
  end
  if zone and private[zone] then
    return relay.refuse("Build not found")
  end
  return relay.hand_over("zuul")
end

return policy
