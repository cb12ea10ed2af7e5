//! How many streams fit into the descriptors that the machine allows: both this process, which has the viewers and the
//! executor, and the relay need two for each.

use std::fs;
use std::process::Command;

/// Descriptors for everything else.
const REST: usize = 1000;

/// Raises the limit of this process, and of those that it starts, as far as it goes. Returns `streams`, or as many as
/// there is room for.
pub(crate) fn room_for(streams: usize) -> usize {
    let hard = hard_limit();
    let pid = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={hard}:{hard}")]).status();
    assert!(raised.expect("util-linux is installed").success(), "a limit of {hard} descriptors");
    let room = hard.saturating_sub(REST) / 2;
    if room < streams {
        let limit = format!("the hard limit of descriptors is {hard} (ulimit -Hn)");
        crate::tell(&format!("ONLY {room} STREAMS in the place of {streams}: {limit}"));
    }
    streams.min(room)
}

fn hard_limit() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").expect("the limits of this process");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("that of descriptors");
    let hard = line.split_whitespace().nth(1).expect("a hard limit");
    hard.parse().unwrap_or_else(|_| panic!("a number, not {hard}"))
}
