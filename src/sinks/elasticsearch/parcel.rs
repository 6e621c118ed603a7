//! The records or spans of one request: each is one item, settled by itself.

use std::sync::Arc;

use crate::data::{Batch, UnixNanos};
use crate::delivery::parts::{self, Held};
use crate::delivery::{Message, Outcome};
use crate::formats::document::Form;

/// One record or span, on its way to one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Index of its message in the parcel.
    pub message: u32,
    /// Index of the record or span in its batch.
    pub record: u32,
    /// How a record's object is written.
    pub form: Form,
}

/// Messages whose records share requests.
#[derive(Debug)]
pub(super) struct Parcel {
    pub messages: parts::Parcel,
    /// When the records arrived: their time where they have none, the same in every attempt.
    pub arrival: UnixNanos,
}

impl Parcel {
    /// A parcel, its items, and the earliest time at which one of them may have been sent before.
    pub fn new(messages: Vec<Message>) -> (Self, Vec<Item>, Option<UnixNanos>) {
        let records = messages.iter().map(|message| message.batch.count()).sum();
        let mut items = Vec::with_capacity(records);
        let earliest = messages.iter().filter_map(|message| message.first_attempt).min();
        let mut parcel = parts::Parcel::default();
        for (index, Message { batch, ack, input, .. }) in messages.into_iter().enumerate() {
            items.extend(batch.selection().iter().map(|record| Item {
                message: index as u32,
                record: record as u32,
                form: Form::Spliced,
            }));
            let records = batch.count() as u64;
            parcel.push(Held { batch, input }, ack, records);
        }
        (Self { messages: parcel, arrival: UnixNanos::now() }, items, earliest)
    }

    /// The batch of an item and the name of the input by which it came; `None` once it was withdrawn.
    pub fn get(&self, item: &Item) -> Option<(&Batch, &Arc<str>)> {
        self.messages.batch(item.message as usize).map(|held| (&held.batch, &held.input))
    }

    /// Settles all of `items` as delivered; returns how many were not withdrawn.
    pub fn delivered(&mut self, items: &[Item]) -> u64 {
        let runs = items.chunk_by(|a, b| a.message == b.message);
        runs.map(|run| self.messages.settle(run[0].message as usize, Outcome::Delivered, run.len() as u64, None)).sum()
    }
}
