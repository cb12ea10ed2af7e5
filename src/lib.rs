//! Fingerpost, a programmable relay for the live build logs of the CI system Zuul.

pub mod cli;
pub mod config;
pub mod fault;
pub mod metrics;
pub mod names;
pub mod policy;
pub mod registry;
pub mod route;
pub mod tasks;
pub mod tls;
pub mod transport;
pub mod upstream;
pub mod watch;
