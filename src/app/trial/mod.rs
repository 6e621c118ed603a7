//! The configuration's own tests: records enter one transform, as a source would send them, and what leaves
//! it is compared with what was expected.

mod compare;
mod record;

pub use compare::Difference;

use crate::config::{Plan, TestCase};
use crate::data::Batch;
use crate::pipeline::trial;

/// Why a test did not pass.
#[derive(Debug)]
pub enum Failure {
    /// Other records came than were expected.
    Differs(Vec<Difference>),
    /// It could not be run, for this reason.
    NotRun(String),
}

/// Runs one test.
pub async fn run(plan: &Plan, test: &TestCase) -> Result<(), Failure> {
    let common = super::check::apart(plan);
    let Some(output) = plan.graph.output(&test.at) else {
        return Err(Failure::NotRun(format!("`{}` is no output of a transform", test.at.value)));
    };
    let input = record::batches(&test.input.0, &plan.identity).into_iter().map(Batch::Logs).collect();
    let left = trial::run(&plan.graph, &output, &common, input).await;
    let mut got = Vec::new();
    for batch in left.map_err(|error| Failure::NotRun(error.to_string()))? {
        match batch {
            Batch::Logs(logs) => got.extend(logs.iter().map(|view| record::shown(&view))),
            other => {
                let signal = other.signal().name();
                return Err(Failure::NotRun(format!(
                    "its output is {signal}: only records of logs can be compared yet"
                )));
            }
        }
    }
    let differences = compare::compare(&test.expect, &got);
    if differences.is_empty() { Ok(()) } else { Err(Failure::Differs(differences)) }
}
