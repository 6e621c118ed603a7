//! Floor 5: PromQL, as Prometheus 3.16 defines it. The grammar is the crate `promql-parser`'s; the tree, its types and the
//! evaluation are the agent's own.
//!
//! A [`Query`] is parsed once and evaluated as often as one likes over whoever has [samples](crate::series::Samples).

mod across;
mod eval;
mod evidence;
pub mod functions;
pub mod histogram;
pub mod neumaier;
mod query;
pub mod script;
mod syntax;
mod tree;
mod value;

pub use across::NodeLabels;
pub use eval::{Matrix, MatrixSeries};
pub use evidence::Evidence;
pub use query::{EvalError, LOOKBACK, Limits, ParseError, Query, Selector, Stop, ValueType, When, selectors};
pub use value::{Annotations, Evaluation, Point, SeriesPoints, Value, VectorSample};
