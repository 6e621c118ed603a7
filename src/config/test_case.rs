//! The configuration's own tests, as `tailwater test` runs them.

use crate::options::{Problem, Spanned, suggest};

use super::codes;

/// One test: what enters at a component, and what must leave it.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What the test is called in the report.
    pub name: String,
    /// The component that the input enters and whose output is compared.
    pub at: Spanned<String>,
    /// The input: a record, or a list of records. A record has either `raw`, a line as the runtime wrote
    /// it, or fields (`body`, `attributes`, `severity_text`, …), and a `resource`.
    pub input: Spanned<serde_json::Value>,
    /// The records that must come out, in order. Each is compared only in the fields that it names; an
    /// attribute given as null must be absent.
    pub expect: Vec<Spanned<serde_json::Value>>,
}

impl TestCase {
    /// A problem, if the test is at no component.
    pub(super) fn misplaced(&self, known: &[&str]) -> Option<Problem> {
        let component = self.at.split('.').next().unwrap_or_default();
        if known.contains(&component) {
            return None;
        }
        let message = format!("the test is at `{}`, which is no component", self.at.value);
        let problem = Problem::new(codes::TEST_ELSEWHERE, self.at.span, message);
        Some(match suggest::nearest(component, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("name a component of this configuration"),
        })
    }
}
