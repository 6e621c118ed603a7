//! Floor 4: samples that rules and queries read.
//!
//! [`select`] is what an evaluator asks of whoever has samples, and what a query API asks beside that. The [`Store`] has
//! them in memory: of every series that somebody reads, its [chunks](self#chunks) of compressed samples.
//!
//! # Chunks
//!
//! 120 samples of a series take about 150 bytes; `chunk::floats` tells how.

mod chunk;
pub mod counters;
mod exemplars;
mod index;
mod inner;
pub mod options;
mod pattern;
mod read;
pub mod select;
mod selection;
mod store;
mod stored;

pub use counters::Refusal;
pub use inner::Taken;
pub use options::StoreOptions;
pub use select::{
    Columns, ExemplarPoint, Listed, Listing, MatchOp, Matcher, Queryable, Samples, Select, SelectError, SeriesExemplars,
};
pub use store::Store;
