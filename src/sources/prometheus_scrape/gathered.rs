//! What a scrape brought, on its way to become batches; and why one failed.

use std::sync::Arc;

use super::series_rules::SeriesRules;
use crate::data::metrics::{Exemplar, Samples};
use crate::data::series_table::SeriesList;
use crate::data::{LabelSet, MetricBatch, MetricBuilder, Resource, UnixMillis};
use crate::formats::prometheus::{Exposition, Fault, HistogramSeries, ParseError, Point, RawExemplar};
use crate::net::ClientError;

/// Why a scrape failed. The target is down, in these words.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScrapeError {
    /// No answer, or not one that was asked for.
    #[error("{0}")]
    Fetch(String),
    /// The agent's own shortage, which says nothing of the target.
    #[error("{0}")]
    NoMemory(ClientError),
    /// The answer's status.
    #[error("server returned HTTP status {0}")]
    Status(http::StatusCode),
    /// The answer does not say what it is.
    #[error("{0}")]
    ContentType(String),
    /// It is not an exposition.
    #[error("{0}")]
    Parse(ParseError),
    /// The labels of one series cannot be read.
    #[error("cannot read the labels of `{series}`: {fault}")]
    Unreadable {
        /// The series as it stands.
        series: Box<str>,
        /// What is wrong.
        fault: Fault,
    },
    /// A series without a name.
    #[error("a series has no name after relabelling (`__name__`)")]
    NoName,
    /// A name that the job does not allow.
    #[error("a name is not valid under `metric_name_validation_scheme`: {0}")]
    InvalidName(String),
    /// Too many samples.
    #[error("more samples than `sample_limit` of {0}")]
    Samples(usize),
    /// Too many labels.
    #[error("`{metric}` has {found} labels, more than `label_limit` of {limit}")]
    Labels {
        /// The metric.
        metric: Box<str>,
        /// The limit.
        limit: usize,
        /// What it has.
        found: usize,
    },
    /// A label's name is too long.
    #[error("the label name `{name}` is longer than `label_name_length_limit` of {limit}")]
    LabelName {
        /// The name.
        name: Box<str>,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A label's value is too long.
    #[error("the value of label `{name}` has {found} bytes, more than `label_value_length_limit` of {limit}")]
    LabelValue {
        /// The label.
        name: Box<str>,
        /// The limit, in bytes.
        limit: usize,
        /// Its length.
        found: usize,
    },
    /// A native histogram has too many buckets, and cannot be made coarser.
    #[error("a native histogram has more buckets than `native_histogram_bucket_limit` of {0}")]
    Buckets(usize),
    /// A line is longer than anything that can be remembered.
    #[error("a line is longer than 64 MiB")]
    LongLine,
}

impl ScrapeError {
    /// The labels of a series cannot be read.
    #[cold]
    pub fn unreadable(raw: &[u8], fault: Fault) -> Self {
        Self::Unreadable { series: String::from_utf8_lossy(raw).into(), fault }
    }
}

/// A scrape that failed. What was read of it before counts in what is told of the scrape, as with Prometheus.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Failed {
    /// Why.
    pub error: ScrapeError,
    /// Samples exposed before it failed.
    pub scraped: usize,
    /// Those of them that relabelling left.
    pub kept: usize,
}

impl From<ScrapeError> for Failed {
    fn from(error: ScrapeError) -> Self {
        Self { error, scraped: 0, kept: 0 }
    }
}

/// Samples in the order of their list.
#[derive(Debug)]
pub(super) struct Gathered {
    builder: MetricBuilder,
    exemplar: LabelSet,
    /// Samples exposed.
    pub scraped: usize,
    /// Samples that relabelling and limits left, also those of a series that stands twice.
    pub kept: usize,
    /// Series that were not known before.
    pub added: usize,
    /// New series that a limit refused.
    pub refused: usize,
    /// Samples of a series that stands earlier in the same exposition.
    pub repeated: usize,
    /// Columns, ascending, of samples that are not behind the one before of their series.
    late: Vec<usize>,
    /// The series of the samples.
    list: Option<Arc<SeriesList>>,
    /// Series that are not exposed any more.
    pub ended: Option<Arc<SeriesList>>,
}

impl Gathered {
    /// Nothing yet of a scrape at `time`.
    pub fn new(time: UnixMillis) -> Self {
        let mut builder = MetricBuilder::new();
        builder.samples().time = time;
        Self {
            builder,
            exemplar: LabelSet::new(),
            scraped: 0,
            kept: 0,
            added: 0,
            refused: 0,
            repeated: 0,
            late: Vec::new(),
            list: None,
            ended: None,
        }
    }

    /// The scrape failed after these samples.
    pub fn failed(&self, error: ScrapeError) -> Failed {
        Failed { error, scraped: self.scraped, kept: self.kept }
    }

    /// The columns for writing. Take it once for many samples: it is the costly part of one.
    pub fn columns(&mut self) -> Columns<'_> {
        Columns { samples: self.builder.samples(), exemplar: &mut self.exemplar }
    }

    /// When the sample of a column was taken.
    pub fn times(&mut self) -> impl Fn(usize) -> UnixMillis {
        let samples = &*self.builder.samples();
        move |column| samples.times.get(column).copied().unwrap_or(samples.time)
    }

    /// The samples of these columns, which ascend, are late: they are not sent.
    pub fn leave_out(&mut self, late: Vec<usize>) {
        self.late = late;
    }

    /// Samples that are not sent because their series has another of the same exposition instead.
    pub fn left_out(&self) -> usize {
        self.repeated + self.late.len()
    }

    /// The samples are of these series, one each.
    pub fn of(&mut self, list: Arc<SeriesList>) {
        self.list = Some(list);
    }

    /// Takes samples out again: `places` ascending.
    pub fn remove(&mut self, places: &[usize]) {
        if !places.is_empty() {
            remove(self.builder.samples(), places);
        }
    }

    /// The samples as a batch; `None` where there are none.
    pub fn into_batch(self, resource: Arc<Resource>) -> Option<MetricBatch> {
        let list = self.list.filter(|list| list.len() > self.late.len())?;
        let mut batch = self.builder.build(resource, list);
        self.late.iter().for_each(|column| batch.selection.remove(*column));
        Some(batch)
    }
}

/// Where samples are put, one after the other.
pub(super) struct Columns<'a> {
    samples: &'a mut Samples,
    exemplar: &'a mut LabelSet,
}

impl Columns<'_> {
    /// Takes a sample.
    #[inline]
    pub fn push<E: Exposition>(&mut self, point: &Point<'_>, created: Option<UnixMillis>, rules: &SeriesRules) {
        let time = point.timestamp.filter(|_| rules.honor_timestamps);
        push_time(self.samples, time);
        self.samples.values.push(point.value);
        if created.is_some() || point.exemplar.is_some() {
            self.push_rare::<E>(created, point.exemplar.as_slice());
        }
    }

    /// Takes a native histogram.
    pub fn push_histogram<E: Exposition>(
        &mut self,
        mut series: HistogramSeries<'_>,
        rules: &SeriesRules,
    ) -> Result<(), ScrapeError> {
        rules.limits.fit(&mut series.histogram)?;
        push_time(self.samples, series.timestamp.filter(|_| rules.honor_timestamps));
        self.samples.histograms.push((self.samples.values.len() as u32, Arc::new(series.histogram)));
        self.samples.values.push(0.0);
        self.push_rare::<E>(series.created, series.exemplars);
        Ok(())
    }

    /// What few samples have, for the one that came last.
    fn push_rare<E: Exposition>(&mut self, created: Option<UnixMillis>, exemplars: &[RawExemplar<'_>]) {
        let samples = &mut *self.samples;
        let sample = (samples.values.len() - 1) as u32;
        if let Some(created) = created {
            samples.created.push((sample, created));
        }
        for raw in exemplars {
            // An exemplar that cannot be read costs itself.
            if E::read_exemplar(*raw, self.exemplar).is_err() {
                continue;
            }
            let start = samples.text.len() as u32;
            self.exemplar.encode(&mut samples.text);
            let labels = start..samples.text.len() as u32;
            samples.exemplars.push(Exemplar { sample, labels, line: 0..0, value: raw.value, time: raw.timestamp });
        }
    }
}

#[inline]
fn push_time(samples: &mut Samples, time: Option<UnixMillis>) {
    if time.is_none() && samples.times.is_empty() {
        return;
    }
    // The first with a time of its own: those before it have the scrape's.
    samples.times.resize(samples.values.len(), samples.time);
    samples.times.push(time.unwrap_or(samples.time));
}

/// Takes samples out of the columns; `places` ascending.
fn remove(samples: &mut Samples, places: &[usize]) {
    let gone = |index: usize| places.binary_search(&index).is_ok();
    let moved = |index: u32| index - places.partition_point(|&place| place < index as usize) as u32;
    let keep = |index: &mut usize| {
        *index += 1;
        !gone(*index - 1)
    };
    let mut index = 0;
    samples.values.retain(|_| keep(&mut index));
    let mut index = 0;
    samples.times.retain(|_| keep(&mut index));
    samples.histograms.retain(|(sample, _)| !gone(*sample as usize));
    samples.histograms.iter_mut().for_each(|(sample, _)| *sample = moved(*sample));
    samples.created.retain(|(sample, _)| !gone(*sample as usize));
    samples.created.iter_mut().for_each(|(sample, _)| *sample = moved(*sample));
    samples.exemplars.retain(|exemplar| !gone(exemplar.sample as usize));
    samples.exemplars.iter_mut().for_each(|exemplar| exemplar.sample = moved(exemplar.sample));
}
