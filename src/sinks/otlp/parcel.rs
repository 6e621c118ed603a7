//! The parts of messages that are still to be sent.

use std::sync::Arc;

use crate::data::Batch;
use crate::delivery::{Message, parcel};

/// Messages that share requests.
pub(super) type Parcel = parcel::Parcel<Held>;

/// What is kept of a message.
#[derive(Debug)]
pub(super) struct Held {
    pub batch: Batch,
    /// Component output through which it came; part of a record's id.
    pub input: Arc<str>,
}

/// A run of a message's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Index of its message in the parcel.
    pub message: usize,
    /// Index of the first record in the batch.
    pub from: usize,
    /// Index behind the last.
    pub to: usize,
}

impl Part {
    /// A parcel, and all of its messages as parts.
    pub fn all(messages: Vec<Message>) -> (Parcel, Vec<Self>) {
        let lengths: Vec<_> = messages.iter().map(|message| message.batch.selection().len()).collect();
        let parts = lengths.into_iter().enumerate().map(|(message, to)| Self { message, from: 0, to }).collect();
        let held = messages.into_iter().map(|message| {
            let records = message.batch.count() as u64;
            (Held { batch: message.batch, input: message.input }, message.ack, records)
        });
        (Parcel::new(held), parts)
    }

    /// Number of records in it.
    pub fn records(&self, parcel: &Parcel) -> u64 {
        parcel.batch(self.message).map_or(0, |held| self.indices(&held.batch).count() as u64)
    }

    /// Its two halves; `None` where it is one record.
    pub fn halves(&self, parcel: &Parcel) -> Option<[Self; 2]> {
        let batch = &parcel.batch(self.message)?.batch;
        let middle = self.indices(batch).nth(self.indices(batch).count().div_ceil(2))?;
        Some([Self { to: middle, ..*self }, Self { from: middle, ..*self }])
    }

    fn indices(self, batch: &Batch) -> impl Iterator<Item = usize> + '_ {
        batch.selection().iter_from(self.from).take_while(move |at| *at < self.to)
    }
}
