//! What a decision costs: the default policy on 10 000 running builds, from the look-up in the registry to the route,
//! beside the call of an empty function. Prints a table; it must never be read on a machine that is busy otherwise.
//!
//! With `count CASE CALLS` it prints nothing and does so many calls of one case, for tools that count instructions or
//! take samples: what they say of a busy machine is as good.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod site;

use std::env;
use std::fs;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fingerpost::config::settings;
use fingerpost::policy::Policy;
use mlua::{Function, Lua, VmState};

use site::builds::BUILDS;
use site::{Site, default_policy};

/// Decisions that are timed together: enough to make the clock's own time disappear.
const BATCH: usize = 100;

/// Timings of which the median is shown.
const BATCHES: usize = 2_000;

/// Policies that are held at one time to see what one of them takes.
const HELD: usize = 64;

/// How long a round of the comparison of one thread with two takes, and how many there are.
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 10;

/// Nanoseconds of one call, over all batches.
struct Timing {
    median: f64,
    slow: f64,
}

fn main() -> Result<()> {
    let site = Site::new()?;
    // Cargo adds a word of its own.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [word, case, calls] = arguments.as_slice()
        && word == "count"
    {
        // Tools that count make calls up to a hundred times as slow.
        return count(&site, &default_policy(Duration::from_secs(10))?, case, calls.parse()?);
    }
    let policy = default_policy(settings::Policy::default().time_limit)?;
    show_machine()?;
    show_times(&site, &policy)?;
    show_memory()?;
    show_scaling(&site, &policy)
}

impl Timing {
    fn show(&self, title: &str, base: &Self) {
        println!("{title:42} {:>9.0} {:>9.1} {:>9.0}", self.median, self.median / base.median, self.slow);
    }
}

fn show_times(site: &Site, policy: &Policy) -> Result<()> {
    println!("\none call, on one core                      median ns   x empty   slowest 1 % of batches, ns");
    let (empty, _engine) = empty_function()?;
    let base = timing(|| empty.call::<()>(()).context("the empty function failed"))?;
    base.show("empty Luau function, with the same limits", &base);
    let mut ids = site.foreign.iter().cycle();
    let find = timing(|| site.find(ids.next().context("no builds")?).map(|build| drop(black_box(build))))?;
    find.show("look-up in the registry alone", &base);
    let mut seed = 0;
    for (title, ids) in [
        ("default policy, build in the own zone", &site.own),
        ("default policy, other zone, 3 gateways", &site.foreign),
        ("default policy, unknown build", &site.unknown),
    ] {
        let mut next = ids.iter().cycle();
        let timing = timing(|| {
            seed += 1;
            site.decide(policy, next.next().context("no builds")?, seed)
        })?;
        timing.show(title, &base);
    }
    Ok(())
}

/// Does one case so many times, and says nothing of it.
fn count(site: &Site, policy: &Policy, case: &str, calls: u64) -> Result<()> {
    let ids = match case {
        "empty" => {
            let (empty, _engine) = empty_function()?;
            return (0..calls).try_for_each(|_| empty.call::<()>(()).context("the empty function failed"));
        }
        "own" => &site.own,
        "foreign" => &site.foreign,
        "unknown" => &site.unknown,
        other => anyhow::bail!("no case is called {other:?}: there are empty, own, foreign and unknown"),
    };
    (0..calls).zip(ids.iter().cycle()).try_for_each(|(seed, id)| site.decide(policy, id, seed))
}

fn show_scaling(site: &Site, policy: &Policy) -> Result<()> {
    let (mut one, mut two) = (0.0_f64, 0.0_f64);
    for _ in 0..ROUNDS {
        one = one.max(rate(site, policy, 1)?);
        two = two.max(rate(site, policy, 2)?);
    }
    println!("\ndecisions a second, best of {ROUNDS} rounds");
    println!("one thread   {one:>12.0}\ntwo threads  {two:>12.0}   x {:.2}", two / one);
    Ok(())
}

/// Decisions a second of so many threads together.
fn rate(site: &Site, policy: &Policy, threads: usize) -> Result<f64> {
    let work = |thread: usize| -> Result<f64> {
        // As viewers do, each thread asks for other builds than its neighbour.
        let ids = site.foreign.iter().skip(thread * BATCH).take(BATCH);
        let (began, mut count) = (Instant::now(), 0_u64);
        while began.elapsed() < ROUND {
            count += BATCH as u64;
            ids.clone().try_for_each(|id| site.decide(policy, id, count))?;
        }
        Ok(count as f64 / began.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<f64>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
        };
        running.into_iter().map(join).sum()
    })
}

fn timing(mut call: impl FnMut() -> Result<()>) -> Result<Timing> {
    let mut batch = || -> Result<f64> {
        let began = Instant::now();
        (0..BATCH).try_for_each(|_| call())?;
        Ok(began.elapsed().as_nanos() as f64 / BATCH as f64)
    };
    let mut all = (0..BATCHES).map(|_| batch()).collect::<Result<Vec<_>>>()?;
    all.sort_by(f64::total_cmp);
    let at = |share: usize| all.get(BATCHES * share / 100).copied().context("no batches");
    Ok(Timing { median: at(50)?, slow: at(99)? })
}

/// With the limits that an engine has.
fn empty_function() -> Result<(Function, Lua)> {
    let lua = Lua::new();
    lua.sandbox(true)?;
    lua.set_memory_limit(settings::Policy::default().memory_limit)?;
    let (origin, limit) = (Instant::now(), Duration::from_secs(3600));
    lua.set_interrupt(move |_| match origin.elapsed() > limit {
        true => Err(mlua::Error::runtime("too late")),
        false => Ok(VmState::Continue),
    });
    Ok((lua.load("return function() end").eval()?, lua))
}

fn show_machine() -> Result<()> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("\n{} cores, Linux {}, {BUILDS} running builds", thread::available_parallelism()?, kernel.trim());
    Ok(())
}

/// Each policy has one engine on this thread, which has just decided.
fn show_memory() -> Result<()> {
    let site = Site::new()?;
    let id = site.foreign.first().context("no builds")?;
    let before = resident()?;
    let mut held = Vec::new();
    for seed in 0..HELD as u64 {
        let policy = default_policy(settings::Policy::default().time_limit)?;
        site.decide(&policy, id, seed)?;
        held.push(policy);
    }
    let each = resident()?.saturating_sub(before) / held.len();
    println!("\nmemory of one engine at rest: {each} bytes resident, its policy's text and metrics included");
    Ok(())
}

/// Bytes of memory that this process has.
fn resident() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}
