//! Fingerpost, a programmable relay for the live build logs of the CI system Zuul.

pub mod command;
pub mod cli;
pub mod config;
pub mod fault;
pub mod listener;
pub mod metrics;
pub mod monitoring;
pub mod names;
pub mod policy;
pub mod process;
pub mod registry;
pub mod request;
pub mod route;
pub mod stream;
pub mod tasks;
pub mod tls;
pub mod transport;
pub mod upstream;
pub mod watch;
