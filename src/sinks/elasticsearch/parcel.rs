//! The records or spans of one request: each is one item, settled by itself.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::data::{Batch, UnixNanos};
use crate::delivery::journey::Leg;
use crate::delivery::{Ack, Message, Outcome, Path};
use crate::formats::document::Form;
use crate::telemetry::ComponentMetrics;

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

/// Messages whose records share requests. A message leaves it when all its records are settled, or when
/// it is withdrawn.
#[derive(Debug)]
pub(super) struct Parcel {
    messages: Vec<Option<Held>>,
    /// When the records arrived: their time where they have none, the same in every attempt.
    pub arrival: UnixNanos,
}

#[derive(Debug)]
struct Held {
    batch: Batch,
    ack: Ack,
    input: Arc<str>,
    open: u64,
}

impl Parcel {
    /// A parcel, its items, and the earliest time at which one of them may have been sent before.
    pub fn new(messages: Vec<Message>) -> (Self, Vec<Item>, Option<UnixNanos>) {
        let records = messages.iter().map(|message| message.batch.count()).sum();
        let mut items = Vec::with_capacity(records);
        let earliest = messages.iter().filter_map(|message| message.first_attempt).min();
        let mut held = Vec::with_capacity(messages.len());
        for message in messages {
            let batch = message.batch;
            let index = held.len() as u32;
            items.extend(batch.selection().iter().map(|record| Item {
                message: index,
                record: record as u32,
                form: Form::Spliced,
            }));
            let open = batch.count() as u64;
            held.push(Some(Held { batch, ack: message.ack, input: message.input, open }));
        }
        (Self { messages: held, arrival: UnixNanos::now() }, items, earliest)
    }

    /// The batch of an item and the name of the input by which it came; `None` once it was withdrawn.
    pub fn get(&self, item: &Item) -> Option<(&Batch, &Arc<str>)> {
        self.messages[item.message as usize].as_ref().map(|held| (&held.batch, &held.input))
    }

    /// Whether nothing is left in it.
    pub fn is_empty(&self) -> bool {
        self.messages.iter().all(Option::is_none)
    }

    /// Settles `records` items of one message; returns how many that were: none if it was withdrawn.
    pub fn settle(&mut self, message: u32, outcome: Outcome, records: u64, reason: Option<&str>) -> u64 {
        let slot = &mut self.messages[message as usize];
        let Some(held) = slot else { return 0 };
        match reason {
            Some(reason) => held.ack.refuse(outcome, records, reason),
            None => held.ack.count(outcome, records),
        }
        held.open -= records;
        if held.open == 0
            && let Some(held) = slot.take()
        {
            held.ack.done();
        }
        records
    }

    /// Settles all of `items` as delivered; returns how many were not withdrawn.
    pub fn delivered(&mut self, items: &[Item]) -> u64 {
        let runs = items.chunk_by(|a, b| a.message == b.message);
        runs.map(|run| self.settle(run[0].message, Outcome::Delivered, run.len() as u64, None)).sum()
    }

    /// Requests that begin now, of those batches that are followed.
    pub fn legs(&self, metrics: &ComponentMetrics) -> Vec<Leg> {
        self.messages.iter().flatten().filter_map(|held| held.ack.request(metrics)).collect()
    }

    /// Forgets messages that were withdrawn, which abandons them. Returns whether there were any.
    pub fn forget_withdrawn(&mut self) -> bool {
        let mut any = false;
        for slot in &mut self.messages {
            if slot.as_ref().is_some_and(|held| held.ack.is_revoked()) {
                *slot = None;
                any = true;
            }
        }
        any
    }

    /// Waits until a message in the parcel is withdrawn.
    pub fn withdrawn(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut paths: Vec<Arc<Path>> = Vec::new();
        for held in self.messages.iter().flatten() {
            if !paths.iter().any(|path| Arc::ptr_eq(path, held.ack.path())) {
                paths.push(held.ack.path().clone());
            }
        }
        async move {
            let mut revoked: FuturesUnordered<_> = paths.iter().map(|path| path.revoked()).collect();
            if revoked.next().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }
}
