//! Lists of series, as targets bring them: which of their series are kept, and where, is decided once a list.

use std::sync::{Arc, Weak};

use super::inner::{Inner, Taken};
use crate::data::labels::Labels;
use crate::data::series_table::{FamilyId, SeriesList, SeriesRef};

/// Place of a series of a list that is kept, and that of its sample in a batch.
#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    /// In the list.
    pub index: u32,
    /// In the store.
    pub place: u32,
}

/// What became of a list.
#[derive(Debug)]
pub struct List {
    /// Its series that are kept.
    pub series: Arc<[Mapped]>,
    pub(super) list: Weak<SeriesList>,
    /// Series of it that found no room.
    pub(super) refused: usize,
    /// The generation of the journal that last said it, as a small number, and its own number there.
    pub told: (u32, u32),
}

/// What was decided about a series of the table: valid for one epoch of its slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    epoch: u32,
    place: u32,
}

/// It was not decided yet.
const UNDECIDED: u32 = u32::MAX;

/// Nobody reads it.
const UNREAD: u32 = u32::MAX - 1;

impl Inner {
    /// What was decided is decided again.
    pub(super) fn forget_lists(&mut self) {
        self.lists.clear();
        self.verdicts.clear();
        self.places.iter_mut().for_each(|(_, series)| series.listed = 0);
    }

    /// Forgets the lists that are gone, and those of which something found no room: it may find some now.
    pub(super) fn forget_lists_that_are_gone(&mut self) {
        let Self { lists, places, .. } = self;
        lists.retain(|_, list| {
            let stays = list.list.strong_count() > 0 && list.refused == 0;
            if !stays {
                list.series.iter().for_each(|mapped| places.get_mut(mapped.place).listed -= 1);
            }
            stays
        });
        self.most_lists = 2 * self.lists.len() + 16;
    }

    /// Which series of a list are kept, and where.
    pub(super) fn map(&mut self, list: &Arc<SeriesList>, taken: &mut Taken) -> Arc<[Mapped]> {
        if let Some(known) = self.lists.get(&list.id()) {
            return known.series.clone();
        }
        let (series, refused) = self.resolve(list, taken);
        let series: Arc<[Mapped]> = series.into();
        series.iter().for_each(|mapped| self.places.get_mut(mapped.place).listed += 1);
        if self.lists.len() >= self.most_lists {
            // Whoever pushes brings a list with every request.
            self.forget_lists_that_are_gone();
        }
        let entry = List { series: series.clone(), list: Arc::downgrade(list), refused, told: (0, 0) };
        self.lists.insert(list.id(), entry);
        self.look();
        if !self.memory.has(0) {
            self.evict(0);
        }
        series
    }

    pub(super) fn resolve(&mut self, list: &Arc<SeriesList>, taken: &mut Taken) -> (Vec<Mapped>, usize) {
        let own = Arc::ptr_eq(list.table(), &self.table);
        let table_of_list = list.table().clone();
        let table = table_of_list.read();
        if own && self.verdicts.len() < table.slots() {
            self.verdicts.reserve_exact(table.slots() - self.verdicts.len());
            self.verdicts.resize(table.slots(), Verdict { epoch: 0, place: UNDECIDED });
        }
        self.look();
        let (mut mapped, mut refused) = (Vec::new(), 0);
        for (index, series) in list.refs().iter().enumerate() {
            let labels = table.labels(*series);
            let place = match self.verdict(own, *series) {
                UNREAD => continue,
                known if known != UNDECIDED && self.is_at(known, labels) => Some(known),
                _ if !self.selection.as_ref().is_some_and(|selection| selection.has(labels)) => {
                    self.decide(own, *series, UNREAD);
                    continue;
                }
                _ => {
                    let hash = table.hash(*series);
                    let family = if own { table.family_id(*series) } else { FamilyId::default() };
                    let labels = table.shared_labels(*series);
                    let found = self.find(hash, &labels);
                    if own && let Some(place) = found {
                        let known = self.places.get_mut(place);
                        if family != FamilyId::default() {
                            known.family = family;
                        }
                        // An earlier life of the series has left its own copy.
                        known.labels = labels.clone();
                    }
                    found.or_else(|| self.create(labels, hash, family))
                }
            };
            match place {
                Some(place) => {
                    self.decide(own, *series, place);
                    mapped.push(Mapped { index: index as u32, place });
                }
                None => refused += 1,
            }
        }
        taken.refused_series += refused as u64;
        (mapped, refused)
    }

    fn verdict(&self, own: bool, series: SeriesRef) -> u32 {
        let known = self.verdicts.get(series.slot as usize).filter(|known| own && known.epoch == series.epoch);
        known.map_or(UNDECIDED, |known| known.place)
    }

    fn decide(&mut self, own: bool, series: SeriesRef, place: u32) {
        if own && let Some(verdict) = self.verdicts.get_mut(series.slot as usize) {
            *verdict = Verdict { epoch: series.epoch, place };
        }
    }

    fn is_at(&self, place: u32, labels: Labels<'_>) -> bool {
        place < self.places.len() && {
            let series = self.places.get(place);
            series.is_there && *series.labels == *labels.encoded()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::inner::Limits;
    use super::*;
    use crate::data::labels::LabelSet;
    use crate::data::series_table::{ListBuilder, SeriesTable};

    #[test]
    fn labels_are_in_memory_once_also_those_of_an_earlier_life() {
        let table = SeriesTable::new(10);
        let mut inner = Inner::new(table.clone(), Limits { retention: 1000, most_bytes: 1 << 20, window: 0 });
        inner.select(&[Vec::new()], Duration::from_secs(1));
        let (mut builder, mut encoded) = (ListBuilder::default(), Vec::new());
        for instance in ["known", "new"] {
            let labels: LabelSet = [("__name__", "up"), ("instance", instance)].into_iter().collect();
            builder.labels(&labels, FamilyId::default());
            encoded.clear();
            labels.encode(&mut encoded);
            if instance == "known" {
                let hash = xxhash_rust::xxh3::xxh3_64(&encoded);
                inner.create(encoded.as_slice().into(), hash, FamilyId::default()).expect("there is room");
            }
        }
        let list = table.list(&builder).list;
        let mapped = inner.map(&list, &mut Taken::default());
        assert_eq!(mapped.len(), 2);
        for (series, mapped) in list.refs().iter().zip(&*mapped) {
            let shared = table.read().shared_labels(*series);
            assert!(Arc::ptr_eq(&shared, &inner.places.get(mapped.place).labels), "{:?}", table.read().labels(*series));
        }
    }
}
