//! The parts of messages that are still to be sent, for sinks whose receivers answer for requests as a whole.

use std::sync::Arc;

use super::{Message, parcel};
use crate::data::Batch;

/// Messages that share requests.
pub type Parcel = parcel::Parcel<Held>;

/// What is kept of a message.
#[derive(Debug)]
pub struct Held {
    /// Its records.
    pub batch: Batch,
    /// Component output through which it came; part of a record's id.
    pub input: Arc<str>,
}

/// A run of a message's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
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

    /// Two halves of parts that are sent together; `None` where they are one record.
    pub fn split(parts: &[Self], parcel: &Parcel) -> Option<[Vec<Self>; 2]> {
        match parts {
            [] => None,
            [part] => part.halves(parcel).map(|halves| halves.map(|half| vec![half])),
            _ => {
                let (front, behind) = parts.split_at(parts.len() / 2);
                Some([front.to_vec(), behind.to_vec()])
            }
        }
    }

    fn indices(self, batch: &Batch) -> impl Iterator<Item = usize> + '_ {
        batch.selection().iter_range(self.from..self.to)
    }
}
