//! What both protocols do with a request once it is there: read, handed on, and answered by what became of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::OUTPUTS;
use super::options::Options;
use super::points::Points;
use super::resources::Resources;
use crate::data::traces::TraceIndex;
use crate::data::{Batch, Budget, Chunk, MemoryBudget, Permit, Signal};
use crate::formats::otlp::entries::Entries;
use crate::formats::otlp::resource::extended;
use crate::formats::otlp::{Malformed, logs, traces};
use crate::formats::protobuf::{push_bytes, push_uint};
use crate::pipeline::Senders;
use crate::pipeline::outlet::Outlet;
use crate::pipeline::pushed::{Became, Intake};
use crate::telemetry::ComponentMetrics;

/// When a sender may come again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// Said where there is no memory.
pub(super) const NO_MEMORY: &str = "there is no memory for the request";

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was taken, but for so many records that are refused for good.
    Taken { rejected: u64, reason: String },
    /// It cannot be read.
    Malformed(String),
    /// No destination has it: once more, later.
    Later(String),
    /// There is no memory for it: once more, later.
    Pressure,
}

impl Answer {
    /// The encoded `ExportTraceServiceResponse`, or that of another signal: their fields are the same.
    pub fn response(rejected: u64, reason: &str) -> Vec<u8> {
        let mut response = Vec::new();
        if rejected > 0 || !reason.is_empty() {
            let mut partial = Vec::new();
            push_uint(1, rejected, &mut partial);
            push_bytes(2, reason.as_bytes(), &mut partial);
            push_bytes(1, &partial, &mut response);
        }
        response
    }
}

/// What requests share.
#[derive(Clone)]
pub(super) struct Receiver(Arc<Inner>);

struct Inner {
    /// One an output.
    intakes: [Intake; OUTPUTS.len()],
    memory: [Arc<Budget>; OUTPUTS.len()],
    metrics: Arc<ComponentMetrics>,
    answer_within: Duration,
    senders: Arc<Senders>,
    /// For log records.
    resources: Resources,
    points: Points,
}

impl Receiver {
    pub fn new(
        options: &Options,
        memory: &MemoryBudget,
        senders: Arc<Senders>,
        points: Points,
        outlets: Vec<Outlet>,
        metrics: Arc<ComponentMetrics>,
    ) -> Self {
        let intakes: Vec<_> = outlets.into_iter().map(|outlet| Intake::new(outlet, metrics.clone())).collect();
        Self(Arc::new(Inner {
            intakes: intakes.try_into().unwrap_or_else(|_| unreachable!("one outlet an output")),
            memory: OUTPUTS.map(|signal| memory.share(signal)),
            metrics,
            answer_within: options.answer_within.0,
            resources: Resources::new(senders.identity().clone()),
            senders,
            points,
        }))
    }

    /// Whether anything reads a signal: requests of one that nothing reads are answered as if it did not exist here, so
    /// that their senders hear of it.
    pub fn takes(&self, signal: Signal) -> bool {
        self.0.intakes[output(signal)].is_read()
    }

    /// What a sender of a signal that nothing reads is told.
    pub fn unread(signal: Signal) -> String {
        format!("this agent does nothing with {}: its configuration reads none from here", signal.name())
    }

    /// What pays for requests of a signal.
    pub fn memory(&self, signal: Signal) -> &Arc<Budget> {
        &self.0.memory[output(signal)]
    }

    /// Takes an encoded request of a signal, which `permit` pays for, from the address of whoever sent it, if that is
    /// known.
    pub async fn take(&self, signal: Signal, message: Bytes, mut permit: Permit, from: Option<IpAddr>) -> Answer {
        let until = Instant::now() + self.0.answer_within;
        self.0.metrics.bytes_in.inc_by(message.len() as u64);
        self.0.senders.ready().await;
        let Ok(reading) = timeout_at(until, self.memory(signal).acquire(weigh(signal, &message))).await else {
            self.pressure();
            return Answer::Pressure;
        };
        let read = match self.read(signal, message, from) {
            Ok(read) => read,
            Err(error) => return self.malformed(&error.to_string()),
        };
        permit.resize(read.batches.iter().map(Batch::bytes).sum());
        drop(reading);
        self.count(&read);
        let became = match read.batches.is_empty() {
            true => Became::TAKEN,
            false => self.0.intakes[output(signal)].hand_on(read.batches, permit, until).await,
        };
        match became {
            Became::Later(words) => Answer::Later(words),
            Became::Taken { refused, reason } => {
                let first = [read.reason.unwrap_or_default(), reason].into_iter().find(|reason| !reason.is_empty());
                Answer::Taken { rejected: read.refused + refused, reason: first.unwrap_or_default() }
            }
        }
    }

    /// Counts a request that there was no memory for.
    pub fn pressure(&self) {
        self.0.metrics.error("requests are put off: there is no memory for them");
    }

    /// Counts a request that cannot be read.
    pub fn malformed(&self, words: &str) -> Answer {
        self.0.metrics.error(format!("a request that cannot be read: {words}"));
        Answer::Malformed(words.to_owned())
    }

    fn read(&self, signal: Signal, message: Bytes, from: Option<IpAddr>) -> Result<Read, Malformed> {
        let mut complete = self.0.senders.completing(from);
        let request = Chunk::from_bytes(message);
        let malformed = |error| Malformed { place: "the request".into(), error };
        if signal == Signal::Metrics {
            let decoded = self.0.points.decode(request.as_slice(), complete).map_err(malformed)?;
            let refused = decoded.refused.points;
            let reason = (refused > 0).then(|| decoded.refused.to_string());
            return Ok(Read { batches: decoded.batch.into_iter().map(Batch::Metrics).collect(), refused, reason });
        }
        if signal == Signal::Logs {
            let resource =
                |message: &[u8], schema_url: &[u8]| self.0.resources.get(&extended(message, &mut complete), schema_url);
            let decoded = logs::decode(&request, resource).map_err(malformed)?;
            let refused = decoded.refused.records();
            let reason = (refused > 0).then(|| decoded.refused.to_string());
            let batches = decoded.batches.into_iter().map(Batch::Logs).collect();
            return Ok(Read { batches, refused, reason });
        }
        let traces::Indexed { mut batch, refused, reason } = traces::index(request)?;
        self.0.senders.add(&mut batch, from);
        let batches = if batch.spans().is_empty() { Vec::new() } else { vec![Batch::Traces(batch)] };
        Ok(Read { batches, refused, reason })
    }

    fn count(&self, read: &Read) {
        let taken: usize = read.batches.iter().map(Batch::count).sum();
        self.0.metrics.records_in.inc_by(taken as u64 + read.refused);
        if let Some(reason) = &read.reason {
            self.0.metrics.records_refused.inc_by(read.refused);
            self.0.metrics.error(format!("{} of a request were refused: {reason}", read.refused));
        }
    }
}

/// Bytes that are made of a request beside its own: of small records more than they are.
fn weigh(signal: Signal, message: &[u8]) -> u64 {
    let entries = || Entries::of(message);
    match signal {
        Signal::Traces => {
            let Entries { resources, scopes, records } = entries();
            TraceIndex::bytes_of(resources, scopes, records)
        }
        Signal::Logs => {
            let Entries { scopes, records, .. } = entries();
            logs::bytes_of(scopes, records)
        }
        // Its decoder stops where its samples are more than the request.
        Signal::Metrics => 0,
    }
}

/// The place of a signal's output.
fn output(signal: Signal) -> usize {
    OUTPUTS.iter().position(|known| *known == signal).expect("a router knows no other signal")
}

/// What a request holds.
struct Read {
    batches: Vec<Batch>,
    refused: u64,
    reason: Option<String>,
}
