local uuid = "4a1c9be27f0e4c06b9d2c8f3a1e5d700"

test.policy("drain", {
  params = {
    flags = "drained.txt",
    drained = { north = { from = "2026-12-01T20:00:00Z", to = "2026-12-01T23:00:00Z" } },
  },
})

local function running_in(zone: string?)
  test.registry{ builds = { { uuid = uuid, worker = { hostname = "ex1", log_port = 7900, zone = zone } } } }
end

test.case("a zone is closed between its dates, and open before and after", function()
  running_in("north")
  local open = { "direct ex1:7900" }
  test.now("2026-12-01T19:59:59Z")
  expect.targets(test.route{ uuid = uuid }, open)
  test.advance(1)
  local route = test.route{ uuid = uuid }
  expect.refused(route, "Zone north is down for maintenance until 2026-12-01T23:00:00Z")
  expect.equal(route.tags, { drained = "yes" })
  test.now("2026-12-01T23:00:00Z")
  expect.targets(test.route{ uuid = uuid }, open)
end)

test.case("a zone is closed while the file names it, and a minute longer", function()
  running_in("south")
  test.files{ ["drained.txt"] = "west\r\nsouth\n" }
  test.background()
  expect.refused(test.route{ uuid = uuid }, "Zone south is down for maintenance")
  test.files{ ["drained.txt"] = "" }
  test.background()
  test.advance(60)
  expect.targets(test.route{ uuid = uuid }, { "direct ex1:7900" })
end)

test.case("other zones are open, and so are builds without a zone", function()
  test.shared{ ["drained/south"] = true }
  test.now("2026-12-01T21:00:00Z")
  for _, zone in { "east", false } do
    running_in(zone or nil)
    expect.targets(test.route{ uuid = uuid }, { "direct ex1:7900" })
  end
end)

test.case("what is no build is answered as in Zuul", function()
  expect.refused(test.route{ uuid = uuid }, "Build not found")
end)

test.case("dates that are none, and a name that is none, keep the policy from being loaded", function()
  local function load()
    test.route{ query = "" }
  end
  test.relay{ params = { drained = { eu = { from = "tomorrow", to = "2026-12-01T23:00:00Z" } } } }
  expect.fails(load, "tomorrow")
  test.relay{ params = { flags = 7 } }
  expect.fails(load, "params.flags must be the name of a file")
end)
