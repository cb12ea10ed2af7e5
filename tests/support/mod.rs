//! Real parts for the tests: servers that nobody here wrote, started for one test and gone with it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "each test binary uses its own part of this, and a part that does not work ends the test"
)]

pub mod authority;
pub mod executor;
pub mod gateway;
pub mod program;
pub mod site;
pub mod viewer;
pub mod world;
pub mod zookeeper;
