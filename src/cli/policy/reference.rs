//! `fingerpost policy reference`: what a policy may use.

use std::io::Write;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::cli::Exit;
use crate::policy::reference;

/// The arguments of `fingerpost policy reference`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  shown
  2  there is no such name

Examples:
  fingerpost policy reference
  fingerpost policy reference Build.worker
  fingerpost policy reference --format luau > fingerpost.d.luau")]
pub struct Reference {
    /// A name, such as relay.via, Build or Build.worker; all of them unless given.
    #[arg(conflicts_with = "format")]
    pub name: Option<String>,
    /// Write the whole reference in this form.
    #[arg(long, value_enum)]
    pub format: Option<Form>,
}

/// A form of the whole reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A page for people.
    Markdown,
    /// Definitions for luau-lsp.
    Luau,
    /// Definitions for LuaLS.
    Luals,
}

/// Shows what was asked for on `out`, or on `err` that it does not exist.
///
/// # Errors
/// If one of the two takes no more.
pub(super) fn reference(asked: &Reference, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let text = match (&asked.name, asked.format) {
        (_, Some(form)) => reference::whole(form.into()),
        (None, None) => reference::list(),
        (Some(name), None) => match reference::of(name) {
            Ok(text) => text,
            Err(unknown) => {
                writeln!(err, "{unknown}").context("cannot write what is wrong")?;
                return Ok(Exit::Unusable);
            }
        },
    };
    out.write_all(text.as_bytes()).context("cannot write the reference")?;
    Ok(Exit::Done)
}

impl From<Form> for reference::Form {
    fn from(form: Form) -> Self {
        match form {
            Form::Markdown => Self::Markdown,
            Form::Luau => Self::Luau,
            Form::Luals => Self::LuaLs,
        }
    }
}
