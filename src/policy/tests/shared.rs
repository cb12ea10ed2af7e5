//! `relay.shared` as scripts see it: who may write, who reads what, and what is an error.

use super::*;
use crate::admission::{Admission, Connection};
use crate::policy::shared::Value;

/// Runs `body` in `accept`; what it refuses with is the answer.
fn writing(scene: &Scene, body: &str) -> Result<String, Failure> {
    let policy = hooking(&format!("function policy.accept() {body} end"));
    let connection =
        Connection { listener: "finger", peer: Ipv4Addr::LOCALHOST.into(), server_name: None, identity: None };
    match policy.accept(&connection, &scene.known())? {
        Admission::Refuse { text, .. } => Ok(text),
        Admission::Allow { .. } => Ok(String::new()),
    }
}

fn said(scene: &Scene, expression: &str) -> String {
    writing(scene, &format!("return relay.refuse(tostring({expression}))")).unwrap()
}

#[test]
fn what_one_policy_writes_another_thread_of_another_generation_reads() {
    let scene = Scene::without_build();
    writing(&scene, "relay.shared.set('a', 'text') relay.shared.set('b', 2.5) relay.shared.set('c', false)").unwrap();
    let scene = Arc::new(scene);
    let there = Arc::clone(&scene);
    let read = move || value_of("`{relay.shared.get('a')} {relay.shared.get('b')} {relay.shared.get('c')}`", &there);
    assert_eq!(std::thread::spawn(read).join().unwrap(), "text 2.5 false");
    assert_eq!(value_of("relay.shared.get('d')", &scene), "nil");
}

#[test]
fn text_is_bytes() {
    let scene = Scene::without_build();
    writing(&scene, "relay.shared.set('a', '\\0\\xff')").unwrap();
    assert_eq!(scene.world.shared.get("a", scene.at.tick), Some(Value::Text(b"\0\xff".as_slice().into())));
    assert_eq!(value_of("#relay.shared.get('a')", &scene), "2");
}

#[test]
fn route_only_reads() {
    let scene = Scene::without_build();
    for call in ["set('a', 1)", "set_new('a', 1)", "add('a', 1)", "remove('a')"] {
        let failure = scene.ask(&routing(&format!("relay.shared.{call} return relay.refuse('')"))).unwrap_err();
        assert!(failure.message.contains("cannot be called in route, which only reads"), "{failure}");
    }
    let error = try_load("relay.shared.set('a', 1)", settings::Policy::default()).unwrap_err().to_string();
    assert!(error.contains("relay.shared.set cannot be called while the file is loaded"), "{error}");
}

#[test]
fn an_entry_is_gone_when_its_time_is_over() {
    let mut scene = Scene::without_build();
    writing(&scene, "relay.shared.set('short', 1, 10) relay.shared.set('long', 1)").unwrap();
    scene.at.tick += Duration::from_secs(9);
    assert_eq!(value_of("relay.shared.get('short')", &scene), "1");
    scene.at.tick += Duration::from_secs(1);
    assert_eq!(value_of("relay.shared.get('short')", &scene), "nil");
    assert_eq!(value_of("table.concat(relay.shared.keys(''), ',')", &scene), "long");
}

#[test]
fn counters_count_in_windows() {
    let mut scene = Scene::without_build();
    assert_eq!(said(&scene, "relay.shared.add('calls/192.0.2.7', 1, 60)"), "1");
    assert_eq!(said(&scene, "relay.shared.add('calls/192.0.2.7', 1, 60)"), "2");
    scene.at.tick += Duration::from_secs(60);
    assert_eq!(said(&scene, "relay.shared.add('calls/192.0.2.7', 1, 60)"), "1");
}

#[test]
fn keys_are_listed_by_their_beginning() {
    let scene = Scene::without_build();
    writing(&scene, "for _, key in { 'b/2', 'a', 'b/1', 'c' } do relay.shared.set(key, true) end").unwrap();
    assert_eq!(value_of("table.concat(relay.shared.keys('b/'), ' ')", &scene), "b/1 b/2");
    writing(&scene, "for number = 1, 1100 do relay.shared.set('many/' .. number, true) end").unwrap();
    assert_eq!(value_of("#relay.shared.keys('many/')", &scene), "1000");
}

#[test]
fn what_is_new_is_set_once() {
    let scene = Scene::without_build();
    assert_eq!(said(&scene, "relay.shared.set_new('a', 1)"), "true");
    assert_eq!(said(&scene, "relay.shared.set_new('a', 2)"), "false");
    assert_eq!(said(&scene, "relay.shared.get('a')"), "1");
    assert_eq!(said(&scene, "relay.shared.remove('a')"), "true");
    assert_eq!(said(&scene, "relay.shared.remove('a')"), "false");
}

#[test]
fn a_full_table_says_no_and_keeps_what_it_has() {
    let scene = Scene::without_build();
    scene.world.shared.set_limit(SharedTable::OVERHEAD + 10);
    assert_eq!(said(&scene, "relay.shared.set('a', 1)"), "true");
    assert_eq!(said(&scene, "relay.shared.set('b', 1)"), "false");
    assert_eq!(said(&scene, "relay.shared.add('b', 1)"), "false");
    assert_eq!(said(&scene, "relay.shared.add('a', 1)"), "2");
}

#[test]
fn mistakes_are_errors_at_their_line() {
    let scene = Scene::without_build();
    for (body, words) in [
        (
            "relay.shared.set('a', {})",
            "relay.shared.set: value must be text of at most 64 KiB, a number, true or false",
        ),
        ("relay.shared.set('a', 1, 0)", "relay.shared.set: ttl: 0 s is no time limit"),
        ("relay.shared.set(string.rep('k', 257), 1)", "257 bytes is too long"),
        ("relay.shared.set('a', string.rep('x', 65537))", "65537 bytes is too long"),
        ("relay.shared.set('t', 'x') relay.shared.add('t', 1)", "holds a string"),
        ("relay.shared.add('n', 0/0)", "add a finite number"),
    ] {
        let failure = writing(&scene, body).unwrap_err();
        assert!(failure.message.contains(words), "{failure}");
        assert_eq!(failure.line, Some(2), "{failure}");
    }
}
