//! Background work under test: what it finds outside, and what it leaves behind.

use super::*;

const CALENDAR: &str = "local policy = { api = 1 }
local runs = 0
relay.every(60, function()
  runs += 1
  local answer = http.request{ url = 'https://calendar.example/', method = 'POST', body = 'now ' .. runs }
  relay.shared.set('answer', answer.status .. ' ' .. answer.body .. (answer.headers['x-a'] or ''), 90)
end)
relay.every(1, function()
  relay.shared.set('address', dns.lookup('gw.example')[1])
  relay.shared.set('file', files.read('drained.txt') .. relay.now())
end)
function policy.route()
  return relay.reply(tostring(relay.shared.get('answer')))
end
return policy";

const WORLD: &str = "test.now(7)
test.http{ ['https://calendar.example/'] = { status = 201, body = '[]', headers = { ['X-A'] = 'b' } } }
test.dns{ ['gw.example'] = { '192.0.2.7', '2001:db8::1' } }
test.files{ ['drained.txt'] = 'eu' }\n";

#[test]
fn every_job_runs_once_and_finds_what_the_case_made_up() {
    let body = "expect.replied(test.route{}, 'nil')
expect.equal(test.background(), { { method = 'POST', url = 'https://calendar.example/', body = 'now 1' } })
expect.equal(test.shared(), { answer = '201 []b', address = '192.0.2.7', file = 'eu7' })
expect.replied(test.route{}, '201 []b')
test.advance(90)
expect.replied(test.route{}, 'nil')
expect.equal(test.background()[1].body, 'now 2')";
    holds(CALENDAR, &format!("{WORLD}{body}"));
}

#[test]
fn what_the_case_does_not_say_is_an_error_of_the_job() {
    for (without, expected) in [
        ("test.http{}", "p.lua:5: http.request: the test does not say what https://calendar.example/ answers"),
        ("test.dns{}", "p.lua:9: dns.lookup: the test does not say which addresses gw.example has"),
        ("test.files{}", "p.lua:10: files.read: the test does not say what drained.txt holds"),
        ("test.http{ ['https://calendar.example/'] = { fails = 'refused' } }", "p.lua:5: http.request: refused"),
    ] {
        let flaw = flaw_of(CALENDAR, &format!("{WORLD}{without}\ntest.background()"));
        assert!(flaw.starts_with(&format!("p_test.lua:7: test.background: {expected}")), "{flaw}");
    }
    let flaw = flaw_of(POLICY, "test.background()");
    assert!(flaw.starts_with("p_test.lua:2: test.background: the policy has no background work"), "{flaw}");
}

#[test]
fn a_mistake_in_what_is_outside_is_told_with_its_entry() {
    let said = |body: &str| flaw_of(POLICY, body).lines().next().unwrap().to_owned();
    assert_eq!(said("test.dns{ h = { 'x' } }"), "p_test.lua:2: test.dns: h: \"x\" is no address");
    let status = "p_test.lua:2: test.http: u: status must be from 100 to 599, not 7";
    assert_eq!(said("test.http{ u = { status = 7 } }"), status);
}

#[test]
fn lines_of_jobs_count() {
    let test = format!("test.case('it', function() {WORLD} test.background() test.route{{}} end)");
    let ran = ran(&[("p.lua", CALENDAR), ("p_test.lua", &test)]);
    assert_eq!(ran.outcome.coverage().percent(), 100.0, "{}", ran.outcome);
}
