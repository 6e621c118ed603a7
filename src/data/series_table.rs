//! The series table: what identifies a metric series is resolved, encoded and kept once in its life; from
//! then on a sample names it by eight bytes.
//!
//! Batches name series through a [`SeriesList`]: the series of one target, in the order of its exposition.
//! A scrape that exposes what the last one did shares its list, so that sharding, relabelling and steps that
//! are decided by labels are decided once a list. A list owns its series: an entry is freed when the last list
//! that has it is dropped, and its slot is used again only under a new epoch.
//!
//! The lock is taken once a batch by those who read labels, and once a list that differs by those who write.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::labels::{LabelSet, Labels};
use super::metrics::Family;

/// A series of the series table: its slot, and the epoch in which the slot belongs to it. A slot is used
/// again only under a new epoch, so a stale reference never names another series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesRef {
    /// Place in the table.
    pub slot: u32,
    /// Epoch of the slot.
    pub epoch: u32,
}

/// Metadata of the metric that a series belongs to; the default says that nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FamilyId(u32);

impl FamilyId {
    /// A small number of its own, 0 for the default: for tables beside the series table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Series that are kept at the most, where nothing else is configured.
pub const DEFAULT_LIMIT: usize = 500_000;

/// Entries are allocated this many at a time, so that growing moves none.
const PAGE: usize = 4096;

/// Different metadata kept at the most: what comes on top is unknown.
const MOST_FAMILIES: usize = 100_000;

/// All series that the process knows.
#[derive(Debug)]
pub struct SeriesTable {
    inner: RwLock<Inner>,
    /// Series of lists that were dropped while somebody looked at the table: their owner may have been that one.
    dropped: Mutex<Vec<Box<[SeriesRef]>>>,
    limit: AtomicUsize,
    refused: AtomicU64,
    lists: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    pages: Vec<Vec<Entry>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    label_bytes: usize,
    families: Vec<Arc<Family>>,
    family_ids: HashMap<Arc<Family>, FamilyId>,
    mark: u32,
}

#[derive(Debug, Default)]
struct Entry {
    labels: Box<[u8]>,
    hash: u64,
    epoch: u32,
    /// Lists that have the series, each counted as often as it has it.
    owners: u32,
    family: FamilyId,
    /// The last list for which the entry was resolved.
    mark: u32,
}

/// The series of one origin, in its own order. Owns them.
#[derive(Debug)]
pub struct SeriesList {
    table: Arc<SeriesTable>,
    refs: Box<[SeriesRef]>,
    id: u64,
}

/// Puts a [`SeriesList`] together. Reuse one: it keeps its memory.
#[derive(Debug, Default)]
pub struct ListBuilder {
    items: Vec<Item>,
    text: Vec<u8>,
}

#[derive(Debug)]
enum Item {
    Known(SeriesRef, Option<FamilyId>),
    New { start: usize, end: usize, family: FamilyId },
}

/// What became of a [`ListBuilder`].
#[derive(Debug)]
pub struct Resolved {
    /// The series, without those that are listed below.
    pub list: Arc<SeriesList>,
    /// Places in the builder of new series that found the table full.
    pub refused: Vec<usize>,
    /// Places in the builder of series that stand earlier in it too.
    pub repeated: Vec<usize>,
}

impl ListBuilder {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.text.clear();
    }

    /// Number of series so far.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none yet.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// A series of a list that is still held.
    pub fn known(&mut self, series: SeriesRef) {
        self.items.push(Item::Known(series, None));
    }

    /// A series of a list that is still held, whose metadata changed.
    pub fn known_as(&mut self, series: SeriesRef, family: FamilyId) {
        self.items.push(Item::Known(series, Some(family)));
    }

    /// A series by its labels.
    pub fn labels(&mut self, labels: &LabelSet, family: FamilyId) {
        let start = self.text.len();
        labels.encode(&mut self.text);
        self.items.push(Item::New { start, end: self.text.len(), family });
    }

    /// Bytes of labels so far.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// A series by its labels as it will keep them. The series before, once more, takes no memory for them.
    pub fn encoded(&mut self, labels: Labels<'_>, family: FamilyId) {
        if let Some(Item::New { start, end, .. }) = self.items.last()
            && self.text[*start..*end] == *labels.encoded()
        {
            self.items.push(Item::New { start: *start, end: *end, family });
            return;
        }
        let start = self.text.len();
        self.text.extend_from_slice(labels.encoded());
        self.items.push(Item::New { start, end: self.text.len(), family });
    }
}

impl SeriesTable {
    /// An empty table for at most `limit` series.
    pub fn new(limit: usize) -> Arc<Self> {
        let mut inner = Inner::default();
        inner.families.push(Arc::default());
        Arc::new(Self {
            inner: RwLock::new(inner),
            dropped: Mutex::default(),
            limit: AtomicUsize::new(limit),
            refused: AtomicU64::new(0),
            lists: AtomicU64::new(0),
        })
    }

    /// Changes the limit. Series that are there stay.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Most series that are kept.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// New series that found the table full, each time they were brought.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Looks at series; hold it no longer than a batch takes.
    pub fn read(&self) -> Series<'_> {
        self.free_dropped();
        Series(self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Number of metadata, given on first sight; unknown once too many different ones were seen.
    pub fn family(&self, family: &Family) -> FamilyId {
        if *family == Family::default() {
            return FamilyId::default();
        }
        if let Some(id) = self.read().0.family_ids.get(family) {
            return *id;
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = inner.family_ids.get(family) {
            return *id;
        }
        if inner.families.len() >= MOST_FAMILIES {
            return FamilyId::default();
        }
        let id = FamilyId(inner.families.len() as u32);
        let family = Arc::new(family.clone());
        inner.families.push(family.clone());
        inner.family_ids.insert(family, id);
        id
    }

    /// A list of what the builder has, in its order, each series once. The builder's known series must be
    /// held by a list until this returns.
    pub fn list(self: &Arc<Self>, builder: &ListBuilder) -> Resolved {
        self.resolve(builder, false, self.limit())
    }

    /// The same, where a series may stand several times (with a sample each).
    pub fn list_with_repeats(self: &Arc<Self>, builder: &ListBuilder) -> Resolved {
        self.resolve(builder, true, self.limit())
    }

    /// The same, whether the table is full or not: for samples that were taken in before.
    pub fn resolve_stored(self: &Arc<Self>, builder: &ListBuilder) -> Resolved {
        self.resolve(builder, true, usize::MAX)
    }

    fn resolve(self: &Arc<Self>, builder: &ListBuilder, repeats: bool, limit: usize) -> Resolved {
        let mut refs = Vec::with_capacity(builder.items.len());
        let (mut refused, mut repeated) = (Vec::new(), Vec::new());
        {
            let mut guard = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            let inner = &mut *guard;
            let dropped = std::mem::take(&mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner));
            dropped.iter().flatten().for_each(|series| inner.release(*series));
            inner.mark = inner.mark.wrapping_add(1);
            let mark = inner.mark;
            for (place, item) in builder.items.iter().enumerate() {
                let series = match item {
                    Item::Known(series, family) => {
                        let entry = inner.entry_mut(series.slot);
                        debug_assert_eq!(entry.epoch, series.epoch, "a known series is held by a list");
                        entry.family = family.unwrap_or(entry.family);
                        Some(*series)
                    }
                    Item::New { start, end, family } => inner.intern(&builder.text[*start..*end], *family, limit),
                };
                let Some(series) = series else {
                    refused.push(place);
                    continue;
                };
                let entry = inner.entry_mut(series.slot);
                if entry.mark == mark && entry.owners > 0 && !repeats {
                    repeated.push(place);
                    continue;
                }
                entry.mark = mark;
                entry.owners += 1;
                refs.push(series);
            }
        }
        self.refused.fetch_add(refused.len() as u64, Ordering::Relaxed);
        let id = self.lists.fetch_add(1, Ordering::Relaxed);
        let list = Arc::new(SeriesList { table: self.clone(), refs: refs.into_boxed_slice(), id });
        Resolved { list, refused, repeated }
    }
}

impl SeriesTable {
    /// Frees the series of dropped lists, unless somebody looks at the table now.
    fn free_dropped(&self) {
        if self.dropped.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
        let Ok(mut inner) = self.inner.try_write() else { return };
        let dropped = std::mem::take(&mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner));
        dropped.iter().flatten().for_each(|series| inner.release(*series));
    }
}

impl Inner {
    fn entry(&self, slot: u32) -> &Entry {
        &self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }

    fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn intern(&mut self, labels: &[u8], family: FamilyId, limit: usize) -> Option<SeriesRef> {
        let hash = xxh3_64(labels);
        let found = self.index.find(hash, |&slot| {
            let entry = self.entry(slot);
            entry.hash == hash && *entry.labels == *labels
        });
        if let Some(&slot) = found {
            let entry = self.entry_mut(slot);
            if family != FamilyId::default() {
                entry.family = family;
            }
            return Some(SeriesRef { slot, epoch: entry.epoch });
        }
        if self.len() >= limit {
            return None;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            if self.pages.last().is_none_or(|page| page.len() == PAGE) {
                self.pages.push(Vec::with_capacity(PAGE));
            }
            let page = self.pages.len() - 1;
            self.pages[page].push(Entry::default());
            (page * PAGE + self.pages[page].len() - 1) as u32
        });
        self.label_bytes += labels.len();
        let entry = self.entry_mut(slot);
        *entry = Entry { labels: labels.into(), hash, epoch: entry.epoch, owners: 0, family, mark: 0 };
        let epoch = entry.epoch;
        let Self { index, pages, .. } = self;
        index.insert_unique(hash, slot, |&slot| pages[slot as usize / PAGE][slot as usize % PAGE].hash);
        Some(SeriesRef { slot, epoch })
    }

    fn release(&mut self, series: SeriesRef) {
        let entry = self.entry_mut(series.slot);
        entry.owners -= 1;
        if entry.owners > 0 {
            return;
        }
        let (hash, freed) = (entry.hash, entry.labels.len());
        entry.labels = Box::default();
        entry.epoch = entry.epoch.wrapping_add(1);
        self.label_bytes -= freed;
        if let Ok(found) = self.index.find_entry(hash, |&slot| slot == series.slot) {
            found.remove();
        }
        self.free.push(series.slot);
    }
}

impl SeriesList {
    /// The series.
    pub fn refs(&self) -> &[SeriesRef] {
        &self.refs
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.refs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// A number that no other list of the table has or had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The table that the series are in.
    pub fn table(&self) -> &Arc<SeriesTable> {
        &self.table
    }
}

impl Drop for SeriesList {
    fn drop(&mut self) {
        let refs = std::mem::take(&mut self.refs);
        self.table.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(refs);
        self.table.free_dropped();
    }
}

/// A look at the series of a table. Nobody adds series meanwhile.
#[derive(Debug)]
pub struct Series<'a>(RwLockReadGuard<'a, Inner>);

impl Series<'_> {
    /// Labels of a series that a list holds; none where the reference is stale.
    pub fn labels(&self, series: SeriesRef) -> Labels<'_> {
        let entry = self.0.entry(series.slot);
        if entry.epoch == series.epoch { Labels::of_encoded(&entry.labels) } else { Labels::of_encoded(&[]) }
    }

    /// A hash of the labels, the same on every machine and in every run (XXH3, 64 bits).
    pub fn hash(&self, series: SeriesRef) -> u64 {
        self.0.entry(series.slot).hash
    }

    /// Metadata of the metric that a series belongs to.
    pub fn family(&self, series: SeriesRef) -> &Family {
        let id = self.0.entry(series.slot).family;
        &self.0.families[id.0 as usize]
    }

    /// Number of that metadata.
    pub fn family_id(&self, series: SeriesRef) -> FamilyId {
        self.0.entry(series.slot).family
    }

    /// Metadata by its number.
    pub fn family_of(&self, id: FamilyId) -> &Family {
        &self.0.families[id.0 as usize]
    }

    /// Whether the reference still names a series.
    pub fn is_current(&self, series: SeriesRef) -> bool {
        let entry = self.0.entry(series.slot);
        entry.epoch == series.epoch && entry.owners > 0
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Slots in use or free: an upper bound of every [`SeriesRef::slot`].
    pub fn slots(&self) -> usize {
        self.0.pages.last().map_or(0, |last| (self.0.pages.len() - 1) * PAGE + last.len())
    }

    /// Labels of every series, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Labels<'_>> {
        self.0.index.iter().map(|&slot| Labels::of_encoded(&self.0.entry(slot).labels))
    }

    /// Bytes of memory that the table holds, without what allocators add.
    pub fn bytes(&self) -> usize {
        self.0.label_bytes
            + self.0.pages.len() * PAGE * size_of::<Entry>()
            + self.0.index.capacity() * (size_of::<u32>() + 1)
            + self.0.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::MetricKind;
    use super::*;

    fn set(name: &str, instance: &str) -> LabelSet {
        [("__name__", name), ("instance", instance)].into_iter().collect()
    }

    #[test]
    fn a_series_is_kept_once_and_freed_with_its_last_list() {
        let table = SeriesTable::new(10);
        let mut builder = ListBuilder::default();
        builder.labels(&set("up", "a"), FamilyId::default());
        builder.labels(&set("up", "b"), FamilyId::default());
        let first = table.list(&builder).list;
        builder.clear();
        builder.known(first.refs()[1]);
        builder.labels(&set("up", "a"), FamilyId::default());
        builder.labels(&set("up", "c"), FamilyId::default());
        let second = table.list(&builder).list;
        assert_eq!(second.refs()[..2], [first.refs()[1], first.refs()[0]]);
        assert_eq!(table.read().len(), 3);
        let gone = second.refs()[2];
        drop(second);
        assert_eq!(table.read().len(), 2);
        assert!(!table.read().is_current(gone));
        builder.clear();
        builder.labels(&set("up", "d"), FamilyId::default());
        let third = table.list(&builder).list;
        assert_eq!(third.refs()[0].slot, gone.slot, "the slot is used again");
        assert_ne!(third.refs()[0].epoch, gone.epoch, "under a new epoch");
        assert_eq!(table.read().labels(gone).iter().count(), 0, "a stale reference names nothing");
        drop((first, third));
        assert_eq!((table.read().len(), table.read().0.label_bytes), (0, 0));
    }

    #[test]
    fn a_full_table_refuses_what_is_new_and_a_repetition_is_told() {
        let table = SeriesTable::new(1);
        let mut builder = ListBuilder::default();
        for instance in ["a", "b", "a"] {
            builder.labels(&set("up", instance), FamilyId::default());
        }
        let resolved = table.list(&builder);
        assert_eq!((resolved.list.len(), &resolved.refused[..], &resolved.repeated[..]), (1, &[1][..], &[2][..]));
        let repeated = table.list_with_repeats(&builder);
        assert_eq!(repeated.list.len(), 2);
        assert_eq!(table.refused(), 2);
        drop((resolved, repeated));
        assert!(table.read().is_empty());
    }

    #[test]
    fn a_list_may_be_dropped_by_whoever_looks_at_the_table() {
        let table = SeriesTable::new(10);
        let mut builder = ListBuilder::default();
        builder.labels(&set("up", "a"), FamilyId::default());
        let list = table.list(&builder).list;
        let look = table.read();
        drop(list);
        assert_eq!(look.len(), 1, "what is looked at stays");
        drop(look);
        assert!(table.read().is_empty());
    }

    #[test]
    fn metadata_is_shared_and_can_change() {
        let table = SeriesTable::new(10);
        let family = Family { name: "up".into(), kind: MetricKind::Gauge, help: "h".into(), unit: "".into() };
        let id = table.family(&family);
        assert_eq!(table.family(&family), id);
        let mut builder = ListBuilder::default();
        builder.labels(&set("up", "a"), FamilyId::default());
        let list = table.list(&builder).list;
        builder.clear();
        builder.known_as(list.refs()[0], id);
        let _next = table.list(&builder).list;
        assert_eq!(*table.read().family(list.refs()[0]), family);
    }
}
