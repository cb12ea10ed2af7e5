//! Counts instructions of this program's own `serve` under valgrind, and only those inside of tokio's tasks on the main
//! thread, which are the relay's. It knows nothing of what a count should be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::case::Case;

/// Streams of the shorter run, which make everything that is made once; and of the longer one.
const WARM: u64 = 20;
const ALL: u64 = 120;

/// Where tokio enters a task: the only function whose callees count.
const TASK: &str = "tokio::runtime::task::raw::poll*";

/// What the names of AWS-LC's functions begin with.
const CRYPTOGRAPHY: &str = "aws_lc_";

/// What one stream takes, cryptography left out: it is by far the most of a handshake, a matter of keys and of AWS-LC's
/// version, and whatever the relay does would be lost in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    /// All instructions of the relay.
    pub(crate) instructions: u64,
    /// The same by function, without callees.
    pub(crate) functions: BTreeMap<String, i64>,
}

impl Count {
    /// Counts one stream: what more streams take more, divided by how many they are.
    pub(crate) fn of(case: Case, program: &Path) -> Result<Self> {
        let (warm, all) = (run(case, WARM, program)?, run(case, ALL, program)?);
        let more = ALL - WARM;
        let instructions =
            all.values().sum::<u64>().checked_sub(warm.values().sum()).context("fewer for more streams")?;
        let functions = all.iter().map(|(function, &cost)| {
            let growth = cost.cast_signed() - warm.get(function).copied().unwrap_or(0).cast_signed();
            (function.clone(), growth / more.cast_signed())
        });
        Ok(Self { instructions: instructions / more, functions: functions.collect() })
    }

    /// Where the last count's profile lies, of all its streams.
    pub(crate) fn profile(case: Case) -> PathBuf {
        main_thread(case, ALL)
    }
}

/// Instructions by function, of so many streams and of what comes before them.
fn run(case: Case, streams: u64, program: &Path) -> Result<BTreeMap<String, u64>> {
    let log = file(case, streams, "log");
    let status = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--separate-threads=yes", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={TASK}"))
        .arg(format!("--callgrind-out-file={}", file(case, streams, "profile").display()))
        .arg(program)
        .args(["serve", case.as_str(), &streams.to_string()])
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log)?)
        .status()
        .context("cannot start valgrind, which Debian has in a package of that name")?;
    ensure!(status.success(), "{streams} {case} streams under valgrind: {status}; see {}", log.display());
    functions(&fs::read_to_string(main_thread(case, streams))?)
}

/// Callgrind numbers threads; the first is the main one.
fn main_thread(case: Case, streams: u64) -> PathBuf {
    file(case, streams, "profile-01")
}

/// In a folder that Cargo gives to benchmarks.
fn file(case: Case, streams: u64, what: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("instructions-{case}-{streams}.{what}"))
}

/// Reads callgrind's format, version 1: the cost of each function without that of its callees.
fn functions(profile: &str) -> Result<BTreeMap<String, u64>> {
    let (mut names, mut costs) = (BTreeMap::new(), BTreeMap::new());
    let mut function = "";
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("calls=") {
            // The next line is the callee's.
            let _callee = lines.next();
        } else if let Some(name) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let name = named(name, &mut names);
            if line.starts_with("fn=") {
                function = name;
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '*')) {
            let cost = line.split(' ').nth(1).unwrap_or("0");
            *costs.entry(once(function).to_owned()).or_default() +=
                cost.parse::<u64>().context("a cost that is no number")?;
        }
    }
    costs.retain(|function, _| !function.starts_with(CRYPTOGRAPHY));
    ensure!(!costs.is_empty(), "callgrind counted nothing inside of {TASK}");
    Ok(costs)
}

/// A name is written once, with a number in front, and then goes by its number.
fn named<'a>(text: &'a str, names: &mut BTreeMap<&'a str, &'a str>) -> &'a str {
    match text.split_once(' ') {
        Some((number, name)) => names.entry(number).or_insert(name),
        None => names.get(text).copied().unwrap_or(text),
    }
}

/// The function by a name that it keeps: callgrind puts `'2` behind one that calls itself, and has but an address,
/// which the next build changes, for one that an assembler made without a name.
fn once(function: &str) -> &str {
    match function.rsplit_once('\'') {
        Some((name, depth)) if depth.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ if function.starts_with("0x") => "code without a name",
        _ => function,
    }
}
