test.policy("hours", {
  params = {
    own = { "10.0.0.0/8" },
    hours = { days = { "mon", "tue", "wed", "thu", "fri" }, from = "08:00", to = "18:00", offset = "+01:00" },
    per_minute = 3,
  },
})

-- A Monday.
local MORNING = "2026-11-23T07:00:00Z"

test.case("guests are let in in office hours", function()
  test.now(MORNING)
  local admission = test.accept{ peer = "192.0.2.7" }
  expect.equal(admission.kind, "allow")
  expect.equal(admission.tags, { from = "guest" })
  expect.equal({ admission.request_timeout, admission.max_duration }, { 5, 3600 })
end)

test.case("guests are turned away at night and at the weekend", function()
  for _, night in { "2026-11-23T06:59:59Z", "2026-11-23T17:00:00Z", "2026-11-22T12:00:00Z" } do
    test.now(night)
    expect.refused(test.accept{ peer = "192.0.2.7" }, "Logs are shown in office hours")
  end
end)

test.case("an address may ask so often in a minute, and again in the next", function()
  test.now(MORNING)
  for _ = 1, 3 do
    expect.equal(test.accept{ peer = "192.0.2.7" }.kind, "allow")
  end
  expect.refused(test.accept{ peer = "192.0.2.7" }, "Too many requests, try again in a minute")
  expect.equal(test.accept{ peer = "192.0.2.8" }.kind, "allow")
  test.advance(60)
  expect.equal(test.accept{ peer = "192.0.2.7" }.kind, "allow")
end)

test.case("the own networks are let in at any time, as often as they like", function()
  test.now("2026-11-22T03:00:00Z")
  for _ = 1, 10 do
    expect.equal(test.accept{ peer = "10.1.2.3" }.tags, { from = "own" })
  end
end)

test.case("builds are routed as in Zuul", function()
  expect.refused(test.route{ uuid = "4a1c" }, "Build not found")
end)

test.case("hours that make no sense, and a number that is none, keep the policy from being loaded", function()
  test.relay{ params = { hours = { from = "25:00" } } }
  expect.fails(test.accept, "25:00")
  test.relay{ params = { per_minute = "three" } }
  expect.fails(test.accept, "params.per_minute must be a number")
end)
