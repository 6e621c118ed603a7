//! Gathers messages into parcels for one request each: full by bytes, or sent after a short while.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Message;
use super::queue::EdgeReceiver;
use crate::data::Batch;

/// Takes messages out of an edge and hands them on in parcels.
#[derive(Debug)]
pub struct Batcher {
    input: EdgeReceiver,
    linger: Duration,
    parcel: Vec<Message>,
    bytes: u64,
    /// When the parcel is sent at the latest.
    due: Option<Instant>,
    /// Received, and left for a later parcel.
    left: VecDeque<Message>,
    ended: bool,
}

impl Batcher {
    /// A batcher of what comes through `input`. A message waits for others for at most `linger`, and not at
    /// all where somebody waits for its verdict.
    pub fn new(input: EdgeReceiver, linger: Duration) -> Self {
        Self { input, linger, parcel: Vec::new(), bytes: 0, due: None, left: VecDeque::new(), ended: false }
    }

    /// The next parcel of at most `max_bytes` as `weigh` tells them, or a single record that is larger, never empty; `None` once the input has ended and everything
    /// was handed out. Cancel-safe: what was gathered stays for the next call.
    pub async fn next(&mut self, max_bytes: u64, weigh: impl Fn(&Message) -> u64) -> Option<Vec<Message>> {
        loop {
            let message = match self.left.pop_front() {
                Some(message) => message,
                None => match self.input.try_recv() {
                    Some(message) => self.count(message),
                    None => match self.wait().await {
                        Some(message) => self.count(message),
                        None => return self.flush(),
                    },
                },
            };
            if let Some(parcel) = self.put(message, max_bytes, &weigh) {
                return Some(parcel);
            }
        }
    }

    fn count(&self, message: Message) -> Message {
        self.input.metrics().count_in(&message.batch);
        message
    }

    /// The next message while the parcel may wait for one; `None` says that it is due.
    async fn wait(&mut self) -> Option<Message> {
        let hurry = self.ended || self.parcel.iter().any(|message| message.ack.waited_for());
        if hurry && (self.ended || !self.parcel.is_empty()) {
            return None;
        }
        let message = match self.due {
            Some(due) => tokio::time::timeout_at(due, self.input.recv()).await.ok()?,
            None => self.input.recv().await,
        };
        self.ended |= message.is_none();
        message
    }

    /// Adds a message; returns the parcel where it is full, with or without the message.
    fn put(&mut self, message: Message, max_bytes: u64, weigh: impl Fn(&Message) -> u64) -> Option<Vec<Message>> {
        let records = message.batch.count();
        if message.ack.is_revoked() || records == 0 {
            message.ack.done();
            return None;
        }
        let bytes = weigh(&message);
        if bytes > max_bytes && records > 1 {
            let parts = bytes.div_ceil(max_bytes).min(records as u64);
            self.split(message, usize::try_from(parts).unwrap_or(records));
            return None;
        }
        if !self.parcel.is_empty() && self.bytes + bytes > max_bytes {
            self.left.push_front(message);
            return self.flush();
        }
        self.bytes += bytes;
        self.due.get_or_insert_with(|| Instant::now() + self.linger);
        self.parcel.push(message);
        if self.bytes >= max_bytes { self.flush() } else { None }
    }

    /// Leaves the parts of a message that is too large for one parcel for the next ones.
    fn split(&mut self, message: Message, parts: usize) {
        let records: Vec<usize> = message.batch.selection().iter().collect();
        let each = records.len().div_ceil(parts);
        for run in records.chunks(each).rev() {
            let (Some(&first), Some(&last)) = (run.first(), run.last()) else { continue };
            let mut part = message.fork();
            match &mut part.batch {
                Batch::Logs(batch) => batch.selection.restrict(first, last + 1),
                Batch::Metrics(batch) => batch.selection.restrict(first, last + 1),
                Batch::Traces(batch) => batch.selection.restrict(first, last + 1),
            }
            self.left.push_front(part);
        }
        message.ack.done();
    }

    fn flush(&mut self) -> Option<Vec<Message>> {
        self.bytes = 0;
        self.due = None;
        let parcel = std::mem::take(&mut self.parcel);
        (!parcel.is_empty()).then_some(parcel)
    }
}
