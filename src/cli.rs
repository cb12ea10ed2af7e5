//! The command line: every command with its options and help, and the bodies of those that need no running relay.
//!
//! Commands write to the handles they are given and say how they ended; only main ends the program.

use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

pub use self::explain::Explain;
pub use self::source::{Source, environment};

pub mod check;
pub mod explain;
pub mod manual;
pub mod policy;
mod source;
pub mod stream;
#[cfg(test)]
mod tests;

/// clap's own colours, those of cargo.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER: &str = "\
Exit status:
  0  done
  1  failed; standard error says why
  2  bad arguments or configuration; standard error says what is wrong with them

Examples:
  fingerpost demo
      See it work, with nothing to set up.
  fingerpost check --zuul-conf /etc/zuul/zuul.conf
      See whether it could take over from zuul-fingergw.
  fingerpost run --zuul-conf /etc/zuul/zuul.conf
      Let it.";

/// A programmable relay for the live build logs of the CI system Zuul.
///
/// Fingerpost stands between networks. It takes a request for a build's live log, asks a Lua policy which way it goes
/// (straight to the executor, or through a gateway of the zone it runs in), and carries the bytes. It reads the same
/// ZooKeeper and the same zuul.conf as zuul-fingergw, and takes its place.
#[derive(Debug, Parser)]
#[command(name = "fingerpost", version, after_help = AFTER, styles = STYLES, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything the program can do. These comments are its help and its manual.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay.
    ///
    /// It stays in the foreground, logs to standard error, and needs root only for ports below 1024; it then becomes
    /// the configured user. Configuration, policy and certificates are taken over while it runs, and no stream notices.
    ///
    /// SIGHUP reloads. SIGTERM and SIGINT stop: no new streams, open ones go on until they end or stream.drain_timeout
    /// is over; a second signal ends them at once.
    Run(Run),
    /// Say what is wrong with a configuration, without starting anything.
    ///
    /// Reads the configuration and all that it names: certificates, keys, CAs and revocation lists are parsed, keys
    /// held against their certificates, and dates against the clock; the policy is compiled and loaded, but for its
    /// invariant, which `policy diff` holds against the builds that run. Every problem is told at once, as
    /// `file:line: key: problem`. Run it as the user who runs the relay, so that it may read the same files.
    Check(check::Check),
    /// Say where a build's log would come from, and why.
    ///
    /// Reads the registry as a running relay with this configuration would, asks its policy, and prints what was found,
    /// which zones are involved, the targets in the order in which they would be tried, and the line of the policy that
    /// decided. Nothing is dialled but the registry, and nothing is changed.
    ///
    /// With options of the section Suppose it also says what would be decided if things were different, such as under
    /// another policy or for another viewer, and what the difference is. The route of a running build is held against
    /// the policy's invariant. What a running relay has seen of its targets,
    /// and what its policy keeps in relay.shared, is not known here.
    Explain(Explain),
    /// Help whoever writes a policy.
    ///
    /// Its commands change nothing, and but for shadow need no running relay. What a policy may use, and what a changed
    /// one would do, is told here by the very program that will run it.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Show a build's log: a finger client.
    ///
    /// Asks a relay, a zuul-fingergw, or an executor's log streamer for a build's log, and writes it to standard output
    /// as it comes, until the build ends. Bytes come out as they came in. What the other side has to say instead of a
    /// log, such as "Build not found", comes the same way: the protocol knows no difference.
    Stream(stream::Stream),
    /// Show the relay at work, with nothing to set up.
    ///
    /// Starts two zones in this one process, each with a relay, TLS between them with certificates made on the spot,
    /// and executors whose builds keep writing. It prints what to type to watch one, and runs until it is interrupted.
    /// All ports are of the loopback interface, 7979 for the viewers if it is free; nothing is left behind.
    Demo(Demo),
    /// Print completions for a shell.
    ///
    /// The script goes to standard output; where it belongs depends on the shell and the distribution. It completes
    /// commands, options and file names.
    Completions(manual::Completions),
    /// Print the manual page, or write all of them.
    ///
    /// Without --dir the page of the whole program goes to standard output. With it, that page and one for each command
    /// are written as files, in the form that man(1) reads.
    Man(manual::Man),
}

/// The arguments of `fingerpost run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fingerpost run
  fingerpost run --config ./fingerpost.yaml
  fingerpost run --zuul-conf /etc/zuul/zuul.conf")]
pub struct Run {
    /// Where the configuration is.
    #[command(flatten)]
    pub source: Source,
}

/// The arguments of `fingerpost demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fingerpost demo
  fingerpost demo --once | less")]
pub struct Demo {
    /// Carry the log of one finished build through both zones to standard output, and end.
    #[arg(long)]
    pub once: bool,
}

/// What was given on the command line makes no sense, as turned out only when it was used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done,
    /// It could not.
    Failed,
    /// What was asked makes no sense: bad arguments, or a configuration that cannot be used.
    Unusable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Unusable => 2,
        })
    }
}
