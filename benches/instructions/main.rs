//! The guard of a short stream's price: counts the instructions that the relay spends on one stream, from accept to
//! record, and fails if they exceed what was recorded. It must never look at a clock: times on a busy machine say
//! nothing, instructions say the same thing twice.
//!
//! - `check` counts every case and compares it with `budget.yaml` beside this file;
//! - `record` counts the same and writes it there;
//! - `serve CASE STREAMS` is what is counted: so many streams, one after the other, and not a word of it.

#![expect(clippy::print_stdout, reason = "the verdict is what this program is for")]

mod budget;
#[path = "../site/builds.rs"]
mod builds;
mod callgrind;
mod case;
mod path;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use tokio::runtime::Builder;

use budget::{Budget, Verdict};
use callgrind::Count;
use case::Case;
use path::Path;

/// How to call this program so that it counts what was recorded.
const CALL: &str = "cargo bench --profile guard --bench instructions --";

/// Counted is what this profile of Cargo.toml makes.
const PROFILE: &str = "guard";

fn main() -> Result<ExitCode> {
    // Cargo adds a word of its own.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["check"] => check(),
        ["record"] => record(),
        ["serve", case, streams] => serve(case.parse()?, streams.parse()?),
        // A look at all benchmarks, which are built by another profile then.
        [] => {
            println!("nothing counted; this does: {CALL} check");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("unknown words {other:?}: there are check, record, and serve CASE STREAMS"),
    }
}

/// Fails if a stream takes more than it may.
fn check() -> Result<ExitCode> {
    let (budget, mut dearer) = (Budget::load()?, Vec::new());
    for case in Case::ALL {
        match budget.judge(case, &count(case)?)? {
            Verdict::Good(words) => println!("{words}"),
            Verdict::TooMuch(words) => {
                println!("{words}");
                dearer.push(case);
            }
        }
    }
    for case in &dearer {
        println!("what calls what: callgrind_annotate --inclusive=yes --tree=both {}", Count::profile(*case).display());
    }
    if dearer.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("if it is worth that, say so in the commit, with what this writes: {CALL} record");
    Ok(ExitCode::FAILURE)
}

/// Makes what a stream takes now what it may take.
fn record() -> Result<ExitCode> {
    let mut budget = Budget::default();
    for case in Case::ALL {
        let count = count(case)?;
        println!("{case}: {} instructions a stream", count.instructions);
        budget.record(case, count);
    }
    budget.save()?;
    Ok(ExitCode::SUCCESS)
}

/// Counts one case, if this program was built as what was recorded was.
fn count(case: Case) -> Result<Count> {
    let program = env::current_exe()?;
    let profile = program.ancestors().nth(2).and_then(|folder| folder.file_name());
    ensure!(profile.is_some_and(|name| name == PROFILE), "built by another profile than {PROFILE}; call {CALL} check");
    Count::of(case, &program)
}

/// Is what is counted.
fn serve(case: Case, streams: usize) -> Result<ExitCode> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let path = Path::start(case).await?;
        path.serve(streams).await?;
        path.end().await;
        Ok(ExitCode::SUCCESS)
    })
}
