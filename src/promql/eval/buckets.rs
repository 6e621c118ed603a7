//! Quantiles and fractions of histograms. A native histogram stands for itself; a classic one is the series that differ in
//! nothing but their bound `le`, which are put together once, whatever the number of steps.

use super::super::functions::{BucketFunction, Classic, Note, Place, parse_bound};
use super::super::histogram::{FloatHistogram, FractionNote, QuantileNote};
use super::super::query::{EvalError, ValueType};
use super::super::tree::Call;
use super::rows::{Ids, Metric, Rows, is_absent};
use super::{Evaluator, Steps};
use crate::data::labels::{LabelSet, Labels};
use crate::formats::prometheus::number;

/// The label that has a bucket's upper bound.
const BOUND: &str = "le";

/// Histograms of a vector: rows that are native ones, and rows that are buckets of classic ones.
struct Grouped {
    ids: Ids,
    /// For each label set without bound: its buckets, in the order of their bounds.
    buckets: Vec<Vec<(f64, usize)>>,
    /// For each, the row that has native histograms of the same labels.
    native: Vec<Option<usize>>,
}

impl Evaluator<'_> {
    pub(super) fn buckets(&mut self, call: &Call, function: BucketFunction, steps: Steps) -> Result<Rows, EvalError> {
        let mut scalars = Vec::new();
        let mut vector = None;
        let mut label = None;
        for argument in &call.arguments {
            match argument.value_type {
                ValueType::Scalar => scalars.push((argument.place, self.scalar(argument, steps)?)),
                ValueType::String => label = Some(self.text(argument)?),
                _ => vector = Some(argument),
            }
        }
        let place = vector.map_or(Place(0), |vector| vector.place);
        let rows = self.argument(vector, call, steps)?;
        if function != BucketFunction::Fraction {
            for (place, values) in &scalars {
                for q in values.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                    self.notes().add(*place, Note::InvalidQuantile(*q));
                }
            }
        }
        let grouped = self.group(&rows, place);
        let mut out = Rows::new(&self.budget, steps.count);
        match function {
            BucketFunction::Fraction => {
                let [(_, lower), (_, upper), ..] = &scalars[..] else { return Ok(out) };
                let of = Of::Fraction(lower, upper);
                self.of_histograms(&rows, &grouped, of, None, place, steps, &mut out)?;
            }
            BucketFunction::Quantile | BucketFunction::Quantiles => {
                for (_, quantiles) in &scalars {
                    let of = Of::Quantile(quantiles);
                    self.of_histograms(&rows, &grouped, of, label, place, steps, &mut out)?;
                }
            }
        }
        if self.delayed_names { Ok(out) } else { out.unite() }
    }

    fn group(&mut self, rows: &Rows, place: Place) -> Grouped {
        let mut grouped = Grouped { ids: Ids::default(), buckets: Vec::new(), native: Vec::new() };
        let mut encoded = Vec::new();
        for row in 0..rows.len() {
            let metric = rows.metric(row);
            if rows.values(row).iter().any(|value| !is_absent(*value)) {
                let label = metric.labels().get(BOUND).unwrap_or("");
                match parse_bound(label) {
                    Some(bound) => {
                        encoded.clear();
                        metric.subset(|name| name != BOUND, &mut encoded);
                        let id = grouped.ids.of_bytes(&encoded);
                        grouped.grow();
                        let buckets = &mut grouped.buckets[id];
                        let at = buckets.partition_point(|(known, _)| *known <= bound);
                        buckets.insert(at, (bound, row));
                    }
                    None => {
                        let metric = if self.delayed_names { metric.labels().metric_name() } else { "" };
                        let note = Note::BadBucketLabel { metric: metric.into(), label: label.into() };
                        self.work.notes.add(place, note);
                    }
                }
            }
            if !rows.cells(row).is_empty() {
                let id = grouped.ids.of(metric);
                grouped.grow();
                grouped.native[id] = Some(row);
            }
        }
        grouped
    }

    #[allow(clippy::too_many_arguments, reason = "one call a quantile, with all that is the same for all of them")]
    fn of_histograms(
        &mut self,
        rows: &Rows,
        grouped: &Grouped,
        of: Of<'_>,
        label: Option<&str>,
        place: Place,
        steps: Steps,
        out: &mut Rows,
    ) -> Result<(), EvalError> {
        let mut classic = Classic::new();
        for id in 0..grouped.ids.len() {
            self.budget.check()?;
            let metric = &grouped.ids.metrics[id];
            let name = metric.labels().metric_name();
            let told = if self.delayed_names { name } else { "" };
            let values = out.open()?;
            let mut native = grouped.native[id].map_or(&[][..], |row| rows.cells(row)).iter().peekable();
            for (step, out) in values.iter_mut().enumerate() {
                classic.clear();
                for (bound, row) in &grouped.buckets[id] {
                    let count = rows.values(*row)[step];
                    if !is_absent(count) {
                        classic.push(*bound, count);
                    }
                }
                let native = native.next_if(|(known, _)| *known as usize == step);
                let note = match (native, classic.is_empty()) {
                    (Some(_), false) => Some(Note::MixedClassicNative(told.into())),
                    (Some((_, histogram)), true) => {
                        let note;
                        (*out, note) = of.native(histogram, step, told);
                        note
                    }
                    (None, false) => {
                        let note;
                        (*out, note) = of.classic(&mut classic, step, told, steps.time(step));
                        note
                    }
                    (None, true) => None,
                };
                if is_absent(*out) && note.is_none() {
                    continue;
                }
                if let Some(note) = note {
                    self.work.notes.add(place, note);
                }
            }
            let quantile = match of {
                Of::Quantile(quantiles) => quantiles.first().copied().unwrap_or(f64::NAN),
                Of::Fraction(..) => f64::NAN,
            };
            out.finish(|| labelled(metric.labels(), label, quantile), true, Vec::new())?;
        }
        Ok(())
    }
}

/// Labels with the quantile among them, where it is asked for.
fn labelled(labels: Labels<'_>, label: Option<&str>, quantile: f64) -> Metric {
    let Some(label) = label else { return Metric::new(labels.encoded()) };
    let mut set: LabelSet = labels.to_set();
    let mut text = Vec::new();
    number::push(quantile, &mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    // As OpenMetrics writes numbers: one can see that they are no whole numbers.
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        text.push_str(".0");
    }
    set.set(label, &text);
    let mut encoded = Vec::new();
    set.encode(&mut encoded);
    Metric::new(&encoded)
}

impl Grouped {
    fn grow(&mut self) {
        self.buckets.resize_with(self.ids.len(), Vec::new);
        self.native.resize(self.ids.len(), None);
    }
}

/// What is computed, with its scalars at all steps.
#[derive(Clone, Copy)]
enum Of<'a> {
    Quantile(&'a [f64]),
    Fraction(&'a [f64], &'a [f64]),
}

impl Of<'_> {
    fn native<'n>(self, histogram: &FloatHistogram, step: usize, name: &'n str) -> (f64, Option<Note<'n>>) {
        match self {
            Self::Quantile(q) => {
                let (value, note) = histogram.quantile(q[step]);
                let note = note.map(|note| match note {
                    QuantileNote::IsNan => Note::QuantileIsNan(name.into()),
                    QuantileNote::IsSkewed => Note::QuantileIsSkewed(name.into()),
                });
                (value, note)
            }
            Self::Fraction(lower, upper) => {
                let (value, note) = histogram.fraction(lower[step], upper[step]);
                (value, note.map(|FractionNote::LeavesNanOut| Note::FractionLeavesNanOut(name.into())))
            }
        }
    }

    fn classic<'n>(self, classic: &mut Classic, step: usize, name: &'n str, time: i64) -> (f64, Option<Note<'n>>) {
        match self {
            Self::Quantile(q) => {
                let (value, forced) = classic.quantile(q[step]);
                (value, forced.map(|forced| Note::ForcedMonotonicity { metric: name.into(), time, forced }))
            }
            Self::Fraction(lower, upper) => (classic.fraction(lower[step], upper[step]), None),
        }
    }
}
