//! Fingerpost in a real Zuul: ZooKeeper over TLS, data written by Zuul's own classes, logs served by Zuul's own log
//! streamer, viewers that nobody here wrote. What is scripted here instead is what the real part cannot be made to do.
//!
//! One binary, so that its tests share one ZooKeeper and one Zuul (see [`support::world`]). `tests/run` starts it.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a part that does not work ends the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod outages;
mod registration;
mod reload;
mod strangers;
mod two_zones;
mod viewers;
