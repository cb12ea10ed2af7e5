//! The load: executors that send and viewers that take, none of which may be the bottleneck.

mod sink;
mod source;
mod viewers;

pub use sink::Sink;
pub use source::Source;
pub use viewers::Viewers;
