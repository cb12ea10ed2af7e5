//! The program's life on one page: read the command line, do what it says, end with an exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use fingerpost::cli::{self, Args, Command, Exit, Misuse, check, manual, policy, stream};
use fingerpost::config::problem::Problems;
use fingerpost::config::settings::Log;
use fingerpost::config::{Environment, Source};
use fingerpost::demo::{Demo, Interrupts};
use fingerpost::explain::{Explanation, NoSuchListener};
use fingerpost::generation::LoadErrors;
use fingerpost::listener::Passed;
use fingerpost::logging::Logging;
use fingerpost::policy::LoadError;
use fingerpost::service::Service;
use fingerpost::workers::Workers;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    // Before any thread starts: this takes variables out of the environment.
    let environment = cli::environment();
    let passed = Passed::from_systemd(environment.get("LISTEN_FDNAMES").map(String::as_str));
    let (mut out, mut err) = (io::stdout().lock(), io::stderr());
    let ended = match Args::parse().command {
        Command::Run(asked) => run(&asked.source.chosen(&environment), passed),
        Command::Check(asked) => check::check(&asked, &environment, &mut out, &mut err),
        Command::Explain(asked) => explain(&asked, &environment, &mut out),
        Command::Policy(asked) => policy::policy(&asked, &environment, &mut out, &mut err),
        Command::Stream(asked) => show(&asked, &mut out),
        Command::Demo(asked) => demo(asked.once, &mut out),
        Command::Completions(asked) => manual::completions(&asked, &mut out).map(|()| Exit::Done),
        Command::Man(asked) => manual::man(&asked, &mut out).map(|()| Exit::Done),
    };
    ended.unwrap_or_else(|error| complain(&error, &mut err)).into()
}

/// Serves until it is told to stop.
fn run(source: &Source, passed: Passed) -> Result<Exit> {
    let loaded = source.load()?;
    let logging = Logging::start(&loaded.settings.log)?;
    let workers = workers(loaded.settings.process.workers)?;
    let runtime = runtime(Some(1))?;
    let ended = runtime.block_on(async {
        let service = Service::start(source.clone(), loaded, passed, workers.clone(), logging).await?;
        service.run().await
    });
    workers.stop();
    // A look-up of a name may hang in the C library for minutes; nobody waits for what it finds.
    runtime.shutdown_background();
    ended.map(|()| Exit::Done)
}

/// Prints what would be decided about a request.
fn explain(asked: &cli::Explain, environment: &Environment, out: &mut dyn Write) -> Result<Exit> {
    let settings = asked.source.chosen(environment).load()?.settings;
    // What keeps the registry from being read is told as it happens; the rest of a relay's log is not asked for.
    let _unchanged = Logging::start(&Log { level: "warn".to_owned(), ..Log::default() })?;
    let explanation = runtime(Some(1))?.block_on(Explanation::of(asked.inquiry()?, settings))?;
    cli::explain::show(asked, &explanation, out)
}

/// Shows a build's log.
fn show(asked: &stream::Stream, out: &mut dyn Write) -> Result<Exit> {
    runtime(Some(1))?.block_on(stream::stream(asked, out))?;
    Ok(Exit::Done)
}

/// Shows two zones at work.
fn demo(once: bool, out: &mut dyn Write) -> Result<Exit> {
    runtime(None)?.block_on(async {
        let mut interrupts = Interrupts::new().context("cannot listen for signals")?;
        let demo = Demo::start().await?;
        if !once {
            demo.describe(out)?;
        }
        let ended = tokio::select! {
            shown = demo.once(out), if once => shown.map(|()| Exit::Done),
            () = interrupts.next() => Ok(if once { Exit::Failed } else { Exit::Done }),
        };
        demo.end().await;
        ended
    })
}

/// Threads that serve streams: `wanted` of them, or one a core.
fn workers(wanted: Option<usize>) -> Result<Workers> {
    let count = match wanted {
        Some(count) => count,
        None => thread::available_parallelism().context("cannot count the cores; set process.workers")?.get(),
    };
    Workers::start(count).context("cannot start the worker threads")
}

/// Threads for everything beside streams: `threads` of them, or one a core.
fn runtime(threads: Option<usize>) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads.max(1));
    }
    builder.enable_all().thread_name("services").build().context("cannot start the runtime")
}

/// Says what went wrong. A configuration that cannot be used is another exit code than a failure.
fn complain(error: &anyhow::Error, err: &mut dyn Write) -> Exit {
    let unusable = is_unusable(error);
    let text = if unusable { error.to_string() } else { format!("fingerpost: {error:#}") };
    // Nobody is left to tell if standard error is closed.
    let _unheard = writeln!(err, "{text}");
    if unusable { Exit::Unusable } else { Exit::Failed }
}

fn is_unusable(error: &anyhow::Error) -> bool {
    let of_configuration = error.is::<Problems>() || error.is::<LoadErrors>() || error.is::<LoadError>();
    of_configuration || error.is::<Misuse>() || error.is::<NoSuchListener>()
}
