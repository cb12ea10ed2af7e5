local uuid = "4a1c9be27f0e4c06b9d2c8f3a1e5d700"

test.policy("tenants", {
  params = {
    relays = { "*.relays.example.com" },
    tenants = { acme = { "*.acme.example.com" }, globex = { "ci.globex.example", "*.globex.example" } },
  },
})

local function build_of(tenant: string?)
  test.registry{ builds = { { uuid = uuid, tenant = tenant, worker = { hostname = "ex1", log_port = 7900 } } } }
end

local function named(...: string)
  return { subject = "CN=somebody", names = { ... } }
end

test.case("a tenant sees its own builds", function()
  build_of("globex")
  local shown = test.route{ uuid = uuid, identity = named("unrelated.example", "ci.globex.example") }
  expect.targets(shown, { "direct ex1:7900" })
end)

test.case("another tenant learns nothing, not even that the build exists", function()
  build_of("globex")
  local foreign = test.route{ uuid = uuid, identity = named("www.acme.example.com") }
  test.registry{}
  local unknown = test.route{ uuid = uuid, identity = named("www.acme.example.com") }
  expect.refused(foreign, "Build not found")
  expect.equal(foreign, unknown)
end)

test.case("a build without a tenant, or of a tenant that is not configured, is nobody's", function()
  for _, tenant in { false, "initech" } do
    build_of(tenant or nil)
    expect.refused(test.route{ uuid = uuid, identity = named("www.acme.example.com") }, "Build not found")
  end
end)

test.case("a relay of ours may ask for everybody", function()
  build_of("globex")
  expect.targets(test.route{ uuid = uuid, identity = named("north.relays.example.com") }, { "direct ex1:7900" })
end)

test.case("who shows no certificate is turned away before it asks", function()
  expect.refused(test.accept{}, "Show a client certificate")
  build_of("acme")
  expect.refused(test.route{ uuid = uuid }, "Build not found")
end)

test.case("who shows one may ask", function()
  expect.equal(test.accept{ identity = named("www.acme.example.com") }.kind, "allow")
end)

test.case("a pattern that is none keeps the policy from being loaded", function()
  for _, params in { { relays = { "[" } }, { tenants = { acme = { "[" } } }, { tenants = { acme = "*.acme" } } } do
    test.relay{ params = params }
    expect.fails(test.accept, "tenants.lua:")
  end
end)
