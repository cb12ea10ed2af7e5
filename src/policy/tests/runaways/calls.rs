//! No one call into the library runs for long, whatever it is given: what is called for ever is stopped between two
//! calls, and what one call cannot afford is refused.

use rustix::time::{ClockId, clock_gettime};

use super::*;

/// What a call may take beyond the limit: a few milliseconds, times what a build without optimization is slower.
const LATE: Duration = Duration::from_millis(200);

/// Asks for `body` for ever, and sees that time or memory ends it soon, and that the thread decides on.
fn ends(body: &str) {
    let limits = settings::Policy { memory_limit: 16 << 20, ..short_limits() };
    let latest = limits.time_limit + LATE;
    let text = format!(
        "if request.build.tenant == 'mad' then while true do {body} end end return relay.direct(request.build.worker)"
    );
    let policy = try_load(&script(&text), limits).unwrap_or_else(|error| panic!("{body}: {error}"));
    let sane = Scene::running_in(None);
    let mad = Scene::running_in(None).of_tenant("mad");
    for _ in 0..2 {
        let began = thread_time();
        let failure = mad.ask(&policy).unwrap_err();
        let took = thread_time() - began;
        assert!(matches!(failure.kind, FailureKind::Time | FailureKind::Memory), "{body}: {failure}");
        assert!(took < latest, "{body}: {took:?}");
        assert_eq!(hosts(&sane.ask(&policy).unwrap()), ["executor1"], "{body}");
    }
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

fn is_refused(body: &str, words: &str) {
    let failure = Scene::running_in(None).ask(&routing(body)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Error, "{body}: {failure}");
    assert!(failure.message.contains(words), "{body}: {failure}");
    assert_eq!(failure.line, Some(1), "{body}: {failure}");
}

#[test]
fn patterns_end() {
    ends("string.find(string.rep('(', 100000), '%b()')");
    ends("string.find(string.rep('a', 4000), '(.*)%1b')");
    ends("string.find(string.rep('a', 300000), '%f[b]')");
    ends("string.find(string.rep(' ', 100000), '%s*b')");
    ends("string.find(string.rep('a', 100000), '(a*)b')");
    ends("string.gsub(string.rep('a', 300000), '', 'x')");
    ends("string.gsub(string.rep('a', 10000), 'a', function() return 'b' end)");
    ends("for _ in string.gmatch(string.rep('a', 300000), '') do end");
    ends("local s = 'x' for _ = 1, 30 do s = s:gsub('x', 'xx') end");
}

#[test]
fn texts_end() {
    ends("string.rep('', 2 ^ 31 - 1)");
    ends("string.rep('x', 1e6):upper():lower():reverse()");
    ends("string.split(string.rep(',', 200000), ',')");
    ends("string.split(string.rep('x', 200000), '')");
    ends("string.byte(string.rep('x', 200000), 1, -1)");
    ends("string.char(unpack(table.create(100000, 65)))");
    ends("string.format('%q', string.rep('\\0', 500000))");
    ends("string.format(string.rep('%.99f', 1600), unpack(table.create(1600, 1e308)))");
    ends("local _ = string.rep('x', 4e6) < string.rep('x', 4e6) .. 'a'");
    ends("local s = 'x' for _ = 1, 40 do s = `{s}{s}` end");
    for digits in ["string.rep('1', 4e6)", "'0x' .. string.rep('f', 4e6)", "'1e' .. string.rep('9', 4e6)"] {
        ends(&format!("tonumber({digits})"));
    }
    ends("tonumber(string.rep('z', 4e6), 36)");
}

#[test]
fn packed_texts_end() {
    ends("string.pack(string.rep('s', 1e5), unpack(table.create(1e5, 'x')))");
    ends("string.pack(string.rep('Xi16', 1e5))");
    ends("string.pack('c1000000000', 'x')");
    ends("string.unpack(string.rep('z', 1e5), string.rep('\\0', 1e5))");
    ends("pcall(string.unpack, string.rep('B', 1e6), string.rep('x', 1e6))");
    ends("string.packsize(string.rep('x', 1e6))");
}

#[test]
fn utf8_ends() {
    ends("utf8.len(string.rep('x', 2e6))");
    ends("utf8.offset(string.rep('x', 2e6), 2e6)");
    ends("utf8.codepoint(string.rep('x', 200000), 1, -1)");
    ends("utf8.char(unpack(table.create(100000, 0x10ffff)))");
    ends("for _ in utf8.codes(string.rep('x', 4e6)) do end");
}

#[test]
fn tables_end() {
    ends("table.concat(table.create(65536, 1.23456789))");
    ends("table.concat(table.create(65536, 'x'), string.rep('y', 1000))");
    ends("table.clone(table.create(200000, 1))");
    ends("table.find(table.create(200000, 1), 2)");
    ends("table.clear(table.create(200000, 1))");
    ends("table.sort(table.create(200000, 1))");
    ends("table.pack(unpack(table.create(200000, 1)))");
    ends("local t = table.create(100000, 1) while true do table.insert(t, 1, 1) table.remove(t, 1) end");
    ends("local t = {} for i = 1, 100000 do t[i] = i end table.clear(t) while true do next(t) end");
    ends("table.create(2 ^ 26)");
}

#[test]
fn arguments_without_number_end() {
    ends("select('#', unpack(table.create(200000, 1)))");
    ends("select(-1, unpack(table.create(200000, 1)))");
    ends("math.max(unpack(table.create(200000, 1)))");
    ends("bit32.bxor(unpack(table.create(200000, 1)))");
    ends("pcall(unpack, {}, 1, 900000)");
    ends("pcall(unpack, {}, 1, 1e8)");
}

#[test]
fn coroutines_end() {
    ends("coroutine.close(coroutine.create(print))");
    ends("local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end");
    ends("for _ in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end");
    let chain = "local function after(f) return coroutine.wrap(function() while true do coroutine.yield(f()) end end) end \
                 local f = function() return 1 end for _ = 1, 50 do f = after(f) end while true do f() end";
    ends(chain);
}

#[test]
fn errors_end() {
    ends("pcall(error, string.rep('x', 1e6))");
    ends("xpcall(error, error)");
    ends("xpcall(error, function(e) error(e) end)");
    ends("pcall(assert, false, setmetatable({}, { __tostring = error }))");
    ends("pcall(error, setmetatable({}, { __tostring = function(t) return t end }))");
}

#[test]
fn bombs_of_small_things_end() {
    ends("local t = {} while true do local x = #t t[#t + 1] = function() return x end end");
    ends("local f = print while true do local g = f f = function() return g end end");
    ends("local t = {} while true do t = { t } end");
    ends("local t, i = {}, 0 while true do i += 1 t['key' .. i] = i end");
    ends("local t = setmetatable({}, { __mode = 'k' }) while true do t[{}] = {} end");
    ends("local t = {} while true do t = setmetatable({}, { __index = t }) end");
}

#[test]
fn nothing_of_the_script_runs_when_its_values_go() {
    let policy = routing(
        "for _ = 1, 1000 do setmetatable({}, { __gc = function() while true do end end }) end return relay.refuse('x')",
    );
    assert_eq!(hosts(&Scene::without_build().ask(&policy).unwrap()), ["refused: x"]);
    policy.with_engine(|engine| engine.lua().gc_collect().unwrap());
    assert_eq!(hosts(&Scene::without_build().ask(&policy).unwrap()), ["refused: x"]);
}

#[test]
fn loops_over_numbers_that_do_not_grow_end() {
    ends("for _ = 1, 2, 1e-300 do end");
    ends("for _ = math.huge, math.huge do end");
    ends("for _ = 2 ^ 53, 2 ^ 53 + 10 do end");
}

#[test]
fn the_relays_own_libraries_end() {
    ends("json.decode('[' .. string.rep('[],', 20000) .. '0]')");
    ends("pcall(json.decode, string.rep('[', 1e6))");
    ends("json.encode(table.create(20000, 'x'))");
    ends("local t = {} t.t = t while true do pcall(json.encode, t) end");
    ends("base64.decode(base64.encode(string.rep('x', 700000)))");
    ends("hash.number(hash.sha256(string.rep('x', 1e6)) .. hash.sha512(string.rep('x', 1e6)), 1e6)");
    ends("local s = string.rep('a', 500) while true do glob.match(string.rep('{*,*}', 70), s) end");
    ends("local i = 0 while true do i += 1 glob.match('a' .. i, 'x') end");
    ends("networks.set(table.create(10000, '2001:db8::/32'))");
    ends("networks.contains(networks.set({ '10.0.0.0/8' }), '10.0.0.1')");
    ends("pcall(networks.contains, string.rep('x', 1e6), '::1')");
    ends("time.within(time.parse('2026-11-21T08:00:00Z'), { days = { 'mon' } })");
    ends("local t = {} while true do t[#t + 1] = base64.encode(string.rep('x', 1e5) .. #t) end");
}

#[test]
fn facts_and_routes_end() {
    ends("pcall(function() return request[string.rep('x', 1e6)] end)");
    ends("pcall(function() return relay[string.rep('x', 1e6)] end)");
    ends("pcall(relay.refuse, string.rep('x', 1e6))");
    ends("pcall(relay.via, table.create(100000, 1))");
    ends("relay.gateways(string.rep('x', 1e6))");
    ends("relay.executors(string.rep('x', 1e6))");
    ends("relay.build(string.rep('a', 1e6))");
    ends("relay.builds(string.rep('x', 1e6))");
    ends("pcall(relay.seen, { host = string.rep('x', 1e6), port = 1 })");
    let long = "local ways = table.create(64, relay.connect{ host = 'a', port = 1 }) local way = relay.any(ways) while true do";
    ends(&format!("{long} relay.any(table.create(256, way), {{ order = 'hash' }}) end"));
    ends("print(string.rep('x', 1e6))");
}

#[test]
fn what_one_call_cannot_afford_is_refused() {
    is_refused("return utf8.len(string.rep('x', 3e6))", "more than one call may count");
    is_refused("return utf8.offset(string.rep('x', 3e6), 3e6)", "more than one call may count");
    is_refused("return string.format(string.rep('%.99f', 10000), 1)", "more than one call may fill");
    is_refused("return table.concat(table.create(65537, 1))", "more than one call may join");
    is_refused("return table.concat({}, '', 1, 1e9)", "more than one call may join");
    is_refused("return table.concat({}, '', 0 / 0, 1)", "more than one call may join");
    is_refused("return table.concat({}, '', '1', '1000000000')", "must be numbers, not a string and a string");
    is_refused("return string.format('%1000000d', 1)", "width or precision too long");
    is_refused("return table.create(2 ^ 31)", "size out of range");
    is_refused("return json.decode(string.rep('[', 1e6))", "more than 64 deep");
    is_refused("return glob.match('*', string.rep('x', 1e6))", "more than one call may do");
    let ranges = "'*[' .. string.rep('a-b', 150) .. ']'";
    is_refused(&format!("return glob.match({ranges}, string.rep('x', 1e5))"), "more than one call may do");
}

#[test]
fn guarded_functions_do_what_they_did() {
    for (expression, value) in [
        ("table.concat({ 1, 'a', 2.5 }, ', ')", "1, a, 2.5"),
        ("table.concat({ 1, 2, 3 }, '', 2)", "23"),
        ("table.concat({ 1, 2, 3 }, '', 2, 2)", "2"),
        ("table.concat({}) == ''", "true"),
        ("pcall(table.concat, { {} })", "false"),
        ("pcall(table.concat)", "false"),
        ("string.format('%s-%03d', 'a', 7)", "a-007"),
        ("('%d%%'):format(5)", "5%"),
        ("utf8.len('äb')", "2"),
        ("utf8.len('äb', 3)", "1"),
        ("utf8.len('\\xff')", "nil"),
        ("utf8.offset('äb', 2)", "3"),
    ] {
        assert_eq!(value_of(expression, &Scene::without_build()), value, "{expression}");
    }
}
