//! Floor 4: samples that rules and queries read.
//!
//! [`select`] is what an evaluator asks of whoever has samples, and what a query API asks beside that. The [`Store`] has
//! them in memory: of every series that somebody reads, chunks of compressed samples (`chunk`), found by an inverted index
//! (`index`). A [`Keeper`] has the same on [`disk`]: a journal of what comes, and snapshots. [`keep()`] looks after both.

mod chunk;
pub mod counters;
pub mod disk;
mod exemplars;
mod index;
mod inner;
mod keep;
mod lists;
mod memory;
pub mod options;
mod pattern;
mod put;
mod read;
pub mod select;
mod selection;
mod store;
mod stored;

pub use counters::Refusal;
pub use disk::{Keeper, Place, Restored};
pub use inner::Taken;
pub use keep::keep;
pub use options::StoreOptions;
pub use select::{
    Columns, ExemplarPoint, Listed, Listing, MatchOp, Matcher, Queryable, Samples, Select, SelectError, SeriesExemplars,
};
pub use store::Store;
