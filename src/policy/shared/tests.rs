//! Writes in, readings and accounts out, by a clock that only the test turns.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::metrics::Metrics;

const MINUTE: Duration = Duration::from_secs(60);

fn table(limit: usize) -> SharedTable {
    SharedTable::new(limit, metrics::SharedTable::default())
}

fn roomy() -> SharedTable {
    table(SharedTable::DEFAULT_LIMIT)
}

/// What an entry with a key of one byte and no text counts.
const SMALL: usize = SharedTable::OVERHEAD + 1;

#[test]
fn a_value_is_there_until_its_time_is_over() {
    let (table, start) = (roomy(), Instant::now());
    table.set("for ever", true.into(), None, start).unwrap();
    table.set("a minute", "text".into(), Some(MINUTE), start).unwrap();
    table.set("longer than clocks go", 1.5.into(), Some(Duration::MAX), start).unwrap();
    let just_before = start + MINUTE - Duration::from_nanos(1);
    assert_eq!(table.get("a minute", just_before), Some("text".into()));
    for (key, value) in
        [("for ever", Some(true.into())), ("a minute", None), ("longer than clocks go", Some(1.5.into()))]
    {
        assert_eq!(table.get(key, start + MINUTE), value, "{key}");
    }
    assert_eq!(table.get("never set", start), None);
}

#[test]
fn a_counter_starts_a_new_window_when_the_old_one_is_over() {
    let (table, start) = (roomy(), Instant::now());
    let add = |after| table.add("seen", 2.0, Some(MINUTE), start + after).unwrap();
    assert_eq!([add(Duration::ZERO), add(MINUTE / 2)], [2.0, 4.0]);
    // The second addition did not prolong the window.
    assert_eq!([add(MINUTE), add(MINUTE * 3 / 2), add(MINUTE * 2)], [2.0, 4.0, 2.0]);
}

#[test]
fn a_number_that_was_set_can_be_added_to_and_other_values_cannot() {
    let (table, now) = (roomy(), Instant::now());
    table.set("n", 40.0.into(), None, now).unwrap();
    assert_eq!(table.add("n", 2.0, None, now), Ok(42.0));
    table.set("n", "text".into(), None, now).unwrap();
    let refused = table.add("n", 1.0, None, now).unwrap_err();
    assert_eq!(refused, SharedError::NotANumber { key: "n".to_owned(), found: "string" });
    assert!(matches!(table.add("m", f64::NAN, None, now), Err(SharedError::NotFinite { .. })));
    assert_eq!(table.get("m", now), None);
}

#[test]
fn only_the_first_sets_what_is_new() {
    let (table, now) = (roomy(), Instant::now());
    assert_eq!(table.set_new("leader", "a".into(), Some(MINUTE), now), Ok(true));
    assert_eq!(table.set_new("leader", "b".into(), Some(MINUTE), now), Ok(false));
    assert_eq!(table.get("leader", now), Some("a".into()));
    assert_eq!(table.set_new("leader", "b".into(), Some(MINUTE), now + MINUTE), Ok(true));
}

#[test]
fn keys_are_those_of_the_prefix_in_order_and_no_more_than_asked_for() {
    let (table, now) = (roomy(), Instant::now());
    for key in ["zone/b", "zone/a", "zonf", "zon", "zone/c"] {
        table.set(key, true.into(), None, now).unwrap();
    }
    table.set("zone/aa", true.into(), Some(Duration::ZERO), now).unwrap();
    assert_eq!(table.keys("zone/", 9, now), ["zone/a", "zone/b", "zone/c"]);
    assert_eq!(table.keys("", 2, now), ["zon", "zone/a"]);
    assert!(table.keys("zone/d", 9, now).is_empty());
    assert!(table.remove("zone/a", now) && !table.remove("zone/a", now) && !table.remove("zone/aa", now));
    assert_eq!(table.keys("zone/", 9, now), ["zone/b", "zone/c"]);
}

#[test]
fn a_full_table_says_so_and_makes_room_of_nothing_but_what_expired() {
    let (table, start) = (table(2 * SMALL), Instant::now());
    table.set("a", true.into(), Some(MINUTE), start).unwrap();
    table.set("b", true.into(), None, start).unwrap();
    let full = SharedError::Full { limit: 2 * SMALL, needed: 3 * SMALL };
    assert_eq!(table.set("c", true.into(), None, start), Err(full.clone()));
    assert_eq!(table.add("c", 1.0, None, start), Err(full));
    // The same size in the same place, and after the first entry's time.
    table.set("a", 1.0.into(), Some(MINUTE), start).unwrap();
    table.set("c", true.into(), None, start + MINUTE).unwrap();
    assert_eq!(table.keys("", 9, start + MINUTE), ["b", "c"]);
}

#[test]
fn a_limit_that_is_lowered_loses_nothing_and_refuses_what_would_grow() {
    let (table, now) = (roomy(), Instant::now());
    table.set("a", "12345".into(), None, now).unwrap();
    table.add("n", 1.0, None, now).unwrap();
    table.set_limit(10);
    assert_eq!(table.get("a", now), Some("12345".into()));
    assert_eq!(table.add("n", 1.0, None, now), Ok(2.0));
    assert!(matches!(table.set("a", "123456".into(), None, now), Err(SharedError::Full { limit: 10, .. })));
    assert_eq!(table.get("a", now), Some("12345".into()));
    table.set("a", "54321".into(), None, now).unwrap();
    table.set_limit(1000);
    table.set("a", "123456".into(), None, now).unwrap();
}

#[test]
fn keys_and_texts_have_a_longest_length() {
    let (table, now) = (roomy(), Instant::now());
    let (key, text) = ("k".repeat(256), "t".repeat(64 << 10));
    table.set(&key, text.as_str().into(), None, now).unwrap();
    let said = |key: &str, text: &str| table.set(key, text.into(), None, now).unwrap_err().to_string();
    assert_eq!(said(&(key + "k"), ""), "a key of 257 bytes is too long for the shared table; at most 256 are allowed");
    let long = said("k", &(text + "t"));
    assert_eq!(long, "a text of 65537 bytes is too long for the shared table; at most 65536 are allowed");
}

#[test]
fn expired_entries_go_with_later_writes_and_no_write_clears_them_all() {
    let (table, start) = (roomy(), Instant::now());
    for n in 0..100 {
        table.set(&format!("old {n}"), true.into(), Some(MINUTE), start).unwrap();
    }
    let bytes = table.bytes();
    table.set("x", true.into(), None, start + MINUTE).unwrap();
    let cleared = bytes + SMALL - table.bytes();
    assert!(cleared > 0 && cleared < bytes / 2, "{cleared} of {bytes} bytes");
    for _ in 0..10 {
        table.set("x", true.into(), None, start + MINUTE).unwrap();
    }
    assert_eq!(table.bytes(), SMALL);
}

#[test]
fn purging_clears_everything_that_expired() {
    let (table, start) = (roomy(), Instant::now());
    for n in 0..100 {
        table.set(&format!("old {n}"), true.into(), Some(MINUTE), start).unwrap();
    }
    table.purge(start);
    assert_eq!(table.keys("", 200, start).len(), 100);
    table.purge(start + MINUTE);
    assert_eq!((table.bytes(), table.keys("", 200, start).len()), (0, 0));
}

#[test]
fn four_threads_count_exactly() {
    let (table, now) = (roomy(), Instant::now());
    let count = |own: &str| {
        for _ in 0..5_000 {
            table.add("all", 1.0, Some(MINUTE), now).unwrap();
            table.add(own, 1.0, None, now).unwrap();
            table.set("last", own.into(), None, now).unwrap();
        }
    };
    thread::scope(|scope| {
        for own in ["a", "b", "c", "d"] {
            scope.spawn(move || count(own));
        }
    });
    assert_eq!(table.get("all", now), Some(20_000.0.into()));
    assert_eq!(table.get("d", now), Some(5_000.0.into()));
}

#[test]
fn what_one_thread_wrote_another_reads() {
    let (table, now) = (roomy(), Instant::now());
    let (tell, told) = mpsc::channel();
    let writer = table.clone();
    thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..1_000 {
                writer.set("n", f64::from(n).into(), None, now).unwrap();
                tell.send(n).unwrap();
            }
        });
        for n in told {
            let Some(Value::Number(seen)) = table.get("n", now) else { panic!("{n} is not there") };
            assert!(seen >= f64::from(n), "{seen} after {n}");
        }
    });
}

#[test]
fn reading_and_counting_go_on_while_a_writer_has_its_turn() {
    let (table, now) = (roomy(), Instant::now());
    table.add("n", 1.0, None, now).unwrap();
    let turn = table.0.ledger.lock().unwrap();
    assert_eq!(table.add("n", 1.0, None, now), Ok(2.0));
    assert_eq!(table.get("n", now), Some(2.0.into()));
    assert_eq!(table.keys("", 9, now), ["n"]);
    drop(turn);
}

#[test]
fn entries_make_the_same_table_again() {
    let (table, start) = (roomy(), Instant::now());
    table.set("a", "text".into(), None, start).unwrap();
    table.add("n", 3.0, Some(MINUTE), start).unwrap();
    table.set("old", true.into(), Some(Duration::ZERO), start).unwrap();
    let entries = table.entries(start + MINUTE / 2);
    let left = |entry: &Entry| (entry.key.clone(), entry.expires_in);
    assert_eq!(entries.iter().map(left).collect::<Vec<_>>(), [("a".into(), None), ("n".into(), Some(MINUTE / 2))]);
    let later = start + MINUTE * 5;
    let again = SharedTable::from_entries(entries.clone(), later).unwrap();
    assert_eq!(again.entries(later), entries);
    assert_eq!(again.get("n", later + MINUTE / 2), None);
}

#[test]
fn metrics_show_what_is_held_and_what_was_refused() {
    let (metrics, now) = (Metrics::new(), Instant::now());
    let table = SharedTable::new(2 * SMALL, metrics.policy.shared.clone());
    for key in ["a", "b", "c"] {
        let _outcome = table.set(key, true.into(), None, now);
    }
    table.remove("a", now);
    let text = metrics.text();
    for line in [
        "fingerpost_policy_shared_entries 1".to_owned(),
        format!("fingerpost_policy_shared_bytes {SMALL}"),
        r#"fingerpost_policy_shared_refused_total{reason="full"} 1"#.to_owned(),
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
}

/// What the table should be, the plain way.
#[derive(Default)]
struct Model {
    entries: BTreeMap<String, (Value, Option<Instant>)>,
    limit: usize,
}

impl Model {
    fn forget_expired(&mut self, now: Instant) {
        self.entries.retain(|_, (_, expires)| expires.is_none_or(|expires| now < expires));
    }

    fn size(key: &str, value: &Value) -> usize {
        let text = if let Value::Text(text) = value { text.len() } else { 0 };
        SharedTable::OVERHEAD + key.len() + text
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|(key, (value, _))| Self::size(key, value)).sum()
    }

    fn set(&mut self, key: &str, value: Value, expires: Option<Instant>) -> bool {
        let (new, old) = (Self::size(key, &value), self.entries.get(key).map_or(0, |(old, _)| Self::size(key, old)));
        let fits = new <= old || self.bytes() - old + new <= self.limit;
        if fits {
            self.entries.insert(key.to_owned(), (value, expires));
        }
        fits
    }

    fn add(&mut self, key: &str, expires: Option<Instant>) -> Option<f64> {
        match self.entries.get_mut(key) {
            Some((Value::Number(number), _)) => {
                *number += 1.0;
                Some(*number)
            }
            Some(_) => None,
            None => self.set(key, 1.0.into(), expires).then_some(1.0),
        }
    }
}

/// Numbers that look random and are the same in every run (xorshift64, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn value(&mut self) -> Value {
        match self.below(3) {
            0 => "x".repeat(usize::try_from(self.below(300)).unwrap()).as_str().into(),
            1 => 7.0.into(),
            _ => true.into(),
        }
    }
}

#[test]
fn it_does_what_the_plain_model_does_and_counts_as_it_counts() {
    let (table, mut now) = (table(4_000), Instant::now());
    let (mut model, mut dice) = (Model { limit: 4_000, ..Model::default() }, Dice(20_260_101));
    let mut refused = 0;
    for step in 0..20_000 {
        let key = format!("{}", dice.below(30));
        let ttl = (dice.below(2) == 0).then(|| Duration::from_secs(dice.below(40)));
        let expires = ttl.map(|ttl| now + ttl);
        model.forget_expired(now);
        match dice.below(8) {
            0..=2 => {
                let value = dice.value();
                let fits = model.set(&key, value.clone(), expires);
                refused += usize::from(!fits);
                assert_eq!(table.set(&key, value, ttl, now).is_ok(), fits, "step {step}");
            }
            3 | 4 => assert_eq!(table.add(&key, 1.0, ttl, now).ok(), model.add(&key, expires), "step {step}"),
            5 => assert_eq!(table.remove(&key, now), model.entries.remove(&key).is_some(), "step {step}"),
            6 => now += Duration::from_secs(dice.below(10)),
            _ => {
                model.limit = 1_000 + usize::try_from(dice.below(4_000)).unwrap();
                table.set_limit(model.limit);
            }
        }
        model.forget_expired(now);
        let entries = table.entries(now).into_iter().map(|entry| (entry.key, entry.value)).collect::<Vec<_>>();
        let expected = model.entries.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect::<Vec<_>>();
        assert_eq!(entries, expected, "step {step}");
        if dice.below(10) == 0 {
            table.purge(now);
            assert_eq!(table.bytes(), model.bytes(), "step {step}");
        }
    }
    assert!(refused > 100, "only {refused} writes were refused");
}
