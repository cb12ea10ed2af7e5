//! What a case makes up, as its policy sees it.

use super::*;

/// A policy that replies what `expression` comes to.
fn telling(expression: &str) -> String {
    format!(
        "local policy = {{ api = 1 }}
function policy.route(request)
  return relay.reply(tostring({expression}))
end
return policy"
    )
}

/// That a policy sees `expected` where a case makes up `world`.
fn sees(world: &str, expression: &str, expected: &str) {
    holds(&telling(expression), &format!("{world}\nexpect.replied(test.route{{ uuid = 'ab' }}, {expected:?})"));
}

/// What is wrong with such a case.
fn wrong(body: &str) -> String {
    let flaw = flaw_of(POLICY, body);
    flaw.lines().next().unwrap().replace("p_test.lua:2: ", "")
}

#[test]
fn a_case_begins_with_an_empty_live_registry_at_noon() {
    sees("", "time.format(relay.now())", "2026-01-01T12:00:00Z");
    sees("", "relay.zone", "nil");
    sees("", "relay.hostname", "relay.example");
    sees("", "#relay.zones()", "0");
    sees("", "request.build", "nil");
    sees("", "request.listener .. ' ' .. request.peer", "finger 192.0.2.1");
}

#[test]
fn the_relay_stands_where_the_case_says() {
    let world = "test.relay{ zone = 'eu', hostname = 'r1', params = { a = { 1, 'x', true }, b = { c = 1.5 } } }";
    sees(world, "relay.zone .. relay.hostname", "eur1");
    sees(world, "relay.params.a[2] .. tostring(relay.params.a[3]) .. relay.params.b.c", "xtrue1.5");
    sees(&format!("{world} test.relay{{}}"), "relay.zone", "nil");
    assert_eq!(wrong("test.relay{ zone = 'a/b' }"), "test.relay: zone must be the name of a zone, not \"a/b\"");
    assert_eq!(
        wrong("test.relay{ params = { a = { b = print } } }"),
        "test.relay: params: a: b: it must be text, a number, a boolean, a list or a map, not a function"
    );
}

#[test]
fn the_params_of_the_file_hold_in_every_case_that_says_nothing_else() {
    let policy = telling("relay.params.a");
    let test = "test.policy('p', { params = { a = 1 } })
test.case('one', function() expect.replied(test.route{}, '1') end)
test.case('two', function() test.relay{ params = { a = 2 } } expect.replied(test.route{}, '2') end)
test.case('three', function() test.relay{ zone = 'x' } expect.replied(test.route{}, '1') end)";
    assert_eq!(ran(&[("p.lua", &policy), ("p_test.lua", test)]).outcome.counts(), (3, 0));
}

#[test]
fn the_registry_knows_what_the_case_says() {
    let world = "test.registry{
  builds = { { uuid = 'ab', tenant = 't', pipeline = 'p', worker = { hostname = 'ex', log_port = 7900, zone = 'eu' } } },
  gateways = {
    { hostname = 'b', zone = 'eu', public_port = 79, state = 'paused' },
    { hostname = 'a', zone = 'eu', public_port = 79, use_ssl = true },
  },
  executors = { { hostname = 'ex', zone = 'eu' } }, zones = { 'us' } }";
    sees(world, "request.build.tenant .. request.build.pipeline .. request.build.state", "tprunning");
    sees(world, "request.build.worker.hostname .. request.build.worker.zone", "exeu");
    sees(world, "relay.gateways('eu')[1].hostname .. #relay.gateways('eu')", "a2");
    sees(world, "table.concat(relay.zones(), ' ')", "eu us");
    assert_eq!(
        wrong("test.registry{ builds = { { uuid = 'xyz' } } }"),
        "test.registry: number 1 of builds: uuid must be a uuid of hexadecimal digits, not \"xyz\""
    );
    assert!(
        wrong("test.registry{ builds = { { uuid = 'a', tennant = 'x' } } }")
            .ends_with("builds: number 1 of the list: there is no option \"tennant\"; did you mean \"tenant\"?")
    );
    assert_eq!(
        wrong("test.registry{ gateways = { { hostname = 'a', public_port = 0 } } }"),
        "test.registry: number 1 of gateways: public_port must be a port from 1 to 65535, not 0"
    );
}

#[test]
fn the_clock_is_turned_by_the_case_and_by_nothing_else() {
    sees("test.now('2026-11-21T10:00:00+01:00')", "time.format(relay.now())", "2026-11-21T09:00:00Z");
    sees("test.now(60) test.advance(1.5)", "relay.now()", "61.5");
    assert_eq!(wrong("test.now('noon')"), "test.now: \"noon\" is no time such as 2026-11-21T08:00:00Z");
    assert_eq!(wrong("test.advance(-1)"), "test.advance: seconds must be seconds from 0 on, not -1");
}

#[test]
fn the_shared_table_is_the_cases_own_and_forgets_what_expires() {
    let expression = "relay.shared.get('k')";
    sees("test.shared{ k = 'v', n = 1 }", expression, "v");
    sees("test.shared({ k = 'v' }, 60) test.advance(59)", expression, "v");
    sees("test.shared({ k = 'v' }, 60) test.advance(60)", expression, "nil");
    let test = "test.case('one', function() test.shared{ k = 1 } expect.equal(test.shared(), { k = 1 }) end)
test.case('two', function() expect.equal(test.shared(), {}) end)";
    assert_eq!(ran(&[("p.lua", POLICY), ("p_test.lua", test)]).outcome.counts(), (2, 0));
}

#[test]
fn what_was_seen_of_targets_is_what_the_case_says() {
    let world = "test.registry{ gateways = { { hostname = 'a', zone = 'eu', public_port = 79 } } }
test.seen{ { host = 'a', port = 79, consecutive_failures = 3, last_error = 'refused', failed_ago = 5 } }";
    let of = "relay.seen(relay.gateways('eu')[1])";
    sees(world, &format!("{of}.consecutive_failures .. {of}.last_error .. {of}.failed_ago"), "3refused5");
}

#[test]
fn whoever_asks_is_who_the_case_says() {
    let asked = "test.route{ query = 'zones@x', listener = 'tls', peer = '2001:db8::1', server_name = 'a.example',
  identity = { subject = 'CN=me', names = { 'n' } } }";
    for (expression, expected) in [
        ("request.query .. request.listener .. request.peer", "zones@xtls2001:db8::1"),
        ("request.server_name .. request.identity.subject .. request.identity.names[1]", "a.exampleCN=men"),
        ("#request.identity.fingerprint", "64"),
    ] {
        holds(&telling(expression), &format!("expect.replied({asked}, {expected:?})"));
    }
    assert_eq!(wrong("test.route{ peer = 'home' }"), "test.route: peer must be an address, not \"home\"");
}

#[test]
fn an_equal_seed_gives_an_equal_order() {
    let policy = "return { api = 1, route = function() return relay.via(relay.gateways('eu')) end }";
    let world =
        "local gateways = {} for n = 1, 9 do gateways[n] = { hostname = 'g' .. n, zone = 'eu', public_port = 1 } end
test.registry{ gateways = gateways }";
    let orders = "expect.equal(test.route{ seed = 1 }, test.route{ seed = 1 })
expect.differ(test.route{ seed = 1 }, test.route{ seed = 2 })";
    holds(policy, &format!("{world}\n{orders}"));
}

#[test]
fn accept_and_ended_are_asked_and_leave_their_counts() {
    let policy = "local policy = { api = 1 }
function policy.route() return relay.refuse('') end
function policy.accept(connection)
  if relay.shared.add('n/' .. connection.peer, 1, 60) > 1 then return relay.refuse('too many') end
  return relay.allow{ max_duration = 5, tags = { a = 'b' } }
end
function policy.ended(record)
  relay.shared.add(record.ending .. '/' .. record.tenant .. '/' .. record.tags.a, record.bytes)
end
return policy";
    let body =
        "expect.equal(test.accept{ peer = '192.0.2.9' }, { kind = 'allow', max_duration = 5, tags = { a = 'b' } })
expect.refused(test.accept{ peer = '192.0.2.9' }, 'too many')
test.advance(60)
expect.equal(test.accept{ peer = '192.0.2.9' }.kind, 'allow')
test.ended{ tenant = 't', bytes = 7, tags = { a = 'b' } }
test.ended{ tenant = 't', ending = 'viewer_left', tags = { a = 'b' } }
expect.equal(test.shared(), { ['n/192.0.2.9'] = 1, ['complete/t/b'] = 7, ['viewer_left/t/b'] = 0 })";
    holds(policy, body);
    let flaw = flaw_of(policy, "test.ended{}");
    assert!(flaw.starts_with("p_test.lua:2: test.ended: p.lua:8: attempt to concatenate string with nil"), "{flaw}");
    holds(POLICY, "expect.equal(test.accept(), { kind = 'allow', tags = {} }) test.ended()");
}

#[test]
fn an_invariant_can_be_asked_about_any_route() {
    let policy = "return { api = 1, route = function(r) return relay.refuse(r.query) end,
invariant = function(build, route) return if route.text == build.uuid then true else 'another text' end }";
    let body = "test.registry{ builds = { { uuid = 'ab' } } }
expect.equal(test.invariant('ab', test.route{ uuid = 'ab' }), nil)
expect.equal(test.invariant('ab', test.route{ uuid = 'cd' }), 'another text')";
    holds(policy, body);
    assert_eq!(wrong("test.invariant('ab', test.route{})"), "test.invariant: the registry knows no build \"ab\"");
}

#[test]
fn a_policy_hands_over_to_its_neighbours() {
    let over = "return { api = 1, route = function() return relay.hand_over('q') end }";
    let test = "test.case('it', function() expect.refused(test.route{}, 'Build not found') end)";
    assert_eq!(ran(&[("p.lua", over), ("q.lua", POLICY), ("p_test.lua", test)]).outcome.counts(), (1, 0));
}

#[test]
fn nothing_that_a_policy_keeps_outlives_a_case() {
    let policy = "local count = 0
return { api = 1, route = function() count += 1 return relay.reply(tostring(count)) end }";
    let test = "test.case('one', function() expect.replied(test.route{}, '1') expect.replied(test.route{}, '2') end)
test.case('two', function() expect.replied(test.route{}, '1') end)";
    assert_eq!(ran(&[("p.lua", policy), ("p_test.lua", test)]).outcome.counts(), (2, 0));
}
