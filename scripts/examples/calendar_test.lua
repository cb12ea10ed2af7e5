local uuid = "4a1c9be27f0e4c06b9d2c8f3a1e5d700"
local URL = "https://calendar.example.com/maintenance.json"

test.policy("calendar", { params = { calendar = URL } })

local ENTRY = {
  zone = "north",
  from = "2026-12-01T20:00:00Z",
  to = "2026-12-01T23:00:00Z",
  text = "new switches",
}

local function answering(entries: { any })
  test.http{ [URL] = { status = 200, body = json.encode(json.array(entries)) } }
  test.background()
end

local function running_in(zone: string)
  test.registry{ builds = { { uuid = uuid, worker = { hostname = "ex1", log_port = 7900, zone = zone } } } }
end

test.case("a zone in maintenance is closed for as long as the calendar says", function()
  test.now("2026-12-01T12:00:00Z")
  running_in("north")
  answering{ ENTRY }
  expect.targets(test.route{ uuid = uuid }, { "direct ex1:7900" })
  test.now("2026-12-01T20:00:00Z")
  expect.refused(test.route{ uuid = uuid }, "Zone north is in maintenance until 2026-12-01T23:00:00Z: new switches")
  running_in("south")
  expect.targets(test.route{ uuid = uuid }, { "direct ex1:7900" })
end)

test.case("a maintenance that is called off is over", function()
  test.now("2026-12-01T21:00:00Z")
  running_in("north")
  answering{ ENTRY }
  expect.equal(test.route{ uuid = uuid }.kind, "refuse")
  answering{}
  expect.targets(test.route{ uuid = uuid }, { "direct ex1:7900" })
end)

test.case("what is long over is not even kept", function()
  test.now("2026-12-02T00:00:00Z")
  answering{ ENTRY }
  expect.equal(test.shared(), {})
end)

test.case("when the calendar is away, its last word holds", function()
  test.now("2026-12-01T21:00:00Z")
  running_in("north")
  answering{ ENTRY }
  test.http{ [URL] = { status = 503, body = "" } }
  expect.fails(test.background, "the calendar answered 503")
  expect.equal(test.route{ uuid = uuid }.kind, "refuse")
end)

test.case("an entry without a date fails the job, and no request", function()
  test.now("2026-12-01T21:00:00Z")
  running_in("north")
  answering{ ENTRY }
  expect.fails(function()
    answering{ { zone = "north", from = "tomorrow", to = "2026-12-01T23:00:00Z", text = "no date" } }
  end, "tomorrow")
  expect.equal(test.route{ uuid = uuid }.kind, "refuse")
end)
