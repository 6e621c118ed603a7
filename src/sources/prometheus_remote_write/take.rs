//! A request's series become a batch: samples in the order in which they stand, each with its series.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use super::answer::Refused;
use crate::data::metrics::{Exemplar, Family};
use crate::data::series_table::{FamilyId, ListBuilder};
use crate::data::{Histogram, Labels, MetricBatch, MetricBuilder, MetricKind, Resource, SeriesTable, UnixMillis};
use crate::formats::prometheus::remote_write::{Counts, ReadMetadata, Receive};

/// Metadata of 1.0 comes by itself, from time to time: what senders said of families, by their names.
#[derive(Debug, Default)]
pub(super) struct Families(Mutex<HashMap<Box<str>, FamilyId>>);

/// Families remembered at the most.
const MOST_FAMILIES: usize = 100_000;

/// Bytes of labels of one request, written out: 2.0 can name one long text in many series.
const MOST_TEXT: usize = 64 << 20;

/// Endings of series' names that a family's name lacks.
const SUFFIXES: [&str; 6] = ["_bucket", "_count", "_sum", "_total", "_info", "_created"];

impl Families {
    fn keep(&self, name: &str, id: FamilyId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_FAMILIES || known.contains_key(name) {
            known.insert(name.into(), id);
        }
    }

    fn of_series(&self, name: &str) -> FamilyId {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return FamilyId::default();
        }
        let stripped = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
        known.get(name).or_else(|| known.get(stripped?)).copied().unwrap_or_default()
    }
}

/// Takes what a request has.
pub(super) struct Taker<'a> {
    table: &'a Arc<SeriesTable>,
    families: &'a Families,
    list: ListBuilder,
    builder: MetricBuilder,
    counts: Counts,
    /// What cannot be taken.
    pub refused: Refused,
    /// Labels of the current series, and its family.
    labels: Vec<u8>,
    family: FamilyId,
    /// Metadata of 2.0 as it came last, and its number.
    last: (Family, FamilyId),
    /// The last sample of each series: exemplars may stand in a series of their own.
    samples: HashMap<u64, u32>,
}

impl<'a> Taker<'a> {
    pub fn new(table: &'a Arc<SeriesTable>, families: &'a Families) -> Self {
        Self {
            table,
            families,
            list: ListBuilder::default(),
            builder: MetricBuilder::new(),
            counts: Counts::default(),
            refused: Refused::default(),
            labels: Vec::new(),
            family: FamilyId::default(),
            last: (Family::default(), FamilyId::default()),
            samples: HashMap::new(),
        }
    }

    fn sample(&mut self, value: f64, time: UnixMillis, start: Option<UnixMillis>) -> u32 {
        let columns = self.builder.samples();
        let index = columns.values.len() as u32;
        columns.values.push(value);
        columns.times.push(time);
        columns.created.extend(start.map(|start| (index, start)));
        self.list.encoded(Labels::of_encoded(&self.labels), self.family);
        self.samples.insert(xxh3_64(&self.labels), index);
        index
    }

    /// Whether the labels of the request are more than an honest sender has.
    fn is_full(&self) -> bool {
        self.list.text_len() + self.labels.len() > MOST_TEXT
    }

    fn refuse_full(&mut self, had: Counts) {
        let words =
            format!("the labels of the request's series are longer than {} MiB: send fewer at once", MOST_TEXT >> 20);
        self.refused.add(words, had);
    }

    /// The batch, what of the request it has, and what was refused; no batch where nothing is left.
    pub fn finish(mut self, resource: Arc<Resource>) -> (Option<MetricBatch>, Counts, Refused) {
        let resolved = self.table.list_with_repeats(&self.list);
        if !resolved.refused.is_empty() {
            self.leave_out(&resolved.refused);
        }
        if resolved.list.is_empty() {
            return (None, Counts::default(), self.refused);
        }
        self.builder.samples().exemplars.sort_by_key(|exemplar| exemplar.sample);
        (Some(self.builder.build(resource, resolved.list)), self.counts, self.refused)
    }

    /// Takes samples out for whose series the table has no room.
    fn leave_out(&mut self, refused: &[usize]) {
        let left = self.builder.samples().leave_out(refused);
        let gone = Counts {
            histograms: left.histograms as u64,
            samples: (refused.len() - left.histograms) as u64,
            exemplars: left.exemplars as u64,
        };
        self.counts.samples -= gone.samples;
        self.counts.histograms -= gone.histograms;
        self.counts.exemplars -= gone.exemplars;
        let limit = self.table.limit();
        self.refused.add(format!("{} new series: the agent keeps at most {limit} series", refused.len()), gone);
    }
}

impl Receive for Taker<'_> {
    fn series(&mut self, labels: Labels<'_>, metadata: Option<ReadMetadata<'_>>) {
        self.labels.clear();
        self.labels.extend_from_slice(labels.encoded());
        self.family = match metadata {
            None => self.families.of_series(labels.metric_name()),
            Some(said) if (said.kind, said.help, said.unit) == (MetricKind::Unknown, "", "") => FamilyId::default(),
            Some(said) => {
                let name = family_name(labels.metric_name(), said.kind);
                let (last, id) = &self.last;
                let same =
                    (&*last.name, last.kind, &*last.help, &*last.unit) == (name, said.kind, said.help, said.unit);
                if same && *id != FamilyId::default() {
                    *id
                } else {
                    let family =
                        Family { name: name.into(), kind: said.kind, help: said.help.into(), unit: said.unit.into() };
                    let id = self.table.family(&family);
                    self.last = (family, id);
                    id
                }
            }
        };
    }

    fn number(&mut self, value: f64, time: UnixMillis, start: Option<UnixMillis>) {
        if self.is_full() {
            return self.refuse_full(Counts { samples: 1, ..Counts::default() });
        }
        self.sample(value, time, start);
        self.counts.samples += 1;
    }

    fn histogram(&mut self, histogram: Histogram, time: UnixMillis, start: Option<UnixMillis>) {
        if self.is_full() {
            return self.refuse_full(Counts { histograms: 1, ..Counts::default() });
        }
        let index = self.sample(0.0, time, start);
        self.builder.samples().histograms.push((index, Arc::new(histogram)));
        self.counts.histograms += 1;
    }

    fn exemplar(&mut self, labels: Labels<'_>, value: f64, time: UnixMillis) {
        let Some(&sample) = self.samples.get(&xxh3_64(&self.labels)) else {
            // An exemplar belongs to a sample, and the request has none of its series: an earlier one had.
            return;
        };
        let columns = self.builder.samples();
        let start = columns.text.len() as u32;
        columns.text.extend_from_slice(labels.encoded());
        let labels = start..columns.text.len() as u32;
        columns.exemplars.push(Exemplar { sample, labels, value, time: Some(time) });
        self.counts.exemplars += 1;
    }

    fn metadata(&mut self, said: ReadMetadata<'_>) {
        let family =
            Family { name: said.family.into(), kind: said.kind, help: said.help.into(), unit: said.unit.into() };
        self.families.keep(said.family, self.table.family(&family));
    }

    fn refused(&mut self, reason: String, had: Counts) {
        self.refused.add(reason, had);
    }
}

/// A family's name by that of one of its series: 2.0 says metadata of series.
fn family_name(series: &str, kind: MetricKind) -> &str {
    let suffixes: &[&str] = match kind {
        MetricKind::Histogram | MetricKind::Summary => &["_bucket", "_count", "_sum"],
        MetricKind::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| series.strip_suffix(suffix)).unwrap_or(series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::LabelSet;

    /// Labels with a text of a MiB among them, which 2.0 can name for a few bytes.
    fn series(instance: usize) -> Vec<u8> {
        let text = "x".repeat(1 << 20);
        let instance = instance.to_string();
        let labels: LabelSet = [("__name__", "up"), ("instance", &*instance), ("long", &*text)].into_iter().collect();
        let mut encoded = Vec::new();
        labels.encode(&mut encoded);
        encoded
    }

    #[test]
    fn samples_of_a_series_cost_its_labels_once() {
        let (table, families) = (SeriesTable::new(10), Families::default());
        let mut taker = Taker::new(&table, &families);
        let labels = series(0);
        taker.series(Labels::of_encoded(&labels), None);
        (0..1000).for_each(|time| taker.number(1.0, UnixMillis(time), None));
        assert_eq!(taker.list.text_len(), labels.len());
        let (batch, counts, refused) = taker.finish(Arc::default());
        assert_eq!((counts.samples, refused.reasons), (1000, 0));
        assert_eq!(batch.expect("samples").series().len(), 1000);
    }

    #[test]
    fn a_long_text_in_many_series_is_taken_up_to_a_limit() {
        let (table, families) = (SeriesTable::new(100), Families::default());
        let mut taker = Taker::new(&table, &families);
        for instance in 0..70 {
            taker.series(Labels::of_encoded(&series(instance)), None);
            taker.number(1.0, UnixMillis(1), None);
        }
        assert!(taker.list.text_len() <= MOST_TEXT, "{}", taker.list.text_len());
        let (batch, counts, refused) = taker.finish(Arc::default());
        assert_eq!((counts.samples, refused.counts.samples), (63, 7), "each has some bytes more than a MiB");
        assert_eq!(batch.expect("samples").series().len(), 63);
        assert!(refused.words().contains("longer than 64 MiB"), "{}", refused.words());
    }
}
