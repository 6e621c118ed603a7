//! Floor 4: samples that rules and queries read.
//!
//! [`select`] is what an evaluator asks of whoever has samples.

pub mod select;

pub use select::{
    Columns, ExemplarPoint, Listed, Listing, MatchOp, Matcher, Queryable, Samples, Select, SelectError, SeriesExemplars,
};
