//! Floor 6: reading log files as they grow, rotate and vanish; what the sources of files share.
//!
//! A *log* is what one writer writes under one path: the chain of the *generations* of its file, from
//! rotation to rotation. The [`catalog`] looks at the file system every second, opens every generation as it
//! appears, and keeps its row in the checkpoint before a byte of it is read; it holds what was deleted or
//! renamed until it is read. [Workers](worker) read: each owns the logs it was given, serves them by
//! byte-weighted round robin, cuts lines ([`lines`]), and moves a log's position when everything before it
//! is settled ([`origin`]).
//!
//! Growth is found by reading: a look at an idle file costs one system call, and nothing depends on being
//! told. [Hints](hint) from the kernel only make new files be found sooner.

pub mod catalog;
pub mod discover;
pub mod fingerprint;
pub mod folders;
pub mod generation;
pub mod hint;
pub mod inbox;
pub mod lines;
pub mod origin;
pub mod read;
pub mod row;
pub mod run;
pub mod seek;
mod shelf;
pub mod siblings;
pub mod worker;

pub use discover::{Discover, Found};
pub use lines::Format;
pub use run::{Settings, Start, Tail};

#[cfg(test)]
mod tests;
