//! The world outside of a case's relay, as background work meets it: answers, addresses and files that the test made
//! up, and what was asked for. Nothing is ever dialled or read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::fetch::Response;
use crate::policy::{Fetch, Moment, Outside, Unanswered};

/// Most requests of one run that are remembered.
const MAX_ASKED: usize = 1000;

/// What a test says that there is.
#[derive(Debug, Clone, Default)]
pub(super) struct Elsewhere {
    /// By URL; an error is that there is no answer, and why.
    pub(super) answers: BTreeMap<String, Result<Response, String>>,
    /// By host.
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    /// By path from the policies' folder on.
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// The same at one moment, with what was asked for.
pub(super) struct Visited {
    elsewhere: Elsewhere,
    at: Moment,
    asked: Mutex<Vec<Asked>>,
}

/// A request that a job sent.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) body: Vec<u8>,
}

impl Visited {
    pub(super) fn new(elsewhere: Elsewhere, at: Moment) -> Arc<Self> {
        Arc::new(Self { elsewhere, at, asked: Mutex::default() })
    }

    /// What was asked for since this was asked last.
    pub(super) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Outside for Visited {
    fn now(&self) -> Moment {
        self.at
    }

    fn fetch(&self, fetch: Fetch, _left: Duration) -> Result<Response, Unanswered> {
        let (method, url, body) = (fetch.request.method, fetch.request.url, fetch.request.body.to_vec());
        let answer = self.elsewhere.answers.get(&url).cloned();
        let unsaid = || Err(format!("the test does not say what {url} answers; say it by test.http"));
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < MAX_ASKED {
            asked.push(Asked { method, url: url.clone(), body });
        }
        answer.unwrap_or_else(unsaid).map_err(Unanswered::Failed)
    }

    fn look_up(&self, host: &str, _timeout: Duration, _left: Duration) -> Result<Vec<IpAddr>, Unanswered> {
        let unsaid = || format!("the test does not say which addresses {host} has; say it by test.dns");
        self.elsewhere.names.get(host).cloned().ok_or_else(|| Unanswered::Failed(unsaid()))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Unanswered> {
        let unsaid = || format!("the test does not say what {name} holds; say it by test.files");
        self.elsewhere.files.get(name).cloned().ok_or_else(|| Unanswered::Failed(unsaid()))
    }
}
