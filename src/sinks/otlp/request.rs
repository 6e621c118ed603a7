//! One parcel on its way: written, sent, and settled by the receiver's answer. What a receiver refuses as a whole is
//! sent in halves, so that one bad span costs itself.

use std::sync::Arc;

use bytes::Bytes;
use flate2::write::GzEncoder;

use super::answer::Meaning;
use super::options::Compression;
use super::server::{Body, Server};
use crate::data::{Batch, UnixNanos};
use crate::delivery::Outcome;
use crate::delivery::journey::Leg;
use crate::delivery::parts::{Parcel, Part};
use crate::delivery::sender::{Attempted, Work};
use crate::formats::otlp::logs::LogsEncoder;
use crate::formats::otlp::traces::Emitter;
use crate::net::grpc::Call;
use crate::net::http_client::Payload;
use crate::telemetry::ComponentMetrics;

/// Answers in a row that say that the receiver failed, after which it counts as a refusal.
const FAILURES: u32 = 5;

/// What the requests of one sink share.
#[derive(Debug)]
pub(super) struct Shared {
    pub server: Server,
    pub compression: Compression,
    /// Most bytes of a request before compression.
    pub max_bytes: usize,
    pub metrics: Arc<ComponentMetrics>,
    /// Cloned for each request.
    pub logs: LogsEncoder,
}

/// A parcel being delivered.
#[derive(Debug)]
pub(super) struct Delivery {
    shared: Arc<Shared>,
    parcel: Parcel,
    /// What is still to be sent, the next last.
    groups: Vec<Group>,
    /// How often in a row the receiver said that it failed.
    failures: u32,
    /// Whether the receiver has settled anything of it.
    answered: bool,
    logs: LogsEncoder,
    /// Log records of one message, being written.
    records: Vec<u8>,
    /// When the records arrived: when they were observed, where they do not say so, the same in every attempt.
    arrival: UnixNanos,
}

/// Parts that are sent together.
#[derive(Debug)]
struct Group {
    parts: Vec<Part>,
    /// The body; without one it is to be written.
    body: Option<Body>,
}

impl Delivery {
    pub fn new(shared: Arc<Shared>, parcel: Parcel, parts: Vec<Part>) -> Self {
        let groups = vec![Group { parts, body: None }];
        let logs = shared.logs.clone();
        Self {
            shared,
            parcel,
            groups,
            failures: 0,
            answered: false,
            logs,
            records: Vec::new(),
            arrival: UnixNanos::now(),
        }
    }

    /// Sends one group and does what follows from the answer without a wait.
    async fn step(&mut self, mut group: Group) -> Result<(), Attempted> {
        group.parts.retain(|part| self.parcel.batch(part.message).is_some());
        let first = group.parts.first().and_then(|part| self.parcel.batch(part.message));
        let Some(signal) = first.map(|held| held.batch.signal()) else { return Ok(()) };
        let body = match &group.body {
            Some(body) => body.clone(),
            None => self.write(&mut group),
        };
        let shared = self.shared.clone();
        shared.metrics.bytes_out.inc_by(body.payload.len() as u64);
        let (sent, forgot) = self.parcel.unless_withdrawn(shared.server.send(signal, body)).await;
        if forgot {
            // The bodies have what its sender brings again.
            group.body = None;
            self.forget_bodies();
        }
        let Some(sent) = sent else {
            self.groups.push(group);
            return Ok(());
        };
        if sent.meaning != Meaning::Failed {
            self.failures = 0;
        }
        match sent.meaning {
            Meaning::Taken { rejected } => self.taken(&group.parts, rejected, &sent.words),
            Meaning::Unanswered { .. } => return self.again(group, sent.words, None),
            Meaning::Later { after } => return self.again(group, sent.words, after),
            Meaning::Failed if self.failures < FAILURES => {
                self.failures += 1;
                return self.again(group, sent.words, None);
            }
            Meaning::Blocked => {
                self.groups.push(group);
                return Err(Attempted::Blocked { reason: sent.words });
            }
            Meaning::TooLarge | Meaning::Failed | Meaning::Refused => match Part::split(&group.parts, &self.parcel) {
                Some([front, behind]) => {
                    shared.metrics.retries.inc();
                    self.groups.push(Group { parts: behind, body: None });
                    self.groups.push(Group { parts: front, body: None });
                }
                None => self.refuse(&group.parts, &sent.words),
            },
        }
        Ok(())
    }

    fn again(&mut self, group: Group, reason: String, after: Option<std::time::Duration>) -> Result<(), Attempted> {
        self.groups.push(group);
        Err(Attempted::Retry { reason, after, progress: false })
    }

    /// Writes a group, as much as a request may hold; the rest becomes a group behind it.
    fn write(&mut self, group: &mut Group) -> Body {
        let most = self.shared.max_bytes;
        let mut emitter = Emitter::default();
        let mut rest = None;
        for (place, part) in group.parts.iter_mut().enumerate() {
            let Some(held) = self.parcel.batch(part.message) else { continue };
            if place > 0 && emitter.len() >= most {
                rest = Some((place, None));
                break;
            }
            let next = match &held.batch {
                Batch::Traces(batch) => emitter.emit(batch, part.from..part.to, most.saturating_sub(emitter.len())).0,
                Batch::Logs(batch) => {
                    let mut only = batch.clone();
                    only.selection.restrict(part.from, part.to);
                    self.records.clear();
                    let left = most.saturating_sub(emitter.len());
                    let appended =
                        self.logs.append(&only, part.from, &held.input, self.arrival, left, &mut self.records);
                    emitter.raw(&self.records);
                    appended.next
                }
                // The plan accepts nothing else.
                Batch::Metrics(_) => None,
            };
            if let Some(next) = next {
                rest = Some((place + 1, Some(Part { from: next, ..*part })));
                part.to = next;
                break;
            }
        }
        if let Some((place, cut)) = rest {
            let behind = group.parts.split_off(place);
            let parts: Vec<_> = cut.into_iter().chain(behind).collect();
            if !parts.is_empty() {
                self.groups.push(Group { parts, body: None });
            }
        }
        let length = emitter.len();
        let body = finish(emitter.finish(), length, self.shared.compression, self.shared.server.framed());
        group.body = Some(body.clone());
        body
    }

    fn taken(&mut self, parts: &[Part], rejected: u64, words: &str) {
        if rejected > 0 {
            self.tell(rejected, words);
        } else if words.contains(" says: ") {
            tracing::warn!(component = &*self.shared.metrics.name, "{words}");
        }
        self.answered = true;
        // Which records are refused nobody says: the counts are right, their places a guess.
        let mut left = rejected;
        for part in parts {
            let records = part.records(&self.parcel);
            let refused = left.min(records);
            left -= refused;
            if refused > 0 {
                let settled = self.parcel.settle(part.message, Outcome::Refused, refused, Some(words));
                self.shared.metrics.records_refused.inc_by(settled);
            }
            let settled = self.parcel.settle(part.message, Outcome::Delivered, records - refused, None);
            self.shared.metrics.records_out.inc_by(settled);
        }
    }

    fn refuse(&mut self, parts: &[Part], words: &str) {
        self.answered = true;
        for part in parts {
            let records = part.records(&self.parcel);
            let settled = self.parcel.settle(part.message, Outcome::Refused, records, Some(words));
            self.shared.metrics.records_refused.inc_by(settled);
            self.tell(settled, words);
        }
    }

    fn tell(&self, records: u64, words: &str) {
        let component = &*self.shared.metrics.name;
        tracing::warn!(component, records, "refused for good: {words}");
        self.shared.metrics.error(format!("{records} were refused for good: {words}"));
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

/// Compresses and frames a request.
fn finish(mut pieces: Vec<Bytes>, length: usize, compression: Compression, framed: bool) -> Body {
    use std::io::Write;
    const INTO_MEMORY: &str = "writing to memory does not fail";
    let packed = match compression {
        Compression::None => None,
        Compression::Gzip => {
            let mut gzip = GzEncoder::new(Vec::with_capacity(length / 4), flate2::Compression::fast());
            pieces.iter().for_each(|piece| gzip.write_all(piece).expect(INTO_MEMORY));
            Some(gzip.finish().expect(INTO_MEMORY))
        }
        Compression::Zstd => {
            let into = Vec::with_capacity(length / 4);
            let mut zstd = zstd::stream::write::Encoder::new(into, 1).expect(INTO_MEMORY);
            pieces.iter().for_each(|piece| zstd.write_all(piece).expect(INTO_MEMORY));
            Some(zstd.finish().expect(INTO_MEMORY))
        }
    };
    let compressed = packed.is_some();
    if let Some(packed) = packed {
        pieces = vec![packed.into()];
    }
    if framed {
        let length = pieces.iter().map(Bytes::len).sum();
        pieces.insert(0, Bytes::copy_from_slice(&Call::prefix(compressed, length)));
    }
    Body { payload: Payload::from(pieces), compression }
}
