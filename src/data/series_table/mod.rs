//! The series table: what identifies a metric series is resolved, encoded and kept once in its life; from
//! then on a sample names it by eight bytes.
//!
//! Batches name series through a [`SeriesList`]: the series of one target, in the order of its exposition.
//! A scrape that exposes what the last one did shares its list, so that sharding, relabelling and steps that
//! are decided by labels are decided once a list. A list owns its series: an entry is freed when the last list
//! that has it is dropped, and its slot is used again only under a new epoch.
//!
//! The lock is taken once a batch by those who read labels, and once a list that differs by those who write.

mod list;
mod look;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::metrics::Family;
use list::Item;
pub use list::{ListBuilder, Resolved, SeriesList};
pub use look::Series;

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

/// Bytes of metadata kept at the most.
const MOST_FAMILY_BYTES: usize = 16 << 20;

/// Bytes of a metric's help that are kept.
const MOST_HELP: usize = 4 << 10;

/// What different metadata take beside their text: in the list and in the index of it.
const FAMILY: usize = size_of::<Family>() + 64;

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
    family_bytes: usize,
    mark: u32,
}

#[derive(Debug, Default)]
struct Entry {
    labels: Arc<[u8]>,
    hash: u64,
    epoch: u32,
    /// Lists that have the series, each counted as often as it has it.
    owners: u32,
    family: FamilyId,
    /// The last list for which the entry was resolved.
    mark: u32,
}

/// Where the series of a list come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Live,
    Stored,
}

/// Where a series may stand in a list although it stands earlier in it.
#[derive(Clone, Copy, Debug)]
enum Repeats<'a> {
    Anywhere,
    At(&'a [usize]),
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

    /// Number of metadata, given on first sight; unknown once too many different ones were seen. Of a help that
    /// is longer than 4 KiB the beginning is kept.
    pub fn family(&self, family: &Family) -> FamilyId {
        if family.help.len() > MOST_HELP {
            let help = &family.help[..family.help.floor_char_boundary(MOST_HELP)];
            return self.family(&Family { help: help.into(), ..family.clone() });
        }
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
        let bytes = inner.family_bytes + FAMILY + family.name.len() + family.help.len() + family.unit.len();
        if inner.families.len() >= MOST_FAMILIES || bytes > MOST_FAMILY_BYTES {
            return FamilyId::default();
        }
        inner.family_bytes = bytes;
        let id = FamilyId(inner.families.len() as u32);
        let family = Arc::new(family.clone());
        inner.families.push(family.clone());
        inner.family_ids.insert(family, id);
        id
    }

    /// A list of what the builder has, in its order, each series once. The builder's known series must be
    /// held by a list until this returns.
    pub fn list(self: &Arc<Self>, builder: &ListBuilder) -> Resolved {
        self.resolve(builder, Repeats::At(&[]), Origin::Live)
    }

    /// The same, where a series may stand once more at these places of the builder, which ascend.
    pub fn list_with_repeats_at(self: &Arc<Self>, builder: &ListBuilder, places: &[usize]) -> Resolved {
        self.resolve(builder, Repeats::At(places), Origin::Live)
    }

    /// The same, where a series may stand several times (with a sample each).
    pub fn list_with_repeats(self: &Arc<Self>, builder: &ListBuilder) -> Resolved {
        self.resolve(builder, Repeats::Anywhere, Origin::Live)
    }

    /// The same for samples that were taken in before: whether the table is full or not, and without their metadata
    /// where there are others by now.
    pub fn resolve_stored(self: &Arc<Self>, builder: &ListBuilder) -> Resolved {
        self.resolve(builder, Repeats::Anywhere, Origin::Stored)
    }

    fn resolve(self: &Arc<Self>, builder: &ListBuilder, repeats: Repeats<'_>, origin: Origin) -> Resolved {
        let limit = self.limit();
        let mut refs = Vec::with_capacity(builder.items.len());
        let (mut refused, mut repeated, mut again) = (Vec::new(), Vec::new(), Vec::new());
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
                    Item::New { start, end, family } => {
                        inner.intern(&builder.text[*start..*end], *family, origin, limit)
                    }
                };
                let Some(series) = series else {
                    refused.push(place);
                    continue;
                };
                let entry = inner.entry_mut(series.slot);
                if entry.mark == mark && entry.owners > 0 {
                    match repeats {
                        Repeats::Anywhere => {}
                        Repeats::At(places) if places.binary_search(&place).is_ok() => again.push(place),
                        Repeats::At(_) => {
                            repeated.push(place);
                            continue;
                        }
                    }
                }
                entry.mark = mark;
                entry.owners += 1;
                refs.push(series);
            }
        }
        self.refused.fetch_add(refused.len() as u64, Ordering::Relaxed);
        let id = self.lists.fetch_add(1, Ordering::Relaxed);
        let list = Arc::new(SeriesList { table: self.clone(), refs: refs.into_boxed_slice(), id });
        Resolved { list, refused, repeated, again }
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

    fn intern(&mut self, labels: &[u8], family: FamilyId, origin: Origin, limit: usize) -> Option<SeriesRef> {
        let hash = xxh3_64(labels);
        let found = self.index.find(hash, |&slot| {
            let entry = self.entry(slot);
            entry.hash == hash && *entry.labels == *labels
        });
        if let Some(&slot) = found {
            let entry = self.entry_mut(slot);
            let says_more = match origin {
                Origin::Live => family != FamilyId::default(),
                Origin::Stored => entry.family == FamilyId::default(),
            };
            if says_more {
                entry.family = family;
            }
            return Some(SeriesRef { slot, epoch: entry.epoch });
        }
        if origin == Origin::Live && self.len() >= limit {
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
        entry.labels = Arc::default();
        entry.epoch = entry.epoch.wrapping_add(1);
        self.label_bytes -= freed;
        if let Ok(found) = self.index.find_entry(hash, |&slot| slot == series.slot) {
            found.remove();
        }
        self.free.push(series.slot);
    }
}

#[cfg(test)]
mod tests;
