//! What holds for one stream from its request to its end, whatever is loaded meanwhile. It never changes.

use std::sync::Arc;

use super::expiry::Expiry;
use crate::admission::Limits;
use crate::config::settings;
use crate::shared::Deciding;

/// What decided about a stream, and within which limits it goes on.
pub(super) struct Terms {
    pub(super) deciding: Arc<Deciding>,
    pub(super) expiry: Expiry,
    /// How bytes are moved, where the policy said something of this very stream.
    own: Option<Box<settings::Stream>>,
}

impl Terms {
    pub(super) fn new(deciding: Arc<Deciding>, limits: &Limits, expiry: Expiry) -> Self {
        let own = limits.apply(&deciding.generation.settings.stream).map(Box::new);
        Self { deciding, expiry, own }
    }

    /// How bytes are moved.
    pub(super) fn stream(&self) -> &settings::Stream {
        self.own.as_deref().unwrap_or(&self.deciding.generation.settings.stream)
    }
}
