--!strict
-- Opens in office hours, and lets no address ask too often.
--
-- Networks of one's own are let in at any time, and as often as they like. Everybody else is counted in windows of a
-- minute, on all threads of the relay together.
--
--   policy:
--     file: hours.lua
--     params:
--       own: ["10.0.0.0/8", "fd00::/8", "127.0.0.0/8", "::1"]
--       hours: { days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00", offset: "+01:00" }
--       per_minute: 30

local policy = { api = 1 }

local own = networks.set(relay.params.own or {})
local hours = relay.params.hours or {}
local per_minute = relay.params.per_minute or 30

function policy.accept(connection: Connection): (Admission | Route)?
  if networks.contains(own, connection.peer) then
    return relay.allow{ tags = { from = "own" } }
  end
  if not time.within(relay.now(), hours) then
    return relay.refuse("Logs are shown in office hours", { tags = { refused = "hours" } })
  end
  -- False if the table is full: then nobody is counted, and nobody is kept out for it.
  local asked = relay.shared.add("asked/" .. connection.peer, 1, 60)
  if asked and asked > per_minute then
    return relay.refuse("Too many requests, try again in a minute", { tags = { refused = "rate" } })
  end
  -- A guest may watch for an hour, and has to ask soon.
  return relay.allow{ request_timeout = 5, max_duration = 3600, tags = { from = "guest" } }
end

function policy.route(_request: Request): Route | { Route }
  return relay.hand_over("zuul")
end

return policy
