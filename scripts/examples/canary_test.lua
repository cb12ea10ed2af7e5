local uuid = "4a1c9be27f0e4c06b9d2c8f3a1e5d700"

test.policy("canary", { params = { canaries = "*-canary.example.com", percent = 20 } })

local function behind(hostnames: { string })
  local gateways = {}
  for _, hostname in hostnames do
    table.insert(gateways, { hostname = hostname, zone = "cloud", public_port = 7979 })
  end
  test.registry{
    builds = { { uuid = uuid, worker = { hostname = "ex1", log_port = 7900, zone = "cloud" } } },
    gateways = gateways,
  }
end

-- How many of 1000 requests go to each host first.
local function shares()
  local count = {}
  for seed = 1, 1000 do
    local host = test.route{ uuid = uuid, seed = seed }.targets[1].host
    count[host] = (count[host] or 0) + 1
  end
  return count
end

test.case("the canaries get their part, and the others share the rest", function()
  behind{ "a.example.com", "b.example.com", "new-canary.example.com" }
  local count = shares()
  expect.truthy(math.abs(count["new-canary.example.com"] - 200) < 50)
  expect.truthy(math.abs(count["a.example.com"] - 400) < 60)
  expect.truthy(math.abs(count["b.example.com"] - 400) < 60)
end)

test.case("a stream is tagged by the gateway that is tried first", function()
  behind{ "a.example.com", "new-canary.example.com" }
  for seed = 1, 50 do
    local route = test.route{ uuid = uuid, seed = seed }
    local canary = glob.match("*-canary.example.com", route.targets[1].host)
    expect.equal(route.tags, { canary = if canary then "yes" else "no" })
    expect.equal(#route.targets, 2)
  end
end)

test.case("without a canary, or with nothing else, all share alike", function()
  behind{ "a.example.com", "b.example.com" }
  expect.truthy(math.abs(shares()["a.example.com"] - 500) < 80)
  behind{ "a-canary.example.com" }
  expect.equal(shares(), { ["a-canary.example.com"] = 1000 })
end)

test.case("a zone without gateways, and what is no build, are answered as in Zuul", function()
  behind{}
  expect.targets(test.route{ uuid = uuid }, { "direct ex1:7900" })
  expect.refused(test.route{ uuid = "ffff" }, "Build not found")
end)

test.case("a pattern or a percentage that is none keeps the policy from being loaded", function()
  local function load()
    test.route{ uuid = uuid }
  end
  test.relay{ params = { canaries = "[" } }
  expect.fails(load, "glob.match")
  test.relay{ params = { canaries = "*", percent = "5" } }
  expect.fails(load, "params.percent must be from 0 to 100")
end)
