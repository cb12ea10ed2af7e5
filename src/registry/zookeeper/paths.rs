//! Where Zuul keeps what a relay looks at, and what an event's path is about. No path is made from anything that was
//! not parsed first.

use crate::names::{BuildId, Zone};
use crate::registry::malformed::Defect;

/// Below it stand the kinds of components, and below these the components.
pub(crate) const COMPONENTS: &str = "/zuul/components";

/// Below it stand `unzoned` and `zones/<zone>`, each a queue of builds.
pub(crate) const EXECUTOR: &str = "/zuul/executor";

/// The parts of a queue that Zuul's gateway creates when they are absent. Only the first is of interest here.
pub(crate) const QUEUE_PARTS: [&str; 6] = ["requests", "params", "results", "result-data", "waiters", "locks"];

/// Below it stand the zones.
pub(super) const ZONES: &str = "/zuul/executor/zones";

/// The parent of a zone's build requests; without a zone, of those that asked for none.
pub(super) fn requests(zone: Option<&Zone>) -> String {
    match zone {
        None => format!("{EXECUTOR}/unzoned/requests"),
        Some(zone) => format!("{ZONES}/{zone}/requests"),
    }
}

/// A znode that is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// A build request in the queue of a zone, or of none.
    Build(Option<Zone>, BuildId),
    /// A component: its kind and the name of its znode.
    Component(Box<str>, Box<str>),
}

impl Place {
    /// What stands at `path`; `None` where nothing of interest does, such as below a build.
    pub(super) fn of(path: &str) -> Result<Option<Self>, Defect> {
        if let Some((kind, id)) = below(path, COMPONENTS).and_then(|rest| rest.split_once('/')) {
            return Ok((!id.contains('/')).then(|| Self::Component(kind.into(), id.into())));
        }
        let Some((zone, uuid)) = queued(path) else { return Ok(None) };
        let zone = zone.map(|zone| Zone::parse(zone).ok_or(Defect::BadName)).transpose()?;
        let uuid = BuildId::parse(uuid).ok_or(Defect::BadName)?;
        Ok(Some(Self::Build(zone, uuid)))
    }

    /// Where it stands.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Build(zone, uuid) => format!("{}/{uuid}", requests(zone.as_ref())),
            Self::Component(kind, id) => format!("{COMPONENTS}/{kind}/{id}"),
        }
    }
}

/// The zone and the last part of a path right below a queue's `requests`.
fn queued(path: &str) -> Option<(Option<&str>, &str)> {
    let rest = below(path, EXECUTOR)?;
    let mut parts = rest.split('/');
    let zone = match parts.next()? {
        "unzoned" => None,
        "zones" => Some(parts.next()?),
        _ => return None,
    };
    let uuid = (parts.next()? == "requests").then(|| parts.next())??;
    parts.next().is_none().then_some((zone, uuid))
}

fn below<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    path.strip_prefix(parent)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_again_at_their_paths() {
        let uuid = BuildId::parse("0123abcd").unwrap();
        for place in [
            Place::Build(None, uuid.clone()),
            Place::Build(Zone::parse("eu"), uuid),
            Place::Component("fingergw".into(), "gw0000000001".into()),
        ] {
            assert_eq!(Place::of(&place.path()), Ok(Some(place)));
        }
    }

    #[test]
    fn neighbours_and_children_are_of_no_interest() {
        for path in [
            "/zuul/components",
            "/zuul/components/fingergw",
            "/zuul/components/fingergw/a/b",
            "/zuul/executor/unzoned/requests",
            "/zuul/executor/unzoned/requests/0123/cancel",
            "/zuul/executor/unzoned/locks/0123",
            "/zuul/executor/zones/eu",
            "/zuul/executor/zones/eu/requests",
            "/zuul/executor/zones/eu/requests/0123/resume",
            "/zuul/executor/other/requests/0123",
            "/zuul/executors/unzoned/requests/0123",
            "/zuul/componentsx/fingergw/a",
            "",
        ] {
            assert_eq!(Place::of(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn a_request_that_is_not_called_by_a_uuid_is_told() {
        assert_eq!(Place::of("/zuul/executor/unzoned/requests/xyz"), Err(Defect::BadName));
        assert_eq!(Place::of("/zuul/executor/zones/../requests/0123"), Err(Defect::BadName));
    }
}
