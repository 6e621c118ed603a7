//! The store of samples that rules and queries read.
//!
//! One lock guards it. Whoever appends holds it for a batch, so that a reader sees all of a scrape or nothing; whoever
//! reads holds it only to find its series and to take hold of their chunks, which never change, and decompresses them
//! without it. The samples of a list of series that is known cost a walk over two columns: what of the list is kept, and
//! where, is decided once a list, and once a series for lists that differ by a few.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::task::JoinError;

use super::Matcher;
use super::counters::{Counters, Refusal};
use super::inner::{Inner, Limits, Taken};
use super::options::StoreOptions;
use super::read::Reader;
use crate::data::labels::Labels;
use crate::data::metrics::{SampleValue, is_stale};
use crate::data::time::millis;
use crate::data::{MetricBatch, SeriesTable, UnixMillis};

/// Time between two warnings that series were refused, in milliseconds.
const TELL_EVERY: i64 = 60_000;

/// Unused readers that are kept.
const READERS: usize = 8;

/// The store. Cheap to share in an [`Arc`].
#[derive(Debug)]
pub struct Store {
    inner: RwLock<Inner>,
    counters: Counters,
    told: Mutex<Told>,
    readers: Mutex<Vec<Reader>>,
    /// Whoever kept it on disk is no more.
    is_journal_lost: AtomicBool,
    /// What it has cannot be written to disk at present.
    is_behind: AtomicBool,
    /// Something was refused for want of room within the last minute.
    is_full: AtomicBool,
    /// Results of rules that found no room for a series: each counts as a series and as a sample that was refused.
    results_without_series: AtomicU64,
}

#[derive(Debug, Default)]
struct Told {
    /// Series and samples that were refused for want of room when it was looked last, and those that were told.
    seen: u64,
    told: u64,
    /// When some were seen, and told.
    seen_at: Option<i64>,
    told_at: Option<i64>,
}

impl Store {
    /// An empty store, which keeps nothing until it is told what: see [`Self::set_selection`]. Series of batches are those
    /// of `table`.
    ///
    /// # Errors
    /// Never: the names of its metrics are constants that a test registers.
    pub fn new(options: &StoreOptions, table: Arc<SeriesTable>) -> Result<Self, prometheus::Error> {
        let limits = Limits {
            retention: millis(options.retention_for(Duration::ZERO)),
            most_bytes: usize::try_from(options.max_bytes.0).unwrap_or(usize::MAX),
            window: millis(options.out_of_order_window.0),
        };
        let counters = Counters::new()?;
        counters.limit.set(i64::try_from(limits.most_bytes).unwrap_or(i64::MAX));
        Ok(Self {
            inner: RwLock::new(Inner::new(table, limits)),
            counters,
            told: Mutex::default(),
            readers: Mutex::default(),
            is_journal_lost: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            results_without_series: AtomicU64::new(0),
        })
    }

    /// Its metrics.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Keeps the series that any of these selectors selects, for so long, from now on. Series that nobody selects any more
    /// go, but for results of rules, which go with their retention.
    pub fn set_selection(&self, selectors: &[Vec<Matcher>], retention: Duration) {
        self.write().select(selectors, retention);
    }

    /// Takes the selected samples of a batch whose series somebody reads; the others are left alone. A reader sees all of
    /// them or none.
    pub fn append(&self, batch: &MetricBatch, now: UnixMillis) -> Taken {
        let taken = self.write().append(batch, now.0);
        self.count(&taken);
        taken
    }

    /// Takes results of rules, which are kept whether somebody selects them or not. A reader sees all of them or none.
    /// Refusals of staleness markers are counted and not told: they are no news.
    pub fn append_results<'a>(
        &self,
        results: impl IntoIterator<Item = (Labels<'a>, UnixMillis, SampleValue<'a>)>,
        now: UnixMillis,
    ) -> Taken {
        let (mut all, mut of_markers) = (Taken::default(), Taken::default());
        let mut inner = self.write();
        for (labels, time, value) in results {
            let is_marker = matches!(value, SampleValue::Float(value) if is_stale(value));
            let taken = if is_marker { &mut of_markers } else { &mut all };
            inner.append_result(labels.encoded(), time.0, value, now.0, taken);
        }
        inner.write_ahead(None);
        drop(inner);
        self.count(&all);
        self.count(&of_markers);
        self.results_without_series.fetch_add(all.refused_series + of_markers.refused_series, Ordering::Relaxed);
        all.kept += of_markers.kept;
        all.known += of_markers.known;
        all
    }

    /// Other bounds from now on. What is above them goes with the next samples that need room.
    pub fn set_limits(&self, options: &StoreOptions) {
        let most_bytes = usize::try_from(options.max_bytes.0).unwrap_or(usize::MAX);
        let window = millis(options.out_of_order_window.0);
        self.write().bound(most_bytes, window);
        self.counters.limit.set(i64::try_from(most_bytes).unwrap_or(i64::MAX));
    }

    /// Forgets what is older than the retention, and says, once a minute at most, that there was no room. Its owner calls
    /// it every few seconds.
    pub fn maintain(&self, now: UnixMillis) {
        let (series, chunks, bytes, limit, evicted) = {
            let mut inner = self.write();
            inner.maintain(now.0);
            let evicted = std::mem::take(&mut inner.evicted);
            (inner.places.taken(), inner.chunks, inner.used(), inner.limits.most_bytes, evicted)
        };
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.counters.series.set(whole(series));
        self.counters.chunks.set(whole(chunks));
        self.counters.bytes.set(whole(bytes));
        self.counters.evicted.inc_by(evicted);
        let refused = self.without_room();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if refused > std::mem::replace(&mut told.seen, refused) {
            told.seen_at = Some(now.0);
        }
        let is_recent = |at: Option<i64>| at.is_some_and(|at| (now.0 - at).abs() < TELL_EVERY);
        self.is_full.store(is_recent(told.seen_at), Ordering::Relaxed);
        if refused > told.told && !is_recent(told.told_at) {
            let news = refused - std::mem::replace(&mut told.told, refused);
            told.told_at = Some(now.0);
            tracing::warn!(
                refused = news,
                "the store for rules and queries is full: {series} series take {bytes} of {limit} bytes; new series are \
                 refused, or samples; raise `max_bytes`, or select fewer series in rules and `selectors`"
            );
        }
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.write().used()
    }

    /// Number of series.
    pub fn series_count(&self) -> usize {
        self.read().places.taken()
    }

    /// What is wrong with it, in words.
    pub fn trouble(&self) -> Option<&'static str> {
        if self.is_journal_lost.load(Ordering::Relaxed) {
            return Some(
                "samples for rules and queries are not written to disk any more, because of a bug that the log tells; a \
                 restart begins anew with what was written",
            );
        }
        if self.is_behind.load(Ordering::Relaxed) {
            return Some(
                "samples for rules and queries cannot be written to disk, for a reason that the log tells; they are kept in \
                 memory, and a restart would lose what is not written",
            );
        }
        self.is_full.load(Ordering::Relaxed).then_some(
            "the store for rules and queries is full, and refuses new series or samples: rules do not see them; raise \
             `alerting.store.max_bytes`, or select fewer series in rules and `selectors`",
        )
    }

    /// Whoever kept it on disk has panicked: samples go on in memory.
    pub(super) fn lose_journal(&self, error: &JoinError) {
        self.write().ahead = None;
        self.counters.journal_errors.inc();
        self.is_journal_lost.store(true, Ordering::Relaxed);
        tracing::error!(
            %error,
            "samples for rules and queries are not written to disk any more, because of a bug; they are kept in memory, and \
             a restart would lose what is not written"
        );
    }

    /// Somebody else looks after it.
    pub(super) fn find_journal(&self) {
        self.is_journal_lost.store(false, Ordering::Relaxed);
        self.set_behind(false);
    }

    /// Whether whoever keeps it on disk cannot write.
    pub(super) fn set_behind(&self, is_behind: bool) {
        self.is_behind.store(is_behind, Ordering::Relaxed);
    }

    /// How many series and samples found no room so far.
    pub(super) fn without_room(&self) -> u64 {
        let refused = self.counters.refused_series.get() + self.counters.refused(Refusal::Full);
        refused.saturating_sub(self.results_without_series.load(Ordering::Relaxed))
    }

    fn count(&self, taken: &Taken) {
        self.counters.samples.inc_by(taken.kept);
        self.counters.refused_series.inc_by(taken.refused_series);
        taken.refused.iter().for_each(|(refusal, samples)| self.counters.refuse(*refusal, *samples));
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Buffers of a reader, those of an earlier one where there are some.
    pub(super) fn reader(&self) -> Reader {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Gives them back.
    pub(super) fn give_back(&self, mut reader: Reader) {
        reader.clear();
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(reader);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
