//! Parts of messages become the body of a request: as much as one may hold, compressed and framed.

use std::collections::VecDeque;

use bytes::Bytes;
use flate2::write::GzEncoder;

use super::options::Compression;
use super::part::Part;
use super::server::Body;
use crate::data::{Batch, UnixNanos};
use crate::delivery::parts::{self, Held, Parcel};
use crate::formats::otlp::logs::LogsEncoder;
use crate::formats::otlp::metrics::{self, Room, Unsendable};
use crate::formats::otlp::traces::Emitter;
use crate::net::grpc::Call;
use crate::net::http_client::Payload;

/// How requests are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub compression: Compression,
    /// Whether they are framed as gRPC wants it.
    pub framed: bool,
    /// Most bytes of a request before compression.
    pub max_bytes: usize,
}

/// Writes requests. One a parcel; its clones share what is worked out for series.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    form: Form,
    logs: LogsEncoder,
    metrics: metrics::Encoder,
    /// Log records of one message, being written.
    records: Vec<u8>,
    /// When the records arrived: when they were observed, where they do not say so, the same in every attempt.
    arrival: UnixNanos,
}

/// What became of parts.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// `None` where nothing of them can be sent.
    pub body: Option<Body>,
    /// What is in it.
    pub parts: Vec<Part>,
    /// Data points in it.
    pub points: u64,
    /// What it has no room for.
    pub rest: Vec<Part>,
    /// Samples of messages that cannot be sent.
    pub unsendable: Vec<(usize, Unsendable, u64)>,
}

impl Writer {
    pub fn new(form: Form) -> Self {
        let metrics = metrics::Encoder::new(env!("CARGO_PKG_VERSION"));
        Self { form, logs: LogsEncoder::new(), metrics, records: Vec::new(), arrival: UnixNanos::default() }
    }

    /// One for records that arrived at this time.
    pub fn arriving(&self, arrival: UnixNanos) -> Self {
        Self { arrival, ..self.clone() }
    }

    /// Writes parts of one signal: as many as a request may hold, which is at most `points` data points.
    pub fn write(&mut self, parcel: &Parcel, parts: Vec<Part>, points: u64) -> Written {
        let (mut emitter, mut written) = (Emitter::default(), Written::default());
        let mut left = VecDeque::from(parts);
        while let Some(part) = left.pop_front() {
            let Some(held) = parcel.batch(part.message()) else { continue };
            if written.parts.is_empty() || emitter.len() < self.form.max_bytes {
                self.part(&mut emitter, held, part, points, &mut left, &mut written);
            } else {
                written.rest.push(part);
            }
            if !written.rest.is_empty() {
                written.rest.extend(left);
                break;
            }
        }
        if !emitter.is_empty() {
            let length = emitter.len();
            written.body = Some(finish(emitter.finish(), length, self.form));
        }
        written
    }

    /// Writes a part, as much of it as there is room for; `left` gets what is to be written next.
    fn part(
        &mut self,
        emitter: &mut Emitter,
        held: &Held,
        part: Part,
        points: u64,
        left: &mut VecDeque<Part>,
        written: &mut Written,
    ) {
        let message = part.message();
        let samples = |portion| Part::Samples { message, portion: Some(portion) };
        let most = self.form.max_bytes.saturating_sub(emitter.len());
        match (&held.batch, part) {
            (Batch::Metrics(batch), Part::Samples { portion: Some(portion), .. }) => {
                let points = points.saturating_sub(written.points);
                let room = Room { bytes: most, whole: self.form.max_bytes, points };
                let encoded = self.metrics.encode(batch, portion, room);
                emitter.piece(encoded.body.into());
                written.points += encoded.points;
                written.parts.extend((encoded.points > 0).then(|| samples(encoded.sent)));
                let unsendable = encoded.unsendable.into_iter();
                written.unsendable.extend(unsendable.map(|(why, samples)| (message, why, samples)));
                encoded.loose.into_iter().for_each(|loose| left.push_front(samples(loose)));
                written.rest.extend(encoded.rest.map(samples));
            }
            (Batch::Metrics(batch), _) => {
                let portions = self.metrics.portions(batch);
                portions.into_iter().rev().for_each(|portion| left.push_front(samples(portion)));
            }
            (Batch::Logs(batch), Part::Run(run)) => {
                let mut only = batch.clone();
                only.selection.restrict(run.from, run.to);
                self.records.clear();
                let Self { logs, records, arrival, .. } = self;
                let appended = logs.append(&only, run.from, &held.input, *arrival, most, records);
                emitter.raw(records);
                written.run(run, appended.next);
            }
            (Batch::Traces(batch), Part::Run(run)) => {
                let (next, _) = emitter.emit(batch, run.from..run.to, most);
                written.run(run, next);
            }
            (Batch::Logs(_) | Batch::Traces(_), Part::Samples { .. }) => {}
        }
    }
}

impl Written {
    /// A run was written, up to `next` where there was no room for all of it.
    fn run(&mut self, run: parts::Part, next: Option<usize>) {
        self.parts.push(Part::Run(parts::Part { to: next.unwrap_or(run.to), ..run }));
        self.rest.extend(next.map(|next| Part::Run(parts::Part { from: next, ..run })));
    }
}

/// Compresses and frames a request.
fn finish(mut pieces: Vec<Bytes>, length: usize, form: Form) -> Body {
    use std::io::Write;
    const INTO_MEMORY: &str = "writing to memory does not fail";
    let packed = match form.compression {
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
    if form.framed {
        let length = pieces.iter().map(Bytes::len).sum();
        pieces.insert(0, Bytes::copy_from_slice(&Call::prefix(compressed, length)));
    }
    Body { payload: Payload::from(pieces), compression: form.compression }
}
