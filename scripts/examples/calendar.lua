--!strict
-- Follows a maintenance calendar that an HTTP service keeps.
--
-- Once a minute the calendar is fetched, off the path of requests, and what it says is put into the shared table, where
-- requests find it. When the service is away, the last word holds until the maintenance is over. It answers in JSON:
--
--   [ { "zone": "eu-west", "from": "2026-12-01T20:00:00Z", "to": "2026-12-01T23:00:00Z", "text": "new switches" } ]
--
--   policy:
--     file: calendar.lua
--     dry_run: errors     # or a zone in maintenance is taken for a mistake: its builds have no way
--     params: { calendar: "https://calendar.example.com/maintenance.json" }

local policy = { api = 1 }

local url = relay.params.calendar
assert(type(url) == "string", "params.calendar must be the URL of the calendar")

relay.every(60, function()
  local answer = http.get(url, { timeout = 10, max_bytes = 65536 })
  assert(answer.status == 200, `the calendar answered {answer.status}`)

  local planned = {}
  for _, entry in json.decode(answer.body) do
    local key = "maintenance/" .. entry.zone
    local left = time.parse(entry.to) - relay.now()
    if left > 0 then
      planned[key] = true
      relay.shared.set(key, json.encode(entry), left)
    end
  end
  for _, key in relay.shared.keys("maintenance/") do
    if not planned[key] then
      relay.shared.remove(key)
    end
  end
end)

function policy.route(request: Request): Route | { Route }
  local worker = request.build and request.build.worker
  local known = worker and worker.zone and relay.shared.get("maintenance/" .. worker.zone)
  if type(known) == "string" then
    local entry = json.decode(known)
    if time.parse(entry.from) <= relay.now() then
      return relay.refuse(`Zone {entry.zone} is in maintenance until {entry.to}: {entry.text}`)
    end
  end
  return relay.hand_over("zuul")
end

return policy
