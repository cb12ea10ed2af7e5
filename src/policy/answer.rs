//! Routes as scripts hold them, and what hooks may return: of `route`, one route or a list of routes to be tried in
//! order.

use mlua::{Table, Value};

use super::FailureKind;
use super::facts::{Allowed, Fact, quote};
use super::failure::{self, Complaint, Spot};
use crate::admission::Admission;
use crate::route::{Route, Tags, Target, Way};

/// Longest refusal, in bytes.
const MAX_REFUSAL: usize = 1024;

/// Most targets of one route; what comes after the best of them is not worth the viewer's wait.
const MAX_TARGETS: usize = 64;

const MAKERS: &str = "a route is made by a function of relay, such as relay.direct(worker), relay.via(gateways) or \
     relay.refuse(text)";

/// What a script can decide.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    Route(Route),
    /// The policy of this name decides.
    HandOver(String),
}

/// A decision with the line that made it, where that was asked for. Scripts can only hand it on.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) decision: Decision,
    pub(super) spot: Option<Spot>,
}

/// The route that tries these in order. No more than the first [`MAX_TARGETS`] are kept, nor room for more.
pub(super) fn targets(mut targets: Vec<Target>) -> Route {
    targets.truncate(MAX_TARGETS);
    targets.shrink_to_fit();
    Way::Targets(targets).into()
}

/// What routes with these tags are called when they become one, the first to be tried first: its words for the stream
/// are the likeliest to be true.
pub(super) fn named(tags: impl IntoIterator<Item = Tags>) -> Result<Tags, String> {
    let all = tags.into_iter().fold(Tags::default(), |first, later| later.joined(first));
    match all.iter().count() {
        count if count > Tags::MAX => Err(format!("together they have {count} tags, and may have {}", Tags::MAX)),
        _ => Ok(all),
    }
}

/// The route that says `text`; or what is wrong with the text.
pub(super) fn refusal(text: &[u8]) -> Result<Route, String> {
    if text.len() > MAX_REFUSAL {
        return Err(format!("text has {} bytes, and may have {MAX_REFUSAL}", text.len()));
    }
    match std::str::from_utf8(text) {
        Ok(text) => Ok(Way::Refuse(text.to_owned()).into()),
        Err(error) => Err(format!("text is not UTF-8 from byte {} on", error.valid_up_to())),
    }
}

/// Reads what `route` returned.
pub(super) fn read(value: &Value) -> Result<Made, Complaint> {
    match value {
        Value::Table(list) => read_list(list),
        _ => read_one(value).ok_or_else(|| bad(&format!("route returned {}; {MAKERS}", quote(value)))),
    }
}

/// Reads what `accept` returned.
pub(super) fn read_admission(value: &Value) -> Result<Admission, Complaint> {
    if value.is_nil() {
        return Ok(Admission::default());
    }
    let allowed = value.as_userdata().and_then(|it| it.borrow_scoped(|allowed: &Fact<Allowed>| allowed.0.clone()).ok());
    if let Some(Allowed { limits, tags }) = allowed {
        return Ok(Admission::Allow { limits, tags });
    }
    match read_one(value).map(|made| made.decision) {
        Some(Decision::Route(Route { way: Way::Refuse(text), tags })) => Ok(Admission::Refuse { text, tags }),
        _ => Err(bad(&format!(
            "accept returned {}; it may return relay.allow(options), relay.refuse(text), or nothing",
            quote(value)
        ))),
    }
}

/// Reads what `invariant` returned: what is wrong, if something is.
pub(super) fn read_verdict(value: &Value) -> Result<Option<String>, Complaint> {
    match value {
        Value::Boolean(true) => Ok(None),
        Value::Boolean(false) => Ok(Some("the invariant does not hold".to_owned())),
        Value::String(text) => {
            let shown = failure::beginning(&text.as_bytes(), MAX_REFUSAL).into_owned();
            Ok(Some(failure::printable(&shown, MAX_REFUSAL)))
        }
        other => Err(bad(&format!(
            "invariant returned {}; it must return true, or a text that says what is wrong",
            quote(other)
        ))),
    }
}

fn read_one(value: &Value) -> Option<Made> {
    value.as_userdata()?.borrow_scoped(|made: &Fact<Made>| made.0.clone()).ok()
}

fn read_list(list: &Table) -> Result<Made, Complaint> {
    let length = list.raw_len();
    if length == 0 {
        return Err(bad(&format!("route returned a table that is no list of routes; {MAKERS}")));
    }
    let mut all = Vec::new();
    let (mut spot, mut tags) = (None, Vec::new());
    for position in 1..=length.min(MAX_TARGETS) {
        let value: Value = list.raw_get(position).map_err(|error| bad(&error.to_string()))?;
        let Some(made) = read_one(&value) else {
            return Err(bad(&format!("route returned a list whose number {position} is {}; {MAKERS}", quote(&value))));
        };
        spot = spot.or(made.spot);
        let way = match made.decision {
            _ if length == 1 => return Ok(made),
            Decision::Route(route) => {
                tags.push(route.tags);
                route.way
            }
            Decision::HandOver(_) => {
                return Err(bad("route returned a list that hands over to another policy; that stands alone"));
            }
        };
        match way {
            Way::Targets(more) => all.extend(more),
            Way::Refuse(_) => return Err(bad("route returned a list with a refusal in it; a refusal stands alone")),
            Way::Reply(_) => return Err(bad("route returned a list with a reply in it; a reply stands alone")),
        }
    }
    let tags = named(tags).map_err(|problem| bad(&format!("route returned a list of routes: {problem}")))?;
    Ok(Made { decision: Decision::Route(Route { tags, ..targets(all) }), spot })
}

fn bad(text: &str) -> Complaint {
    Complaint::new(FailureKind::BadRoute, None, text)
}
