local uuid = "4a1c9be27f0e4c06b9d2c8f3a1e5d700"

test.policy("private", {
  params = {
    customers = {
      ["logs.acme.example.com"] = {
        zone = "acme-private",
        gateways = { { host = "gw1.acme.example", port = 7979 }, { host = "gw2.acme.example", port = 7979 } },
        server_name = "relay.acme.internal",
      },
    },
  },
})

local function running_in(zone: string?)
  test.registry{ builds = { { uuid = uuid, worker = { hostname = "ex1", log_port = 7900, zone = zone } } } }
end

test.case("a customer gets through its own gateways to its own zone", function()
  running_in("acme-private")
  expect.targets(test.route{ uuid = uuid, server_name = "logs.acme.example.com" }, {
    "connect gw1.acme.example:7979 over TLS as relay.acme.internal",
    "connect gw2.acme.example:7979 over TLS as relay.acme.internal",
  })
end)

test.case("a customer gets to no other zone", function()
  for _, zone in { "north", false } do
    running_in(zone or nil)
    expect.refused(test.route{ uuid = uuid, server_name = "logs.acme.example.com" }, "Build not found")
  end
end)

test.case("nobody else gets to the customer's zone", function()
  running_in("acme-private")
  expect.refused(test.route{ uuid = uuid }, "Build not found")
  expect.refused(test.route{ uuid = uuid, server_name = "logs.example.com" }, "Build not found")
end)

test.case("everybody else is served as in Zuul", function()
  running_in("north")
  expect.targets(test.route{ uuid = uuid, server_name = "logs.example.com" }, { "direct ex1:7900" })
end)

test.case("a customer that nobody could reach keeps the policy from being loaded", function()
  local function load()
    test.route{ uuid = uuid }
  end
  test.relay{ params = { customers = { ["logs.example"] = { gateways = {} } } } }
  expect.fails(load, "logs.example has no zone")
  test.relay{ params = { customers = { ["logs.example"] = { zone = "z", gateways = { { host = "gw" } } } } } }
  expect.fails(load, "port")
end)
