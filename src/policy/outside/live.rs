//! The world itself: what a relay's jobs reach. It blocks the thread of the job that asks and no other, and lets go of
//! every wait once the jobs are told to stop.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Fetch, Outside, TlsFiles, Unanswered};
use crate::config::settings::{ClientTls, Trust};
use crate::fetch::{Fetcher, Request, Response};
use crate::folder;
use crate::policy::Moment;
use crate::{metrics, tls};

/// The world as it is.
pub(in crate::policy) struct Live {
    fetcher: Fetcher,
    folders: Arc<[PathBuf]>,
    runtime: Handle,
    stop: CancellationToken,
}

impl Live {
    /// Reaches out on `runtime` until `stop`, and reads in `folders`. Blocks on the file system.
    pub(in crate::policy) fn new(
        runtime: Handle,
        folders: Arc<[PathBuf]>,
        stop: CancellationToken,
        metrics: metrics::Policy,
    ) -> Self {
        // A machine need not have CAs: then each request over HTTPS has to name one, and is told so.
        let fetcher = Fetcher::new(tls::Client::of_the_system().ok(), metrics);
        Self { fetcher, folders, runtime, stop }
    }

    /// Waits for `work` on this thread, for at most `left`.
    fn wait<T>(&self, left: Duration, work: impl Future<Output = T>) -> Result<T, Unanswered> {
        let work = self.stop.run_until_cancelled(timeout(left, work));
        match self.runtime.block_on(work) {
            Some(Ok(done)) => Ok(done),
            Some(Err(_elapsed)) => Err(Unanswered::OutOfTime),
            None => Err(Unanswered::OutOfTime),
        }
    }

    fn client(&self, files: &TlsFiles) -> Result<tls::Client, Unanswered> {
        let ca = files.ca.clone().unwrap_or_else(|| tls::system_ca().to_owned());
        let trust = Trust { ca, crl: None, version1_certificates: false };
        let settings = ClientTls { identity: files.identity.clone(), trust, verify_hostnames: true };
        tls::Client::load_from(&settings, &|path| self.content(path)).map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Unanswered::Failed(problems.join("; "))
        })
    }

    fn content(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = if path.is_absolute() { folder::bytes(path) } else { self.find(&path.to_string_lossy()) };
        content.map_err(io::Error::other)
    }

    /// The file `name` of the first folder that has it.
    fn find(&self, name: &str) -> Result<Vec<u8>, String> {
        let mut missing = "there is no folder of policies to read in".to_owned();
        for folder in &*self.folders {
            match folder::inside(folder, name) {
                Ok(path) => return folder::bytes(&path),
                Err(folder::Missing::Absent(why)) => missing = why,
                Err(folder::Missing::Refused(why)) => return Err(why),
            }
        }
        Err(missing)
    }
}

impl Outside for Live {
    fn now(&self) -> Moment {
        Moment::now()
    }

    fn fetch(&self, fetch: Fetch, left: Duration) -> Result<Response, Unanswered> {
        let tls = fetch.tls.map(|files| self.client(&files)).transpose()?;
        let request = Request { tls, ..fetch.request };
        let answer = self.wait(left, self.fetcher.request(request))?;
        answer.map_err(|error| Unanswered::Failed(error.to_string()))
    }

    fn look_up(&self, host: &str, timeout: Duration, left: Duration) -> Result<Vec<IpAddr>, Unanswered> {
        let found = self.wait(left, self.fetcher.lookup(host, timeout))?;
        found.map_err(|error| Unanswered::Failed(error.to_string()))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Unanswered> {
        self.find(name).map_err(|why| Unanswered::Failed(format!("{name:?} {why}")))
    }
}
