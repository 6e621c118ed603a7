//! The silences of a running agent: everybody reads them without waiting, and a change counts once it is durable.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{Changed, SilenceError, SilenceRequest, Silences, record};
use crate::data::UnixMillis;
use crate::delivery::journal::{Journal, Kind, Place};

/// What the records of the journal are.
pub const KIND: Kind = Kind(*b"SILENCES");

/// Silences and their journal.
#[derive(Debug)]
pub struct SilenceBook {
    now_in_force: ArcSwap<Silences>,
    journal: Mutex<Journal>,
}

/// Why silences are as they were.
#[derive(Debug, thiserror::Error)]
pub enum SilenceBookError {
    /// It cannot be so.
    #[error(transparent)]
    Silence(#[from] SilenceError),
    /// The journal cannot be written.
    #[error("the silence was not kept, for its journal cannot be written: {0}")]
    Disk(#[from] io::Error),
}

impl SilenceBook {
    /// Reads the journal at `place` and begins a new generation of it. Blocks. Also returns what was wrong with what was
    /// there, in words.
    ///
    /// # Errors
    /// Where the journal cannot be read or written.
    pub fn open(place: &Place, now: UnixMillis) -> io::Result<(Self, Vec<String>)> {
        let (mut silences, mut unreadable) = (Silences::default(), 0);
        let restored = place.restore(|bytes| match record::read(bytes) {
            Some(silence) => silences.keep(&vec![Arc::new(silence)]),
            None => unreadable += 1,
        })?;
        silences.forget_old(now);
        silences.make_place(now);
        let mut complaints = restored.complaints.clone();
        if unreadable > 0 {
            complaints.push(format!("{unreadable} silences in the journal `{}` cannot be read", place.name));
        }
        let records: Vec<Vec<u8>> = silences.iter().map(|silence| record::write(silence)).collect();
        let journal = place.begin(&restored, records.iter().map(Vec::as_slice))?;
        Ok((Self { now_in_force: ArcSwap::from_pointee(silences), journal: Mutex::new(journal) }, complaints))
    }

    /// The silences as they are now.
    pub fn read(&self) -> Arc<Silences> {
        self.now_in_force.load_full()
    }

    /// Makes a silence or changes one; returns its id. Blocks until it is durable.
    ///
    /// # Errors
    /// Where it cannot be so, or cannot be kept.
    pub fn set(&self, wanted: SilenceRequest, now: UnixMillis) -> Result<Arc<str>, SilenceBookError> {
        self.change(now, |silences| silences.set(wanted, random_uuid, now))
    }

    /// Ends a silence. Blocks until that is durable.
    ///
    /// # Errors
    /// Where there is none, or it cannot be kept.
    pub fn expire(&self, id: &str, now: UnixMillis) -> Result<(), SilenceBookError> {
        self.change(now, |silences| silences.expire(id, now).map(|changed| ((), changed)))
    }

    fn change<T>(
        &self,
        now: UnixMillis,
        change: impl FnOnce(&mut Silences) -> Result<(T, Changed), SilenceError>,
    ) -> Result<T, SilenceBookError> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let mut silences = (*self.read()).clone();
        silences.forget_old(now);
        let (result, changed) = change(&mut silences)?;
        if journal.is_long() {
            let records: Vec<Vec<u8>> = silences.iter().map(|silence| record::write(silence)).collect();
            journal.replace(records.iter().map(Vec::as_slice))?;
        } else {
            changed.iter().for_each(|silence| journal.append(&record::write(silence)));
            journal.commit(true)?;
        }
        self.now_in_force.store(Arc::new(silences));
        Ok(result)
    }
}

/// A random UUID, version 4.
fn random_uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
