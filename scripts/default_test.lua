--!strict
-- What Zuul's own gateway does, and so must the policy that comes with the program.

local UUID = "0123456789abcdef0123456789abcdef"

-- The registry knows one build, which `worker` runs.
local function running_on(worker, gateways)
  test.registry{ builds = { { uuid = UUID, worker = worker } }, gateways = gateways }
end

test.case("a build that nobody knows is not found", function()
  expect.refused(test.route{ uuid = UUID }, "Build not found")
end)

test.case("a build that no executor took did not start yet", function()
  running_on(nil)
  expect.refused(test.route{ uuid = UUID }, "Build did not start yet")
end)

test.case("a build without a zone is asked for at its executor", function()
  running_on{ hostname = "ex1", log_port = 7900 }
  expect.targets(test.route{ uuid = UUID }, { "direct ex1:7900" })
end)

test.case("a build of the relay's own zone is asked for at its executor", function()
  test.relay{ zone = "eu" }
  running_on({ hostname = "ex1", log_port = 7900, zone = "eu" }, { { hostname = "gw", zone = "eu", public_port = 79 } })
  expect.targets(test.route{ uuid = UUID }, { "direct ex1:7900" })
end)

test.case("a build of another zone goes through that zone's gateways", function()
  test.relay{ zone = "eu" }
  running_on({ hostname = "ex1", log_port = 7900, zone = "us" }, {
    { hostname = "gw.us", zone = "us", public_port = 7979, use_ssl = true },
    { hostname = "gw.ap", zone = "ap", public_port = 7979 },
  })
  expect.targets(test.route{ uuid = UUID }, { "gateway gw.us:7979 over TLS" })
end)

test.case("a zone without gateways is tried directly", function()
  test.relay{ zone = "eu" }
  running_on{ hostname = "ex1", log_port = 7900, zone = "us" }
  expect.targets(test.route{ uuid = UUID }, { "direct ex1:7900" })
end)
