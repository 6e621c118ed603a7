//! Every function of Prometheus 3.16's PromQL, as a row of one table: what it takes, what it gives, and how it is computed.
//!
//! Functions compute on slices of numbers and know neither trees nor steps: whoever evaluates a query shows them a
//! [`Window`], a column of floats or a histogram at a time. What needs the whole query, or many series at once, is named in
//! the table and left to it.

mod classic;
mod date;
mod extended;
mod instant;
mod labels;
mod math;
mod notes;
mod order;
mod over_time;
mod quantile;
mod rate;
mod resets;
mod starts;
mod table;
mod trend;
mod window;

pub use classic::{Classic, parse_bound};
pub use labels::{Join, Replace};
pub use math::{greater, lesser};
pub use notes::{Forced, Note, Notes, Operation, Place, Work};
pub use order::{by_labels, by_value, natural};
pub use quantile::quantile;
pub use table::{Function, TABLE, find};
pub use window::{Datum, Extension, Window};

use super::histogram::FloatHistogram;

/// How a function is computed.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// From a range of one series.
    Range(RangeFunction),
    /// From each float on its own; histograms have no result.
    Floats(fn(&mut [f64])),
    /// From each float and the call's scalars at its time; histograms have no result.
    WithScalars(fn(f64, &[f64]) -> Option<f64>),
    /// From each float, taken as seconds since 1970; without an argument from the time of the evaluation. Histograms have no
    /// result.
    Date(fn(f64) -> f64),
    /// From each histogram; floats have no result.
    Histogram(fn(&FloatHistogram) -> f64),
    /// From the call's scalars.
    Scalars(fn(&[f64]) -> f64),
    /// From the buckets of histograms, classic or native: see [`Classic`] and [`FloatHistogram`].
    Buckets(BucketFunction),
    /// Changes labels alone: see [`Replace`] and [`Join`].
    Labels(LabelFunction),
    /// Brings a vector into an order.
    Order(Order),
    /// What only the evaluation itself can do.
    Evaluation(Special),
}

/// A function of a range.
#[derive(Clone, Copy, Debug)]
pub struct RangeFunction {
    /// Computes the result from a window that is not empty and the call's scalars in their order.
    pub compute: fn(&Window<'_>, &[f64], &mut Work) -> Option<Datum>,
    /// The result keeps the metric's name.
    pub keeps_name: bool,
    /// It makes use of when counters began.
    pub uses_starts: bool,
    /// It means something for counters only, which have names of their own.
    pub wants_counter: bool,
    /// It can be used with `anchored`.
    pub anchored: bool,
    /// It can be used with `smoothed`.
    pub smoothed: bool,
}

/// A function of a histogram's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketFunction {
    /// `histogram_quantile(q, vector)`
    Quantile,
    /// `histogram_quantiles(vector, label, q…)`
    Quantiles,
    /// `histogram_fraction(lower, upper, vector)`
    Fraction,
}

/// A function that changes labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelFunction {
    /// `label_replace(vector, destination, replacement, source, pattern)`
    Replace,
    /// `label_join(vector, destination, separator, source…)`
    Join,
}

/// The order of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By labels that the call names, and then by all; else by value, which only floats have.
    pub by_label: bool,
    /// The highest first.
    pub descending: bool,
}

/// A function that only the evaluation itself can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum Special {
    Absent,
    AbsentOverTime,
    End,
    Info,
    Range,
    Scalar,
    Start,
    StartTimestamp,
    Step,
    Time,
    Timestamp,
    Vector,
}
