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

---Who a viewer proved to be, by a certificate that was verified.
---@class (exact) Identity
---@field subject string The certificate's subject, as text.
---@field names string[] Its subject alternative names.
---@field fingerprint string Its SHA-256 fingerprint, in hexadecimal digits.

---A way to a build's log, or an answer of the relay's own. Scripts can only hand it on.
---@class (exact) Route

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

---The way straight to the executor that runs the build.
---@param worker Worker a worker, such as request.build.worker
---@param options { connect_timeout: number?, handshake_timeout: number?, tags: table<string, string>? }? a table of options
---@return Route
function relay.direct(worker, options) end

---The way through one of these gateways: the first that answers, in this order.
---@param gateways Gateway|Gateway[] a gateway or a list of gateways, such as relay.gateways(zone)
---@param options { connect_timeout: number?, handshake_timeout: number?, tags: table<string, string>? }? a table of options
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

---Lets another policy of the folder decide this request, as if it had been asked first.
---@param policy string the name of a policy
---@return Route
function relay.hand_over(policy) end
