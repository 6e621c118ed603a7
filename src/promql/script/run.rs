//! Runs a script: loads, evaluates, compares.
//!
//! As Prometheus does, an instant evaluation is made in several ways that must come to the same: at its time, as the middle
//! of three steps of a range, and with every selector pinned to its time and evaluated at other times.

use super::classic;
use super::compare::{self, Difference};
use super::expect::Expected;
use super::memory::MemorySamples;
use super::text::{Command, Eval, Load, Script};
use crate::promql::{EvalError, Evaluation, Limits, Point, Query, Value, ValueType, VectorSample, When};

/// What became of a script.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Evaluations that were made.
    pub evaluations: usize,
    /// Commands that did not hold.
    pub failures: Vec<Failure>,
}

/// A command that did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The line of the command, or of the series, from 1 on.
    pub line: usize,
    /// The expression, or the series that was loaded.
    pub what: String,
    /// In which way the expression was evaluated.
    pub way: Way,
    /// What is not as it should be.
    pub differences: Vec<Difference>,
}

/// A way to evaluate an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is written.
    Written,
    /// An instant expression, as the middle of a range.
    Range,
    /// An instant expression whose selectors are pinned to its time, evaluated at this one: milliseconds since 1970.
    Pinned(i64),
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Written => Ok(()),
            Self::Range => f.write_str("as the middle of a range"),
            Self::Pinned(time) => write!(f, "pinned by @, evaluated at {}s", *time as f64 / 1000.0),
        }
    }
}

/// Half of the range as whose middle an instant expression is evaluated: milliseconds.
const STEP: i64 = 60_000;

/// What reads the range of the evaluation, and so differs from it to an instant.
const OF_THE_RANGE: [&str; 4] = ["start()", "end()", "range()", "step()"];

impl Script {
    /// Runs all commands, whatever fails.
    pub fn run(&self, limits: &Limits) -> Report {
        let (mut samples, mut report) = (MemorySamples::new(), Report::default());
        for command in &self.commands {
            match command {
                Command::Clear => samples.clear(),
                Command::Load(command) => report.failures.extend(load(command, &mut samples).err()),
                Command::Eval(command) => {
                    report.evaluations += 1;
                    report.failures.extend(eval(command, &samples, limits).err());
                }
            }
        }
        report
    }
}

fn load(command: &Load, samples: &mut MemorySamples) -> Result<(), Failure> {
    let failed = |line, what, problem: String| {
        let differences = vec![Difference { expected: "samples that can be loaded".into(), got: problem }];
        Failure { line, what, way: Way::Written, differences }
    };
    for loaded in &command.series {
        let labels = &loaded.series.labels;
        for (place, item) in (0i64..).zip(&loaded.series.values) {
            let time = place.saturating_mul(command.step);
            let start = usize::try_from(place).ok().and_then(|place| *loaded.starts.get(place)?);
            let appended = samples.append(labels, time, start.map(|offset| time.saturating_add(offset)), item);
            appended.map_err(|error| failed(loaded.line, compare::labels(labels), error.to_string()))?;
        }
    }
    if command.with_native {
        let native = classic::native(command);
        let native = native.map_err(|(line, problem)| failed(line, "load_with_nhcb".into(), problem))?;
        for (labels, time, item) in native {
            let appended = samples.append(&labels, time, None, &item);
            let line = command.series.first().map_or(0, |loaded| loaded.line);
            appended.map_err(|error| failed(line, compare::labels(&labels), error.to_string()))?;
        }
    }
    Ok(())
}

fn eval(command: &Eval, samples: &MemorySamples, limits: &Limits) -> Result<(), Failure> {
    let expected = &command.expectations;
    let failed = |way, differences| Failure { line: command.line, what: command.expression.clone(), way, differences };
    let query = match (Query::parse_scripted(&command.expression), &expected.failure) {
        (Ok(query), _) => query,
        // An expression that is none fails too, if it says what it should.
        (Err(error), Some(words)) if !matches!(words, super::expect::Words::Any) => {
            let differences = compare::failure(words, &error.to_string());
            return if differences.is_empty() { Ok(()) } else { Err(failed(Way::Written, differences)) };
        }
        (Err(error), _) => {
            let differences = vec![Difference { expected: "PromQL".into(), got: error.to_string() }];
            return Err(failed(Way::Written, differences));
        }
    };
    let check = |way, evaluated| match check(command, way, evaluated) {
        differences if differences.is_empty() => Ok(()),
        differences => Err(failed(way, differences)),
    };
    let both = |way, query: &Query, when| {
        check(way, query.evaluate(samples, when, limits))?;
        let (When::Instant(time), Some(range)) = (when, middle(command, query, when)) else { return Ok(()) };
        let evaluated = query.evaluate(samples, range, limits);
        check(Way::Range, evaluated.map(|range| at_middle(range, time, query.value_type())))
    };
    both(Way::Written, &query, command.when)?;
    let When::Instant(time) = command.when else { return Ok(()) };
    match query.pinned(time) {
        Ok(None) => Ok(()),
        Ok(Some(query)) => {
            let mut others = other_times(time).into_iter();
            others.try_for_each(|other| both(Way::Pinned(other), &query, When::Instant(other)))
        }
        Err(error) => {
            let differences = vec![Difference { expected: "PromQL when printed".into(), got: error.to_string() }];
            Err(failed(Way::Pinned(time), differences))
        }
    }
}

/// When else an expression is evaluated whose selectors are pinned: before, at and after its time.
fn other_times(time: i64) -> Vec<i64> {
    match time {
        0 => vec![-1000, 0, 1000],
        _ => vec![time.saturating_mul(-10), 0, time / 5, time, time.saturating_mul(10)],
    }
}

/// The range as whose middle an instant expression can be evaluated.
fn middle(command: &Eval, query: &Query, when: When) -> Option<When> {
    let When::Instant(time) = when else { return None };
    let expected = &command.expectations;
    // Ranges have no texts, no range vectors and no order, and what fails once need not fail with other times around it.
    let instant = matches!(query.value_type(), ValueType::Vector | ValueType::Scalar)
        && !matches!(expected.value, Expected::Text(_))
        && expected.points.is_none()
        && !expected.ordered
        && expected.failure.is_none();
    let alone = !OF_THE_RANGE.iter().any(|word| command.expression.contains(word));
    (instant && alone).then_some(When::Range { start: time - STEP, end: time + STEP, step: STEP })
}

/// The middle of a range's three steps, as the instant of it.
fn at_middle(range: Evaluation, middle: i64, kind: ValueType) -> Evaluation {
    let Value::Matrix(series) = &range.value else { return range };
    let there = series.iter().filter_map(|series| {
        let (time, point) = series.points.iter().find(|(time, _)| *time == middle)?;
        Some(VectorSample { labels: series.labels.clone(), time: *time, point: point.clone() })
    });
    let there: Vec<_> = there.collect();
    let value = match (kind, there.as_slice()) {
        (ValueType::Scalar, [VectorSample { point: Point::Float(value), .. }]) => Value::Scalar(*value),
        _ => Value::Vector(there),
    };
    Evaluation { value, annotations: range.annotations }
}

fn check(command: &Eval, way: Way, evaluated: Result<Evaluation, EvalError>) -> Vec<Difference> {
    let expected = &command.expectations;
    match (evaluated, &expected.failure) {
        (Err(error), Some(words)) => compare::failure(words, &error.to_string()),
        (Err(error), None) => vec![Difference { expected: "a result".into(), got: format!("error: {error}") }],
        (Ok(_), Some(words)) => {
            vec![Difference { expected: format!("error: {}", words.shown()), got: "a result".into() }]
        }
        (Ok(evaluation), None) => {
            // Three steps may have more to say than one.
            let mut differences = match way {
                Way::Range => Vec::new(),
                Way::Written | Way::Pinned(_) => compare::notes(expected, &evaluation.annotations),
            };
            differences.extend(compare::value(expected, &evaluation.value));
            differences
        }
    }
}
