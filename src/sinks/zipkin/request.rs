//! One parcel on its way: written, sent, and settled by the receiver's answer. What a receiver refuses as a whole is
//! sent in halves, so that one bad span costs itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::server::{Sent, Server};
use crate::data::Batch;
use crate::delivery::Outcome;
use crate::delivery::journey::Leg;
use crate::delivery::parts::{Parcel, Part};
use crate::delivery::sender::{Attempted, StatusClass, Work};
use crate::formats::compression::{BodyWriter, Compression};
use crate::formats::zipkin::{EncodeError, Encoder};
use crate::telemetry::ComponentMetrics;

/// What the requests of one sink share.
#[derive(Debug)]
pub(super) struct Shared {
    pub server: Server,
    pub compression: Compression,
    /// Most bytes of a request before compression.
    pub max_bytes: usize,
    pub metrics: Arc<ComponentMetrics>,
}

/// A parcel being delivered.
#[derive(Debug)]
pub(super) struct Delivery {
    shared: Arc<Shared>,
    parcel: Parcel,
    /// What is still to be sent, the next last.
    groups: Vec<Group>,
    /// Whether anything of it is settled.
    answered: bool,
    encoder: Encoder,
}

/// Parts that are sent together.
#[derive(Debug)]
struct Group {
    parts: Vec<Part>,
    /// The body; without one it is to be written.
    body: Option<Bytes>,
}

/// A span that cannot be written: its message, its index in the batch, and why.
type Unwritable = (usize, usize, EncodeError);

impl Delivery {
    pub fn new(shared: Arc<Shared>, parcel: Parcel, parts: Vec<Part>) -> Self {
        let groups = vec![Group { parts, body: None }];
        Self { shared, parcel, groups, answered: false, encoder: Encoder::new() }
    }

    /// Sends one group and does what follows from the answer without a wait.
    async fn step(&mut self, mut group: Group) -> Result<(), Attempted> {
        let body = match group.body.take() {
            Some(body) => body,
            None => match self.write(&mut group) {
                Some(body) => body,
                None => return Ok(()),
            },
        };
        let shared = self.shared.clone();
        shared.metrics.bytes_out.inc_by(body.len() as u64);
        let (sent, forgot) = self.parcel.unless_withdrawn(shared.server.send(body.clone())).await;
        if forgot {
            // The bodies have what its sender brings again.
            self.forget_bodies();
        } else {
            group.body = Some(body);
        }
        let Some(Sent { class, after, words }) = sent else {
            self.groups.push(group);
            return Ok(());
        };
        match class {
            StatusClass::Done => self.settle(&group.parts, Outcome::Delivered, None),
            StatusClass::Retry => return self.again(group, words, after),
            StatusClass::Blocked => {
                self.groups.push(group);
                return Err(Attempted::Blocked { reason: words });
            }
            StatusClass::TooLarge | StatusClass::Refused => match Part::split(&group.parts, &self.parcel) {
                Some([front, behind]) => {
                    shared.metrics.retries.inc();
                    self.groups.push(Group { parts: behind, body: None });
                    self.groups.push(Group { parts: front, body: None });
                }
                None => self.settle(&group.parts, Outcome::Refused, Some(&words)),
            },
        }
        Ok(())
    }

    fn again(&mut self, group: Group, reason: String, after: Option<Duration>) -> Result<(), Attempted> {
        self.groups.push(group);
        Err(Attempted::Retry { reason, after, progress: false })
    }

    /// Writes a group, as much as a request may hold; the rest becomes a group behind it. `None` where nothing of it
    /// can be written.
    fn write(&mut self, group: &mut Group) -> Option<Bytes> {
        let mut body = BodyWriter::new(self.shared.compression, Vec::new());
        body.text().push(b'[');
        let (mut written, mut unwritable) = (0_u64, Vec::new());
        let mut rest = None;
        'group: for (place, part) in group.parts.iter_mut().enumerate() {
            let Some(Batch::Traces(batch)) = self.parcel.batch(part.message).map(|held| &held.batch) else { continue };
            for index in batch.selection.iter_range(part.from..part.to) {
                let span = &batch.spans()[index];
                let before = body.text().len();
                if written > 0 {
                    body.text().push(b',');
                }
                let (resource, scope) = (batch.resource_of(span), batch.scope_of(span));
                if let Err(error) = self.encoder.span(resource, scope, batch.span(index), body.text()) {
                    body.text().truncate(before);
                    unwritable.push((part.message, index, error));
                    continue;
                }
                if written > 0 && body.len() > self.shared.max_bytes {
                    body.text().truncate(before);
                    rest = Some((place + 1, Part { from: index, ..*part }));
                    part.to = index;
                    break 'group;
                }
                written += 1;
                body.written();
            }
        }
        body.text().push(b']');
        if let Some((place, cut)) = rest {
            let behind = group.parts.split_off(place);
            self.groups.push(Group { parts: [vec![cut], behind].concat(), body: None });
        }
        self.refuse_unwritable(unwritable);
        (written > 0).then(|| body.finish().into())
    }

    /// Settles spans that have no form in Zipkin, and takes them out of their batches.
    fn refuse_unwritable(&mut self, unwritable: Vec<Unwritable>) {
        for (message, index, error) in unwritable {
            if let Some(Batch::Traces(batch)) = self.parcel.batch_mut(message).map(|held| &mut held.batch) {
                batch.selection.remove(index);
            }
            self.settle_some(message, 1, Outcome::Refused, Some(&format!("a span cannot be written: {error}")));
        }
    }

    fn settle(&mut self, parts: &[Part], outcome: Outcome, words: Option<&str>) {
        for part in parts {
            self.settle_some(part.message, part.records(&self.parcel), outcome, words);
        }
    }

    fn settle_some(&mut self, message: usize, records: u64, outcome: Outcome, words: Option<&str>) {
        if records == 0 {
            return;
        }
        self.answered = true;
        let settled = self.parcel.settle(message, outcome, records, words);
        let metrics = &self.shared.metrics;
        match words {
            None => metrics.records_out.inc_by(settled),
            Some(words) => {
                metrics.records_refused.inc_by(settled);
                tracing::warn!(component = &*metrics.name, records = settled, "refused for good: {words}");
                metrics.error(format!("{settled} were refused for good: {words}"));
            }
        }
    }

    fn forget_bodies(&mut self) {
        self.groups.iter_mut().for_each(|group| group.body = None);
    }
}

impl Work for Delivery {
    async fn attempt(&mut self) -> Attempted {
        loop {
            if self.parcel.forget_withdrawn() {
                self.forget_bodies();
            }
            if self.parcel.is_empty() {
                return if self.answered { Attempted::Done } else { Attempted::Withdrawn };
            }
            let Some(group) = self.groups.pop() else { return Attempted::Done };
            if let Err(attempted) = self.step(group).await {
                return attempted;
            }
        }
    }

    fn legs(&self, metrics: &ComponentMetrics) -> Vec<Leg> {
        self.parcel.legs(metrics)
    }

    fn withdrawn(&self) -> impl Future<Output = ()> + Send {
        self.parcel.withdrawn()
    }
}
