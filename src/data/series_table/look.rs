//! What may be read of the table's series.

use std::sync::{Arc, RwLockReadGuard};

use super::super::labels::Labels;
use super::super::metrics::Family;
use super::{Entry, FamilyId, Inner, PAGE, SeriesRef};

/// A look at the series of a table. Nobody adds series meanwhile.
#[derive(Debug)]
pub struct Series<'a>(pub(super) RwLockReadGuard<'a, Inner>);

impl Series<'_> {
    /// Labels of a series that a list holds; none where the reference is stale.
    pub fn labels(&self, series: SeriesRef) -> Labels<'_> {
        let entry = self.0.entry(series.slot);
        if entry.epoch == series.epoch { Labels::of_encoded(&entry.labels) } else { Labels::of_encoded(&[]) }
    }

    /// The same, encoded, for whoever keeps them longer than the table does: both have one copy.
    pub fn shared_labels(&self, series: SeriesRef) -> Arc<[u8]> {
        let entry = self.0.entry(series.slot);
        if entry.epoch == series.epoch { entry.labels.clone() } else { Arc::default() }
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
            + self.0.family_bytes
            + self.0.pages.len() * PAGE * size_of::<Entry>()
            + self.0.index.capacity() * (size_of::<u32>() + 1)
            + self.0.free.capacity() * size_of::<u32>()
    }
}
