//! `fingerpost policy`: what helps whoever writes a policy.

mod reference;

use std::io::Write;

use clap::Subcommand;

use crate::cli::Exit;
pub use reference::{Form, Reference};

/// The commands for whoever writes a policy. These comments are their help and their manual.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  fingerpost policy reference
  fingerpost policy reference relay.via")]
pub enum Policy {
    /// Show what a policy may use.
    ///
    /// Lists every name of the policy language with one sentence about each, or says all there is to say about one of
    /// them: its types, its arguments, and when it may be used. With --format it writes the whole reference as a page,
    /// or as definitions for an editor.
    Reference(Reference),
}

/// Does what `asked` says, with answers to `out` and what is wrong to `err`.
///
/// # Errors
/// If one of the two takes no more.
pub fn policy(asked: &Policy, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    match asked {
        Policy::Reference(asked) => reference::reference(asked, out, err),
    }
}
