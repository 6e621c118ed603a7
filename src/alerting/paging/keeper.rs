//! The journal of the pages and of what was told: where it cannot be written, it is begun again from the whole state as
//! soon as it can.

use std::io;

use crate::delivery::journal::{Journal, Kind, Place, Restored};

/// What the records of the journal are.
pub const KIND: Kind = Kind(*b"ALRTPAGE");

/// The journal. Blocks.
#[derive(Debug)]
pub(super) struct Keeper {
    journal: Journal,
    /// Whether records were not kept, so that only the whole state makes up for it.
    is_behind: bool,
}

/// What is to be kept.
#[derive(Debug)]
pub(super) enum Work {
    /// These, behind what is there.
    Records { records: Vec<Vec<u8>>, is_durable: bool },
    /// Everything, instead of what is there.
    State(Vec<Vec<u8>>),
}

impl Keeper {
    pub fn begin(place: &Place, restored: &Restored, state: Vec<Vec<u8>>) -> io::Result<Self> {
        Ok(Self { journal: place.begin(restored, state.iter().map(Vec::as_slice))?, is_behind: false })
    }

    /// Whether the next work has to be the state, or had better be.
    pub fn wants_state(&self) -> bool {
        self.is_behind || self.journal.is_long()
    }

    /// Whether something that should be kept is not.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Keeps it.
    pub fn keep(&mut self, work: Work) -> io::Result<()> {
        let kept = match work {
            Work::Records { records, is_durable } => {
                records.iter().for_each(|record| self.journal.append(record));
                self.journal.commit(is_durable)
            }
            Work::State(records) => self.journal.replace(records.iter().map(Vec::as_slice)),
        };
        self.is_behind = kept.is_err();
        kept
    }
}
