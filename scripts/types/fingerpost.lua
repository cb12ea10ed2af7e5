---@meta
-- What a policy of Fingerpost may use, for LuaLS: add this file's folder to workspace.library.
-- Made by `fingerpost policy reference --format luals`.

---What a viewer asked, and who asks.
---@class (exact) Request
---@field query string The line that the viewer sent, without its end and trailing blanks.
---@field uuid string? The build that the line names, known or not; nil if it names none.
---@field build Build? What is known of that build; nil if nothing is.
---@field listener string The name of the listener that took the request.
---@field peer string The viewer's address, without a port.
---@field server_name string? The server name (SNI) that the viewer asked for over TLS.
---@field identity Identity? Who the viewer proved to be by its certificate; nil without one.

---A build that Zuul asked its executors for.
---@class (exact) Build
---@field uuid string The build's own uuid, 32 hexadecimal digits.
---@field tenant string? Zuul's tenant.
---@field pipeline string? Zuul's pipeline.
---@field zone string? The zone that it was asked to run in, which is not always where it runs: see worker.zone.
---@field state string? Zuul's word: requested, hold, running, paused, completed, or what a later Zuul adds.
---@field worker Worker? Who runs it; nil until an executor took it.

---The executor that runs a build.
---@class (exact) Worker
---@field hostname string The executor's host name.
---@field log_port number? The port of its log streamer; nil if it registered none.
---@field zone string? The zone that the build runs in; nil outside of every zone.

---A relay, or Zuul's own gateway, that is registered for a zone.
---@class (exact) Gateway
---@field id string Its name in the registry, which no other gateway shares.
---@field hostname string The name to dial, and to verify.
---@field port number? The port to dial; nil if it registered none.
---@field zone string? The zone that it serves; nil outside of every zone.
---@field tls boolean Whether it speaks TLS.
---@field state "running"|"paused"|"initializing"|"stopped"|"unknown" What it says of itself.
---@field version string? Its version, or Zuul's.

---An executor, as it is registered, whether or not it runs a build.
---@class (exact) Executor
---@field id string Its name in the registry, which no other executor shares.
---@field hostname string Its host name.
---@field zone string? The zone that it works in; nil outside of every zone.
---@field state "running"|"paused"|"initializing"|"stopped"|"unknown" What it says of itself.

---What this relay has seen of somebody it dialled.
---@class (exact) Sight
---@field open_streams number Streams of this relay that it carries now.
---@field consecutive_failures number How often in a row it failed; 0 since a stream reached it.
---@field last_error string? Its last failure in a word, the result of the metric fingerpost_targets_dialled_total; kept when it works again.
---@field failed_ago number? How many seconds ago that was.
---@field reached_ago number? How many seconds ago it was last sent a request.
---@field round_trip number? How many seconds a segment and its acknowledgement take, smoothed over its connections.

---Who a viewer proved to be, by a certificate that was verified.
---@class (exact) Identity
---@field subject string The certificate's subject, as text.
---@field names string[] Its subject alternative names.
---@field fingerprint string Its SHA-256 fingerprint, in hexadecimal digits.

---A viewer that has connected, and asked for nothing yet.
---@class (exact) Connection
---@field listener string The name of the listener that took it.
---@field peer string The viewer's address, without a port.
---@field server_name string? The server name (SNI) that the viewer asked for over TLS.
---@field identity Identity? Who the viewer proved to be by its certificate; nil without one.

---A stream that has ended, as its record has it.
---@class (exact) Record
---@field listener string The name of the listener that took it.
---@field peer string The viewer's address, without a port.
---@field server_name string? The server name (SNI) that the viewer asked for.
---@field identity string? The subject of the certificate by which the viewer proved who it is.
---@field uuid string? The build that was asked for, known or not.
---@field tenant string? That build's tenant.
---@field zone string? The zone that build ran in.
---@field target string? Host and port of the target that was reached last.
---@field kind string? That target's kind: direct, gateway or connect.
---@field tried number Targets that were tried, the one that was reached included.
---@field bytes number Bytes that the viewer's connection took.
---@field seconds number How long it lasted, from accept to its end.
---@field ending string How it ended: complete, replied, refused, or a fault's label.
---@field blame string Whose fault that was: nobody, viewer, registry, policy, upstream or relay.
---@field tags table<string, string> What policies called it, in accept and in route.

---A way to a build's log, or an answer of the relay's own. Only functions of relay make one.
---@class (exact) Route
---@field kind "targets"|"reply"|"refuse"|"hand_over" What it is: targets to try, a text in the place of a log, a text why there is none, or another policy.
---@field targets Target[] What is dialled, in this order, but for targets that failed lately; empty where nothing is.
---@field text string? What the viewer gets of a reply or a refusal.
---@field policy string? The policy that is to decide in the place of this one.
---@field tags table<string, string> What the stream is called in records and metrics.

---One way to a build's log, of a route.
---@class (exact) Target
---@field kind "direct"|"gateway"|"connect" What stands there: the executor, a gateway, or a host of the policy's own.
---@field host string What is dialled.
---@field port number The port that is dialled.
---@field tls boolean Whether TLS is spoken.
---@field server_name string? The name asked for over TLS, where it is not host.
---@field connect_timeout number? The route's own limit for the connection, in seconds.
---@field handshake_timeout number? The route's own limit for the TLS handshake, in seconds.

---That a connection may ask, and within which limits. Only relay.allow makes one.
---@class (exact) Admission
---@field kind "allow" What it is, where a test wants to know it from a refusal.
---@field request_timeout number? Longest wait for its request, in seconds.
---@field max_duration number? Longest time of the whole stream, in seconds.
---@field stall_timeout number? Longest time without a byte taken, in seconds.
---@field tags table<string, string> What the stream is called in records and metrics.

---A set of networks; see `networks.contains`.
---@class (exact) NetworkSet

---What a server answered.
---@class (exact) Response
---@field status number Its status, such as 200.
---@field headers table<string, string> Its headers by name in lower case; several of one name are joined by ", ".
---@field body string Its whole body.

---What this relay knows, and the makers of routes.
---@class relaylib
---@field zone string? The zone that this relay serves; nil if it serves none.
---@field params table<string, any> The params of the configuration: text, numbers, booleans, lists and maps by name; read-only.
---@field hostname string The name that this relay is registered under.
relay = {}

---The gateways that are registered for a zone, the best first: by state, and among equals in an order that differs from request to request, so that load spreads.
---@param zone string a zone's name, such as build.worker.zone
---@return Gateway[]
function relay.gateways(zone) end

---The names of all zones that the registry speaks of, where builds are asked for or run and where gateways and executors are, in order; at most the first 1000.
---@return string[]
function relay.zones() end

---The executors that are registered for a zone, by id; at most the first 1000.
---@param zone string? a zone's name, such as build.worker.zone; nil, as everywhere, is outside of every zone
---@return Executor[]
function relay.executors(zone) end

---What is known of a build; nil if nothing is, also for a text that is no uuid. Unlike for request.build, ZooKeeper is not asked for what has not arrived here yet.
---@param uuid string a build's uuid, such as request.uuid
---@return Build?
function relay.build(uuid) end

---A tenant's builds, running or not, by uuid; at most the first 1000: see build_count.
---@param tenant string a tenant's name, such as build.tenant
---@return Build[]
function relay.builds(tenant) end

---The names of all tenants that have builds, running or not, in order; at most the first 1000.
---@return string[]
function relay.tenants() end

---How many builds a tenant has, running or not. Costs nothing, however many they are.
---@param tenant string a tenant's name, such as build.tenant
---@return number
function relay.build_count(tenant) end

---How many builds run in a zone. Costs nothing, however many they are.
---@param zone string? a zone's name, such as build.worker.zone; nil, as everywhere, is outside of every zone
---@return number
function relay.running_count(zone) end

---For how many seconds the registry has not followed ZooKeeper, and so tells the last known state: 0 while it follows, nil if nothing was ever read.
---@return number?
function relay.age() end

---What this relay has seen of a target: its streams, its failures, its distance. Nil if it never dialled it, or so long ago that it is forgotten.
---@param target Gateway|Worker|Target|{ host: string, port: number, tls: boolean?, server_name: string? } a gateway, a worker, a target of a route, or a table with host and port
---@return Sight?
function relay.seen(target) end

---The way straight to the executor that runs the build.
---@param worker Worker a worker, such as request.build.worker
---@param options { connect_timeout: number?, handshake_timeout: number?, tags: table<string, string>? }? a table of options
---@return Route
function relay.direct(worker, options) end

---The way through one of these gateways: the first that answers. Those that failed lately are tried last, whatever the order.
---@param gateways Gateway|Gateway[] a gateway or a list of gateways, such as relay.gateways(zone)
---@param options { order: ("given"|"random"|"weighted"|"least_streams"|"round_trip"|"hash")?, weights: number[]?, connect_timeout: number?, handshake_timeout: number?, tags: table<string, string>? }? a table of options
---@return Route
function relay.via(gateways, options) end

---No way: the viewer gets this text, and the stream ends.
---@param text string the text that the viewer gets
---@param options { tags: table<string, string>? }? a table of options
---@return Route
function relay.refuse(text, options) end

---An answer in the place of a log: the viewer gets this text, and the stream ends well.
---@param text string the text that the viewer gets, 1 byte to 64 KiB
---@param options { tags: table<string, string>? }? a table of options
---@return Route
function relay.reply(text, options) end

---The way to a host of the policy's own choice, which gets the viewer's line as it is.
---@param options { host: string, port: number, tls: boolean?, server_name: string?, connect_timeout: number?, handshake_timeout: number?, tags: table<string, string>? } a table that says where to, with host and port
---@return Route
function relay.connect(options) end

---The way by any of these routes: the targets of all, each route's together and as they stand in it, and the routes in the order of their first targets that options ask for. Of two values of a tag, that of the route that stands first counts.
---@param routes Route[] a list of routes to targets, such as relay.connect makes
---@param options { order: ("given"|"random"|"weighted"|"least_streams"|"round_trip"|"hash")?, weights: number[]?, tags: table<string, string>? }? a table of options
---@return Route
function relay.any(routes, options) end

---Lets another policy of the folder decide this request, as if it had been asked first.
---@param policy string the name of a policy
---@return Route
function relay.hand_over(policy) end

---What accept returns to let a connection in with limits or tags of its own.
---@param options { request_timeout: number?, max_duration: number?, stall_timeout: number?, tags: table<string, string>? }? a table of options
---@return Admission
function relay.allow(options) end

---The time when the call began, in seconds since 1970 in UTC; the library time makes more of it. In background work it goes on with every wait.
---@return number
function relay.now() end

---Has a job done beside the decisions: at once when the policy takes over, and again so many seconds after each run has ended, for as long as the policy is in force. A job may use http, dns and files, and write to relay.shared, where route finds what it wrote. All jobs of a policy run one after another on an engine of their own, which shares no variable with the engines that decide. A run that fails is told in the log and in metrics, and the next one waits longer: twice as long after each failure, up to 16 times, and never longer than an hour for that.
---@param seconds number a number of seconds, from 1 to 2073600, which is 24 days
---@param job fun() a function; what it returns does not matter, and an error is a failed run
function relay.every(seconds, job) end

---What all scripts of this relay know, whichever thread they run on, and from one reload to the next: texts, numbers and booleans by key, each for as long as it is wanted, within policy.shared_limit.
---@class relay.sharedlib
relay.shared = {}

---The value at a key; nil if there is none, or none any more.
---@param key string text of at most 256 bytes
---@return (string|number|boolean)?
function relay.shared.get(key) end

---The keys that begin with a text, in order; at most the first 1000.
---@param prefix string what they begin with, such as "drain/"
---@return string[]
function relay.shared.keys(prefix) end

---Puts a value at a key, whatever was there. False if the table is full: nothing was changed then.
---@param key string text of at most 256 bytes
---@param value string|number|boolean text of at most 64 KiB, a number, true or false
---@param ttl number? how many seconds the entry is kept; without it for ever
---@return boolean
function relay.shared.set(key, value, ttl) end

---Puts a value at a key unless something is there; says whether it did. Of several threads that do so at one time, one does.
---@param key string text of at most 256 bytes
---@param value string|number|boolean text of at most 64 KiB, a number, true or false
---@param ttl number? how many seconds the entry is kept; without it for ever
---@return boolean
function relay.shared.set_new(key, value, ttl) end

---Adds to the number at a key and returns the sum; where nothing is it begins at zero, with that ttl: a counter counts in windows of its length. False if the table is full.
---@param key string text of at most 256 bytes
---@param delta number a number, also a negative one
---@param ttl number? how many seconds the entry is kept; without it for ever
---@return number|boolean
function relay.shared.add(key, delta, ttl) end

---Removes what is at a key; says whether anything was.
---@param key string text of at most 256 bytes
---@return boolean
function relay.shared.remove(key) end

---Bytes as letters and digits, and back (RFC 4648).
---@class base64lib
base64 = {}

---The text in the standard alphabet, padded.
---@param text string a text of up to 1 MiB
---@return string
function base64.encode(text) end

---The text in the alphabet for URLs and tokens, without padding.
---@param text string a text of up to 1 MiB
---@return string
function base64.encode_url(text) end

---What was encoded, in either alphabet, padded or not; an error if it is no base64.
---@param text string base64 of up to 1 MiB, without blanks
---@return string
function base64.decode(text) end

---Texts that look like a pattern.
---@class globlib
glob = {}

---Whether the whole text matches: `*` is any characters or none, dots and slashes too, `?` one, `[a-z]` one of these, `[!a-z]` one of all others, `{a,b}` either, and a backslash takes the next character as it is.
---@param pattern string a pattern of up to 512 bytes, such as *.example.com
---@param text string a text
---@return boolean
function glob.match(pattern, text) end

---Numbers and texts that stand for other texts.
---@class hashlib
hash = {}

---A number from 1 to `buckets` that is always the same for a text; with one bucket more, only the texts that go into it move. It protects from nobody who chooses the text.
---@param text string a text of up to 1 MiB, such as request.uuid
---@param buckets number a whole number from 1 to 1 000 000, such as #gateways
---@return number
function hash.number(text, buckets) end

---SHA-256 of a text, in lower-case hexadecimal.
---@param text string a text of up to 1 MiB
---@return string
function hash.sha256(text) end

---SHA-512 of a text, in lower-case hexadecimal.
---@param text string a text of up to 1 MiB
---@return string
function hash.sha512(text) end

---The authentication code of a text under a key, by SHA-256, in lower-case hexadecimal.
---@param key string the key, of up to 1 MiB
---@param text string a text of up to 1 MiB
---@return string
function hash.hmac_sha256(key, text) end

---JSON (RFC 8259) as values of Lua, and back. Numbers are doubles: whole ones beyond 2^53 are rounded.
---@class jsonlib
---@field null any What `null` is read as, and written as it; it counts as true, so compare with it.
json = {}

---The value that a text in JSON stands for; an error if it is none.
---@param text string JSON of up to 1 MiB, 65536 values, and 64 levels
---@return any
function json.decode(text) end

---The value as JSON, keys sorted. An empty table becomes `{}`, unless `json.array` marked it.
---@param value any a value without functions and values of the relay's own types
---@return string
function json.encode(value) end

---Marks a list, so that it is written `[]` when it is empty, and returns it.
---@param list any[] a list, which may be empty
---@return any[]
function json.array(list) end

---Ranges of addresses, such as 10.0.0.0/8.
---@class networkslib
networks = {}

---Makes a set of networks. Make it once, outside of the functions: to look into it takes almost no time.
---@param list string[] a list of up to 100 000 networks and addresses, such as { "10.0.0.0/8", "fd00::/8" }
---@return NetworkSet
function networks.set(list) end

---Whether a set of networks, or one network, holds an address. IPv4 addresses that are mapped into IPv6 count as IPv4.
---@param networks NetworkSet|string a set that networks.set made, or a network such as 10.0.0.0/8
---@param address string an address, such as request.peer
---@return boolean
function networks.contains(networks, address) end

---What calendars and clocks say of a time that a policy was told, in UTC or at a fixed offset from it. Named time zones are not known.
---@class timelib
time = {}

---What calendar and clock say, in UTC.
---@param seconds number a time in seconds since 1970
---@return { year: number, month: number, day: number, hour: number, minute: number, second: number, weekday: "mon"|"tue"|"wed"|"thu"|"fri"|"sat"|"sun" }
function time.utc(seconds) end

---The seconds since 1970 of a written time (RFC 3339); an error if it is none.
---@param text string a time such as 2026-11-21T08:00:00Z or 2026-11-21T09:00:00+01:00
---@return number
function time.parse(text) end

---The time as it is written in UTC (RFC 3339), in whole seconds.
---@param seconds number a time in seconds since 1970
---@return string
function time.format(seconds) end

---Whether the time lies in these hours of the week. What is not given bounds nothing. Hours that end no later than they begin go on over midnight, and belong to the day on which they began.
---@param seconds number a time in seconds since 1970
---@param hours { days: "mon"|"tue"|"wed"|"thu"|"fri"|"sat"|"sun"[]?, from: string?, to: string?, offset: string? } a table such as { days = { "mon", "fri" }, from = "08:00", to = "18:00", offset = "+01:00" }
---@return boolean
function time.within(seconds, hours) end

---The addresses behind names.
---@class dnslib
dns = {}

---The addresses of a host, as the system's resolver finds them, in the order in which the relay would dial them; at least one. A name without an address is an error.
---@param host string the name of a host
---@param options { timeout: number? }? a table of options
---@return string[]
function dns.lookup(host, options) end

---Files that lie in the policies' folder and below, or beside the policy where it is a single file. A link may lead to another place of the folder, and never out of it.
---@class fileslib
files = {}

---The whole of a file, of at most 1 MiB, as it is now. One in the folder of overlays comes before one of the same name in the folder of policies. A file that is not there is an error.
---@param name string the file's path from the folder on, such as "drained.txt" or "data/networks.json"
---@return string
function files.read(name) end

---Requests over HTTP and HTTPS, each on a connection of its own. No redirect is followed, and a server's certificate is always verified. Whatever status is answered is no error; no answer is one, which fails the job unless it is caught by pcall.
---@class httplib
http = {}

---Asks for a URL.
---@param url string a URL such as "https://calendar.example/maintenance.json"
---@param options { headers: table<string, string>?, timeout: number?, max_bytes: number?, ca: string?, certificate: string?, key: string? }? a table of options
---@return Response
function http.get(url, options) end

---Sends a request of any method but CONNECT.
---@param options { method: string?, url: string, body: string?, headers: table<string, string>?, timeout: number?, max_bytes: number?, ca: string?, certificate: string?, key: string? } a table that says what, with url
---@return Response
function http.request(options) end

---What a test makes up, and what it asks the policy. Only tests have it.
---@class testlib
test = {}

---Names a case. Its function is called when the whole file has run, in a world of its own.
---@param name string a sentence that says what holds
---@param body fun() the function that shows it
function test.case(name, body) end

---Says which policy the file is about, where that is not the one whose name it has.
---@param name string the name of a policy, or a script's path in the folder
---@param options { params: table<string, any>? }? a table such as { params = { limit = 5 } }
function test.policy(name, options) end

---Says where the relay stands, and what its configuration tells scripts. What is left out is as it is at the beginning of a case.
---@param options { zone: string?, hostname: string?, params: table<string, any>? } a table such as { zone = "eu" }
function test.relay(options) end

---Sets the time of day. What expires or ages does so by test.advance alone.
---@param time string|number a time such as "2026-11-21T10:00:00Z", or seconds since 1970
function test.now(time) end

---Lets time pass: what expires by then is gone, and a registry without its source is older.
---@param seconds number how many seconds, from 0 on
function test.advance(seconds) end

---Says what the registry knows. What is left out is not there.
---@param options { builds: { uuid: string, zone: string?, tenant: string?, pipeline: string?, state: string?, worker: { hostname: string, log_port: number?, zone: string? }? }[]?, gateways: { id: string?, hostname: string, zone: string?, public_port: number?, use_ssl: boolean?, state: ("running"|"paused"|"initializing"|"stopped"|"unknown")?, version: string? }[]?, executors: { id: string?, hostname: string, zone: string?, state: ("running"|"paused"|"initializing"|"stopped"|"unknown")? }[]?, zones: string[]?, model_api: number?, age: number? } a table such as { builds = { { uuid = "01ab", tenant = "acme" } } }
function test.registry(options) end

---Puts entries into the table behind relay.shared, and returns all that is in it, by key.
---@param entries table<string, string|number|boolean>? a table such as { ["drain/eu"] = true }
---@param ttl number? how many seconds these entries are kept; without it for ever
---@return table<string, string|number|boolean>
function test.shared(entries, ttl) end

---Says what this relay has seen of its targets; all others were never dialled.
---@param targets { host: string, port: number, tls: boolean?, open_streams: number?, consecutive_failures: number?, last_error: string?, failed_ago: number?, reached_ago: number?, round_trip: number? }[] a list of tables such as { host = "gw", port = 7979, consecutive_failures = 3 }
function test.seen(targets) end

---Asks the policy for the way of one request. That the policy fails is an error, in its own words.
---@param request { uuid: string?, query: string?, listener: string?, peer: string?, server_name: string?, identity: { subject: string?, names: string[]?, fingerprint: string? }?, seed: number? } a table such as { uuid = "01ab" }
---@return Route
function test.route(request) end

---Asks the policy whether a connection may ask: a Route whose kind is refuse, or an Admission. Without a function accept everybody may.
---@param connection { listener: string?, peer: string?, server_name: string?, identity: { subject: string?, names: string[]?, fingerprint: string? }? }? a table such as { peer = "192.0.2.7" }
---@return Admission|Route
function test.accept(connection) end

---Tells the policy of a stream's end.
---@param record { listener: string?, peer: string?, server_name: string?, identity: string?, uuid: string?, tenant: string?, zone: string?, target: string?, kind: ("direct"|"gateway"|"connect")?, tried: number?, bytes: number?, seconds: number?, ending: ("complete"|"replied"|"refused"|"handshake_timeout"|"no_request"|"bad_request"|"request_timeout"|"viewer_left"|"viewer_stalled"|"registry"|"policy"|"unreachable"|"loop"|"upstream_broke"|"expired"|"stopping")?, blame: ("nobody"|"viewer"|"registry"|"policy"|"upstream"|"relay")?, tags: table<string, string>? }? a table such as { tenant = "acme", bytes = 1000 }
function test.ended(record) end

---Asks the policy's invariant about a build and a route: nil if it holds, or there is none; else what is wrong.
---@param uuid string the uuid of a build that the registry knows
---@param route Route a route, as test.route returns it
---@return string?
function test.invariant(uuid, route) end

---Says what servers answer to background work, by URL. To ask for any other is an error of the job.
---@param answers table<string, { status: number?, headers: table<string, string>?, body: string?, fails: string? }> a table such as { ["https://calendar.example/"] = { body = "[]" } }
function test.http(answers) end

---Says which addresses hosts have for background work. To look up any other is an error of the job.
---@param addresses table<string, string[]> a table such as { ["gw.example"] = { "192.0.2.7" } }
function test.dns(addresses) end

---Says what background work finds in files, by path from the policies' folder on. Real files are not read.
---@param files table<string, string> a table such as { ["drained.txt"] = "eu" }
function test.files(files) end

---Runs every job that the policy asked for by relay.every once, in their order, whenever they would be due. Returns the HTTP requests that they sent. That a job fails is an error, in its own words.
---@return { method: string, url: string, body: string }[]
function test.background() end

---What a case says must hold; where it does not, the case ends and has failed. Only tests have it.
---@class expectlib
expect = {}

---Both values are the same, tables and facts to the last field; a fact is the same as a table with its fields.
---@param got any what there is
---@param expected any what there should be
function expect.equal(got, expected) end

---The values are not the same.
---@param got any what there is
---@param other any what it should not be
function expect.differ(got, other) end

---The value is neither false nor nil.
---@param got any what there is
function expect.truthy(got) end

---The value is false or nil.
---@param got any what there is
function expect.falsy(got) end

---Lua's pattern is found in the text.
---@param text string a text
---@param pattern string a pattern such as "^zone %w+$"
function expect.match(text, pattern) end

---The text has the other text in it, or the list has an element that is the same as the value.
---@param whole string|any[] a text, or a list
---@param part any what is to be in it
function expect.contains(whole, part) end

---The function raises an error; with a pattern, one in whose text that is found. Returns the text.
---@param body fun() a function
---@param pattern string? a pattern such as "port"
---@return string
function expect.fails(body, pattern) end

---The route tries these targets, in this order.
---@param route Route a route, as test.route returns it
---@param targets string[] a list of targets as `fingerpost explain` writes them, such as "gateway gw.us:7979 over TLS"
function expect.targets(route, targets) end

---The route or the admission refuses with this text.
---@param answer Route|Admission what test.route or test.accept returns
---@param text string the whole text
function expect.refused(answer, text) end

---The route replies this text.
---@param route Route a route, as test.route returns it
---@param text string the whole text
function expect.replied(route, text) end

---What somebody asks the policy at the prompt of `fingerpost policy repl`, which alone has it.
---@class asklib
ask = {}

---Asks the policy for the way of one request, and tells which line made it. That the policy fails is an error, in its own words.
---@param query string|Build a build's uuid, any other line that a viewer may send, or a build
---@param viewer { listener: string?, peer: string?, server_name: string?, subject: string? }? a table such as { peer = "192.0.2.7" }
---@return Route
function ask.route(query, viewer) end

---Asks the policy whether a connection may ask: a Route whose kind is refuse, or an Admission. Without a function accept everybody may.
---@param viewer { listener: string?, peer: string?, server_name: string?, subject: string? }? a table such as { peer = "192.0.2.7" }
---@return Admission|Route
function ask.accept(viewer) end

---Asks the policy's invariant about a build and a route: nil if it holds, or there is none; else what is wrong.
---@param build string|Build a build, or the uuid of one that the registry knows
---@param route Route a route, such as ask.route returns
---@return string?
function ask.invariant(build, route) end

---The request that a policy would be asked about, and asks nobody.
---@param query string|Build a build's uuid, any other line that a viewer may send, or a build
---@param viewer { listener: string?, peer: string?, server_name: string?, subject: string? }? a table such as { peer = "192.0.2.7" }
---@return Request
function ask.request(query, viewer) end
