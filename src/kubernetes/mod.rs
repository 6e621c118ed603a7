//! Floor 3: the API of a Kubernetes cluster, read and never written: a client, watches that survive the API
//! server's restarts, and what they are for. [`targets`] are the targets of scrapes, [`pods`] are those of this node, by
//! which whoever sends is known.

pub mod client;
pub mod pods;
pub mod targets;
pub mod watch;

pub use client::{Access, connect};
pub use pods::Pods;
