local uuid = "4a1c9be27f0e4c06b9d2c8f3a1e5d700"

test.policy("nearest", { params = { nearest = { "*.eu-west.example.com", "*.eu-*.example.com" } } })

local function running_in(zone: string?, hostnames: { string }, log_port: number?)
  local gateways = {}
  for _, hostname in hostnames do
    table.insert(gateways, { hostname = hostname, zone = "cloud", public_port = 7979 })
  end
  test.registry{
    builds = { { uuid = uuid, worker = { hostname = "ex1", log_port = log_port, zone = zone } } },
    gateways = gateways,
  }
end

test.case("the nearest region comes first, then the next, then all others, then the executor", function()
  running_in("cloud", { "gw.us-east.example.com", "gw.eu-north.example.com", "gw.eu-west.example.com" }, 7900)
  expect.targets(test.route{ uuid = uuid }, {
    "gateway gw.eu-west.example.com:7979",
    "gateway gw.eu-north.example.com:7979",
    "gateway gw.us-east.example.com:7979",
    "direct ex1:7900",
  })
end)

test.case("a region that does not answer keeps nobody waiting for long", function()
  running_in("cloud", { "gw.eu-west.example.com" }, 7900)
  expect.equal(test.route{ uuid = uuid }.targets[1].connect_timeout, 2)
end)

test.case("an executor that cannot be dialled is left out", function()
  running_in("cloud", { "gw.eu-west.example.com" })
  expect.targets(test.route{ uuid = uuid }, { "gateway gw.eu-west.example.com:7979" })
end)

test.case("load spreads within a region", function()
  running_in("cloud", { "a.eu-west.example.com", "b.eu-west.example.com" }, 7900)
  local first = {}
  for seed = 1, 20 do
    first[test.route{ uuid = uuid, seed = seed }.targets[1].host] = true
  end
  expect.equal(first, { ["a.eu-west.example.com"] = true, ["b.eu-west.example.com"] = true })
end)

test.case("a build of the own zone is reached as in Zuul", function()
  test.relay{ zone = "cloud" }
  running_in("cloud", { "gw.eu-west.example.com" }, 7900)
  expect.targets(test.route{ uuid = uuid }, { "direct ex1:7900" })
end)

test.case("a zone without gateways is reached as in Zuul", function()
  running_in("cloud", {}, 7900)
  expect.targets(test.route{ uuid = uuid }, { "direct ex1:7900" })
end)

test.case("without patterns, or with one that is none, the policy is not loaded", function()
  for _, nearest in { "*.eu.example.com", { "*.eu.example.com", "[" } } do
    test.relay{ params = { nearest = nearest } }
    expect.fails(function()
      test.route{ query = "" }
    end, "nearest.lua:")
  end
end)
