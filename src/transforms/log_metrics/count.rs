//! From a record to the series that it touches. A series that is known costs no allocation.

use std::io::Write as _;

use super::example::Shown;
use crate::data::logs::LogView;
use crate::data::names::Interest;
use crate::data::{Batch, LogBatch};
use crate::expression::{Evaluator, Operand, Program, ValueRef};
use crate::pipeline::aggregate::{Count, Counters, Kind, Metric, Observation, Touch, key};

/// A metric, ready to be counted.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// As it is emitted; its labels are in the order of `labels`.
    pub metric: Metric,
    pub reads: Option<Program>,
    pub condition: Option<Evaluator>,
    pub value: Option<Operand>,
    /// Where values of labels come from.
    pub labels: Vec<Operand>,
}

/// The metrics as one worker counts them.
#[derive(Clone)]
pub(super) struct Counting {
    metrics: Vec<Counted>,
    /// What of a record is shown as an example, where anything is.
    shown: Option<Shown>,
    key: Vec<u8>,
    text: Vec<u8>,
    line: Vec<u8>,
    /// A bit for each record of the batch that a metric refused: a record is refused once.
    refused: Vec<u64>,
}

impl Counting {
    pub fn new(metrics: Vec<Counted>, shown: Option<Shown>) -> Self {
        Self { metrics, shown, key: Vec::new(), text: Vec::new(), line: Vec::new(), refused: Vec::new() }
    }

    /// What must be located in records.
    pub fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        for metric in &self.metrics {
            if let Some(program) = &metric.reads {
                let paths = program.paths().to_vec();
                interest.merge(&Interest { paths, reserved: Vec::new(), severity: program.reads_severity() });
            }
        }
        let of_metrics = self.metrics.iter().flat_map(|metric| metric.value.iter().chain(&metric.labels));
        for operand in of_metrics.chain(self.shown.iter().flat_map(Shown::operands)) {
            let paths = operand.path().into_iter().collect();
            interest.merge(&Interest { paths, reserved: Vec::new(), severity: operand.reads_severity() });
        }
        interest
    }

    /// The metrics as they are emitted.
    pub fn emitted(&self) -> Vec<Metric> {
        self.metrics.iter().map(|counted| counted.metric.clone()).collect()
    }

    fn count_logs(&mut self, batch: &LogBatch, counters: &Counters) {
        let now = Touch::now();
        let Self { metrics, shown, key, text, line, refused } = self;
        refused.clear();
        for (number, metric) in metrics.iter_mut().enumerate() {
            let settled = match &mut metric.condition {
                None => Some(true),
                Some(condition) => condition.begin(&batch.resource),
            };
            if settled == Some(false) {
                continue;
            }
            for index in batch.selection.iter() {
                let view = batch.view(index);
                let counts = settled.is_some() || metric.condition.as_mut().is_some_and(|c| c.holds(&view));
                if !counts {
                    continue;
                }
                let value = match &metric.value {
                    None => 1.0,
                    Some(operand) => match number_of(operand.read(&view), text) {
                        Number::Is(value) => value,
                        Number::Missing => continue,
                        Number::Bad => f64::NAN,
                    },
                };
                // A counter counts nothing that is negative, and no metric what is no number.
                let is_bad = value.is_nan() || metric.metric.kind == Kind::Counter && value < 0.0;
                let counted = if is_bad {
                    counters.bad_value();
                    false
                } else {
                    write_key(number, &metric.labels, &view, key, text);
                    // An exemplar of a gauge is none that OpenMetrics knows.
                    let shown = shown.as_ref().filter(|_| metric.metric.kind != Kind::Gauge);
                    let span = shown.and_then(|shown| shown.span(&view, text));
                    let line = shown.map_or(&b""[..], |shown| shown.line(&view, text, line));
                    counters.add(key, &Observation { value, count: 1.0, time: view.time(), span, line }, now)
                };
                if !counted {
                    mark(refused, index);
                }
            }
        }
        let records: u32 = refused.iter().map(|bits| bits.count_ones()).sum();
        counters.refused(records as usize);
    }
}

impl Count for Counting {
    fn count(&mut self, batch: &Batch, counters: &Counters) {
        if let Batch::Logs(batch) = batch {
            self.count_logs(batch, counters);
        }
    }
}

fn mark(bits: &mut Vec<u64>, index: usize) {
    let word = index / 64;
    if bits.len() <= word {
        bits.resize(word + 1, 0);
    }
    bits[word] |= 1 << (index % 64);
}

enum Number {
    Is(f64),
    Missing,
    Bad,
}

fn number_of(value: ValueRef<'_>, buffer: &mut Vec<u8>) -> Number {
    let parsed = match value {
        ValueRef::Missing => return Number::Missing,
        ValueRef::Int(int) => Some(int as f64),
        ValueRef::Double(double) => Some(double),
        ValueRef::Bool(value) => Some(f64::from(u8::from(value))),
        ValueRef::Number(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        other => {
            other.text(buffer).and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.trim().parse().ok())
        }
    };
    parsed.filter(|value: &f64| value.is_finite()).map_or(Number::Bad, Number::Is)
}

/// Writes the key of the series that a record touches.
fn write_key(number: usize, labels: &[Operand], view: &LogView<'_>, key: &mut Vec<u8>, text: &mut Vec<u8>) {
    key::begin(number, key);
    for operand in labels {
        key::push(key, |key| append(operand.read(view), key, text));
    }
}

/// Appends a value as text.
pub(super) fn append(value: ValueRef<'_>, out: &mut Vec<u8>, text: &mut Vec<u8>) {
    match value {
        ValueRef::Missing => {}
        // Writing into memory cannot fail.
        ValueRef::Int(int) => drop(write!(out, "{int}")),
        ValueRef::Double(double) => drop(write!(out, "{double}")),
        ValueRef::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        ValueRef::Number(number) | ValueRef::Json(number) => out.extend_from_slice(number),
        ValueRef::Id(id) => id.iter().for_each(|byte| out.extend_from_slice(hex(*byte).as_slice())),
        ValueRef::Time(time) => time.write_rfc3339(out),
        value => out.extend_from_slice(value.text(text).unwrap_or_default()),
    }
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}
