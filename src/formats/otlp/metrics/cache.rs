//! What is known of points that came before: a sender says the same of a series again and again, in the same bytes, so
//! the series of a point are found by a hash of these bytes and its labels are read once.
//!
//! The hash has 128 bits and a seed of its own in each process: whoever sends cannot choose bytes that collide. There are
//! two generations. Points of a request that was read go into the younger one; when that is full or old, it becomes the
//! older one and what was the older one is forgotten. So what comes again stays, and what does not goes within two periods.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::data::{SeriesList, UnixNanos};

/// Bounds of what a decoder knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Points that are known at the most.
    pub points: usize,
    /// Bytes of lists of series that they hold at the most.
    pub bytes: usize,
    /// How long a point is known at the least, while there is room.
    pub period: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { points: 200_000, bytes: 32 << 20, period: Duration::from_secs(300) }
    }
}

/// The series of a point: so many of a list from a place on.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub list: Arc<SeriesList>,
    pub start: u32,
    pub len: u32,
    /// A hash of the labels that all of them have, and of the metric's name.
    pub identity: u128,
}

/// Points by the hash of their bytes.
#[derive(Debug)]
pub(super) struct Cache {
    limits: CacheLimits,
    young: Generation,
    old: Generation,
    /// When the young generation becomes old.
    until: UnixNanos,
}

#[derive(Debug, Default)]
struct Generation {
    points: HashMap<u128, Known, BuildHasherDefault<AsItIs>>,
    /// Bytes of the lists that came with its points; some may be gone.
    bytes: usize,
}

/// The keys are hashes already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

impl Cache {
    pub fn new(limits: CacheLimits) -> Self {
        Self { limits, young: Generation::default(), old: Generation::default(), until: UnixNanos::NONE }
    }

    /// The series of a point, and whether they are of the younger generation.
    #[inline]
    pub fn get(&self, key: u128) -> Option<(&Known, bool)> {
        let young = self.young.points.get(&key).map(|known| (known, true));
        young.or_else(|| self.old.points.get(&key).map(|known| (known, false)))
    }

    /// Whether the young generation is old enough to become the older one.
    pub fn is_due(&self, now: UnixNanos) -> bool {
        now >= self.until
    }

    /// Makes room for a list and its points, which are kept now.
    pub fn make_room(&mut self, list: &SeriesList, points: usize, now: UnixNanos) {
        let bytes = 8 * list.len();
        let full = self.young.points.len() + points > self.limits.points / 2
            || self.young.bytes + bytes > self.limits.bytes / 2
            || self.is_due(now);
        if full {
            self.old = std::mem::take(&mut self.young);
            let period = u64::try_from(self.limits.period.as_nanos()).unwrap_or(u64::MAX);
            self.until = UnixNanos(now.0.saturating_add(period));
        }
        self.young.bytes += bytes;
    }

    pub fn keep(&mut self, key: u128, known: Known) {
        if self.young.points.len() < self.limits.points / 2 {
            self.young.points.insert(key, known);
        }
    }

    pub fn len(&self) -> usize {
        self.young.points.len() + self.old.points.len()
    }

    pub fn bytes(&self) -> usize {
        self.young.bytes + self.old.bytes + self.len() * 2 * size_of::<(u128, Known)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SeriesTable;
    use crate::data::series_table::{FamilyId, ListBuilder};

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let table = SeriesTable::new(10);
        let list = |name: &str| {
            let mut builder = ListBuilder::default();
            builder.labels(&[("__name__", name)].into_iter().collect(), FamilyId::default());
            table.list(&builder).list
        };
        let mut cache = Cache::new(CacheLimits { points: 4, bytes: 1 << 20, period: Duration::from_secs(10) });
        let keep = |cache: &mut Cache, key: u128, now: u64| {
            let list = list(&format!("m{key}"));
            cache.make_room(&list, 1, UnixNanos(now));
            cache.keep(key, Known { list, start: 0, len: 1, identity: key });
        };
        keep(&mut cache, 1, 1);
        keep(&mut cache, 2, 2);
        keep(&mut cache, 3, 3);
        assert_eq!(table.read().len(), 3);
        assert_eq!(cache.get(1).map(|(known, young)| (known.identity, young)), Some((1, false)));
        keep(&mut cache, 1, 4);
        keep(&mut cache, 4, 5);
        assert!(cache.get(2).is_none() && cache.get(1).is_some() && cache.get(4).is_some());
        assert_eq!(table.read().len(), 3, "the series of what is forgotten are free");
        // The period is over, twice.
        keep(&mut cache, 5, 20_000_000_000);
        keep(&mut cache, 6, 40_000_000_000);
        assert!(cache.get(4).is_none() && cache.get(6).is_some());
        assert!(cache.len() <= 4 && cache.bytes() > 0);
    }
}
