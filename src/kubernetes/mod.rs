//! Floor 5: the API of a Kubernetes cluster, read and never written: a client, watches that survive the API
//! server's restarts, and what they are for. [`targets`] are the targets of scrapes.

pub mod client;
pub mod targets;
pub mod watch;

pub use client::{Access, connect};
