//! Reading the store: series are found and their chunks are held under the lock; samples are decompressed without it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::chunk::Outline;
use super::exemplars::Held;
use super::inner::Inner;
use super::select::{
    Columns, ExemplarPoint, Listed, Listing, Matcher, Queryable, Samples, Select, SelectError, SeriesExemplars,
};
use super::store::Store;
use super::stored::Series;
use crate::data::labels::{LabelIter, LabelSet, Labels};
use crate::data::metrics::Family;
use crate::data::recycle::clear_bounded;
use crate::data::series_table::FamilyId;

/// Buffers of one reader, used again.
#[derive(Debug, Default)]
pub struct Reader {
    series: Vec<Found>,
    parts: Vec<Part>,
    /// Samples of heads.
    copied: Vec<u8>,
    /// What is known of counters.
    starts: Vec<(i64, i64)>,
    columns: Columns,
}

/// A series that fits.
#[derive(Debug)]
struct Found {
    labels: Arc<[u8]>,
    parts: Range<u32>,
    starts: Option<Range<usize>>,
}

/// Some of its samples.
#[derive(Debug)]
struct Part {
    outline: Outline,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Shared(Arc<[u8]>),
    Copied(Range<usize>),
}

impl Reader {
    /// Forgets what it holds and keeps some memory.
    pub fn clear(&mut self) {
        clear_bounded(&mut self.series, 4096);
        clear_bounded(&mut self.parts, 16_384);
        clear_bounded(&mut self.copied, 1 << 20);
        clear_bounded(&mut self.starts, 16_384);
        self.columns.clear();
    }

    fn collect(&mut self, inner: &Inner, what: &Select<'_>) {
        for place in matching(inner, what.matchers) {
            let series = inner.places.get(place);
            let from = self.parts.len();
            let first = series.chunks.partition_point(|chunk| chunk.outline.last() <= what.after);
            for chunk in &series.chunks[first..] {
                if chunk.outline.first > what.until {
                    break;
                }
                self.parts.push(Part { outline: chunk.outline, bytes: Bytes::Shared(chunk.bytes.clone()) });
            }
            if let Some(outline) = series.head.outline().filter(|head| head.is_within(what.after, what.until)) {
                let at = self.copied.len();
                series.head.copy_to(&mut self.copied);
                self.parts.push(Part { outline, bytes: Bytes::Copied(at..self.copied.len()) });
            }
            if self.parts.len() > from {
                let starts = series.starts.is_some().then(|| {
                    let at = self.starts.len();
                    self.starts.extend_from_slice(series.starts_within(what.after, what.until));
                    at..self.starts.len()
                });
                self.series.push(Found {
                    labels: series.labels.clone(),
                    parts: from as u32..self.parts.len() as u32,
                    starts,
                });
            }
        }
    }

    fn show(
        &mut self,
        what: &Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        let Self { series, parts, copied, starts, columns } = self;
        for found in series {
            columns.clear();
            for part in &parts[found.parts.start as usize..found.parts.end as usize] {
                let bytes = match &part.bytes {
                    Bytes::Shared(bytes) => bytes,
                    Bytes::Copied(range) => &copied[range.clone()],
                };
                part.outline.read(bytes, what.after, what.until, columns);
            }
            if columns.times.is_empty() {
                continue;
            }
            if let Some(known) = &found.starts {
                let mut starts = starts[known.clone()].iter().copied().peekable();
                let mut now = 0;
                columns.starts.extend(columns.times.iter().map(|time| {
                    while let Some((_, start)) = starts.next_if(|(from, _)| from <= time) {
                        now = start;
                    }
                    now
                }));
            }
            visit(Labels::of_encoded(&found.labels), columns)?;
        }
        Ok(())
    }
}

/// Places of the series that fit.
fn matching(inner: &Inner, matchers: &[Matcher]) -> Vec<u32> {
    inner.index.select(matchers, |place| inner.places.get(place).labels())
}

impl Samples for Store {
    fn select(
        &self,
        what: Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        let mut reader = self.reader();
        reader.collect(&self.read(), &what);
        let shown = reader.show(&what, visit);
        self.give_back(reader);
        shown
    }
}

/// Whether a series has samples that a listing is about, as far as that is known without reading them.
fn is_within(series: &Series, which: &Listing<'_>) -> bool {
    let last = series.head.last().is_some_and(|last| last >= which.from);
    last && series.oldest().is_some_and(|oldest| oldest <= which.until)
}

/// Series that a listing is about, ascending, each once.
fn listed<'a>(inner: &'a Inner, which: &Listing<'_>) -> Vec<&'a Series> {
    let places = match which.selectors {
        [] => inner.index.all().to_vec(),
        [one] => matching(inner, one),
        several => {
            let mut all: Vec<u32> = several.iter().flat_map(|selector| matching(inner, selector)).collect();
            all.sort_unstable();
            all.dedup();
            all
        }
    };
    places.iter().map(|place| inner.places.get(*place)).filter(|series| is_within(series, which)).collect()
}

fn labels_of(held: &Held) -> LabelIter<'_> {
    Labels::of_encoded(&held.series).iter()
}

fn limited<T>(mut items: Vec<T>, limit: usize) -> Listed<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    Listed { items, more }
}

impl Queryable for Store {
    fn series(&self, which: Listing<'_>) -> Result<Listed<LabelSet>, SelectError> {
        let inner = self.read();
        let mut all: Vec<Labels<'_>> = listed(&inner, &which).into_iter().map(Series::labels).collect();
        all.sort_by(|a, b| a.iter().cmp(b.iter()));
        let Listed { items, more } = limited(all, which.limit);
        Ok(Listed { items: items.into_iter().map(Labels::to_set).collect(), more })
    }

    fn label_names(&self, which: Listing<'_>) -> Result<Listed<Box<str>>, SelectError> {
        let inner = self.read();
        let mut names = BTreeSet::new();
        if which.selectors.is_empty() {
            let has = |name: &&str| {
                let mut places = inner.index.values(name).flat_map(|(_, places)| places);
                places.any(|place| is_within(inner.places.get(*place), &which))
            };
            names.extend(inner.index.names().filter(has));
            return Ok(limited(names.into_iter().map(Into::into).collect(), which.limit));
        }
        for series in listed(&inner, &which) {
            for (name, _) in series.labels().iter() {
                if !names.contains(name) {
                    names.insert(name);
                }
            }
        }
        Ok(limited(names.into_iter().map(Into::into).collect(), which.limit))
    }

    fn label_values(&self, name: &str, which: Listing<'_>) -> Result<Listed<Box<str>>, SelectError> {
        let inner = self.read();
        if which.selectors.is_empty() {
            // The index has them in their order.
            let has = |places: &[u32]| places.iter().any(|place| is_within(inner.places.get(*place), &which));
            let values = inner.index.values(name).filter(|(_, places)| has(places)).map(|(value, _)| value.into());
            return Ok(limited(values.take(which.limit.saturating_add(1)).collect(), which.limit));
        }
        let values: BTreeSet<&str> =
            listed(&inner, &which).into_iter().filter_map(|series| series.labels().get(name)).collect();
        Ok(limited(values.into_iter().map(Into::into).collect(), which.limit))
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<Family>, SelectError> {
        let inner = self.read();
        let table = inner.table.read();
        let ids: HashSet<FamilyId> = inner.places.iter().map(|(_, series)| series.family).collect();
        let known = ids.into_iter().filter(|id| *id != FamilyId::default()).map(|id| table.family_of(id));
        let mut families: Vec<Family> =
            known.filter(|family| metric.is_none_or(|metric| *family.name == *metric)).cloned().collect();
        families.sort_by(|a, b| (&a.name, &a.help, &a.unit).cmp(&(&b.name, &b.help, &b.unit)));
        Ok(families)
    }

    fn exemplars(&self, which: Listing<'_>) -> Result<Listed<SeriesExemplars>, SelectError> {
        self.latest_exemplars(which, &|_| true)
    }
}

impl Store {
    /// The latest exemplars of the series that fit the selectors and the predicate, so many at most, in the order of the
    /// series' labels and their times.
    ///
    /// # Errors
    /// None by now: exemplars are in memory.
    pub fn latest_exemplars(
        &self,
        which: Listing<'_>,
        wanted: &dyn Fn(Labels<'_>) -> bool,
    ) -> Result<Listed<SeriesExemplars>, SelectError> {
        let inner = self.read();
        let fits = |labels: Labels<'_>| {
            let all = |selector: &Vec<Matcher>| {
                selector.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
            };
            (which.selectors.is_empty() || which.selectors.iter().any(all)) && wanted(labels)
        };
        // The latest first, so that it is the oldest that are too many.
        let held = inner.exemplars.iter().rev().filter(|held| held.time >= which.from && held.time <= which.until);
        let mut held: Vec<_> = held.filter(|held| fits(Labels::of_encoded(&held.series))).collect();
        held.sort_by_key(|held| Reverse(held.time));
        let more = held.len() > which.limit;
        held.truncate(which.limit);
        held.reverse();
        held.sort_by(|a, b| labels_of(a).cmp(labels_of(b)).then(a.time.cmp(&b.time)));
        let mut all: Vec<SeriesExemplars> = Vec::new();
        let mut last: Option<&Arc<[u8]>> = None;
        for held in held {
            if last.is_none_or(|last| **last != *held.series) {
                all.push(SeriesExemplars { labels: Labels::of_encoded(&held.series).to_set(), exemplars: Vec::new() });
                last = Some(&held.series);
            }
            if let Some(series) = all.last_mut() {
                let labels = Labels::of_encoded(&held.labels).to_set();
                let line = String::from_utf8_lossy(&held.line).into_owned();
                series.exemplars.push(ExemplarPoint { labels, line, value: held.value, time: held.time });
            }
        }
        Ok(Listed { items: all, more })
    }
}
