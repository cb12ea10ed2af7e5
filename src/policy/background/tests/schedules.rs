//! Runs over time, on a clock of the tests: when jobs run, how they are told of, and that they end.

use super::runner::{Knowledge, Runner};
use super::*;
use crate::metrics::{ByJob, JobRun};
use crate::registry::Publisher;

type Heard = mpsc::Receiver<(String, Instant)>;

/// A runner of `site`, and what it asks of the world.
struct Scheduled {
    metrics: metrics::Jobs,
    turns: Arc<Semaphore>,
    stop: CancellationToken,
    runner: Runner,
    outside: Arc<dyn Outside>,
    heard: Heard,
}

impl Scheduled {
    fn new(site: &Site, jobs: &str) -> Self {
        let (metrics, stop, (outside, heard)) =
            (metrics::Jobs::default(), CancellationToken::new(), MadeUp::listened_to());
        let (turns, known) = (Arc::new(Semaphore::new(1)), knowledge(site));
        let jobs = site.load(jobs).jobs(&stop).remove(0);
        let runner = Runner::new(jobs, known, &metrics, Arc::clone(&turns), stop.clone());
        Self { metrics, turns, stop, runner, outside, heard }
    }

    /// Runs until the world was asked `times` times, and tells what for, and after how many whole seconds. Then the
    /// jobs are told to stop, and end.
    async fn asked(self, times: usize) -> Vec<(String, u64)> {
        let Self { stop, runner, outside, mut heard, .. } = self;
        let began = Instant::now();
        let run = runner.run(ended(), move || outside);
        let listen = async {
            let mut all = Vec::new();
            while all.len() < times {
                let (name, at) = heard.recv().await.unwrap();
                all.push((name, (at - began).as_secs()));
            }
            stop.cancel();
            all
        };
        tokio::join!(run, listen).1
    }
}

fn knowledge(site: &Site) -> Knowledge {
    Knowledge { registry: registry(), world: Arc::clone(&site.world) }
}

fn registry() -> Registry {
    Registry::mirror_of(&Publisher::new(metrics::Registry::default()))
}

/// Jobs before which there were none.
fn ended() -> TaskTracker {
    let none = TaskTracker::new();
    none.close();
    none
}

fn seconds(asked: &[(String, u64)], name: &str) -> Vec<u64> {
    asked.iter().filter(|(asked, _)| asked == name).map(|(_, at)| *at).collect()
}

#[tokio::test(start_paused = true)]
async fn jobs_run_at_once_and_again_after_their_rest_each_on_its_own() {
    let site = Site::new();
    let jobs = "relay.every(10, function() dns.lookup('a') end) relay.every(25, function() dns.lookup('b') end)";
    let asked = Scheduled::new(&site, jobs).asked(9).await;
    assert_eq!(seconds(&asked, "a"), [0, 10, 20, 30, 40, 50]);
    assert_eq!(seconds(&asked, "b"), [0, 25, 50]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_backs_off_and_comes_back_without_harm_to_others() {
    let site = Site::new();
    let jobs = "local n = 0
        relay.every(10, function() n += 1 dns.lookup(n <= 3 and 'nowhere' or 'a') end)
        relay.every(60, function() dns.lookup('b') end)";
    let asked = Scheduled::new(&site, jobs).asked(10).await;
    assert_eq!(seconds(&asked, "nowhere"), [0, 20, 60]);
    assert_eq!(seconds(&asked, "a"), [140, 150, 160, 170]);
    assert_eq!(seconds(&asked, "b"), [0, 60, 120]);
}

#[tokio::test(start_paused = true)]
async fn runs_stay_counted_when_what_is_shown_of_the_present_goes() {
    let site = Site::new();
    let jobs = "relay.every(1, function() dns.lookup('a') end) relay.every(1, function() dns.lookup('nowhere') end)";
    let scheduled = Scheduled::new(&site, jobs);
    let metrics = scheduled.metrics.clone();
    let by = |job| ByJob { policy: "mine".to_owned(), job };
    let asked = scheduled.asked(6).await;
    let ran = |job, result| metrics.runs.get_or_create(&JobRun { policy: "mine".to_owned(), job, result }).get();
    // The last run that was heard of was aborted or not.
    for (job, name, result) in [(1, "a", "succeeded"), (2, "nowhere", "error")] {
        let begun = seconds(&asked, name).len() as u64;
        assert!((begun - 1..=begun).contains(&ran(job, result)), "{asked:?}");
        assert!(metrics.failures.get(&by(job)).is_none() && metrics.last_success.get(&by(job)).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_wait_for_the_end_of_those_before_them() {
    let (site, before) = (Site::new(), TaskTracker::new());
    let last = before.token();
    before.close();
    let Scheduled { stop, runner, outside, mut heard, .. } =
        Scheduled::new(&site, "relay.every(1, function() dns.lookup('a') end)");
    let began = Instant::now();
    let listen = async {
        tokio::time::sleep_until(began + Duration::from_secs(3)).await;
        assert!(heard.try_recv().is_err());
        drop(last);
        let (_, at) = heard.recv().await.unwrap();
        assert_eq!((at - began).as_secs(), 3);
        stop.cancel();
    };
    tokio::join!(runner.run(before, move || outside), listen);
}

#[tokio::test(start_paused = true)]
async fn a_mistake_of_the_relays_own_fails_one_run_and_no_more() {
    let site = Site::new();
    let jobs = "local n = 0
        relay.every(10, function() n += 1 dns.lookup(n == 2 and 'panic' or 'a') end)
        relay.every(10, function() dns.lookup('b') end)";
    let scheduled = Scheduled::new(&site, jobs);
    let metrics = scheduled.metrics.clone();
    let asked = scheduled.asked(9).await;
    // What the engine knew is lost with it: it counts from the beginning.
    assert_eq!(seconds(&asked, "panic"), [10, 40], "{asked:?}");
    assert_eq!(seconds(&asked, "a"), [0, 30], "{asked:?}");
    assert_eq!(seconds(&asked, "b")[..4], [0, 10, 20, 30], "{asked:?}");
    let run = JobRun { policy: "mine".to_owned(), job: 1, result: "error" };
    assert!(metrics.runs.get_or_create(&run).get() >= 1);
}

/// Waits until `key` is in the table, of which nobody would tell.
async fn until_written(site: &Site, key: &str) {
    // By the real clock: the paused one runs ahead of the thread that writes.
    let began = std::time::Instant::now();
    while site.word(key).is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing was written to {key}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn jobs_end_with_their_generation_even_in_the_middle_of_a_run() {
    let (site, tasks, metrics) = (Site::new(), Tasks::new(), Metrics::new());
    let mut background = Background::new(registry(), Arc::clone(&site.world), metrics.policy.clone(), tasks.clone());
    background.replace(&site.load("relay.every(1, function() relay.shared.set('first', 1) while true do end end)"));
    until_written(&site, "first").await;
    background.replace(&site.load("relay.every(1, function() relay.shared.set('second', 1) end)"));
    until_written(&site, "second").await;
    assert_eq!(tasks.len(), 1, "the first generation's runner is gone");
    background.replace(&site.load(""));
    assert!(tasks.ended_within(Duration::from_secs(20)).await, "a policy without jobs has no runner");
    assert!(!metrics.text().contains("policy_job_failures{"), "{}", metrics.text());
}

#[tokio::test]
async fn of_many_generations_in_a_row_the_last_one_works_and_the_others_are_gone() {
    let (site, tasks, metrics) = (Site::new(), Tasks::new(), Metrics::new());
    let mut background = Background::new(registry(), Arc::clone(&site.world), metrics.policy.clone(), tasks.clone());
    for round in 0..100 {
        background.replace(&site.load(&format!("relay.every(1, function() relay.shared.set('{round}', 1) end)")));
    }
    until_written(&site, "99").await;
    assert_eq!(tasks.len(), 1);
    let begun = (0..100).filter(|round| site.word(&round.to_string()).is_some()).count();
    assert_eq!(begun, 1, "nobody was given the time to begin between two");
    background.stop();
    assert!(tasks.ended_within(Duration::from_secs(20)).await);
}

#[tokio::test]
async fn a_stopped_relay_has_no_jobs() {
    let (site, tasks) = (Site::new(), Tasks::new());
    let mut background =
        Background::new(registry(), Arc::clone(&site.world), metrics::Policy::default(), tasks.clone());
    background.replace(&site.load("relay.every(1, function() relay.shared.set('begun', 1) while true do end end)"));
    until_written(&site, "begun").await;
    background.stop();
    assert!(tasks.ended_within(Duration::from_secs(20)).await);
}

#[tokio::test(start_paused = true)]
async fn a_policy_without_jobs_in_between_is_no_way_past_those_that_still_end() {
    let (site, tasks) = (Site::new(), Tasks::new());
    let mut background =
        Background::new(registry(), Arc::clone(&site.world), metrics::Policy::default(), tasks.clone());
    let slow = background.running.runners.token();
    background.replace(&site.load(""));
    background.replace(&site.load("relay.every(1, function() relay.shared.set('begun', 1) end)"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(site.word("begun"), None);
    drop(slow);
    until_written(&site, "begun").await;
    background.stop();
    assert!(tasks.ended_within(Duration::from_secs(20)).await);
}

#[tokio::test(start_paused = true)]
async fn jobs_wait_for_their_turn_and_not_beyond_their_end() {
    let site = Site::new();
    let scheduled = Scheduled::new(&site, "relay.every(1, function() dns.lookup('a') end)");
    let Scheduled { turns, stop, runner, outside, mut heard, .. } = scheduled;
    let taken = Arc::clone(&turns).try_acquire_owned().unwrap();
    let began = Instant::now();
    let listen = async {
        tokio::time::sleep_until(began + Duration::from_secs(3)).await;
        assert!(heard.try_recv().is_err());
        drop(taken);
        let (_, at) = heard.recv().await.unwrap();
        assert_eq!((at - began).as_secs(), 3);
        let _taken = turns.acquire().await.unwrap();
        stop.cancel();
    };
    tokio::join!(runner.run(ended(), move || outside), listen);
}

#[tokio::test(start_paused = true)]
async fn jobs_that_were_stopped_before_they_began_do_not_begin() {
    let site = Site::new();
    let Scheduled { stop, runner, .. } = Scheduled::new(&site, "relay.every(1, function() dns.lookup('a') end)");
    stop.cancel();
    let (told, mut begun) = mpsc::channel(1);
    let outside = move || {
        told.try_send(()).unwrap();
        MadeUp::listened_to().0
    };
    runner.run(ended(), outside).await;
    assert!(begun.recv().await.is_none());
}
