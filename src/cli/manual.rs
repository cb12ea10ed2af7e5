//! What the program says of itself in other forms than `--help`: manual pages, and completions for shells.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Args;

/// The arguments of `fingerpost completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fingerpost completions bash > /etc/bash_completion.d/fingerpost
  fingerpost completions zsh > \"${fpath[1]}/_fingerpost\"
  fingerpost completions fish > ~/.config/fish/completions/fingerpost.fish")]
pub struct Completions {
    /// The shell.
    pub shell: Shell,
}

/// The arguments of `fingerpost man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fingerpost man | man -l -
  fingerpost man --dir /usr/local/share/man/man1")]
pub struct Man {
    /// Write a page for each command into this directory, which is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Writes the completions to `out`.
///
/// # Errors
/// If `out` takes no more.
pub fn completions(asked: &Completions, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Args::command(), "fingerpost", &mut script);
    out.write_all(&script).context("cannot write the completions")
}

/// Writes the page of the whole program to `out`, or all pages where they were asked for.
///
/// # Errors
/// If `out`, or a file, cannot be written.
pub fn man(asked: &Man, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(dir) = &asked.dir else {
        return clap_mangen::Man::new(Args::command()).render(out).context("cannot write the manual page");
    };
    let cannot = || format!("cannot write manual pages to {}", dir.display());
    fs::create_dir_all(dir).with_context(cannot)?;
    clap_mangen::generate_to(Args::command(), dir).with_context(cannot)
}
