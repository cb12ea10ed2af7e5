//! Routes as data, in a decision log: read back, each is again one that a policy could have made.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize as _, Deserializer, Serializer};

use super::{BadLimit, BadReply, BadTags, Limit, Reply, Tags};

pub(super) fn text<S: Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => to.serialize_some(&**text),
        None => to.serialize_none(),
    }
}

pub(super) fn shared_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<str>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Arc::from))
}

impl From<Limit> for f64 {
    /// Seconds.
    fn from(limit: Limit) -> Self {
        limit.get().as_secs_f64()
    }
}

impl TryFrom<f64> for Limit {
    type Error = BadLimit;

    fn try_from(seconds: f64) -> Result<Self, BadLimit> {
        Self::seconds(seconds)
    }
}

impl From<Reply> for String {
    fn from(reply: Reply) -> Self {
        reply.as_str().to_owned()
    }
}

impl TryFrom<String> for Reply {
    type Error = BadReply;

    fn try_from(text: String) -> Result<Self, BadReply> {
        Self::new(&text)
    }
}

impl TryFrom<BTreeMap<String, String>> for Tags {
    type Error = BadTags;

    /// Of one decision or of several that were joined, so that there may be any number of them.
    fn try_from(pairs: BTreeMap<String, String>) -> Result<Self, BadTags> {
        pairs.into_iter().try_fold(Self::default(), |tags, pair| Ok(tags.joined(Self::new([pair])?)))
    }
}

#[cfg(test)]
mod tests {
    use crate::names::Hostname;
    use crate::route::{Limit, Reply, Route, Tags, Target, TargetKind, Way};

    #[test]
    fn what_is_written_is_read_again() {
        let host = |name: &str| Hostname::parse(name).unwrap();
        let gateway = Target {
            tls: true,
            server_name: Some(host("gw.internal")),
            connect_timeout: Some(Limit::seconds(0.1).unwrap()),
            gateway: Some("gw0000000001".into()),
            ..Target::new(TargetKind::Gateway, host("gw.example"), 79)
        };
        let targets = Way::Targets(vec![gateway, Target::connect(host("edge.example"), 80)]);
        let many = |prefix: &str| Tags::new((0..Tags::MAX).map(|n| (format!("{prefix}{n}"), "x"))).unwrap();
        let ways = [targets, Way::Reply(Reply::new("a\r\n\u{1b}").unwrap()), Way::Refuse(String::new())];
        for (way, tags) in ways.into_iter().zip([Tags::default(), many("a"), many("a").joined(many("b"))]) {
            let route = Route { way, tags };
            let text = serde_json::to_string(&route).unwrap();
            assert_eq!(serde_json::from_str::<Route>(&text).unwrap(), route, "{text}");
        }
    }

    #[test]
    fn what_no_policy_could_have_made_is_refused() {
        for text in [
            r#"{"way":{"reply":""}}"#,
            r#"{"way":{"refuse":"x"},"tags":{"A":"x"}}"#,
            r#"{"way":{"refuse":"x"},"tags":{"a":"\u001b"}}"#,
            r#"{"way":{"refuse":"x"},"more":1}"#,
            r#"{"way":{"dance":"x"}}"#,
        ] {
            assert!(serde_json::from_str::<Route>(text).is_err(), "{text}");
        }
    }
}
