//! The program as an operator meets it: real processes, a registry in a file, scripted executors on loopback. It needs
//! neither ZooKeeper nor Zuul; `tests/drop_in` has the parts that do.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a part that does not work ends the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod background;
mod check;
mod decisions;
mod demo;
mod diff;
mod explain;
mod hooks;
mod logging;
mod metrics;
mod mistakes;
mod policy_tests;
mod records;
mod reload;
mod repl;
mod root;
mod shadow;
mod site;
mod stream;
mod systemd;
mod ways;
