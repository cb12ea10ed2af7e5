//! `fingerpost policy`: what helps whoever writes a policy.

mod diff;
mod reference;
mod repl;
mod replay;
mod shadow;
mod test;

use std::io::Write;

use clap::Subcommand;

use crate::cli::Exit;
use crate::config::Environment;
pub use diff::Diff;
pub use reference::{Form, Reference};
pub use repl::Repl;
pub use replay::Replay;
pub use shadow::Shadow;
pub use test::Test;

/// The commands for whoever writes a policy. These comments are their help and their manual.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  fingerpost policy reference
  fingerpost policy reference relay.via
  fingerpost policy diff ./new.lua
  fingerpost policy repl
  fingerpost policy replay --log decisions.jsonl --policy ./new.lua
  fingerpost policy shadow
  fingerpost policy test ./policies")]
pub enum Policy {
    /// Show what another policy would change, on the live registry.
    ///
    /// Reads the registry as a running relay with this configuration would, and lets the configured policy and the
    /// other one decide every running build, as a relay of each zone would on each of its listeners: the first, those
    /// that rules name, and others, up to eight. The other one's routes are held against its own invariant. Nothing is
    /// loaded into a relay, nobody is dialled but the registry. A relay does the same before it takes over a changed
    /// policy, and keeps the old one if the new one fails, breaks its invariant, or leaves a build without a way.
    Diff(Diff),
    /// Show what a policy may use.
    ///
    /// Lists every name of the policy language with one sentence about each, or says all there is to say about one of
    /// them: its types, its arguments, and when it may be used. With --format it writes the whole reference as a page,
    /// or as definitions for an editor.
    Reference(Reference),
    /// Try things out, line by line, on a snapshot of the live registry.
    ///
    /// Reads the registry as a running relay with this configuration would, and then Lua from standard input: the value
    /// of an expression is shown, a statement is done, and variables stay. It has what a policy has in route, and
    /// `ask`, which asks the policy and tells which line of it decided. Nothing can be changed by it, and nobody is
    /// dialled but the registry. The registry stands still until :refresh reads it again. What a running relay has seen
    /// of its targets, and what its policy keeps in relay.shared, is not known here.
    ///
    /// On a terminal, lines can be edited and names completed by the tab key; the arrow keys bring back what was typed
    /// before. Without one, lines are read to the end of the input, so that it can be scripted, and an error makes the
    /// exit status 1.
    Repl(Repl),
    /// Show what another policy would have decided on the traffic of the past.
    ///
    /// Reads decision logs, which a relay keeps with `decisions` in its configuration, and asks the policy every
    /// request in them again, with everything that was known then. It needs neither a relay nor a registry, so that a
    /// change of a policy can be tested on last week's traffic before it is merged. A decision that rests on something
    /// that the log does not hold, because the policy of the past did not look at it, is counted and not judged.
    ///
    /// A configuration counts only if it is named: its rules and limits hold, and its params. Unless one is, there are
    /// no rules, limits are the defaults, and params are those of the log.
    Replay(Replay),
    /// Show how a candidate does beside the policy of a running relay.
    ///
    /// Asks the relay of this configuration, by its command socket, for the policy that policy.candidate puts on trial:
    /// how many requests it decides, what it waits for or why it was rolled back, and in what its decisions on real
    /// requests differed from the policy's. Only the latest kinds of differences are kept; all are in metrics.
    Shadow(Shadow),
    /// Run the tests of policies.
    ///
    /// Runs every file that ends in _test.lua next to the scripts or below. A test makes up a registry, a clock and all
    /// else that a decision depends on, asks the policy, and says what it expects. Nothing outside is asked or changed.
    /// What did not hold is shown with its line and both values, and then which lines of the scripts never ran.
    Test(Test),
}

/// Does what `asked` says, with answers to `out` and what is wrong to `err`.
///
/// # Errors
/// If one of the two takes no more, or what a command needs cannot be read.
pub fn policy(
    asked: &Policy,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Exit> {
    match asked {
        Policy::Diff(asked) => diff::diff(asked, environment, out),
        Policy::Reference(asked) => reference::reference(asked, out, err),
        Policy::Repl(asked) => repl::repl(asked, environment, out, err),
        Policy::Replay(asked) => replay::replay(asked, environment, out, err),
        Policy::Shadow(asked) => shadow::shadow(asked, environment, out, err),
        Policy::Test(asked) => test::test(asked, environment, out, err),
    }
}
