//! Floor 2: conditions and values over records, shaped like OpenTelemetry's OTTL.
//!
//! ```text
//! attributes["level"] == "debug" and not (resource["k8s.namespace.name"] startsWith "dev-")
//! severity_number < INFO or body contains "health"
//! exists(attributes["user"]["email"]) and attributes["path"] matches "^/api/"
//! ```
//!
//! [`token`] and [`parse`] turn text into a tree; [`check`] types it against a signal's [`subject`]; both
//! point at the character that is wrong. [`compile`] interns its paths and hoists whatever only the
//! resource decides; [`eval`] then answers on borrowed bytes, without allocating.
//!
//! A missing value (a JSON `null`, severity 0, an empty body and an all-zero id included) makes every comparison false
//! but `== nil`. Values of different types are unequal and never ordered: a JSON string is no number.

pub mod check;
pub mod compile;
pub mod eval;
pub mod logs;
pub mod metrics;
pub mod option;
pub mod parse;
pub mod residue;
pub mod subject;
pub mod token;
pub mod traces;
pub mod value;

pub use check::Checked;
pub use compile::{AttributePath, Operand, Program};
pub use eval::{Evaluator, Record};
pub use option::{Assignment, Condition, PathOption, ValueOption};
pub use residue::{Open, Residue};
pub use subject::Subject;
pub use value::ValueRef;

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// First byte that is meant.
    pub from: usize,
    /// Behind the last byte that is meant.
    pub to: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl ExpressionError {
    fn new((from, to): (usize, usize), message: impl Into<String>) -> Self {
        Self { from, to, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
