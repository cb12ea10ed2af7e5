--!strict
-- Isolates tenants from each other: a build is shown to those alone whose client certificate is for its tenant.
--
-- The configuration maps names in certificates to tenants. A stranger learns nothing, not even whether a build exists: what
-- is not its own is not found. A relay of another zone shows the certificate of a relay, which may ask for every tenant.
--
--   policy:
--     file: tenants.lua
--     params:
--       relays: ["*.relays.example.com"]
--       tenants:
--         acme: ["*.acme.example.com"]
--         globex: ["ci.globex.example", "*.globex.example"]

local policy = { api = 1 }

local tenants = relay.params.tenants or {}
local relays = relay.params.relays or {}

-- Whether a name of the certificate matches one of the patterns.
local function has_name(identity: Identity, patterns: { string }): boolean
  for _, name in identity.names do
    for _, pattern in patterns do
      if glob.match(pattern, name) then
        return true
      end
    end
  end
  return false
end

local function may_see(identity: Identity?, build: Build): boolean
  if not identity then
    return false
  end
  local patterns = build.tenant and tenants[build.tenant]
  return has_name(identity, relays) or (patterns ~= nil and has_name(identity, patterns))
end

function policy.accept(connection: Connection): (Admission | Route)?
  if not connection.identity then
    return relay.refuse("Show a client certificate", { tags = { stranger = "yes" } })
  end
  return nil
end

function policy.route(request: Request): Route | { Route }
  local build = request.build
  if not build or not may_see(request.identity, build) then
    return relay.refuse("Build not found")
  end
  return relay.hand_over("zuul")
end

return policy
