//! The transform `route`: sends each record out by the first route, or by every route, whose condition
//! holds, and by `unmatched` where none does.
//!
//! A fork shares everything but its selection. A batch that goes out whole one way, which is what most do,
//! is handed on as it is.

use std::sync::Arc;

use schemars::JsonSchema;

use crate::data::names::Interest;
use crate::data::{Batch, Names, Selection, Signal};
use crate::delivery::Message;
use crate::expression::logs::SUBJECT;
use crate::expression::option::CompileError;
use crate::expression::{Condition, Evaluator, Program};
use crate::options::{Code, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareTransform, Transform, TransformFactory};
use crate::pipeline::outlet::Ports;
use crate::pipeline::{Descriptor, Outputs, PrepareError, PreparedTransform, TransformPlan};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn TransformPlan> = Descriptor {
    name: "route",
    summary: "Sends records out by named outputs, by the condition that holds for them.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// A list of routes that cannot be.
pub const BAD_ROUTES: Code = Code("TW0411");

/// The output of what no route takes.
const UNMATCHED: &str = "unmatched";

/// Options of the transform `route`. Each route is an output called `route/name.output` in `inputs`; what
/// no route takes goes out by `unmatched`. Records that go out by an output that nothing reads are counted
/// as filtered.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Which routes a record takes: `first`, only the first whose condition holds; `all`, every one whose
    /// condition holds. Default: `first`.
    #[serde(default, rename = "match")]
    matching: Match,
    /// The routes, tried in this order. At least one, at most 64.
    routes: Vec<Route>,
}

/// Which routes a record takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Match {
    /// The first that matches.
    #[default]
    First,
    /// All that match.
    All,
}

/// One route.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Route {
    /// Name of the output: lower-case letters, digits, `_` and `-`.
    name: Spanned<String>,
    /// For which records.
    #[serde(rename = "if")]
    condition: Condition,
}

/// Most routes of one component.
const MOST_ROUTES: usize = 64;

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let span = self.routes.first().map(|route| route.name.span).unwrap_or_default();
        if !(1..=MOST_ROUTES).contains(&self.routes.len()) {
            let words = format!("`route` has {} routes; it needs 1 to {MOST_ROUTES}", self.routes.len());
            problems.push(Problem::new(BAD_ROUTES, span, words).help("write `routes: [{ name: errors, if: '…' }]`"));
        }
        for (at, route) in self.routes.iter().enumerate() {
            let name = route.name.value.as_str();
            let problem = |words: String| Problem::new(BAD_ROUTES, route.name.span, words);
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
            if name.is_empty() || !name.bytes().all(allowed) {
                problems.push(
                    problem(format!("`{name}` is no name for an output"))
                        .help("use lower-case letters, digits, `_` and `-`"),
                );
            } else if name == UNMATCHED {
                problems.push(
                    problem("`unmatched` is the output of what no route takes".to_owned())
                        .help("give the route another name"),
                );
            } else if self.routes[..at].iter().any(|other| other.name.value == name) {
                problems.push(
                    problem(format!("two routes are called `{name}`"))
                        .help("give each a name of its own, or join their conditions with `or`"),
                );
            }
            problems.extend(route.condition.problems(&SUBJECT));
        }
        problems
    }
}

impl TransformPlan for Options {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        if signal != Signal::Logs {
            return Err(format!("`route` does not take {} yet", signal.name()));
        }
        let names = self.routes.iter().map(|route| route.name.value.as_str()).chain([UNMATCHED]);
        Ok(Outputs::Named(names.map(|name| (name.into(), signal)).collect()))
    }

    fn interest(&self, _signal: Signal, names: &Names, downstream: &Interest) -> Result<Interest, PrepareError> {
        let mut interest = downstream.clone();
        for program in self.compile(names).map_err(|error| PrepareError(error.to_string()))? {
            interest.merge(&Interest {
                paths: program.paths().to_vec(),
                reserved: Vec::new(),
                severity: program.reads_severity(),
            });
        }
        Ok(interest)
    }

    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let programs = self.compile(&cx.common.names).map_err(|error| PrepareError(error.to_string()))?;
        let conditions: Vec<_> = programs.into_iter().map(Evaluator::new).collect();
        let all = self.matching == Match::All;
        Ok(PreparedTransform::Carries(Arc::new(Worker {
            taken: vec![Vec::new(); conditions.len() + 1],
            conditions,
            all,
        })))
    }
}

impl Options {
    fn compile(&self, names: &Names) -> Result<Vec<Program>, CompileError> {
        self.routes.iter().map(|route| route.condition.compile(&SUBJECT, names)).collect()
    }
}

/// The routes of one worker.
#[derive(Clone)]
struct Worker {
    conditions: Vec<Evaluator>,
    all: bool,
    /// The records that each output takes, the last being `unmatched`.
    taken: Vec<Vec<u32>>,
}

impl TransformFactory for Worker {
    fn worker(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Worker {
    fn process(&mut self, message: Message, out: &mut Ports<'_>) {
        let Batch::Logs(batch) = &message.batch else { return out.push(self.conditions.len(), message) };
        self.taken.iter_mut().for_each(Vec::clear);
        let settled: Vec<_> = self.conditions.iter_mut().map(|condition| condition.begin(&batch.resource)).collect();
        for index in batch.selection.iter() {
            let view = batch.view(index);
            let mut matched = false;
            for (route, condition) in self.conditions.iter_mut().enumerate() {
                if settled[route].unwrap_or_else(|| condition.holds(&view)) {
                    self.taken[route].push(index as u32);
                    matched = true;
                    if !self.all {
                        break;
                    }
                }
            }
            if !matched {
                self.taken[self.conditions.len()].push(index as u32);
            }
        }
        let count = batch.selection.count();
        let Some(last) = self.taken.iter().rposition(|records| !records.is_empty()) else { return message.ack.done() };
        for output in 0..last {
            if !self.taken[output].is_empty() {
                let fork = message.fork();
                out.push(output, narrowed(fork, &self.taken[output], count));
            }
        }
        out.push(last, narrowed(message, &self.taken[last], count));
    }
}

/// The message with only these of its `count` records selected.
fn narrowed(mut message: Message, records: &[u32], count: usize) -> Message {
    if let Batch::Logs(batch) = &mut message.batch
        && records.len() < count
    {
        let mut selection = Selection::none(batch.selection.len());
        records.iter().for_each(|&record| selection.insert(record as usize));
        batch.selection = selection;
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn problems(routes: Json) -> Vec<String> {
        let options: Options = serde_json::from_value(json!({ "routes": routes })).expect("the shape is right");
        options.problems().into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn wrong_routes_are_told_all_at_once() {
        let route = |name: &str, condition: &str| json!({ "name": name, "if": condition });
        let good = json!([route("errors", "severity_number >= ERROR"), route("shop-1", "resource[\"a\"] == \"b\"")]);
        assert_eq!(problems(good), [""; 0]);
        let bad = json!([
            route("Errors", "true"),
            route("unmatched", "true"),
            route("a", "levl == 1"),
            route("a", "true"),
            route("", "true")
        ]);
        let told = problems(bad);
        let says = ["`Errors` is no name", "what no route takes", "no field `levl`", "two routes", "`` is no name"];
        assert!(told.len() == 5 && told.iter().zip(says).all(|(told, says)| told.contains(says)), "{told:?}");
        assert!(problems(json!([]))[0].contains("has 0 routes"));
        let many: Vec<_> = (0..65).map(|n| route(&format!("r{n}"), "true")).collect();
        assert!(problems(many.into())[0].contains("has 65 routes"));
    }
}
