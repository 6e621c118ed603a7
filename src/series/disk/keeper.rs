//! Whoever writes the store's files: the journal as samples come, a snapshot when the journal has grown, and at the end.

use std::io;
use std::sync::Arc;

use super::frames::{FileKind, HEADER, begin_frame, end_frame, header};
use super::place::{Place, Restored};
use super::snapshot::{END, put_kept};
use super::write_ahead::WriteAhead;
use crate::data::UnixMillis;
use crate::delivery::files::Appended;
use crate::series::store::Store;

/// A journal shorter than this is worth no snapshot.
const LEAST: u64 = 4 << 20;

/// Bytes of a snapshot that are put together at once.
const PIECE: usize = 256 << 10;

/// Series that are looked at under one lock.
const UNDER_ONE_LOCK: u32 = 256;

/// Time until a journal that could not be written is tried again, in milliseconds.
const PAUSE: i64 = 10_000;

/// Keeps a store on disk. All of it blocks: use it where that is allowed.
#[derive(Debug)]
pub struct Keeper {
    store: Arc<Store>,
    place: Place,
    generation: u64,
    /// None after an error: a new generation is begun from the store itself.
    journal: Option<Box<dyn Appended>>,
    pub(super) journal_bytes: u64,
    snapshot_bytes: u64,
    /// When the journal was begun.
    begun: i64,
    /// The snapshot of this generation is still to be written.
    pub(super) wants_snapshot: bool,
    buffer: Vec<u8>,
    retry_at: i64,
    /// A journal that is shorter is worth no snapshot.
    pub(super) least: u64,
    /// The folder has not been looked at: what it has is of another past than the store, and goes first.
    is_unseen: bool,
}

impl Keeper {
    /// Fills the store with what the files say, and keeps it from now on. Set what it selects before: the rest is left out.
    /// Queries may read meanwhile and see a part; nobody else may set what it selects or maintain it until this returns.
    ///
    /// # Errors
    /// Where the folder or a file cannot be read, or no journal can be begun.
    pub fn open(store: Arc<Store>, place: Place, now: UnixMillis) -> io::Result<(Self, Restored)> {
        let (restored, newest) = place.restore(&store)?;
        let mut keeper = Self::restored(&restored, newest, store, place);
        keeper.go_on(now)?;
        Ok((keeper, restored))
    }

    fn restored(restored: &Restored, newest: u64, store: Arc<Store>, place: Place) -> Self {
        store.counters().replayed.inc_by(restored.samples);
        Self::behind(newest, store, place)
    }

    /// Begins behind what was restored.
    fn go_on(&mut self, now: UnixMillis) -> io::Result<()> {
        self.store.maintain(now);
        let found = self.place.found()?;
        let bytes = |kind| found.iter().filter(|file| file.kind == kind).map(|file| file.bytes).sum::<u64>();
        let (snapshots, journals) = (bytes(FileKind::Snapshot), bytes(FileKind::Journal));
        self.snapshot_bytes = snapshots;
        self.begin(now)?;
        // What would be replayed once more becomes a snapshot the sooner.
        self.journal_bytes += journals;
        self.tell_bytes();
        Ok(())
    }

    /// As [`Self::open`], and where the disk does not have it with what is in memory alone: [`Self::commit`] tries again until
    /// it is on disk. What cannot be read by then is given up. Says why nothing, or a part, was restored.
    pub fn open_when_possible(store: Arc<Store>, place: Place, now: UnixMillis) -> (Self, io::Result<Restored>) {
        if place.files.make_folder(&place.folder).is_err() && place.found().is_err() {
            // Nothing is there. That it cannot be written is told by whoever tries again.
            return (Self::later(store, place), Ok(Restored::default()));
        }
        let (restored, newest) = match place.read(&store) {
            Ok(restored) => restored,
            Err(error) => return (Self::later(store, place), Err(error)),
        };
        let mut keeper = Self::restored(&restored, newest, store, place);
        // Of the same past: where no journal can be begun, the files stay until a snapshot is there.
        let begun = keeper.go_on(now);
        if begun.is_err() {
            (keeper.journal, keeper.wants_snapshot) = (None, true);
        }
        (keeper, Ok(restored))
    }

    /// Keeps a store that has samples already, as soon as that is possible: see [`Self::take_over`] and [`Self::commit`].
    pub fn later(store: Arc<Store>, place: Place) -> Self {
        let mut keeper = Self::behind(0, store, place);
        (keeper.wants_snapshot, keeper.is_unseen) = (true, true);
        keeper
    }

    /// Keeps from now on a store that has samples already. What the folder has from before is of another past: it goes
    /// first, so that whoever restores before the first snapshot is there does not read the two as one.
    ///
    /// # Errors
    /// Where the folder cannot be read or made, or what it has cannot be removed.
    pub fn take_over(store: Arc<Store>, place: Place, now: UnixMillis) -> io::Result<Self> {
        let mut keeper = Self::later(store, place);
        keeper.begin(now)?;
        Ok(keeper)
    }

    /// Has the folder for itself.
    fn clear(&mut self) -> io::Result<()> {
        if !self.is_unseen {
            return Ok(());
        }
        let place = &self.place;
        place.files.make_folder(&place.folder)?;
        let found = place.found()?;
        self.generation = found.last().map_or(0, |file| file.generation);
        for file in found {
            place.files.remove(&place.path(file.generation, file.kind))?;
        }
        self.is_unseen = false;
        Ok(())
    }

    /// A keeper without a journal yet, whose next generation is that behind `newest`.
    fn behind(newest: u64, store: Arc<Store>, place: Place) -> Self {
        Self {
            store,
            place,
            generation: newest,
            journal: None,
            journal_bytes: 0,
            snapshot_bytes: 0,
            begun: 0,
            wants_snapshot: false,
            buffer: Vec::new(),
            retry_at: i64::MIN,
            least: LEAST,
            is_unseen: false,
        }
    }

    /// Whether a restart would find less than the store has: something failed, and is tried again.
    pub fn is_behind(&self) -> bool {
        self.journal.is_none() || self.retry_at > i64::MIN && self.wants_snapshot
    }

    /// Whether [`Self::commit`] has something to do.
    pub fn is_pending(&self, now: UnixMillis) -> bool {
        let waits = self.journal.is_none() || self.wants_snapshot;
        (waits && self.may_retry(now))
            || self.is_over(now)
            || self.store.read().ahead.as_ref().is_some_and(WriteAhead::is_pending)
    }

    /// Writes what came since the last time, and a snapshot where the journal has grown long or old, or where a clock was
    /// set back. What it wrote survives a kill.
    ///
    /// # Errors
    /// Where the journal failed, what comes is in the store alone until it can be begun again, which is tried every ten
    /// seconds, and so is a snapshot.
    pub fn commit(&mut self, now: UnixMillis) -> io::Result<()> {
        if self.journal.is_none() {
            if !self.may_retry(now) {
                return Ok(());
            }
            self.wants_snapshot = true;
            let begun = self.begin(now);
            self.unless_broken(begun, now)?;
        }
        let written = self.write_pending();
        self.unless_broken(written, now)?;
        if self.is_over(now) {
            let begun = self.begin(now);
            self.unless_broken(begun, now)?;
            (self.wants_snapshot, self.retry_at) = (true, i64::MIN);
        }
        if self.wants_snapshot && self.may_retry(now) { self.snapshot(now) } else { Ok(()) }
    }

    /// Writes everything down before the process ends, or the store is kept in memory alone.
    ///
    /// # Errors
    /// Where no snapshot could be written: what is not in the journal either is lost. It says what failed first.
    pub fn finish(mut self, now: UnixMillis) -> io::Result<()> {
        let written = self.write_down(now);
        // Nobody writes down what comes from now on.
        self.give_up();
        written
    }

    fn write_down(&mut self, now: UnixMillis) -> io::Result<()> {
        let mut written = self.write_pending();
        if let Some(journal) = &mut self.journal
            && written.is_ok()
        {
            written = journal.sync();
        }
        let written = self.unless_broken(written, now);
        // The store has all of it: where the journal failed, a snapshot may still find its way, and nothing is lost.
        let begun = self.begin(now);
        self.snapshot(now).or_else(|error| written.and(begun).and(Err(error)))
    }

    /// Whether what failed is tried again. A clock that was set back makes nobody wait longer.
    fn may_retry(&self, now: UnixMillis) -> bool {
        !(1..=PAUSE).contains(&self.retry_at.saturating_sub(now.0))
    }

    /// Whether the journal has grown long or old, or has samples that are no more.
    fn is_over(&self, now: UnixMillis) -> bool {
        if self.journal.is_none() || self.wants_snapshot {
            return false;
        }
        let (retention, is_said) = {
            let inner = self.store.read();
            (inner.limits.retention, inner.ahead.as_ref().is_some_and(WriteAhead::is_over))
        };
        let age = now.0.saturating_sub(self.begun);
        let is_long = self.journal_bytes > self.snapshot_bytes.max(self.least);
        // Where a clock is set back, each series comes to it with its next sample: not each is worth a snapshot.
        let is_said = is_said && !(0..PAUSE).contains(&age);
        is_long || is_said || (age > retention && self.journal_bytes > HEADER as u64)
    }

    /// Begins the journal of the next generation; what the last one still has to say it says.
    pub(super) fn begin(&mut self, now: UnixMillis) -> io::Result<()> {
        self.clear()?;
        self.generation += 1;
        let path = self.place.path(self.generation, FileKind::Journal);
        let mut journal = self.place.files.create(&path)?;
        if let Err(error) = journal.append(&header(FileKind::Journal, self.generation, now.0)) {
            // It may be gone already.
            let _ = self.place.files.remove(&path);
            return Err(error);
        }
        // Zero says that nothing was said yet.
        let number = u32::try_from(self.generation % u64::from(u32::MAX)).unwrap_or_default().max(1);
        let before = self.store.write().ahead.replace(WriteAhead::new(number));
        let last = self.journal.replace(journal);
        let mut rest = Vec::new();
        let rest = before.and_then(|mut before| before.take(&mut rest)).map_or(&[][..], |()| &rest);
        (self.journal_bytes, self.begun) = (HEADER as u64, now.0);
        match last {
            Some(mut last) if !rest.is_empty() => last.append(rest),
            _ => Ok(()),
        }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let taken = self.store.write().ahead.as_mut().and_then(|ahead| ahead.take(&mut self.buffer));
        if taken.is_none() {
            return Err(io::Error::other("the journal was not written for so long that some of it was forgotten"));
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        journal.append(&self.buffer)?;
        self.journal_bytes += self.buffer.len() as u64;
        if self.buffer.capacity() > PIECE {
            self.buffer = Vec::new();
        }
        self.tell_bytes();
        Ok(())
    }

    /// Writes the snapshot of this generation, durably; the files of earlier ones go. What comes meanwhile is journalled.
    fn snapshot(&mut self, now: UnixMillis) -> io::Result<()> {
        self.clear()?;
        let written = self.write_snapshot(now);
        if written.is_ok() {
            self.wants_snapshot = false;
            for file in self.place.found()?.into_iter().filter(|file| file.generation < self.generation) {
                self.place.files.remove(&self.place.path(file.generation, file.kind))?;
            }
            return Ok(());
        }
        // A part of one is of no use; it may not be there at all.
        let _ = self.place.files.remove(&self.place.path(self.generation, FileKind::Snapshot));
        self.store.counters().journal_errors.inc();
        self.retry_at = now.0.saturating_add(PAUSE);
        let most = 4 * self.store.read().limits.most_bytes as u64;
        if self.place.found()?.iter().map(|file| file.bytes).sum::<u64>() > most {
            self.give_up();
        }
        written
    }

    fn write_snapshot(&mut self, now: UnixMillis) -> io::Result<()> {
        let path = self.place.path(self.generation, FileKind::Snapshot);
        let mut file = self.place.files.create(&path)?;
        let (mut out, mut bytes) = (header(FileKind::Snapshot, self.generation, now.0).to_vec(), Vec::new());
        let (mut next, mut series, mut written) = (Some(0), 0u64, 0u64);
        while let Some(place) = next {
            let frame = begin_frame(&mut out);
            let kept;
            (next, kept) = put_some(&self.store, place, &mut bytes, &mut out);
            series += kept;
            end_frame(&mut out, frame);
            if next.is_none() {
                let frame = begin_frame(&mut out);
                out.push(END);
                out.extend_from_slice(&series.to_le_bytes());
                end_frame(&mut out, frame);
            }
            file.append(&out)?;
            written += out.len() as u64;
            out.clear();
            // Whatever the snapshot takes, what comes meanwhile is written in time.
            self.write_pending()?;
        }
        // Of a batch that came meanwhile the snapshot may have a part: the journal must have the rest.
        if let Some(journal) = &mut self.journal {
            journal.sync()?;
        }
        file.sync()?;
        self.snapshot_bytes = written;
        self.tell_bytes();
        Ok(())
    }

    /// After an error a journal is over: what it may have in part is not written behind.
    fn unless_broken(&mut self, written: io::Result<()>, now: UnixMillis) -> io::Result<()> {
        if written.is_err() {
            self.store.counters().journal_errors.inc();
            self.retry_at = now.0.saturating_add(PAUSE);
            self.give_up();
        }
        written
    }

    fn give_up(&mut self) {
        self.journal = None;
        self.store.write().ahead = None;
    }

    fn tell_bytes(&self) {
        let bytes = self.journal_bytes + self.snapshot_bytes;
        self.store.counters().journal_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

/// Appends some series, from this place on, to a snapshot. Returns the place to go on with, if there is one, and how many
/// there were.
fn put_some(store: &Store, from: u32, bytes: &mut Vec<u8>, out: &mut Vec<u8>) -> (Option<u32>, u64) {
    let inner = store.read();
    let table = inner.table.read();
    let (mut place, mut kept) = (from, 0);
    while place < inner.places.len() && place - from < UNDER_ONE_LOCK && out.len() < PIECE {
        let series = inner.places.get(place);
        if series.is_there && series.head.last().is_some() {
            put_kept(series, &table, bytes, out);
            kept += 1;
        }
        place += 1;
    }
    ((place < inner.places.len()).then_some(place), kept)
}
