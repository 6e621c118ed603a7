//! JSON (RFC 8259) as log lines carry it: proven spliceable by one scan, never built into a tree.
//!
//! [`scan::Scanner`] proves that an object's bytes may stand inside another document and locates the few
//! members that the graph reads. [`members::MemberWriter`] writes the object's members with everything
//! that edits did to them. [`text`] is the content of strings. [`walk`] goes over proven bytes, [`strict`]
//! is the slow and exact judge of what the scan refused.

mod block;
pub mod members;
pub mod scan;
pub mod strict;
mod structure;
pub mod text;
pub mod walk;
mod wanted;

pub use members::{Emit, MemberWriter};
pub use scan::{NotAnObject, Scanner};
