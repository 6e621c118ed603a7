//! Floor 3: what makes sure that nothing is lost between a source and its destinations.
//!
//! A [`Message`] is a batch and its [`Ack`]. A source gives each batch a place in its [`Cursor`] and moves
//! its position only over batches that every destination has settled. Between a graph and a sink lies an
//! [edge](queue), bounded in bytes, in memory alone or with a [disk queue](disk) behind it.

pub mod ack;
pub mod batcher;
pub mod checkpoint;
pub mod complaints;
pub mod cursor;
pub mod dead_letter;
pub mod disk;
pub mod files;
pub mod journal;
pub mod journey;
pub mod lost;
pub mod message;
pub mod parcel;
pub mod parts;
mod path;
pub mod queue;
pub mod refusals;
pub mod retry;
pub mod sender;
#[cfg(test)]
pub(crate) mod simulated_disk;

pub use ack::{Ack, Outcome, Settle, Verdict};
pub use cursor::Cursor;
pub use message::Message;
pub use path::Path;
