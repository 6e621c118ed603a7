//! Metric batches: columns of samples beside a list of series of the [series table](super::series_table).

use std::ops::Range;
use std::sync::Arc;

use super::histogram::Histogram;
use super::labels::Labels;
use super::recycle::{Pool, Recycle, Recycled, clear_bounded};
use super::resource::Resource;
use super::selection::Selection;
use super::series_table::{SeriesList, SeriesRef};
use super::time::UnixMillis;

/// The staleness marker: the NaN by which Prometheus says that a series has ended. Only its bits tell it
/// from other NaNs.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a value is the staleness marker.
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// What kind of metric a series belongs to: OpenMetrics 1.0, and Prometheus's names for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Nothing is known.
    #[default]
    Unknown = 0,
    /// Goes up, from zero at its start.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Counts observations in buckets.
    Histogram = 3,
    /// Counts what is now, in buckets.
    GaugeHistogram = 4,
    /// Quantiles of observations.
    Summary = 5,
    /// Facts as labels.
    Info = 6,
    /// One of several states.
    StateSet = 7,
}

impl MetricKind {
    /// Every kind, each at its number.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::GaugeHistogram,
        Self::Summary,
        Self::Info,
        Self::StateSet,
    ];

    /// The kind of a number that `as u8` gave.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word of OpenMetrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// What an exposition says about a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Family {
    /// Name of the metric family, without suffixes such as `_bucket`.
    pub name: Box<str>,
    /// Its kind.
    pub kind: MetricKind,
    /// What it is, in words.
    pub help: Box<str>,
    /// Its unit, a suffix of its name.
    pub unit: Box<str>,
}

/// An example of what a sample counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Index of its sample in the batch.
    pub sample: u32,
    /// Its labels, encoded as [`Labels`], in [`Samples::text`].
    pub labels: Range<u32>,
    /// The log record that it was observed in as a text, in [`Samples::text`]; empty for none. It is for the alerts of this
    /// process alone: no sink and no format has a place for it.
    pub line: Range<u32>,
    /// What was observed.
    pub value: f64,
    /// When, if it says so.
    pub time: Option<UnixMillis>,
}

impl Exemplar {
    /// Whether others are told of it: one that is nothing but a line stays here.
    pub fn leaves(&self) -> bool {
        !self.labels.is_empty() || self.line.is_empty()
    }
}

/// The columns of a batch; shared by all its forks. Sample `i` is of series `i` of the batch's list.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// When the samples were taken, where [`Samples::times`] is empty.
    pub time: UnixMillis,
    /// When each sample was taken, where they differ.
    pub times: Vec<UnixMillis>,
    /// The values. Where a sample is a native histogram its value here means nothing.
    pub values: Vec<f64>,
    /// Native histograms, each with the index of its sample, ascending.
    pub histograms: Vec<(u32, Arc<Histogram>)>,
    /// Exemplars in the order of their samples.
    pub exemplars: Vec<Exemplar>,
    /// When the counters of some samples began, each with the index of its sample, ascending.
    pub created: Vec<(u32, UnixMillis)>,
    /// Labels and lines of exemplars.
    pub text: Vec<u8>,
}

/// What of some samples was a histogram, and how many exemplars they had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Native histograms.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

impl Samples {
    /// Takes the samples at these places out, which ascend: those for whose series the table had no room.
    pub fn leave_out(&mut self, places: &[usize]) -> LeftOut {
        let had = self.values.len();
        // Where each sample is now; `None` for those that go.
        let mut moved: Vec<Option<u32>> = Vec::with_capacity(had);
        let (mut left, mut next) = (places.iter().copied().peekable(), 0);
        for index in 0..had {
            let goes = left.next_if_eq(&index).is_some();
            moved.push((!goes).then_some(next));
            next += u32::from(!goes);
        }
        fn keep<T>(column: &mut Vec<T>, moved: &[Option<u32>]) {
            let mut stays = moved.iter().map(Option::is_some);
            column.retain(|_| stays.next().unwrap_or(true));
        }
        keep(&mut self.values, &moved);
        keep(&mut self.times, &moved);
        let place = |at: &mut u32| {
            let place = moved[*at as usize];
            *at = place.unwrap_or(*at);
            place.is_some()
        };
        let (histograms, exemplars) = (self.histograms.len(), self.exemplars.len());
        self.histograms.retain_mut(|(at, _)| place(at));
        self.created.retain_mut(|(at, _)| place(at));
        self.exemplars.retain_mut(|exemplar| place(&mut exemplar.sample));
        LeftOut { histograms: histograms - self.histograms.len(), exemplars: exemplars - self.exemplars.len() }
    }
}

impl Recycle for Samples {
    fn pool() -> &'static Pool<Self> {
        static POOL: Pool<Samples> = Pool::new();
        &POOL
    }

    fn clear(&mut self) {
        self.time = UnixMillis::default();
        clear_bounded(&mut self.times, 16_384);
        clear_bounded(&mut self.values, 16_384);
        clear_bounded(&mut self.histograms, 256);
        clear_bounded(&mut self.exemplars, 1024);
        clear_bounded(&mut self.created, 4096);
        clear_bounded(&mut self.text, 65_536);
    }
}

/// Fills the columns of a batch.
#[derive(Debug, Default)]
pub struct MetricBuilder(Recycled<Samples>);

impl MetricBuilder {
    /// Empty columns, in memory that an earlier batch used where there is some.
    pub fn new() -> Self {
        Self(Recycled::new())
    }

    /// The columns for writing.
    pub fn samples(&mut self) -> &mut Samples {
        self.0.make_mut()
    }

    /// A batch of the samples, one a series of the list, all selected.
    pub fn build(self, resource: Arc<Resource>, series: Arc<SeriesList>) -> MetricBatch {
        assert_eq!(self.0.values.len(), series.len(), "one sample a series");
        assert!(self.0.times.is_empty() || self.0.times.len() == series.len(), "one time a sample, or one for all");
        MetricBatch { resource, selection: Selection::all(series.len()), series, samples: self.0 }
    }
}

/// Samples of one origin. Cloning shares them.
#[derive(Clone, Debug)]
pub struct MetricBatch {
    /// What the samples are about.
    pub resource: Arc<Resource>,
    /// Which samples are still in the batch.
    pub selection: Selection,
    series: Arc<SeriesList>,
    samples: Recycled<Samples>,
}

/// One sample of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Its place in the batch.
    pub index: usize,
    /// The series.
    pub series: SeriesRef,
    /// When it was taken.
    pub time: UnixMillis,
    /// What was measured.
    pub value: SampleValue<'a>,
}

/// What a sample measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleValue<'a> {
    /// A number; the bits matter, since a staleness marker is a NaN of its own.
    Float(f64),
    /// A native histogram.
    Histogram(&'a Arc<Histogram>),
}

impl MetricBatch {
    /// The list that the samples' series are in.
    pub fn series(&self) -> &Arc<SeriesList> {
        &self.series
    }

    /// The columns, selected or not.
    pub fn columns(&self) -> &Samples {
        &self.samples
    }

    /// The same samples under other series: `series[i]` is the new name of sample `i`.
    pub fn renamed(&mut self, series: Arc<SeriesList>) {
        assert_eq!(series.len(), self.series.len(), "one series a sample");
        self.series = series;
    }

    /// When sample `index` was taken.
    pub fn time(&self, index: usize) -> UnixMillis {
        self.samples.times.get(index).copied().unwrap_or(self.samples.time)
    }

    /// The selected samples.
    pub fn iter(&self) -> impl Iterator<Item = Sample<'_>> {
        let mut histograms = self.samples.histograms.iter().peekable();
        self.selection.iter().map(move |index| {
            while histograms.peek().is_some_and(|(at, _)| (*at as usize) < index) {
                histograms.next();
            }
            let value = match histograms.peek() {
                Some((at, histogram)) if *at as usize == index => SampleValue::Histogram(histogram),
                _ => SampleValue::Float(self.samples.values[index]),
            };
            Sample { index, series: self.series.refs()[index], time: self.time(index), value }
        })
    }

    /// The exemplars of sample `index`.
    pub fn exemplars(&self, index: usize) -> &[Exemplar] {
        let all = &self.samples.exemplars;
        let from = all.partition_point(|exemplar| (exemplar.sample as usize) < index);
        let to = all.partition_point(|exemplar| exemplar.sample as usize <= index);
        &all[from..to]
    }

    /// Labels of an exemplar of this batch.
    pub fn exemplar_labels(&self, exemplar: &Exemplar) -> Labels<'_> {
        Labels::of_encoded(&self.samples.text[exemplar.labels.start as usize..exemplar.labels.end as usize])
    }

    /// The line of an exemplar of this batch, empty for none.
    pub fn exemplar_line(&self, exemplar: &Exemplar) -> &[u8] {
        &self.samples.text[exemplar.line.start as usize..exemplar.line.end as usize]
    }

    /// When the counter of sample `index` began, if that is known.
    pub fn created(&self, index: usize) -> Option<UnixMillis> {
        let created = &self.samples.created;
        created.binary_search_by_key(&index, |(at, _)| *at as usize).ok().map(|found| created[found].1)
    }

    /// Bytes that the batch counts for in a queue.
    pub fn payload_bytes(&self) -> u64 {
        let columns = &*self.samples;
        let flat = columns.values.len() * 8
            + columns.times.len() * 8
            + columns.exemplars.len() * size_of::<Exemplar>()
            + columns.created.len() * 16
            + columns.text.len();
        let histograms: usize = columns.histograms.iter().map(|(_, histogram)| histogram.bytes() + 16).sum();
        (flat + histograms) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::histogram::Counts;
    use super::super::series_table::{FamilyId, ListBuilder, SeriesTable};
    use super::*;

    fn list(names: &[&str]) -> Arc<SeriesList> {
        let mut builder = ListBuilder::default();
        for name in names {
            builder.labels(&[("__name__", name)].into_iter().collect(), FamilyId::default());
        }
        SeriesTable::new(100).list(&builder).list
    }

    #[test]
    fn samples_come_with_their_histograms_exemplars_and_times() {
        let mut builder = MetricBuilder::new();
        let samples = builder.samples();
        samples.time = UnixMillis(7);
        samples.values.extend([1.0, 0.0, STALE]);
        let counts = Counts::Integer { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() };
        let histogram = Arc::new(Histogram {
            schema: 3,
            zero_threshold: 0.0,
            sum: 0.0,
            counts,
            positive_spans: Vec::new(),
            negative_spans: Vec::new(),
            custom_bounds: Vec::new(),
            reset_hint: Default::default(),
        });
        samples.histograms.push((1, histogram.clone()));
        samples.exemplars.push(Exemplar { sample: 2, labels: 0..0, line: 0..0, value: 0.5, time: None });
        samples.created.push((2, UnixMillis(3)));
        let mut batch = builder.build(Arc::default(), list(&["a", "b", "c"]));
        batch.selection.remove(0);
        let seen: Vec<_> = batch.iter().map(|sample| (sample.index, sample.time)).collect();
        assert_eq!(seen, [(1, UnixMillis(7)), (2, UnixMillis(7))]);
        let values: Vec<_> = batch.iter().map(|sample| sample.value).collect();
        assert_eq!(values[0], SampleValue::Histogram(&histogram));
        assert!(matches!(values[1], SampleValue::Float(value) if is_stale(value)));
        assert_eq!((batch.exemplars(1).len(), batch.exemplars(2).len()), (0, 1));
        assert_eq!((batch.created(1), batch.created(2)), (None, Some(UnixMillis(3))));
    }

    #[test]
    fn samples_that_are_left_out_take_what_is_theirs_along() {
        let histogram = Arc::new(Histogram {
            schema: 0,
            zero_threshold: 0.0,
            sum: 0.0,
            counts: Counts::Integer { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() },
            positive_spans: Vec::new(),
            negative_spans: Vec::new(),
            custom_bounds: Vec::new(),
            reset_hint: Default::default(),
        });
        let exemplar = |sample| Exemplar { sample, labels: 0..0, line: 0..0, value: 0.5, time: None };
        let mut samples = Samples {
            time: UnixMillis(0),
            times: (0..5).map(UnixMillis).collect(),
            values: vec![0.0, 1.0, 2.0, 3.0, 4.0],
            histograms: vec![(1, histogram.clone()), (3, histogram)],
            exemplars: vec![exemplar(0), exemplar(3), exemplar(4)],
            created: vec![(1, UnixMillis(1)), (2, UnixMillis(2))],
            text: Vec::new(),
        };
        assert_eq!(samples.leave_out(&[1, 4]), LeftOut { histograms: 1, exemplars: 1 });
        assert_eq!(samples.values, [0.0, 2.0, 3.0]);
        assert_eq!(samples.times, [UnixMillis(0), UnixMillis(2), UnixMillis(3)]);
        assert_eq!(samples.histograms.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2]);
        assert_eq!(samples.exemplars.iter().map(|found| found.sample).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(samples.created, [(1, UnixMillis(2))]);
        // Where all samples share their time, there is no column of times.
        let mut shared = Samples { values: vec![0.0, 1.0], ..Samples::default() };
        shared.leave_out(&[0]);
        assert_eq!((shared.values.as_slice(), shared.times.len()), ([1.0].as_slice(), 0));
    }
}
