//! Policies whose generation decides no more, while streams that they decided live on for hours. They are kept by those
//! streams, with their text, to be told how each of them ends; engines, which are the most of a policy, are not kept
//! for that.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Policy, Scripts};

/// All of one relay's that are still in memory. Never holds one itself.
#[derive(Default)]
pub struct Retired(Mutex<Vec<Weak<Scripts>>>);

impl Retired {
    /// Adds `policies`, and has all give back the engines that nothing runs on. One that is told of an end later starts
    /// an engine for it, and keeps it until this is called again.
    pub fn add<'a>(&self, policies: impl IntoIterator<Item = &'a Policy>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(policies.into_iter().map(|Policy(scripts)| Arc::downgrade(scripts)));
        all.retain(|policy| policy.upgrade().inspect(|scripts| scripts.rest()).is_some());
    }
}

impl fmt::Debug for Retired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retired").finish_non_exhaustive()
    }
}
