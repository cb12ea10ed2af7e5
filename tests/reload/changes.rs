//! What becomes of the policy, change by change. Each says its number to whoever asks, so that a stream shows which one
//! decided it; every tenth is broken, each time in another way.

use std::time::Instant;

/// What is asked for to learn a policy's number.
pub(crate) const QUESTION: &str = "number";

/// One change in so many is broken.
pub(crate) const BROKEN: u64 = 10;

/// One change of the policy's file.
pub(crate) struct Change {
    /// Counts from 0, the policy at the start.
    pub(crate) number: u64,
    /// What the file becomes.
    pub(crate) text: String,
    /// Whether it may take effect.
    pub(crate) good: bool,
    /// Right before the file was written.
    pub(crate) made: Instant,
}

impl Change {
    pub(crate) fn good(number: u64) -> Self {
        Self { number, text: policy(number), good: true, made: Instant::now() }
    }

    /// The change of that number, which is made now.
    pub(crate) fn numbered(number: u64) -> Self {
        if number.is_multiple_of(BROKEN) {
            Self { text: broken(number), good: false, ..Self::good(number) }
        } else {
            Self::good(number)
        }
    }
}

/// Zuul's own routing, with a number.
pub(crate) fn policy(number: u64) -> String {
    with_route(number, "return relay.direct(request.build.worker, tagged)")
}

/// A policy that must not take effect: for what it is, or for what it would do to the builds that run.
fn broken(number: u64) -> String {
    match number / BROKEN % 6 {
        0 => policy(number) + "end",
        1 => policy(number).replace("return policy", "local none = nil\nreturn none.policy"),
        2 => policy(number).replace("policy.route", "policy.rout"),
        3 => "while true do end\n".to_owned() + &policy(number),
        4 => with_route(number, "return relay.direct(request.build.workers, tagged)"),
        _ => with_route(number, "return relay.refuse('closed', tagged)"),
    }
}

fn with_route(number: u64, last: &str) -> String {
    format!(
        "--!strict
local policy = {{ api = 1 }}
local tagged = {{ tags = {{ policy = '{number}' }} }}

function policy.route(request)
  if request.query == '{QUESTION}' then
    return relay.reply('{number}', tagged)
  end
  {last}
end

return policy
"
    )
}
