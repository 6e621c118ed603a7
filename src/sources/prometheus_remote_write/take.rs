//! A request's series become a batch: samples in the order in which they stand, each with its series. What labels
//! take is bounded where they are read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use super::answer::Refused;
use crate::data::metrics::{Exemplar, Family};
use crate::data::series_table::{FamilyId, ListBuilder};
use crate::data::{Histogram, Labels, MetricBatch, MetricBuilder, MetricKind, Resource, SeriesTable, UnixMillis};
use crate::formats::prometheus::remote_write::{Counts, ReadMetadata, Receive};

/// Metadata of 1.0 comes by itself, from time to time: what senders said of families, by their names. All of them
/// are in the series table, whose limits for families hold here too. A request looks at it as it is, once.
#[derive(Debug, Default)]
pub(super) struct Families(Mutex<Arc<Known>>);

type Known = HashMap<Box<str>, FamilyId>;

/// Endings of series' names that a family's name lacks.
const SUFFIXES: [&str; 6] = ["_bucket", "_count", "_sum", "_total", "_info", "_created"];

impl Families {
    fn keep(&self, name: &str, id: FamilyId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = Arc::make_mut(&mut *known);
        if id == FamilyId::default() {
            known.remove(name);
        } else {
            known.insert(name.into(), id);
        }
    }

    fn known(&self) -> Arc<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn of_series(known: &Known, name: &str) -> FamilyId {
    if known.is_empty() {
        return FamilyId::default();
    }
    let stripped = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
    known.get(name).or_else(|| known.get(stripped?)).copied().unwrap_or_default()
}

/// Takes what a request has.
pub(super) struct Taker<'a> {
    table: &'a Arc<SeriesTable>,
    families: &'a Families,
    /// What of them is looked at.
    known: Option<Arc<Known>>,
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
    /// The last sample of each series, from the first exemplar on: exemplars may stand in a series of their own.
    samples: Option<HashMap<u64, u32>>,
}

impl<'a> Taker<'a> {
    pub fn new(table: &'a Arc<SeriesTable>, families: &'a Families) -> Self {
        Self {
            table,
            families,
            known: None,
            list: ListBuilder::default(),
            builder: MetricBuilder::new(),
            counts: Counts::default(),
            refused: Refused::default(),
            labels: Vec::new(),
            family: FamilyId::default(),
            last: (Family::default(), FamilyId::default()),
            samples: None,
        }
    }

    fn sample(&mut self, value: f64, time: UnixMillis, start: Option<UnixMillis>) -> u32 {
        let columns = self.builder.samples();
        let index = columns.values.len() as u32;
        columns.values.push(value);
        columns.times.push(time);
        columns.created.extend(start.map(|start| (index, start)));
        self.list.encoded(Labels::of_encoded(&self.labels), self.family);
        if let Some(samples) = &mut self.samples {
            samples.insert(xxh3_64(&self.labels), index);
        }
        index
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
            None => of_series(self.known.get_or_insert_with(|| self.families.known()), labels.metric_name()),
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
        self.sample(value, time, start);
        self.counts.samples += 1;
    }

    fn histogram(&mut self, histogram: Histogram, time: UnixMillis, start: Option<UnixMillis>) {
        let index = self.sample(0.0, time, start);
        self.builder.samples().histograms.push((index, Arc::new(histogram)));
        self.counts.histograms += 1;
    }

    fn exemplar(&mut self, labels: Labels<'_>, value: f64, time: UnixMillis) {
        let samples = self.samples.get_or_insert_with(|| {
            let hashes = self.list.encoded_labels().map(xxh3_64);
            hashes.zip(0..).collect()
        });
        let Some(&sample) = samples.get(&xxh3_64(&self.labels)) else {
            // An exemplar belongs to a sample, and the request has none of its series: an earlier one had.
            return;
        };
        let columns = self.builder.samples();
        let start = columns.text.len() as u32;
        columns.text.extend_from_slice(labels.encoded());
        let labels = start..columns.text.len() as u32;
        columns.exemplars.push(Exemplar { sample, labels, line: 0..0, value, time: Some(time) });
        self.counts.exemplars += 1;
    }

    fn metadata(&mut self, said: ReadMetadata<'_>) {
        let family =
            Family { name: said.family.into(), kind: said.kind, help: said.help.into(), unit: said.unit.into() };
        // What is looked at is copied before it is changed, so it is let go first.
        self.known = None;
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

    /// Metadata that the table has no room for is not kept by its name either, so the table's limit bounds both.
    #[test]
    fn families_are_known_by_what_was_said_last_and_never_beyond_the_table() {
        let (table, families) = (SeriesTable::new(10), Families::default());
        let said = |family, help| ReadMetadata { family, kind: MetricKind::Counter, help, unit: "" };
        let mut taker = Taker::new(&table, &families);
        let series = |taker: &mut Taker<'_>, name: &str| {
            let labels: LabelSet = [("__name__", name)].into_iter().collect();
            let mut encoded = Vec::new();
            labels.encode(&mut encoded);
            taker.series(Labels::of_encoded(&encoded), None);
            taker.family
        };
        taker.metadata(said("requests", "One."));
        let one = series(&mut taker, "requests_total");
        taker.metadata(said("requests", "Two."));
        let two = series(&mut taker, "requests_total");
        assert!(one != two && ![one, two].contains(&FamilyId::default()));
        assert_eq!(series(&mut Taker::new(&table, &families), "requests"), two, "the next request knows it");
        let long = "n".repeat(1 << 20);
        for index in 0..200 {
            let family = format!("{index}{long}");
            taker.metadata(ReadMetadata { family: &family, ..said("", "Help.") });
        }
        let known = families.0.lock().expect("not poisoned");
        let bytes: usize = known.keys().map(|name| name.len()).sum();
        assert!((1 << 20..17 << 20).contains(&bytes), "{bytes}");
    }

    /// Prometheus writes exemplars as series of their own, behind the samples.
    #[test]
    fn exemplars_find_the_last_sample_of_their_series() {
        let (table, families) = (SeriesTable::new(10), Families::default());
        let mut taker = Taker::new(&table, &families);
        let [a, b, c] = ["a", "b", "c"].map(|instance| {
            let labels: LabelSet = [("__name__", "up"), ("instance", instance)].into_iter().collect();
            let mut encoded = Vec::new();
            labels.encode(&mut encoded);
            encoded
        });
        let of = Labels::of_encoded;
        for labels in [&a, &b, &a] {
            taker.series(of(labels), None);
            taker.number(1.0, UnixMillis(1), None);
        }
        assert!(taker.samples.is_none(), "nothing is looked up without exemplars");
        for labels in [&a, &b, &c] {
            taker.series(of(labels), None);
            taker.exemplar(of(&[]), 1.0, UnixMillis(1));
        }
        taker.series(of(&c), None);
        taker.number(1.0, UnixMillis(1), None);
        taker.exemplar(of(&[]), 1.0, UnixMillis(1));
        let (batch, counts, _) = taker.finish(Arc::default());
        let batch = batch.expect("samples");
        let samples: Vec<_> = batch.columns().exemplars.iter().map(|exemplar| exemplar.sample).collect();
        assert_eq!((samples, counts.exemplars), (vec![1, 2, 3], 3), "that of c came before any sample");
    }
}
