local function behind(gateways: { any })
  local builds = {}
  for number = 1, 100 do
    local worker = { hostname = "ex1", log_port = 7900, zone = "cloud" }
    table.insert(builds, { uuid = string.format("%032x", number), worker = worker })
  end
  test.registry{ builds = builds, gateways = gateways }
end

local function gateway(hostname: string, state: string?)
  return { hostname = hostname, zone = "cloud", public_port = 7979, state = state }
end

-- The gateway that is tried first for each build.
local function first(seed: number)
  local hosts = {}
  for number = 1, 100 do
    hosts[number] = test.route{ uuid = string.format("%032x", number), seed = seed }.targets[1].host
  end
  return hosts
end

test.case("all viewers of a build go through the same gateway", function()
  behind{ gateway("a"), gateway("b"), gateway("c") }
  expect.equal(first(1), first(2))
end)

test.case("when a gateway goes, only its own builds move", function()
  behind{ gateway("a"), gateway("b"), gateway("c") }
  local before = first(1)
  behind{ gateway("a"), gateway("c") }
  for number, host in first(1) do
    if before[number] ~= "b" then
      expect.equal(host, before[number])
    end
  end
end)

test.case("every gateway has builds of its own", function()
  behind{ gateway("a"), gateway("b"), gateway("c") }
  local count = { a = 0, b = 0, c = 0 }
  for _, host in first(1) do
    count[host] += 1
  end
  for _, host in { "a", "b", "c" } do
    expect.truthy(count[host] >= 15)
  end
end)

test.case("a gateway that does not run comes last", function()
  behind{ gateway("a", "paused"), gateway("b") }
  expect.targets(test.route{ uuid = string.format("%032x", 1) }, { "gateway b:7979", "gateway a:7979" })
end)

test.case("a zone without gateways, and the own zone, are reached as in Zuul", function()
  behind{}
  expect.targets(test.route{ uuid = string.format("%032x", 1) }, { "direct ex1:7900" })
  test.relay{ zone = "cloud" }
  behind{ gateway("a") }
  expect.targets(test.route{ uuid = string.format("%032x", 1) }, { "direct ex1:7900" })
end)
