test.policy("listing", { params = { tenant = "acme", tenants = { ["logs.globex.example"] = "globex" } } })

local function build(uuid: string, tenant: string, state: string?, zone: string?)
  local worker = if state == "requested" then nil else { hostname = "ex1", log_port = 7900, zone = zone }
  return { uuid = uuid, tenant = tenant, pipeline = "check", state = state, worker = worker }
end

local function site()
  test.registry{
    builds = {
      build("a1", "acme", "running", "north"),
      build("a2", "acme", "requested"),
      build("a3", "acme", "completed", "north"),
      build("b1", "globex", "paused"),
    },
    gateways = { { hostname = "gw", zone = "north", public_port = 7979 } },
  }
end

test.case("finger zones@relay lists the zones", function()
  site()
  expect.replied(test.route{ query = "zones" }, "north                        1 builds  1 gateways\n")
end)

test.case("a site without zones says so", function()
  expect.replied(test.route{ query = "zones" }, "There are no zones\n")
end)

test.case("finger @relay lists the running builds of the configured tenant", function()
  site()
  local route = test.route{ query = "" }
  expect.replied(route, "a1  check        north        running\n")
end)

test.case("whose builds are listed depends on the server name", function()
  site()
  local route = test.route{ query = "", server_name = "logs.globex.example" }
  expect.replied(route, "b1  check        -            paused\n")
end)

test.case("a list that would be too long for a reply ends early, and says so", function()
  local many = {}
  for number = 1, 501 do
    table.insert(many, build(string.format("%032x", number), "acme", "running", "north"))
  end
  test.registry{ builds = many }
  local text = test.route{ query = "" }.text
  expect.equal(select(2, string.gsub(text, "\n", "")), 501)
  expect.match(text, "\nand more\n$")
end)

test.case("a tenant without builds is told so", function()
  expect.replied(test.route{ query = "" }, "No build of acme is running\n")
end)

test.case("a build is routed as in Zuul", function()
  site()
  expect.targets(test.route{ uuid = "a1" }, { "gateway gw:7979" })
  expect.refused(test.route{ query = "zone" }, "Build not found")
end)

test.case("finger -l gets the same", function()
  site()
  for _, query in { "", "zones" } do
    expect.equal(test.route{ query = "/W " .. query }, test.route{ query = query })
  end
  expect.equal(test.route{ query = "/W" }.kind, "reply")
end)

test.case("params that are no tenants keep the policy from being loaded", function()
  local function load()
    test.route{ query = "" }
  end
  test.relay{ params = { tenants = "acme" } }
  expect.fails(load, "params.tenants must map")
  test.relay{ params = { tenant = 5 } }
  expect.fails(load, "params.tenant must be")
end)
