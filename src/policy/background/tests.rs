//! What policies may expect of their background work: on real scripts, with a world that is made up or one of loopback
//! sockets.

mod live;
mod runs;
mod schedules;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::settings;
use crate::fetch::Response;
use crate::metrics::Metrics;
use crate::policy::shared::Value;
use crate::policy::tests::{Scene, here, hosts};
use crate::policy::{Failure, Fetch, Jobs, LoadError, Moment, Unanswered};

/// Ends every policy of these tests: they decide by what their jobs wrote.
const ROUTE: &str = "
return { api = 1, route = function(request) return relay.refuse(tostring(relay.shared.get('word'))) end }";

/// A policy in a folder, with the world that it shares.
struct Site {
    dir: TempDir,
    limits: settings::Policy,
    world: Arc<World>,
}

/// Jobs of a site, with what they reach.
struct Hands {
    jobs: Jobs,
    world: Arc<World>,
    outside: Arc<dyn Outside>,
    stop: CancellationToken,
}

/// A world in which every name has one address, but for `nowhere`, in which waiting for `never`
/// takes too long, and which breaks at `panic`.
struct MadeUp {
    /// Told of each name that is looked up, and when.
    asked: mpsc::Sender<(String, Instant)>,
}

impl Site {
    fn new() -> Self {
        let background = settings::Background { deadline: Duration::from_secs(20), ..Default::default() };
        let limits = settings::Policy { background, ..settings::Policy::default() };
        Self { dir: tempfile::tempdir().unwrap(), limits, world: Arc::default() }
    }

    fn load(&self, jobs: &str) -> Policy {
        self.try_load(jobs).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The policy `mine`, whose jobs begin in line 1.
    fn try_load(&self, jobs: &str) -> Result<Policy, LoadError> {
        let file = self.dir.path().join("mine.lua");
        std::fs::write(&file, format!("{jobs}{ROUTE}")).unwrap();
        let settings = settings::Policy { file: Some(file), ..self.limits.clone() };
        Policy::load(&settings, here(), Metrics::new().policy.clone())
    }

    /// The jobs of such a policy, in a made-up world.
    fn hands(&self, jobs: &str) -> Hands {
        // More than any test asks; what nobody hears is not told.
        let (outside, _unheard) = MadeUp::listened_to();
        self.hands_in(outside, jobs)
    }

    fn hands_in(&self, outside: Arc<dyn Outside>, jobs: &str) -> Hands {
        let stop = CancellationToken::new();
        let jobs = self.load(jobs).jobs(&stop).remove(0);
        Hands { jobs, world: Arc::clone(&self.world), outside, stop }
    }

    fn word(&self, key: &str) -> Option<Value> {
        self.world.shared.get(key, Moment::now().tick)
    }
}

impl Hands {
    fn run(&mut self, job: usize) -> Result<(), Failure> {
        let snapshot = Arc::default();
        let known = crate::policy::Known { snapshot: &snapshot, world: &self.world, at: self.outside.now() };
        self.jobs.run(job, &known, &self.outside)
    }

    /// Why a run of the first job fails.
    fn failure(&mut self) -> Failure {
        self.run(0).unwrap_err()
    }
}

impl MadeUp {
    fn listened_to() -> (Arc<dyn Outside>, mpsc::Receiver<(String, Instant)>) {
        let (asked, heard) = mpsc::channel(1000);
        (Arc::new(Self { asked }), heard)
    }
}

impl Outside for MadeUp {
    fn now(&self) -> Moment {
        Moment::now()
    }

    fn fetch(&self, fetch: Fetch, _left: Duration) -> Result<Response, Unanswered> {
        let told = format!("{} {}", fetch.request.method, fetch.request.url);
        let headers = vec![("x-a".to_owned(), "1".into()), ("x-a".to_owned(), "2".into())];
        Ok(Response { status: 404, headers, body: told.into() })
    }

    fn look_up(&self, host: &str, _timeout: Duration, left: Duration) -> Result<Vec<IpAddr>, Unanswered> {
        assert!(left <= Duration::from_secs(20), "{left:?}");
        // Whoever does not listen any more has heard enough.
        let _unheard = self.asked.try_send((host.to_owned(), Instant::now()));
        match host {
            "nowhere" => Err(Unanswered::Failed("there is no such name".to_owned())),
            "never" => Err(Unanswered::OutOfTime),
            "panic" => panic!("as if the relay had a mistake"),
            _ => Ok(vec![IpAddr::from([192, 0, 2, 1])]),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Unanswered> {
        Ok(name.as_bytes().to_vec())
    }
}
