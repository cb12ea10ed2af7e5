//! What is at hand is of the call that runs, and nobody can tell it from what is not.

use super::*;

const ZONE: &str = "local build = request.build return relay.refuse(`{build and build.worker.zone}`)";

#[test]
fn facts_of_an_earlier_call_still_tell_their_own() {
    let policy = load(
        "local policy, first = { api = 1 }, nil function policy.route(request) first = first or request \
         return relay.refuse(`{first.build.worker.zone} {request.build.worker.zone}`) end return policy",
    );
    assert_eq!(hosts(&Scene::running_in(Some("a")).ask(&policy).unwrap()), ["refused: a a"]);
    assert_eq!(hosts(&Scene::running_in(Some("b")).ask(&policy).unwrap()), ["refused: a b"]);
}

#[test]
fn nothing_is_left_of_the_call_before() {
    let policy = routing(ZONE);
    assert_eq!(hosts(&Scene::running_in(Some("a")).ask(&policy).unwrap()), ["refused: a"]);
    assert_eq!(hosts(&Scene::running_in(None).ask(&policy).unwrap()), ["refused: nil"]);
    assert_eq!(hosts(&Scene::without_build().ask(&policy).unwrap()), ["refused: nil"]);
}

#[test]
fn any_number_of_workers_is_told_apart() {
    let policy = routing(ZONE);
    for number in 0..1_100 {
        let route = Scene::running_in(Some(&format!("z{number}"))).ask(&policy).unwrap();
        assert_eq!(hosts(&route), [format!("refused: z{number}")]);
    }
}
