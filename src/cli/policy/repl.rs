//! `fingerpost policy repl`: a prompt to try things out, on the registry as it was when it was read. It changes
//! nothing.

mod lines;

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::runtime::Builder;

use crate::cli::explain::zone;
use crate::cli::{Exit, Source};
use crate::config::Environment;
use crate::config::settings::Settings;
use crate::explain::Live;
use crate::names::Zone;
use crate::policy::prompt::{Answer, Prompt};
use crate::policy::{Place, Policy, reference};
use crate::registry::Snapshot;
use lines::{Line, Lines};

const UNSHOWN: &str = "cannot write the answers";

/// What is said of the prompt itself.
const HELP: &str = "\
A line is Lua: the value of an expression is shown, a statement is done. What is not finished goes on in the next line.
  ask.route \"4a1c9be2…\"       asks the policy about a build, and tells which line decided
  ask.route(\"zones\", { peer = \"192.0.2.7\" })   asks about any line of any viewer
  relay.builds(\"acme\")        looks at the registry as it was when it was read
  x = relay.gateways(\"west\")  keeps a value; what is declared by local is gone after its input
It is Lua as in route, which only reads. relay.shared is empty, and nothing was seen of targets.

  :reference [NAME]  what can be used, or all about one name, such as relay.via
  :refresh           read the registry again; variables stay
  :reload            read the configuration, the policy and the registry again; variables are gone
  :help              this
  :quit              or Ctrl-D
";

/// The arguments of `fingerpost policy repl`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  it was left; without a terminal: and no line failed
  1  a line failed, without a terminal; or the registry cannot be read
  2  bad arguments, configuration or policy

Examples:
  fingerpost policy repl
  fingerpost policy repl --policy ./new.lua --zone east
  echo '#relay.gateways(\"west\")' | fingerpost policy repl")]
pub struct Repl {
    /// Ask another policy: a script, or a folder of them.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// The relay is in this zone.
    #[arg(long, value_name = "ZONE", value_parser = zone, conflicts_with = "no_zone")]
    pub zone: Option<Zone>,

    /// The relay is in no zone.
    #[arg(long)]
    pub no_zone: bool,

    /// Where the configuration is.
    #[command(flatten)]
    pub source: Source,
}

/// What can be told to the prompt beside Lua.
enum Order<'a> {
    Help,
    Reference(&'a str),
    Refresh,
    Reload,
    Quit,
    Unknown(&'a str),
}

/// What became of a line.
enum Taken {
    Well,
    /// In words for the person who typed it.
    Badly(String),
    /// It said that this is the end.
    Left,
}

/// A prompt, with all that it takes to read everything again.
struct Session<'a> {
    asked: &'a Repl,
    environment: &'a Environment,
    settings: Settings,
    prompt: Prompt,
}

/// Reads lines from standard input until there are no more, with answers to `out` and what is wrong to `err`.
///
/// # Errors
/// If the configuration, the policy or the registry cannot be read, or `out` or `err` takes no more.
pub(super) fn repl(asked: &Repl, environment: &Environment, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    let mut session = Session::open(asked, environment)?;
    let mut lines = Lines::of_standard_input()?;
    if lines.are_typed() {
        writeln!(out, "{session}; :help says more").context(UNSHOWN)?;
    }
    let mut all_well = true;
    loop {
        out.flush().context(UNSHOWN)?;
        let line = lines.next(session.prompt.is_unfinished())?;
        let (taken, last) = match &line {
            Line::Text(line) => (session.take(line, out)?, false),
            Line::Cancelled => (session.cancel(), false),
            Line::End => (session.end(), true),
        };
        if let Taken::Badly(words) = &taken {
            writeln!(err, "{words}").context("cannot write what is wrong")?;
            all_well = false;
        }
        if last || matches!(taken, Taken::Left) {
            break;
        }
    }
    Ok(if all_well || lines.are_typed() { Exit::Done } else { Exit::Failed })
}

impl<'a> Session<'a> {
    fn open(asked: &'a Repl, environment: &'a Environment) -> Result<Self> {
        let settings = settings(asked, environment)?;
        let (policy, snapshot) = read(&settings)?;
        let place = Place { zone: settings.zone.clone(), hostname: settings.hostname.clone() };
        let listener = settings.listeners.first().map_or("", |listener| &listener.name);
        let prompt = Prompt::new(&settings.policy, policy, place, listener, snapshot)?;
        Ok(Self { asked, environment, settings, prompt })
    }

    /// Does what `line` says. What is not finished may begin with a colon, and is no order.
    ///
    /// # Errors
    /// If `out` takes no more.
    fn take(&mut self, line: &str, out: &mut dyn Write) -> Result<Taken> {
        let order = if self.prompt.is_unfinished() { None } else { Order::of(line) };
        let Some(order) = order else {
            return self.prompt.enter(line).map_or(Ok(Taken::Well), |answer| show(answer, out));
        };
        self.prompt.pass_over();
        match self.obey(&order) {
            Ok(Some(text)) => {
                write!(out, "{text}").context(UNSHOWN)?;
                Ok(Taken::Well)
            }
            Ok(None) => Ok(Taken::Left),
            Err(error) => Ok(Taken::Badly(format!("{error:#}"))),
        }
    }

    /// What there is to say about it; `None` at the end.
    ///
    /// # Errors
    /// Why it cannot be obeyed. Everything is as it was then.
    fn obey(&mut self, order: &Order<'_>) -> Result<Option<String>> {
        Ok(Some(match order {
            Order::Help => HELP.to_owned(),
            Order::Reference("") => reference::list(),
            Order::Reference(name) => reference::of(name)?,
            Order::Refresh => {
                let (_, snapshot) = read(&self.settings)?;
                self.prompt.learn(snapshot);
                format!("{self}\n")
            }
            Order::Reload => {
                let mut anew = Session::open(self.asked, self.environment)?;
                anew.prompt.follow(&mut self.prompt);
                *self = anew;
                format!("{self}\n")
            }
            Order::Quit => return Ok(None),
            Order::Unknown(word) => bail!("there is no order {word}; :help names those that there are"),
        }))
    }

    /// Forgets what is not finished.
    fn cancel(&mut self) -> Taken {
        let _lacking = self.prompt.give_up();
        Taken::Well
    }

    /// No line follows.
    fn end(&mut self) -> Taken {
        self.prompt.give_up().map_or(Taken::Well, |error| Taken::Badly(error.to_string()))
    }
}

/// What everything rests on, in one line.
impl fmt::Display for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.prompt.snapshot();
        let (builds, gateways) = (snapshot.builds.len(), snapshot.components.gateways.len());
        let zone = self.settings.zone.as_ref().map_or_else(|| "no zone".to_owned(), |zone| format!("zone {zone}"));
        let policy = self.prompt.policy().name();
        write!(f, "builds: {builds}, gateways: {gateways}, as they are now; in {zone}; policy {policy}")
    }
}

impl<'a> Order<'a> {
    /// The order that `line` is; `None` for Lua.
    fn of(line: &'a str) -> Option<Self> {
        let line = line.trim();
        line.strip_prefix(':')?;
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some(match word {
            ":help" => Self::Help,
            ":reference" => Self::Reference(rest.trim()),
            ":refresh" => Self::Refresh,
            ":reload" => Self::Reload,
            ":quit" => Self::Quit,
            word => Self::Unknown(word),
        })
    }
}

/// Shows what came of an input.
fn show(answer: Answer, out: &mut dyn Write) -> Result<Taken> {
    let Answer { printed, outcome, decided, forgotten } = answer;
    let decided: Vec<_> = decided.iter().map(|place| format!("-- {place}")).collect();
    let value = outcome.as_ref().ok().cloned().flatten();
    for line in printed.iter().chain(&value).chain(&decided) {
        writeln!(out, "{line}").context(UNSHOWN)?;
    }
    let Err(error) = outcome else { return Ok(Taken::Well) };
    let lost = if forgotten { "\nEverything begins anew; variables are gone" } else { "" };
    Ok(Taken::Badly(format!("{error}{lost}")))
}

/// The configuration, with what is to be different in it.
fn settings(asked: &Repl, environment: &Environment) -> Result<Settings> {
    let mut settings = asked.source.chosen(environment).load()?.settings;
    if let Some(scripts) = &asked.policy {
        settings.policy = settings.policy.instead(scripts);
    }
    if asked.no_zone || asked.zone.is_some() {
        settings.zone.clone_from(&asked.zone);
    }
    Ok(settings)
}

/// The policy and the registry, as a relay with `settings` would find them now. Nothing stays open.
fn read(settings: &Settings) -> Result<(Policy, Arc<Snapshot>)> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let live = Live::open(settings.clone()).await?;
        ensure!(live.complete, "{}", live.unread());
        let found = (live.generation.policy.clone(), live.registry.snapshot());
        live.close().await;
        Ok(found)
    })
}
