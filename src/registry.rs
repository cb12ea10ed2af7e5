//! What is known of builds and components, and where it is known from.
pub mod model;
pub use model::{Build, Components, Executor, Freshness, Gateway, Snapshot, State, Worker};
