//! Counting: from a record to the series that it touches. A series that is known costs no allocation.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::options::WhenFull;
use crate::data::logs::LogView;
use crate::data::metrics::Family;
use crate::data::names::Interest;
use crate::data::{LogBatch, UnixMillis, UnixNanos};
use crate::expression::{Evaluator, Operand, Program, ValueRef};

/// A metric, ready to be counted.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    pub name: Box<str>,
    pub kind: Kind,
    pub family: Family,
    pub reads: Option<Program>,
    pub condition: Option<Evaluator>,
    pub value: Option<Operand>,
    /// Names, ascending, and where values come from.
    pub labels: Vec<(Box<str>, Operand)>,
}

/// What a metric is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Goes up.
    Counter,
    /// Is what the latest record says.
    Gauge,
    /// Counts observations; the upper bounds of its buckets.
    Histogram(Arc<[f64]>),
}

/// How much may be counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub series: usize,
    pub when_full: WhenFull,
}

/// Bytes at which a label's value is cut.
const LONGEST_VALUE: usize = 1024;

/// Parts that lock apart.
const SHARDS: usize = 16;

/// The metrics as one worker counts them.
#[derive(Clone)]
pub(super) struct Counting {
    pub metrics: Vec<Metric>,
    key: Vec<u8>,
    text: Vec<u8>,
    /// A bit for each record of the batch that a metric refused: a record is refused once.
    refused: Vec<u64>,
}

impl Counting {
    pub fn new(metrics: Vec<Metric>) -> Self {
        Self { metrics, key: Vec::new(), text: Vec::new(), refused: Vec::new() }
    }

    /// What must be located in records.
    pub fn interest(&self) -> Interest {
        let mut interest = Interest::default();
        for metric in &self.metrics {
            if let Some(program) = &metric.reads {
                let paths = program.paths().to_vec();
                interest.merge(&Interest { paths, reserved: Vec::new(), severity: program.reads_severity() });
            }
            for operand in metric.value.iter().chain(metric.labels.iter().map(|(_, operand)| operand)) {
                let paths = operand.path().into_iter().collect();
                interest.merge(&Interest { paths, reserved: Vec::new(), severity: operand.reads_severity() });
            }
        }
        interest
    }

    /// Counts the selected records of a batch.
    pub fn count(&mut self, batch: &LogBatch, counters: &Counters) {
        let now = Touch { at: Instant::now(), wall: UnixMillis::now() };
        let Self { metrics, key, text, refused } = self;
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
                let is_bad = value.is_nan() || metric.kind == Kind::Counter && value < 0.0;
                let counted = if is_bad {
                    counters.bad_values.fetch_add(1, Ordering::Relaxed);
                    false
                } else {
                    write_key(number, metric, &view, key, text);
                    counters.add(number, metric, key, value, view.time(), now)
                };
                if !counted {
                    mark(refused, index);
                }
            }
        }
        let records: u32 = refused.iter().map(|bits| bits.count_ones()).sum();
        counters.refused_records.fetch_add(records as usize, Ordering::Relaxed);
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

/// Writes what tells a series from others: the metric, then for each label the length of its value, 0 where
/// it is absent, and the value.
fn write_key(number: usize, metric: &Metric, view: &LogView<'_>, key: &mut Vec<u8>, text: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(&(number as u16).to_le_bytes());
    for (_, operand) in &metric.labels {
        let at = key.len();
        key.extend_from_slice(&[0; 2]);
        match operand.read(view) {
            ValueRef::Missing => {}
            ValueRef::Int(int) => key.extend_from_slice(int.to_string().as_bytes()),
            ValueRef::Double(double) => key.extend_from_slice(double.to_string().as_bytes()),
            ValueRef::Bool(value) => key.extend_from_slice(if value { b"true" } else { b"false" }),
            ValueRef::Number(number) | ValueRef::Json(number) => key.extend_from_slice(number),
            ValueRef::Id(id) => id.iter().for_each(|byte| key.extend_from_slice(hex(*byte).as_slice())),
            ValueRef::Time(time) => time.write_rfc3339(key),
            value => key.extend_from_slice(value.text(text).unwrap_or_default()),
        }
        cut(key, at + 2);
        let length = (key.len() - at - 2) as u16;
        key[at..at + 2].copy_from_slice(&length.to_le_bytes());
    }
}

/// Cuts a value that is too long, between characters, and replaces what is no UTF-8.
fn cut(key: &mut Vec<u8>, start: usize) {
    if std::str::from_utf8(&key[start..]).is_err() {
        let text = String::from_utf8_lossy(&key[start..]).into_owned();
        key.truncate(start);
        key.extend_from_slice(text.as_bytes());
    }
    if key.len() - start > LONGEST_VALUE {
        let mut end = start + LONGEST_VALUE;
        while key[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        key.truncate(end);
    }
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// The values of the labels of a key, in the order of the metric's labels.
pub(super) fn values(key: &[u8]) -> impl Iterator<Item = &str> {
    let mut rest = key.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (value, tail) = tail.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        rest = tail;
        std::str::from_utf8(value).ok()
    })
}

/// The metric of a key.
pub(super) fn metric_of(key: &[u8]) -> usize {
    key.first_chunk::<2>().map_or(0, |number| usize::from(u16::from_le_bytes(*number)))
}

/// When a record was counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    at: Instant,
    wall: UnixMillis,
}

/// All series.
pub(super) struct Counters {
    pub shards: Vec<Mutex<Shard>>,
    limits: Limits,
    /// What every series of a metric counts for.
    weights: Vec<usize>,
    series: AtomicUsize,
    /// How often, since the last look, a metric refused a record because the limit is reached.
    pub over_limit: AtomicUsize,
    /// How often a metric counted a record for the overflow.
    pub overflowed: AtomicUsize,
    /// How often a metric refused a record whose value is no number, or lowers a counter.
    pub bad_values: AtomicUsize,
    /// Records that a metric refused, be it one or several.
    pub refused_records: AtomicUsize,
}

/// Series whose hashes are alike.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub series: Vec<Series>,
    index: HashTable<usize>,
    /// Changes with the set of series.
    pub version: u64,
}

/// One series, or the series of one histogram.
#[derive(Debug)]
pub(super) struct Series {
    /// Its metric and labels; for the overflow only the metric.
    pub key: Box<[u8]>,
    pub is_overflow: bool,
    pub value: Value,
    pub created: UnixMillis,
    touched: Instant,
    /// Whether the zero that it began with was emitted.
    pub is_known: bool,
}

/// What was counted.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Counter(f64),
    Gauge(f64, UnixNanos),
    /// Counts of buckets, the last being +Inf's, each without those before it; and the sum.
    Histogram(Box<[u64]>, f64),
}

impl Counters {
    pub fn new(counting: &Counting, limits: Limits) -> Self {
        let weight = |metric: &Metric| if let Kind::Histogram(bounds) = &metric.kind { bounds.len() + 3 } else { 1 };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            limits,
            weights: counting.metrics.iter().map(weight).collect(),
            series: AtomicUsize::new(0),
            over_limit: AtomicUsize::new(0),
            overflowed: AtomicUsize::new(0),
            bad_values: AtomicUsize::new(0),
            refused_records: AtomicUsize::new(0),
        }
    }

    /// Most series.
    pub fn limit(&self) -> usize {
        self.limits.series
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        self.shards[hash as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts, unless there is no room.
    fn add(&self, number: usize, metric: &Metric, key: &[u8], value: f64, time: UnixNanos, now: Touch) -> bool {
        let hash = xxh3_64(key);
        {
            let mut shard = self.shard(hash);
            if let Some(series) = shard.find(hash, key, false) {
                series.add(&metric.kind, value, time, now);
                return true;
            }
            let weight = self.weights[number];
            let room = self.series.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |series| {
                Some(series + weight).filter(|series| *series <= self.limits.series)
            });
            if room.is_ok() {
                shard.insert(hash, key, false, &metric.kind, now).add(&metric.kind, value, time, now);
                return true;
            }
        }
        if self.limits.when_full == WhenFull::Refuse {
            self.over_limit.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        let key = (number as u16).to_le_bytes();
        let hash = !xxh3_64(&key);
        let mut shard = self.shard(hash);
        match shard.find(hash, &key, true) {
            Some(series) => series.add(&metric.kind, value, time, now),
            None => shard.insert(hash, &key, true, &metric.kind, now).add(&metric.kind, value, time, now),
        }
        true
    }

    /// Forgets the series of a shard for which `expired` says so.
    pub fn forget(&self, shard: &mut Shard, mut expired: impl FnMut(&Series) -> bool) {
        let before = shard.series.len();
        shard.series.retain(|series| {
            let gone = expired(series);
            if gone && !series.is_overflow {
                self.series.fetch_sub(self.weights[metric_of(&series.key)], Ordering::Relaxed);
            }
            !gone
        });
        if shard.series.len() < before {
            shard.reindex();
        }
    }
}

impl Shard {
    fn find(&mut self, hash: u64, key: &[u8], is_overflow: bool) -> Option<&mut Series> {
        let Self { series, index, .. } = self;
        let found = index.find(hash, |&at| *series[at].key == *key && series[at].is_overflow == is_overflow)?;
        Some(&mut series[*found])
    }

    fn insert(&mut self, hash: u64, key: &[u8], is_overflow: bool, kind: &Kind, now: Touch) -> &mut Series {
        let value = match kind {
            Kind::Counter => Value::Counter(0.0),
            Kind::Gauge => Value::Gauge(0.0, UnixNanos::NONE),
            Kind::Histogram(bounds) => Value::Histogram(vec![0; bounds.len() + 1].into(), 0.0),
        };
        let at = self.series.len();
        let (created, touched) = (now.wall, now.at);
        self.series.push(Series { key: key.into(), is_overflow, value, created, touched, is_known: false });
        let Self { series, index, .. } = self;
        index.insert_unique(hash, at, |&at| series[at].hash());
        self.version += 1;
        &mut self.series[at]
    }

    fn reindex(&mut self) {
        let Self { series, index, version } = self;
        index.clear();
        for at in 0..series.len() {
            index.insert_unique(series[at].hash(), at, |&at| series[at].hash());
        }
        *version += 1;
    }
}

impl Series {
    fn hash(&self) -> u64 {
        let hash = xxh3_64(&self.key);
        if self.is_overflow { !hash } else { hash }
    }

    /// How long no record touched it.
    pub fn idle(&self) -> std::time::Duration {
        self.touched.elapsed()
    }

    fn add(&mut self, kind: &Kind, value: f64, time: UnixNanos, now: Touch) {
        self.touched = now.at;
        match (&mut self.value, kind) {
            (Value::Counter(sum), _) => *sum += value,
            // Batches of one log may be counted side by side: the record's own time says which is the latest.
            (Value::Gauge(last, when), _) => {
                if time >= *when {
                    (*last, *when) = (value, time);
                }
            }
            (Value::Histogram(counts, sum), Kind::Histogram(bounds)) => {
                counts[bounds.partition_point(|bound| *bound < value)] += 1;
                *sum += value;
            }
            (Value::Histogram(..), _) => {}
        }
    }
}
