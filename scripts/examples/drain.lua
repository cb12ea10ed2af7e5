--!strict
-- Drains zones for maintenance: on a date that the configuration names, or for as long as a file says so.
--
-- Viewers of a drained zone are told why, and when to come back. The file is looked at every ten seconds. It lies beside
-- this script, may come from a shared disk or a ConfigMap, and has the name of one zone in each line:
--
--   policy:
--     file: drain.lua
--     dry_run: errors     # or a drained zone is taken for a mistake: its builds have no way
--     params:
--       flags: drained.txt
--       drained:
--         eu-west: { from: "2026-12-01T20:00:00Z", to: "2026-12-01T23:00:00Z" }

local policy = { api = 1 }

-- Read once: a date that is no date keeps the policy from being loaded.
local windows = {}
for zone, window in relay.params.drained or {} do
  windows[zone] = { from = time.parse(window.from), to = time.parse(window.to) }
end

local flags = relay.params.flags
if flags then
  relay.every(10, function()
    for line in string.gmatch(files.read(flags), "[^\r\n]+") do
      -- For a minute only: when the file cannot be read any more, the zone opens again.
      relay.shared.set("drained/" .. line, true, 60)
    end
  end)
end

-- Why nobody may watch builds of this zone now; nil if everybody may.
local function closed(zone: string): string?
  local window = windows[zone]
  local now = relay.now()
  if window and window.from <= now and now < window.to then
    return `Zone {zone} is down for maintenance until {time.format(window.to)}`
  end
  if relay.shared.get("drained/" .. zone) then
    return `Zone {zone} is down for maintenance`
  end
  return nil
end

function policy.route(request: Request): Route | { Route }
  local worker = request.build and request.build.worker
  local reason = worker and worker.zone and closed(worker.zone)
  if reason then
    return relay.refuse(reason, { tags = { drained = "yes" } })
  end
  return relay.hand_over("zuul")
end

return policy
