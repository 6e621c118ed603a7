//! The transform `route`: sends each record, or span, out by the first route, or by every route, whose condition
//! holds, and by `unmatched` where none does.
//!
//! A fork shares everything but its selection. A batch that goes out whole one way, which is what most do,
//! is handed on as it is.

use std::sync::Arc;

use schemars::JsonSchema;

use crate::data::names::Interest;
use crate::data::{Batch, LogBatch, Names, Resource, Selection, Signal, TraceBatch};
use crate::delivery::Message;
use crate::expression::option::CompileError;
use crate::expression::traces::SpanView;
use crate::expression::{Condition, Evaluator, Program, Subject, logs, traces};
use crate::formats::otlp::origin::read_resource;
use crate::formats::otlp::span::SpanMessage;
use crate::options::{Code, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareTransform, Transform, TransformFactory};
use crate::pipeline::outlet::Ports;
use crate::pipeline::{Descriptor, Outputs, PrepareError, PreparedTransform, TransformPlan};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn TransformPlan> = Descriptor {
    name: "route",
    summary: "Sends records or spans out by named outputs, by the condition that holds for them.",
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
        }
        problems
    }
}

impl TransformPlan for Options {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        if subject(signal).is_none() {
            return Err(format!("`route` does not take {} yet", signal.name()));
        }
        let names = self.routes.iter().map(|route| route.name.value.as_str()).chain([UNMATCHED]);
        Ok(Outputs::Named(names.map(|name| (name.into(), signal)).collect()))
    }

    fn problems_with(&self, signal: Option<Signal>) -> Vec<Problem> {
        let of = |subject| self.routes.iter().filter_map(|route| route.condition.problems(subject)).collect();
        match signal {
            Some(signal) => subject(signal).map(of).unwrap_or_default(),
            // What feeds it is wrong itself: only what is wrong for every signal is told.
            None => [&logs::SUBJECT, &traces::SUBJECT].map(of).into_iter().min_by_key(Vec::len).unwrap_or_default(),
        }
    }

    fn interest(&self, signal: Signal, names: &Names, downstream: &Interest) -> Result<Interest, PrepareError> {
        let mut interest = downstream.clone();
        if signal != Signal::Logs {
            return Ok(interest);
        }
        for program in self.compile(signal, names).map_err(|error| PrepareError(error.to_string()))? {
            interest.merge(&Interest {
                paths: program.paths().to_vec(),
                reserved: Vec::new(),
                severity: program.reads_severity(),
            });
        }
        Ok(interest)
    }

    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let programs = self.compile(cx.signal, &cx.common.names).map_err(|error| PrepareError(error.to_string()))?;
        let conditions: Vec<_> = programs.into_iter().map(Evaluator::new).collect();
        let all = self.matching == Match::All;
        Ok(PreparedTransform::Carries(Arc::new(Worker {
            taken: vec![Vec::new(); conditions.len() + 1],
            conditions,
            all,
            resources: Resources::default(),
        })))
    }
}

impl Options {
    fn compile(&self, signal: Signal, names: &Names) -> Result<Vec<Program>, CompileError> {
        let subject = subject(signal).unwrap_or(&logs::SUBJECT);
        self.routes.iter().map(|route| route.condition.compile(subject, names)).collect()
    }
}

/// What conditions read of a signal; `None` where it is not routed.
const fn subject(signal: Signal) -> Option<&'static Subject> {
    match signal {
        Signal::Logs => Some(&logs::SUBJECT),
        Signal::Traces => Some(&traces::SUBJECT),
        Signal::Metrics => None,
    }
}

/// The routes of one worker.
#[derive(Clone)]
struct Worker {
    conditions: Vec<Evaluator>,
    all: bool,
    /// The records that each output takes, the last being `unmatched`.
    taken: Vec<Vec<u32>>,
    resources: Resources,
}

/// The resources of spans, read once.
#[derive(Clone, Debug, Default)]
struct Resources(Vec<(Box<[u8]>, Arc<Resource>)>);

/// Most resources that a worker remembers; beyond them all are read again.
const MOST_RESOURCES: usize = 64;

impl Resources {
    fn get(&mut self, message: &[u8]) -> Arc<Resource> {
        if let Some((_, known)) = self.0.iter().find(|(came, _)| **came == *message) {
            return known.clone();
        }
        if self.0.len() == MOST_RESOURCES {
            self.0.clear();
        }
        // What the index has proven cannot fail to be read.
        let resource = Arc::new(read_resource(message, b"").unwrap_or_default());
        self.0.push((message.into(), resource.clone()));
        resource
    }
}

impl TransformFactory for Worker {
    fn worker(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Worker {
    fn process(&mut self, message: Message, out: &mut Ports<'_>) {
        self.taken.iter_mut().for_each(Vec::clear);
        match &message.batch {
            Batch::Logs(batch) => self.choose_records(batch),
            Batch::Traces(batch) => self.choose_spans(batch),
            // The plan refuses them.
            Batch::Metrics(_) => return out.push(self.conditions.len(), message),
        }
        let count = message.batch.count();
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

impl Worker {
    fn choose_records(&mut self, batch: &LogBatch) {
        let settled: Vec<_> = self.conditions.iter_mut().map(|condition| condition.begin(&batch.resource)).collect();
        for index in batch.selection.iter() {
            let view = batch.view(index);
            self.choose(index, |route, condition| settled[route].unwrap_or_else(|| condition.holds(&view)));
        }
    }

    fn choose_spans(&mut self, batch: &TraceBatch) {
        let mut of: Option<(u32, Arc<Resource>, Vec<Option<bool>>)> = None;
        for index in batch.selection.iter() {
            let entry = &batch.spans()[index];
            let number = batch.index().scopes[entry.scope as usize].resource;
            let (_, resource, settled) = match of.take() {
                Some(same) if same.0 == number => of.insert(same),
                _ => {
                    let resource = self.resources.get(batch.resource_of(entry));
                    let settled = self.conditions.iter_mut().map(|condition| condition.begin(&resource)).collect();
                    of.insert((number, resource, settled))
                }
            };
            let (message, scope) = (SpanMessage(batch.span(index)), batch.scope_of(entry));
            let view = SpanView { entry, message, scope, resource };
            self.choose(index, |route, condition| settled[route].unwrap_or_else(|| condition.holds(&view)));
        }
    }

    /// Notes by which outputs a record goes out.
    fn choose(&mut self, index: usize, mut holds: impl FnMut(usize, &mut Evaluator) -> bool) {
        let mut matched = false;
        for (route, condition) in self.conditions.iter_mut().enumerate() {
            if holds(route, condition) {
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
}

/// The message with only these of its `count` records selected.
fn narrowed(mut message: Message, records: &[u32], count: usize) -> Message {
    let selection = match &mut message.batch {
        Batch::Logs(batch) => &mut batch.selection,
        Batch::Traces(batch) => &mut batch.selection,
        // The plan refuses them.
        Batch::Metrics(_) => return message,
    };
    if records.len() < count {
        let mut chosen = Selection::none(selection.len());
        records.iter().for_each(|&record| chosen.insert(record as usize));
        *selection = chosen;
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn problems(routes: Json) -> Vec<String> {
        let options: Options = serde_json::from_value(json!({ "routes": routes })).expect("the shape is right");
        let problems = options.problems().into_iter().chain(options.problems_with(Some(Signal::Logs)));
        problems.map(|problem| problem.message).collect()
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
        let says = ["`Errors` is no name", "what no route takes", "two routes", "`` is no name", "no field `levl`"];
        assert!(told.len() == 5 && told.iter().zip(says).all(|(told, says)| told.contains(says)), "{told:?}");
        assert!(problems(json!([]))[0].contains("has 0 routes"));
        let many: Vec<_> = (0..65).map(|n| route(&format!("r{n}"), "true")).collect();
        assert!(problems(many.into())[0].contains("has 65 routes"));
    }
    #[test]
    fn conditions_are_those_of_the_signal() {
        let route = |condition: &str| -> Options {
            serde_json::from_value(json!({ "routes": [{ "name": "a", "if": condition }] })).expect("the shape is right")
        };
        let (of_logs, of_spans) = (route("severity_number >= ERROR"), route("kind == \"SERVER\""));
        let problems = |options: &Options, signal| options.problems_with(signal).len();
        for signal in [Some(Signal::Logs), None] {
            assert_eq!(problems(&of_logs, signal), 0);
        }
        for signal in [Some(Signal::Traces), None] {
            assert_eq!(problems(&of_spans, signal), 0);
        }
        assert_eq!((problems(&of_logs, Some(Signal::Traces)), problems(&of_spans, Some(Signal::Logs))), (1, 1));
        assert!(of_spans.outputs(Signal::Traces).is_ok() && of_spans.outputs(Signal::Metrics).is_err());
    }
}
