//! The load: executors that send and viewers that take, none of which may be the bottleneck.

mod asking;
mod executor;
mod lines;
mod sink;
mod source;
mod streams;
mod viewers;

pub use asking::Asking;
pub use executor::Executor;
pub use sink::Sink;
pub use source::Source;
pub use streams::Streams;
pub use viewers::Viewers;
