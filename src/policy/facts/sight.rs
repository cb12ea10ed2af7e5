//! What scripts read of what this relay has seen of a target.

use std::time::Duration;

use mlua::Value;

use super::{Described, Field, NUMBER, TEXT, field, optional};
use crate::policy::description::Type;
use crate::upstream::Observed;

impl Described for Observed {
    const NAME: &'static str = "Sight";
    const ABOUT: &'static str = "What this relay has seen of somebody it dialled.";
    const FIELDS: &'static [Field<Self>] = &[
        field("open_streams", Type::Number, "Streams of this relay that it carries now.", |_, sight| {
            Ok(Value::Number(f64::from(sight.open_streams)))
        }),
        field(
            "consecutive_failures",
            Type::Number,
            "How often in a row it failed; 0 since a stream reached it.",
            |_, sight| Ok(Value::Number(f64::from(sight.consecutive_failures))),
        ),
        field(
            "last_error",
            TEXT,
            "Its last failure in a word, the result of the metric fingerpost_targets_dialled_total; kept when it works again.",
            |lua, sight| optional(lua, sight.last_error.as_deref()),
        ),
        field("failed_ago", NUMBER, "How many seconds ago that was.", |_, sight| Ok(seconds(sight.failed_ago))),
        field("reached_ago", NUMBER, "How many seconds ago it was last sent a request.", |_, sight| {
            Ok(seconds(sight.reached_ago))
        }),
        field(
            "round_trip",
            NUMBER,
            "How many seconds a segment and its acknowledgement take, smoothed over its connections.",
            |_, sight| Ok(seconds(sight.round_trip)),
        ),
    ];
}

fn seconds(time: Option<Duration>) -> Value {
    time.map_or(Value::Nil, |time| Value::Number(time.as_secs_f64()))
}
