//! Real parts for the tests: servers that nobody here wrote, started for one test and gone with it.
#![allow(dead_code, unreachable_pub, clippy::allow_attributes, reason = "each test binary uses its own part of this")]

pub mod authority;
pub mod executor;
pub mod gateway;
pub mod program;
pub mod viewer;
pub mod world;
pub mod zookeeper;
