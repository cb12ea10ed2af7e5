//! What a program takes of the machine, as the kernel counts it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::gateway::Gateway;

/// A program that runs, and everything that it started itself. What we started ends with it.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    keeper: Keeper,
}

/// What a program ends with.
#[derive(Debug)]
enum Keeper {
    /// With the folder of what it reads and writes.
    Child(Child, tempfile::TempDir),
    /// Held for its end only.
    Gateway(#[expect(dead_code, reason = "the gateway ends when it is dropped")] Box<Gateway>),
}

impl Process {
    /// Takes a program over, to be killed when this is dropped, with all that it started itself.
    pub fn child(child: Child, dir: tempfile::TempDir) -> Self {
        Self { pid: child.id(), keeper: Keeper::Child(child, dir) }
    }

    /// Takes a gateway over, to be killed when this is dropped.
    pub fn gateway(gateway: Gateway) -> Self {
        Self { pid: gateway.pid(), keeper: Keeper::Gateway(Box::new(gateway)) }
    }

    /// Processor time of the program and its children so far, in user space and in the kernel.
    pub fn processor_time(&self) -> Duration {
        let ticks: u64 = self.family().iter().filter_map(|pid| ticks(*pid)).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Memory that the program and its children hold, in bytes.
    pub fn resident(&self) -> u64 {
        self.family().iter().filter_map(|pid| status(*pid, "VmRSS:")).sum::<u64>() * 1024
    }

    fn family(&self) -> Vec<u32> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).unwrap_or_default();
        [self.pid].into_iter().chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let family = self.family();
        if let Keeper::Child(child, _dir) = &mut self.keeper {
            // The program comes first, for nginx would start workers in the place of those that die. Some may be gone
            // already; then there is nothing to kill.
            let pids = family.iter().map(ToString::to_string);
            let _gone = Command::new("kill").args(["-s", "KILL"]).args(pids).stderr(Stdio::null()).status();
            let _reaped = child.wait();
        }
    }
}

fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_name, fields) = stat.rsplit_once(')')?;
    // utime and stime are the 14th and 15th field of proc(5), the 12th and 13th after the name.
    fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn status(pid: u32, key: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}
