//! In what two decisions differ, in sentences. It knows nothing of why.

use std::collections::BTreeMap;

use super::decision::{Answer, Decision, Invariant};
use crate::route::{Limit, Reply, Tags, Target, Way};

/// Most lines of two replies that are told apart.
const MAX_LINES: usize = 20;

/// How `then` differs from `now`; nothing if the viewer gets the same from the same place under the same tags. Who
/// decided is told only where something else differs: other scripts always do.
pub(super) fn between(now: &Decision, then: &Decision) -> Vec<String> {
    let mut differences = of_answers(&now.answer, &then.answer);
    differences.extend(of_invariants(now.invariant.as_ref(), then.invariant.as_ref()));
    if !differences.is_empty() && now.spot() != then.spot() {
        differences.push(format!("decided by {} instead of {}", spot(then), spot(now)));
    }
    differences
}

fn spot(decision: &Decision) -> String {
    let (file, line) = decision.spot();
    line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}

fn of_answers(now: &Answer, then: &Answer) -> Vec<String> {
    let mut differences = match (now, then) {
        (Answer::Routed(now), Answer::Routed(then)) => of_ways(&now.route.way, &then.route.way),
        _ => of_outcomes(&outcome(now), &outcome(then)),
    };
    differences.extend(of_tags(tags(now), tags(then)));
    differences
}

fn of_ways(now: &Way, then: &Way) -> Vec<String> {
    match (now, then) {
        (Way::Targets(now), Way::Targets(then)) => of_targets(now, then),
        (Way::Reply(now), Way::Reply(then)) => of_replies(now, then),
        _ => of_outcomes(&way(now), &way(then)),
    }
}

fn of_outcomes(now: &str, then: &str) -> Vec<String> {
    if now == then { Vec::new() } else { vec![format!("the viewer gets {then} instead of {now}")] }
}

/// An invariant that holds is as good as none.
fn of_invariants(now: Option<&Invariant>, then: Option<&Invariant>) -> Option<String> {
    let [now, then] = [now, then].map(|invariant| invariant.filter(|invariant| **invariant != Invariant::Holds));
    match then {
        _ if now == then => None,
        None | Some(Invariant::Holds) => Some("without breaking an invariant".to_owned()),
        Some(Invariant::Broken(text)) => Some(format!("the invariant is broken: {text}")),
        Some(Invariant::Failed(failure)) => Some(format!("the invariant fails: {failure}")),
    }
}

/// What the viewer gets, in few words.
fn outcome(answer: &Answer) -> String {
    match answer {
        Answer::Routed(explained) => way(&explained.route.way),
        Answer::TurnedAway(text, _) => format!("{text:?} before it could ask"),
        Answer::Failed(failure) => format!("\"Internal streaming error\" (the policy fails: {failure})"),
    }
}

fn way(way: &Way) -> String {
    match way {
        Way::Targets(_) => "a log".to_owned(),
        Way::Reply(reply) => format!("a reply of {} bytes", reply.as_str().len()),
        Way::Refuse(text) => format!("{text:?}"),
    }
}

fn of_targets(now: &[Target], then: &[Target]) -> Vec<String> {
    let [before, after] = [now, then].map(|targets| targets.iter().map(ToString::to_string).collect::<Vec<_>>());
    let gone = missing(&before, &after).map(|(number, name)| format!("without {name}, which was {number}."));
    let new = missing(&after, &before).map(|(number, name)| format!("with {name} as {number}."));
    let mut differences: Vec<_> = gone.chain(new).collect();
    let kept = |names: &[String], others: &[String]| {
        names.iter().filter(|name| others.contains(name)).cloned().collect::<Vec<_>>().join(", ")
    };
    let (order_before, order_after) = (kept(&before, &after), kept(&after, &before));
    if order_before != order_after {
        differences.push(format!("in the order {order_after} instead of {order_before}"));
    }
    for target in then {
        // Of targets that only look alike, any stands for all.
        let same = now.iter().find(|other| other.to_string() == target.to_string());
        differences.extend(same.into_iter().flat_map(|now| of_wishes(now, target)));
    }
    differences
}

/// Those of `names` that are not among `others`, with their numbers.
fn missing<'a>(names: &'a [String], others: &'a [String]) -> impl Iterator<Item = (usize, &'a String)> {
    (1..).zip(names).filter(|(_, name)| !others.contains(name))
}

/// What is to be done differently with one target.
fn of_wishes(now: &Target, then: &Target) -> Vec<String> {
    let limits = [
        ("connected", now.connect_timeout, then.connect_timeout),
        ("shaken hands", now.handshake_timeout, then.handshake_timeout),
    ];
    let changed = limits.into_iter().filter(|(_, before, after)| before != after);
    changed
        .map(|(what, before, after)| format!("{then}, to be {what} {} instead of {}", within(after), within(before)))
        .collect()
}

fn within(limit: Option<Limit>) -> String {
    limit.map_or_else(
        || "as configured".to_owned(),
        |limit| format!("within {}", humantime::format_duration(limit.get())),
    )
}

/// Replies by their lines: long lists differ in a few.
fn of_replies(now: &Reply, then: &Reply) -> Vec<String> {
    if now == then {
        return Vec::new();
    }
    let [before, after] = [now, then].map(|reply| reply.as_str().lines().collect::<Vec<_>>());
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("without the line {line:?}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("with the line {line:?}"));
    let mut lines: Vec<_> = gone.chain(new).collect();
    if lines.is_empty() {
        return vec!["the viewer gets the same lines in another order, or other ends of lines".to_owned()];
    }
    let more = lines.len().saturating_sub(MAX_LINES);
    lines.truncate(MAX_LINES);
    lines.extend((more > 0).then(|| format!("and {more} lines more")));
    lines
}

fn tags(answer: &Answer) -> Option<&Tags> {
    match answer {
        Answer::Routed(explained) => Some(&explained.route.tags),
        Answer::TurnedAway(_, tags) => Some(tags),
        Answer::Failed(_) => None,
    }
}

fn of_tags(now: Option<&Tags>, then: Option<&Tags>) -> Vec<String> {
    let [before, after] = [now, then].map(|tags| tags.into_iter().flat_map(Tags::iter).collect::<BTreeMap<_, _>>());
    let gone = before
        .iter()
        .filter(|(key, _)| !after.contains_key(*key))
        .map(|(key, value)| format!("without the tag {key}={value}"));
    let new = after.iter().filter_map(|(key, value)| match before.get(key) {
        None => Some(format!("with the tag {key}={value}")),
        Some(old) if old != value => Some(format!("with the tag {key}={value} instead of {key}={old}")),
        Some(_) => None,
    });
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Hostname;

    fn target(name: &str) -> Target {
        Target::connect(Hostname::parse(name).unwrap(), 79)
    }

    fn targets(names: &[&str]) -> Way {
        Way::Targets(names.iter().map(|name| target(name)).collect())
    }

    fn reply(text: &str) -> Way {
        Way::Reply(Reply::new(text).unwrap())
    }

    #[test]
    fn equal_ways_differ_in_nothing() {
        for way in [targets(&["a", "b"]), reply("x\ny"), Way::Refuse("no".to_owned())] {
            assert_eq!(of_ways(&way, &way.clone()), [""; 0]);
        }
    }

    #[test]
    fn targets_come_and_go_and_change_places() {
        let differences = of_ways(&targets(&["a", "b", "c"]), &targets(&["c", "d", "b"]));
        assert_eq!(
            differences,
            [
                "without connect a:79, which was 1.",
                "with connect d:79 as 2.",
                "in the order connect c:79, connect b:79 instead of connect b:79, connect c:79",
            ]
        );
        let twice = of_ways(&targets(&["a"]), &targets(&["a", "a"]));
        assert_eq!(twice, ["in the order connect a:79, connect a:79 instead of connect a:79"]);
    }

    #[test]
    fn one_target_may_be_waited_for_longer() {
        let patient = |seconds| Target { connect_timeout: Some(Limit::seconds(seconds).unwrap()), ..target("a") };
        assert_eq!(
            of_targets(&[patient(2.0)], &[patient(3.0)]),
            ["connect a:79, to be connected within 3s instead of within 2s"]
        );
        assert_eq!(
            of_targets(&[patient(2.0)], &[target("a")]),
            ["connect a:79, to be connected as configured instead of within 2s"]
        );
    }

    #[test]
    fn replies_differ_by_their_lines() {
        assert_eq!(
            of_ways(&reply("a\nb\n"), &reply("b\nc\u{7}\n")),
            ["without the line \"a\"", "with the line \"c\\u{7}\""]
        );
        let order = "the viewer gets the same lines in another order, or other ends of lines";
        assert_eq!(of_ways(&reply("a\nb\n"), &reply("b\r\na\n")), [order]);
        let long: String = (0..MAX_LINES + 5).map(|number| format!("{number}\n")).collect();
        let differences = of_ways(&reply("0\n"), &reply(&long));
        assert_eq!((differences.len(), differences[MAX_LINES].as_str()), (MAX_LINES + 1, "and 4 lines more"));
    }

    #[test]
    fn a_refusal_is_no_reply_and_no_log() {
        let refusal = Way::Refuse("closed".to_owned());
        assert_eq!(of_ways(&targets(&["a"]), &refusal), ["the viewer gets \"closed\" instead of a log"]);
        assert_eq!(of_ways(&refusal, &reply("west")), ["the viewer gets a reply of 4 bytes instead of \"closed\""]);
        let other = Way::Refuse("open".to_owned());
        assert_eq!(of_ways(&refusal, &other), ["the viewer gets \"open\" instead of \"closed\""]);
    }

    #[test]
    fn an_invariant_that_holds_is_as_good_as_none() {
        let broken = Invariant::Broken("no way back".to_owned());
        assert_eq!(of_invariants(None, Some(&Invariant::Holds)), None);
        assert_eq!(of_invariants(Some(&broken), Some(&broken)), None);
        let text = of_invariants(Some(&Invariant::Holds), Some(&broken));
        assert_eq!(text.as_deref(), Some("the invariant is broken: no way back"));
        assert_eq!(of_invariants(Some(&broken), None).as_deref(), Some("without breaking an invariant"));
    }

    #[test]
    fn tags_come_and_go_and_change() {
        let before = Tags::new([("a", "1"), ("b", "2"), ("c", "3")]).unwrap();
        let after = Tags::new([("b", "2"), ("c", "4"), ("d", "5")]).unwrap();
        assert_eq!(
            of_tags(Some(&before), Some(&after)),
            ["without the tag a=1", "with the tag c=4 instead of c=3", "with the tag d=5"]
        );
        assert_eq!(of_tags(None, Some(&Tags::default())), [""; 0]);
    }
}
