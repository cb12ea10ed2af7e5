//! Fingerpost, a programmable relay for the live build logs of the CI system Zuul.
//!
//! A stream goes one way through the house, and only [`session`] knows all of its rooms:
//!
//! ```text
//! listener → request → registry → policy → upstream → stream → record
//! ```
//!
//! What runs is nested: a [`service`] is a process's relay with its signals and files, a [`relay`] has sockets and
//! streams, [`shared`] is what its streams use, and a [`generation`] in it is what decides about the next one.
//!
//! Beside the path stand what it is made from ([`config`], [`generation`]), what keeps it alive ([`relay`],
//! [`service`], [`watch`], [`command`]), and what shows it ([`monitoring`], [`metrics`], [`standing`], [`explain`]).

/// Here and not in the program, so that tests and benchmarks have it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod admission;
pub mod candidate;
pub mod cli;
pub mod command;
pub mod config;
pub mod decisions;
pub mod demo;
pub mod explain;
pub mod fault;
pub mod fetch;
pub mod folder;
pub mod generation;
pub mod keyring;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod monitoring;
pub mod names;
pub mod policy;
pub mod process;
pub mod record;
pub mod registry;
pub mod relay;
pub mod request;
pub mod route;
mod scratch;
pub mod service;
pub mod session;
pub mod shared;
pub mod standing;
pub mod stream;
pub mod tasks;
pub mod tls;
pub mod transport;
pub mod trial;
pub mod upstream;
pub mod watch;
pub mod workers;
