//! Emitting: at a steady pace every series has a sample. While no series comes or goes, each batch shares the
//! list of the one before it.
//!
//! A counter that is new begins with a sample of zero at the moment at which it was created, before its first
//! value: Prometheus's `rate()` and `increase()` look at differences between samples, and would not see what was
//! counted before the first one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::super::component::PrepareContext;
use super::super::outlet::{Gone, NotNow, Outlet};
use super::key::{metric_of, values};
use super::native::Native;
use super::options::Pace;
use super::series::{Counters, Example, Kind, LONGEST_LINE, Metric, Series, Shard, Value};
use crate::data::histogram::Histogram;
use crate::data::labels::{METRIC_NAME, encode_label};
use crate::data::metrics::{Exemplar, STALE};
use crate::data::series_table::{FamilyId, ListBuilder, SeriesList};
use crate::data::{Batch, LabelSet, MetricBuilder, Resource, SeriesTable, UnixMillis};
use crate::delivery::Message;
use crate::delivery::lost::CountLost;
use crate::formats::prometheus::number::push_canonical;
use crate::telemetry::ComponentMetrics;

/// Emits what was counted.
pub(super) struct Emitter {
    pace: Pace,
    metrics: Vec<Described>,
    counters: Arc<Counters>,
    table: Arc<SeriesTable>,
    resource: Arc<Resource>,
    laid: Option<Laid>,
    labels: LabelSet,
}

/// A metric as its series are named.
struct Described {
    name: Box<str>,
    labels: Vec<Box<str>>,
    family: FamilyId,
    /// A histogram's bounds, +Inf among them, as `le` has them.
    bounds: Vec<String>,
    /// The same as numbers, without +Inf.
    bounds_of_buckets: Arc<[f64]>,
}

/// The list of all series, for as long as none comes or goes.
struct Laid {
    versions: Vec<u64>,
    list: Arc<SeriesList>,
    /// Places that found the series table full.
    refused: Vec<usize>,
}

/// Samples on their way into a batch.
#[derive(Default)]
struct Column {
    builder: ListBuilder,
    values: Vec<f64>,
    times: Vec<UnixMillis>,
    created: Vec<(u32, UnixMillis)>,
    histograms: Vec<(u32, Arc<Histogram>)>,
    /// Each with the place of its sample.
    examples: Vec<(u32, Example)>,
}

impl Emitter {
    pub fn new(pace: Pace, metrics: &[Metric], counters: Arc<Counters>, cx: &PrepareContext) -> Self {
        let described = metrics.iter().map(|metric| Described {
            name: metric.name.clone(),
            labels: metric.labels.clone(),
            family: cx.series.family(&metric.family),
            bounds: match &metric.kind {
                Kind::Histogram(bounds) => bounds.iter().copied().map(bound).chain(["+Inf".to_owned()]).collect(),
                Kind::Counter | Kind::Gauge | Kind::Native(_) => Vec::new(),
            },
            bounds_of_buckets: if let Kind::Histogram(bounds) = &metric.kind { bounds.clone() } else { Arc::new([]) },
        });
        Self {
            pace,
            metrics: described.collect(),
            counters,
            table: cx.series.clone(),
            resource: Arc::new(cx.identify(&Resource::default())),
            laid: None,
            labels: LabelSet::new(),
        }
    }

    /// Emits until everything is counted, and once more then.
    pub async fn run(
        mut self,
        mut outlet: Outlet,
        metrics: Arc<ComponentMetrics>,
        counted: CancellationToken,
        shutdown: CancellationToken,
    ) {
        let mut tick = interval_at(Instant::now() + self.pace.interval, self.pace.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let lost = Arc::new(CountLost(metrics.clone()));
        loop {
            let last = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = counted.cancelled() => true,
                _ = tick.tick() => false,
            };
            let batches = self.gather(UnixMillis::now(), &metrics);
            for batch in batches {
                let sent = shutdown.run_until_cancelled(send(&mut outlet, batch, last, &lost)).await;
                if !matches!(sent, Some(Ok(()))) {
                    return;
                }
            }
            if last {
                return;
            }
        }
    }

    /// The batches of one round: where series begin, what all of them are now, which have ended.
    fn gather(&mut self, now: UnixMillis, metrics: &ComponentMetrics) -> Vec<Batch> {
        let counters = self.counters.clone();
        let mut shards: Vec<MutexGuard<'_, Shard>> =
            counters.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let (mut begun, mut ended, mut current) = (Column::default(), Column::default(), Column::default());
        let expiry = self.pace.expiry;
        for shard in &mut shards {
            counters.forget(shard, |series| {
                let expired = series.idle() >= expiry;
                if expired && series.is_known {
                    self.name(series, &mut ended.builder);
                    ended.values.resize(ended.builder.len(), STALE);
                }
                expired
            });
        }
        let versions: Vec<u64> = shards.iter().map(|shard| shard.version).collect();
        let known = self.laid.take().filter(|laid| laid.versions == versions && laid.refused.is_empty());
        for series in shards.iter_mut().flat_map(|shard| &mut shard.series) {
            if !std::mem::replace(&mut series.is_known, true) && !matches!(series.value, Value::Gauge(..)) {
                let from = begun.values.len();
                self.name(series, &mut begun.builder);
                begun.values.resize(begun.builder.len(), 0.0);
                if let Value::Native(_) = series.value {
                    begun.histograms.push((from as u32, Native::new(0).histogram()));
                }
                // A sample of a moment that is over lies before the one of now.
                begun.times.resize(begun.builder.len(), UnixMillis(series.created.0.min(now.0 - 1)));
                begun.created_since(from, series.created);
            }
            current.push(series, &self.metrics[metric_of(&series.key)].bounds_of_buckets);
            if known.is_none() {
                self.name(series, &mut current.builder);
            }
        }
        drop(shards);
        let laid = known.unwrap_or_else(|| {
            let resolved = self.table.list(&current.builder);
            Laid { versions, list: resolved.list, refused: resolved.refused }
        });
        let refused = laid.refused.clone();
        let list = laid.list.clone();
        self.laid = Some(laid);
        self.tell(refused.len(), metrics);
        [self.fresh(begun, now), current.batch(list, &refused, now, &self.resource), self.fresh(ended, now)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// A batch of series that are listed for it alone.
    fn fresh(&self, column: Column, now: UnixMillis) -> Option<Batch> {
        if column.values.is_empty() {
            return None;
        }
        let resolved = self.table.list(&column.builder);
        column.batch(resolved.list, &resolved.refused, now, &self.resource)
    }

    /// Appends the series that one entry stands for.
    fn name(&mut self, series: &Series, into: &mut ListBuilder) {
        let metric = &self.metrics[metric_of(&series.key)];
        let labels = &mut self.labels;
        labels.clear();
        if series.is_overflow {
            labels.set("overflow", "true");
        }
        metric.labels.iter().zip(values(&series.key)).for_each(|(name, value)| labels.set(name, value));
        if metric.bounds.is_empty() {
            labels.set(METRIC_NAME, &metric.name);
            return into.labels(labels, metric.family);
        }
        labels.set(METRIC_NAME, &format!("{}_bucket", metric.name));
        for bound in &metric.bounds {
            labels.set("le", bound);
            into.labels(labels, metric.family);
        }
        labels.remove("le");
        for suffix in ["sum", "count"] {
            labels.set(METRIC_NAME, &format!("{}_{suffix}", metric.name));
            into.labels(labels, metric.family);
        }
    }

    /// Tells what was not counted as it should since the last round.
    fn tell(&self, found_full: usize, metrics: &ComponentMetrics) {
        let counters = &self.counters;
        let taken = |counter: &AtomicUsize| counter.swap(0, Ordering::Relaxed);
        let (bad, refused_records) = counters.take_refusals();
        metrics.records_refused.inc_by((refused_records + found_full) as u64);
        let (over_limit, overflowed) = (taken(&counters.over_limit), taken(&counters.overflowed));
        let limit = counters.limit();
        // Each metric counts a record for itself, so there may be more of these than records.
        let words = [
            (
                over_limit,
                format!("{over_limit} times a metric refused a record: the limit of {limit} series is reached"),
            ),
            (
                overflowed,
                format!(
                    "{overflowed} times a metric counted a record as overflow=\"true\": the limit of {limit} series \
                     is reached"
                ),
            ),
            (bad, format!("{bad} times a metric refused a record: its value is no finite number, or lowers a counter")),
            (
                found_full,
                format!(
                    "{found_full} series are not sent: the agent's limit of active series is reached (`series.limit`)"
                ),
            ),
        ];
        for (_, words) in words.into_iter().filter(|(count, _)| *count > 0) {
            tracing::warn!(component = &*metrics.name, "{words}");
            metrics.error(words);
        }
    }
}

impl Column {
    /// Appends what one entry is now, and takes its examples.
    fn push(&mut self, series: &mut Series, bounds: &[f64]) {
        let from = self.values.len();
        self.push_examples(from, series, bounds);
        match &series.value {
            Value::Gauge(value, _) => return self.values.push(*value),
            Value::Counter(sum) => self.values.push(*sum),
            Value::Histogram(counts, sum) => {
                let mut count = 0.0;
                for bucket in counts {
                    count += bucket;
                    self.values.push(count);
                }
                self.values.extend([*sum, count]);
            }
            Value::Native(native) => {
                self.values.push(0.0);
                self.histograms.push((from as u32, native.histogram()));
            }
        }
        self.created_since(from, series.created);
    }

    /// Takes an entry's examples, whose samples begin at `from`.
    fn push_examples(&mut self, from: usize, series: &mut Series, bounds: &[f64]) {
        let first = self.examples.len();
        // The one place of a metric without buckets is that of all its examples.
        let place = |example: &Example| (from + bounds.partition_point(|bound| *bound < example.value)) as u32;
        self.examples.extend(series.take_examples().map(|example| (place(&example), example)));
        let examples = &mut self.examples[first..];
        examples.sort_by_key(|(place, example)| (*place, example.time));
        // Stores take a second exemplar of one time for the first one once more, or for one that comes too late.
        for at in 1..examples.len() {
            let (before, last) = (examples[at - 1].0, examples[at - 1].1.time);
            let (place, example) = &mut examples[at];
            if *place == before {
                example.time = example.time.max(UnixMillis(last.0 + 1));
            }
        }
    }

    /// Says of the samples from `from` on when their counting began.
    fn created_since(&mut self, from: usize, created: UnixMillis) {
        self.created.extend((from..self.values.len()).map(|place| (place as u32, created)));
    }

    fn batch(
        self,
        list: Arc<SeriesList>,
        refused: &[usize],
        now: UnixMillis,
        resource: &Arc<Resource>,
    ) -> Option<Batch> {
        if list.is_empty() {
            return None;
        }
        let mut builder = MetricBuilder::new();
        let samples = builder.samples();
        samples.time = now;
        let is_there = |place: usize| refused.binary_search(&place).is_err();
        let places = (0..self.values.len()).filter(|place| is_there(*place));
        samples.values.extend(places.clone().map(|place| self.values[place]));
        if !self.times.is_empty() {
            samples.times.extend(places.map(|place| self.times[place]));
        }
        let before = |place: u32| refused.partition_point(|refused| *refused < place as usize) as u32;
        let created = self.created.iter().filter(|(place, _)| is_there(*place as usize));
        samples.created.extend(created.map(|(place, created)| (place - before(*place), *created)));
        let histograms = self.histograms.into_iter().filter(|(place, _)| is_there(*place as usize));
        samples.histograms.extend(histograms.map(|(place, histogram)| (place - before(place), histogram)));
        for (place, example) in self.examples.into_iter().filter(|(place, _)| is_there(*place as usize)) {
            let start = samples.text.len() as u32;
            if let Some((trace_id, span_id)) = example.span {
                if span_id != [0; 8] {
                    encode_label(b"span_id", &hex(&span_id), &mut samples.text);
                }
                encode_label(b"trace_id", &hex(&trace_id), &mut samples.text);
            }
            let line = samples.text.len() as u32;
            samples.text.extend_from_slice(shown(&example.line).as_bytes());
            samples.exemplars.push(Exemplar {
                sample: place - before(place),
                labels: start..line,
                line: line..samples.text.len() as u32,
                value: example.value,
                time: Some(example.time),
            });
        }
        Some(Batch::Metrics(builder.build(resource.clone(), list)))
    }
}

/// Hands a batch on. What comes on a timer never waits for a full edge, but at the end, when nothing comes
/// after it.
async fn send(outlet: &mut Outlet, batch: Batch, last: bool, lost: &Arc<CountLost>) -> Result<(), Gone> {
    let ack = outlet.ack(lost.clone(), batch.count() as u64, false).await?;
    let message = Message::new(batch, ack);
    if last {
        return outlet.send(message).await;
    }
    match outlet.offer(message) {
        Ok(()) | Err(NotNow::Closed) => Ok(()),
        Err(NotNow::Gone(gone)) => Err(gone),
    }
}

/// An id as exemplars have it.
fn hex(id: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    id.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

/// A line as people see it: text without what terminals obey, cut between characters.
fn shown(line: &[u8]) -> String {
    let printable = |letter: char| match letter {
        '\n' | '\t' => letter,
        letter if letter.is_control() => char::REPLACEMENT_CHARACTER,
        letter => letter,
    };
    let mut text: String = String::from_utf8_lossy(line).trim_end().chars().map(printable).collect();
    if text.len() > LONGEST_LINE {
        text.truncate(text.floor_char_boundary(LONGEST_LINE - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// A bound as OpenMetrics writes it.
fn bound(bound: f64) -> String {
    let mut text = Vec::new();
    push_canonical(bound, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
