//! Candidates that do well and candidates that do not, on a clock that is made up.

use std::time::{Duration, Instant, SystemTime};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A course, and the time on it.
struct Run {
    course: Course,
    now: Moment,
}

impl Run {
    fn new(percent: u8, steps: &[u8]) -> Self {
        let now = Moment { wall: SystemTime::UNIX_EPOCH, tick: Instant::now() };
        let canary = Canary { percent, steps: steps.to_vec(), ..Canary::default() };
        Self { course: Course::new(canary, now), now }
    }

    /// Lets time pass, in which both decided `count` requests and the candidate failed at `wrong`.
    fn decided(&mut self, minutes: u32, count: u64, wrong: u64) -> Option<Turn> {
        self.now.tick += MINUTE * minutes;
        self.now.wall += MINUTE * minutes;
        self.course.decided(Pair { active: Tally::new(count, 0), candidate: Tally::new(count, wrong) });
        self.course.advance(self.now)
    }

    /// Lets streams end at once: of each policy how many, and how many of these failed.
    fn ended(&mut self, active: (u64, u64), candidate: (u64, u64)) -> Option<Turn> {
        let [active, candidate] = [active, candidate].map(|(count, wrong)| Tally::new(count, wrong));
        self.course.ended(Pair { active, candidate });
        self.course.advance(self.now)
    }
}

fn rolled_back(turn: Option<Turn>) -> Option<String> {
    match turn? {
        Turn::RolledBack { why, .. } => Some(why.to_string()),
        Turn::Grew { .. } => None,
    }
}

#[test]
fn a_candidate_without_steps_stays_where_it_is() {
    for percent in [0, 5, 100] {
        let mut run = Run::new(percent, &[]);
        assert_eq!(run.decided(100_000, 1000, 0), None);
        assert_eq!(run.ended((1000, 0), (1000, 0)), None);
        assert_eq!((run.course.percent(), run.course.ahead()), (percent, None));
    }
}

#[test]
fn a_candidate_that_does_well_grows_step_by_step() {
    let mut run = Run::new(0, &[5, 25, 100]);
    assert_eq!(run.decided(9, 20, 0), None, "ten minutes are not over");
    assert_eq!(
        run.decided(1, 0, 0),
        Some(Turn::Grew { from: 0, to: 5 }),
        "with no share there is no stream to wait for"
    );
    assert_eq!(run.course.since(), run.now);
    assert_eq!(run.decided(60, 1000, 0), None, "no stream of its own has ended");
    assert_eq!(run.course.ahead(), Some(Ahead { percent: 25, decisions: 0, streams: 20 }));
    assert_eq!(run.ended((500, 0), (19, 0)), None);
    assert_eq!(run.ended((0, 0), (1, 0)), Some(Turn::Grew { from: 5, to: 25 }));
    assert_eq!(run.ended((0, 0), (20, 0)), None, "the next ten minutes have only begun");
    assert_eq!(run.decided(10, 0, 0), Some(Turn::Grew { from: 25, to: 100 }));
    assert_eq!(run.ended((0, 0), (500, 0)), None);
    assert_eq!((run.decided(1000, 1000, 0), run.course.percent()), (None, 100));
}

#[test]
fn streams_of_a_smaller_share_are_no_evidence_for_the_next_step() {
    let mut run = Run::new(1, &[5, 25]);
    run.decided(10, 100, 0);
    assert_eq!(run.ended((0, 0), (400, 0)), Some(Turn::Grew { from: 1, to: 5 }));
    assert_eq!(run.decided(10, 0, 0), None);
    assert_eq!(run.course.ahead().map(|ahead| ahead.streams), Some(20));
}

#[test]
fn errors_take_the_share_away_from_enough_decisions_on() {
    let mut run = Run::new(5, &[100]);
    assert_eq!(run.decided(0, 19, 19), None, "too few to tell");
    let why = rolled_back(run.decided(0, 1, 0));
    let expected = "19 of 20 of its decisions were errors, of the active policy's 0 of 20; 5 % more are allowed";
    assert_eq!(why.as_deref(), Some(expected));
    assert_eq!((run.course.percent(), run.course.since()), (0, run.now));
}

#[test]
fn a_candidate_that_only_decides_beside_grows_to_nothing_with_errors() {
    let mut run = Run::new(0, &[5]);
    assert!(rolled_back(run.decided(0, 100, 6)).is_some());
    assert_eq!(run.decided(1000, 100_000, 0), None);
    assert_eq!(run.course.percent(), 0);
}

#[test]
fn a_candidate_that_can_get_no_share_has_none_to_lose() {
    assert_eq!(Run::new(0, &[]).decided(0, 100, 100), None);
}

#[test]
fn errors_that_the_active_policy_makes_as_well_are_no_reason() {
    let mut run = Run::new(5, &[]);
    run.course.decided(Pair { active: Tally::new(100, 40), candidate: Tally::new(100, 45) });
    assert_eq!(run.course.advance(run.now), None);
    run.course.decided(Pair { active: Tally::new(100, 40), candidate: Tally::new(100, 46) });
    assert!(run.course.advance(run.now).is_some());
}

#[test]
fn streams_that_fail_more_often_than_the_active_policys_take_the_share_away() {
    let mut run = Run::new(5, &[]);
    assert_eq!(run.ended((100, 10), (20, 3)), None, "15 % beside 10 % is within the margin");
    let why = rolled_back(run.ended((0, 0), (0, 0)).or_else(|| run.ended((0, 0), (5, 1))));
    let expected = "4 of 25 of its streams failed, of the active policy's 10 of 100; 5 % more are allowed";
    assert_eq!(why.as_deref(), Some(expected));
}

#[test]
fn where_the_active_policy_decides_nothing_its_last_streams_count() {
    let mut run = Run::new(50, &[100]);
    run.decided(10, 20, 0);
    assert_eq!(run.ended((100, 50), (20, 0)), Some(Turn::Grew { from: 50, to: 100 }));
    assert_eq!(run.ended((0, 0), (100, 50)), None);
    assert!(rolled_back(run.ended((0, 0), (100, 65))).is_some());
    let mut alone = Run::new(100, &[]);
    assert!(
        rolled_back(alone.ended((0, 0), (20, 2))).is_some(),
        "a policy of which nothing is known is thought well of"
    );
}

#[test]
fn a_failure_that_comes_late_is_seen_for_all_the_success_before() {
    let mut run = Run::new(100, &[]);
    assert_eq!(run.ended((0, 0), (10_000_000, 0)), None);
    let late = (0..100).find_map(|_| run.ended((0, 0), (1, 1)));
    assert!(rolled_back(late).is_some());
}

#[test]
fn a_rollback_outlives_other_terms_and_a_step_those_that_leave_the_plan_alone() {
    let mut run = Run::new(1, &[5, 25]);
    run.decided(10, 100, 0);
    run.ended((0, 0), (20, 0));
    assert_eq!(run.course.percent(), 5);
    let terms = |percent, min_streams| Canary {
        percent,
        steps: vec![5, 25],
        rollback: Rollback { min_streams, ..Rollback::default() },
        ..Canary::default()
    };
    let now = Moment { tick: run.now.tick + MINUTE, ..run.now };
    assert_eq!(run.course.resumed(terms(1, 7), now).percent(), 5);
    assert_eq!(run.course.resumed(terms(1, 7), now).since(), run.now);
    assert_eq!(run.course.resumed(terms(0, 20), now).percent(), 0);
    run.decided(0, 1000, 1000);
    for terms in [terms(1, 7), terms(0, 20)] {
        let resumed = run.course.resumed(terms, now);
        assert!(matches!(resumed.stage(), Stage::RolledBack(5, _)) && resumed.percent() == 0);
    }
}
