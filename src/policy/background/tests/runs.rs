//! One run of a job: what it may do, and what stops it.

use super::*;
use crate::policy::FailureKind;

#[test]
fn route_finds_what_a_job_wrote() {
    let site = Site::new();
    let policy = site.load("relay.every(60, function() relay.shared.set('word', dns.lookup('a.example')[1]) end)");
    let scene = Scene { world: Arc::clone(&site.world), ..Scene::without_build() };
    assert_eq!(hosts(&scene.ask(&policy).unwrap()), ["refused: nil"]);
    let (jobs, (outside, _heard)) = (policy.jobs(&CancellationToken::new()).remove(0), MadeUp::listened_to());
    let mut hands = Hands { jobs, world: Arc::clone(&site.world), outside, stop: CancellationToken::new() };
    hands.run(0).unwrap();
    assert_eq!(hosts(&scene.ask(&policy).unwrap()), ["refused: 192.0.2.1"]);
}

#[test]
fn an_answer_has_a_status_headers_and_a_body_whatever_it_is() {
    let site = Site::new();
    let mut hands = site.hands(
        "relay.every(1, function()
           local got = http.get('http://a.example/b')
           assert(got.status == 404 and got.headers['x-a'] == '1, 2' and got.body == 'GET http://a.example/b')
           local put = http.request({ method = 'PUT', url = 'http://c.example', body = 'x', headers = { a = 'b' } })
           relay.shared.set('word', put.body .. ' ' .. files.read('d.txt'))
         end)",
    );
    hands.run(0).unwrap();
    assert_eq!(site.word("word"), Some(Value::Text(b"PUT http://c.example d.txt".to_vec().into())));
}

#[test]
fn variables_stay_from_run_to_run_and_from_job_to_job() {
    let site = Site::new();
    let mut hands = site.hands(
        "local runs = 0
         relay.every(1, function() runs += 1 end)
         relay.every(1, function() relay.shared.set('runs', runs) end)",
    );
    hands.run(0).unwrap();
    hands.run(0).unwrap();
    hands.run(1).unwrap();
    assert_eq!(site.word("runs"), Some(Value::Number(2.0)));
}

#[test]
fn modules_may_ask_for_jobs() {
    let site = Site::new();
    std::fs::write(
        site.dir.path().join("lib.lua"),
        "\nrelay.every(1, function() relay.shared.set('word', 7) end)\nreturn {}",
    )
    .unwrap();
    let mut hands = site.hands("require('lib')");
    assert!(hands.jobs.place(0).ends_with("/lib.lua:2"), "{}", hands.jobs.place(0));
    hands.run(0).unwrap();
    assert_eq!(site.word("word"), Some(Value::Number(7.0)));
}

#[test]
fn what_was_asked_for_wrongly_is_told_with_its_line() {
    for (jobs, told) in [
        ("\nrelay.every(0.5, print)", "mine.lua:2: relay.every: seconds must be from 1 to 2073600, not 0.5"),
        ("relay.every(0/0, print)", "seconds must be from 1 to 2073600, not NaN"),
        ("relay.every(1e7, print)", "seconds must be from 1 to 2073600, not 10000000"),
        ("relay.every(60)", "relay.every: job must be a function; what it returns"),
        ("for _ = 1, 33 do relay.every(60, print) end", "relay.every: a policy may have 32 jobs"),
        ("http.get('http://a.example')", "http.get cannot be called while the file is loaded"),
        ("files.read('a')", "files.read cannot be called while the file is loaded"),
    ] {
        let error = Site::new().try_load(jobs).unwrap_err().to_string();
        assert!(error.contains(told), "{jobs}: {error}");
    }
}

#[test]
fn decisions_neither_ask_for_jobs_nor_reach_outside() {
    for call in ["relay.every(1, print)", "http.get('http://a')", "dns.lookup('a')", "files.read('a')"] {
        let policy = crate::policy::tests::routing(call);
        let failure = Scene::without_build().ask(&policy).unwrap_err();
        assert!(failure.message.ends_with(" cannot be called in route, which only reads"), "{call}: {failure}");
    }
}

#[test]
fn a_failure_has_its_line_and_the_next_run_is_as_if_it_had_not_been() {
    let site = Site::new();
    let mut hands =
        site.hands("local n = 0\nrelay.every(1, function() n += 1\nif n == 2 then\ndns.lookup('nowhere') end end)");
    hands.run(0).unwrap();
    let failed = hands.failure();
    assert_eq!((failed.kind, failed.line), (FailureKind::Error, Some(4)));
    assert_eq!(failed.message, "dns.lookup: there is no such name");
    assert_eq!(failed.excerpt.as_deref(), Some("dns.lookup('nowhere') end end)"));
    assert!(hands.jobs.place(0).ends_with("/mine.lua:2"), "{}", hands.jobs.place(0));
    hands.run(0).unwrap();
}

#[test]
fn options_are_checked_before_anything_is_asked() {
    for (call, told) in [
        ("http.get('http://a', { timout = 1 })", "there is no option \"timout\"; did you mean \"timeout\"?"),
        ("http.get('http://a', { timeout = 0 })", "http.get: timeout: 0 s is no time limit"),
        ("http.get('http://a', { max_bytes = 1e9 })", "http.get: max_bytes must be a whole number from 1 to 16777216"),
        ("http.get('http://a', { certificate = 'c' })", "http.get: certificate stands without key"),
        ("http.get('http://a', { key = 'k' })", "http.get: key stands without certificate"),
        ("http.get('http://a', { ca = '/etc/ca' })", "ca lies outside of the policies' folder, and is none of the"),
        ("http.get('http://a', { headers = { 'b' } })", "http.get: a header's name is text, not 1"),
        (
            "http.request({ method = 'GET' })",
            "http.request: options must be a table that says what, with url; url must",
        ),
        ("dns.lookup('a', { timeout = -1 })", "dns.lookup: timeout: -1 s is no time limit"),
    ] {
        let failed = Site::new().hands(&format!("relay.every(1, function() {call} end)")).failure();
        assert!(failed.message.contains(told), "{call}: {failed}");
    }
}

#[test]
fn the_configuration_may_name_keys_elsewhere() {
    let mut site = Site::new();
    let path = settings::Param::Text("/etc/ca".to_owned());
    site.limits.params = [("tls".to_owned(), settings::Param::List(vec![path]))].into();
    site.hands("relay.every(1, function() http.get('http://a', { ca = relay.params.tls[1] }) end)").run(0).unwrap();
}

#[test]
fn runaways_of_every_kind_are_stopped_and_what_follows_is_not() {
    let mut site = Site::new();
    site.limits.background.time_limit = Duration::from_millis(20);
    site.limits.background.memory_limit = 4 << 20;
    for (body, kind) in [
        ("while true do end", FailureKind::Time),
        ("while true do pcall(function() while true do end end) end", FailureKind::Time),
        ("local t = {} while true do t[#t + 1] = string.rep('x', 1e5) .. #t end", FailureKind::Memory),
        ("local function f() return 1 + f() end f()", FailureKind::Recursion),
        ("pcall(dns.lookup, 'never')", FailureKind::Time),
        ("coroutine.wrap(function() pcall(dns.lookup, 'never') end)()", FailureKind::Time),
    ] {
        let mut hands = site.hands(&format!("relay.every(1, function() {body} end) relay.every(1, function() end)"));
        for _ in 0..2 {
            let failed = hands.failure();
            assert_eq!(failed.kind, kind, "{body}: {failed}");
            let named = kind == FailureKind::Recursion || failed.message.contains(" background.");
            assert!(named || failed.message.contains(" caught the error that stopped it"), "{body}: {failed}");
            hands.run(1).unwrap_or_else(|failed| panic!("{body}: {failed}"));
        }
    }
}

#[test]
fn background_work_has_limits_of_its_own() {
    let mut site = Site::new();
    site.limits.memory_limit = 2 << 20;
    let mut hands = site.hands("relay.every(1, function() relay.shared.set('word', #string.rep('x', 8e6)) end)");
    hands.run(0).unwrap();
    assert_eq!(site.word("word"), Some(Value::Number(8e6)));
}

#[test]
fn waste_of_many_runs_does_not_add_up() {
    let mut site = Site::new();
    site.limits.background.memory_limit = 4 << 20;
    let mut hands = site.hands("relay.every(1, function() local _ = string.rep('x', 2e6) end)");
    for _ in 0..20 {
        hands.run(0).unwrap_or_else(|failed| panic!("{failed}"));
    }
}

#[test]
fn a_run_that_loops_ends_as_soon_as_it_is_told() {
    let mut site = Site::new();
    site.limits.background.time_limit = Duration::from_secs(3600);
    let (outside, mut heard) = MadeUp::listened_to();
    let mut hands = site.hands_in(outside, "relay.every(1, function() dns.lookup('begun') while true do end end)");
    let stop = hands.stop.clone();
    let failed = std::thread::scope(|scope| {
        let run = scope.spawn(|| hands.failure());
        assert_eq!(heard.blocking_recv().unwrap().0, "begun");
        stop.cancel();
        run.join().unwrap()
    });
    assert!(failed.message.starts_with("the job was stopped"), "{failed}");
}

#[test]
fn time_goes_on_for_a_job_that_waited() {
    let site = Site::new();
    let mut hands = site.hands(
        "relay.every(1, function()
           local began = relay.now()
           assert(relay.now() == began)
           dns.lookup('a')
           assert(relay.now() > began)
         end)",
    );
    hands.run(0).unwrap();
}
