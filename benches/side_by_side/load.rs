//! The load: executors that send and viewers that take, none of which may be the bottleneck.

mod asking;
mod sink;
mod source;
mod viewers;

pub use asking::Asking;
pub use sink::Sink;
pub use source::Source;
pub use viewers::Viewers;
