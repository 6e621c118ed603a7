//! Tests of PromQL in the language in which Prometheus writes its own (`promqltest`, as of Prometheus 3.16): a script loads
//! series, evaluates expressions and says what must come out.
//!
//! ```text
//! load 1m
//!   requests{job="web"} 0+10x10
//!
//! eval instant at 10m rate(requests[5m])
//!   expect no_warn
//!   {job="web"} 0.16666666666666666
//! ```

mod classic;
mod compare;
mod cursor;
mod expect;
mod histogram_notation;
mod memory;
mod run;
pub mod series_notation;
mod starts;
mod text;

pub use compare::Difference;
pub use cursor::NotationError;
pub use memory::{AppendError, MemorySamples};
pub use run::{Failure, Report, Way};
pub use text::{Script, ScriptError};

/// A histogram as scripts write it.
pub fn histogram_text(histogram: &crate::data::histogram::Histogram) -> String {
    histogram_notation::text(histogram)
}
