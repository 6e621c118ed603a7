//! From spans to the edges of the graph.

use tokio::time::Instant;

use super::pending::{Half, Key, Pending, Side};
use crate::data::traces::SpanEntry;
use crate::data::{Batch, TraceBatch, UnixNanos};
use crate::formats::otlp::span::{ATTRIBUTES, RESOURCE_ATTRIBUTES, attributes};
use crate::formats::otlp::value::key_value;
use crate::formats::protobuf::Fields;
use crate::formats::trace_state::Sampling;
use crate::pipeline::aggregate::spans::{Found, duration};
use crate::pipeline::aggregate::{Count, Counters, Observation, Touch, key};

/// Fields of a `Span` besides its attributes.
const TRACE_STATE: u32 = 3;
const PARENT: u32 = 4;

/// `SpanKind` and `StatusCode` of the proto.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;
const ERROR: u8 = 2;

/// Places of the metrics.
pub(super) const TOTAL: usize = 0;
pub(super) const FAILED: usize = 1;
pub(super) const SERVER_SECONDS: usize = 2;
pub(super) const CLIENT_SECONDS: usize = 3;
pub(super) const UNPAIRED: usize = 4;
pub(super) const DROPPED: usize = 5;

/// What calls a service whose span has no parent.
const USER: &str = "user";

/// The graph as it is counted.
pub(super) struct Graph {
    pending: Pending,
    edges: Edges,
    /// The half that is looked at.
    half: Half,
    span: Found,
    /// Behind the dimensions, the name of the service.
    resource: Found,
    defaults: Vec<Option<Box<[u8]>>>,
    /// Where names of databases end, behind the dimensions, and peers begin.
    peers: usize,
}

/// One end of an edge.
#[derive(Clone, Copy)]
enum End<'a> {
    Unknown,
    Node(&'a str),
    /// Values of a half.
    Service(&'a [u8]),
}

/// Writes edges down.
struct Edges {
    dimensions: usize,
    key: Vec<u8>,
}

/// What is seen of one call.
struct Call<'a> {
    client: End<'a>,
    server: End<'a>,
    connection: &'static str,
    failed: bool,
    count: f64,
    client_seconds: Option<f64>,
    server_seconds: Option<f64>,
}

impl Graph {
    pub fn new(
        pending: Pending,
        dimensions: &[(String, Option<String>)],
        databases: &[String],
        peers: &[String],
    ) -> Self {
        let names = || dimensions.iter().map(|(name, _)| name.as_str());
        let default = |text: &Option<String>| text.as_deref().map(|text| text.as_bytes().into());
        Self {
            pending,
            edges: Edges { dimensions: dimensions.len(), key: Vec::new() },
            half: Half::empty(),
            span: Found::of(names().chain(databases.iter().chain(peers).map(String::as_str))),
            resource: Found::of(names().chain(["service.name"])),
            defaults: dimensions.iter().map(|(_, text)| default(text)).collect(),
            peers: dimensions.len() + databases.len(),
        }
    }

    fn count_spans(&mut self, batch: &TraceBatch, counters: &Counters) {
        let (now, at) = (Touch::now(), Instant::now());
        let (mut resource, mut refused) = (None, 0);
        for place in batch.selection.iter() {
            let entry = &batch.spans()[place];
            let side = match entry.kind {
                CLIENT | PRODUCER => Side::Client,
                SERVER | CONSUMER => Side::Server,
                _ => continue,
            };
            let of = batch.index().scopes[entry.scope as usize].resource;
            if resource != Some(of) {
                resource = Some(of);
                self.resource.clear();
                attributes(batch.resource_of(entry), RESOURCE_ATTRIBUTES)
                    .for_each(|(key, any)| self.resource.take(key, any));
            }
            // Without the name of its service a span is no end of an edge.
            if self.resource.get(self.defaults.len()).is_some_and(|service| !service.is_empty()) {
                self.read(entry, batch.span(place), side);
                refused += usize::from(!self.place(counters, now, at));
                while let Some(half) = self.pending.beyond() {
                    refused += usize::from(!self.edges.alone(DROPPED, half, counters, now));
                }
            }
        }
        counters.refused(refused);
    }

    /// Reads one end of a call.
    fn read(&mut self, entry: &SpanEntry, span: &[u8], side: Side) {
        let (mut parent, mut trace_state): (&[u8], &[u8]) = (b"", b"");
        self.span.clear();
        for (number, value) in Fields::of(span).flatten() {
            let Ok(bytes) = value.bytes() else { continue };
            match number {
                TRACE_STATE => trace_state = bytes,
                PARENT => parent = bytes,
                ATTRIBUTES => {
                    let Ok((key, any)) = key_value(bytes) else { continue };
                    self.span.take(key, any);
                }
                _ => {}
            }
        }
        let Self { half, span, resource, defaults, peers, .. } = self;
        let id = match side {
            Side::Client => entry.span_id,
            Side::Server => parent.try_into().unwrap_or_default(),
        };
        half.key = key_of(&entry.trace_id, id);
        half.side = side;
        half.messaging = matches!(entry.kind, PRODUCER | CONSUMER);
        half.failed = entry.status == ERROR;
        half.count = Sampling::of(trace_state).adjusted_count(&entry.trace_id);
        half.seconds = duration(entry.start, entry.end).as_secs_f64();
        key::begin(0, &mut half.text);
        let mut push = |value: Option<&[u8]>| {
            key::push(&mut half.text, |text| text.extend_from_slice(value.unwrap_or_default()));
        };
        push(resource.get(defaults.len()));
        for (at, default) in defaults.iter().enumerate() {
            push(span.get(at).or_else(|| resource.get(at)).or(default.as_deref()));
        }
        push(span.first_from(*peers));
    }

    /// Puts the end that was read to the other, or lets it wait. False where a series was refused.
    fn place(&mut self, counters: &Counters, now: Touch, at: Instant) -> bool {
        let Self { pending, edges, half, span, defaults, peers, .. } = self;
        let (side, other) = match half.side {
            Side::Client => (Side::Client, Side::Server),
            Side::Server => (Side::Server, Side::Client),
        };
        let database = (defaults.len()..*peers).find_map(|place| span.get(place));
        if let (Side::Client, Some(name)) = (side, database.filter(|name| !name.is_empty())) {
            // A database sends no spans, so what the client saw is all there is.
            let name = String::from_utf8_lossy(name);
            let seconds = Some(half.seconds);
            let (client, server) = (End::Service(&half.text), End::Node(&name));
            return edges.add(
                &Call { client_seconds: seconds, server_seconds: seconds, ..half.call(client, server, "database") },
                counters,
                now,
            );
        }
        if side == Side::Server && half.key[16..] == [0; 8] {
            // Nobody in the trace called it.
            let call = half.call(End::Node(USER), End::Service(&half.text), "virtual_node");
            return edges.add(&call, counters, now);
        }
        let Some(found) = pending.pair(&half.key, other) else {
            // Of two consumers of one message, which come before its producer, the first finds no other end.
            return pending.insert(half, at).is_none_or(|replaced| edges.alone(UNPAIRED, replaced, counters, now));
        };
        let (client, server) = if side == Side::Client { (&*half, found) } else { (found, &*half) };
        let call = Call {
            client: End::Service(&client.text),
            server: End::Service(&server.text),
            connection: if client.messaging || server.messaging { "messaging_system" } else { "" },
            failed: client.failed || server.failed,
            // With consistent probability both ends are there as often as the rarer one is.
            count: client.count.max(server.count),
            client_seconds: Some(client.seconds),
            server_seconds: Some(server.seconds),
        };
        edges.add(&call, counters, now)
    }
}

impl Half {
    /// A call of which this half is all that was seen.
    fn call<'a>(&self, client: End<'a>, server: End<'a>, connection: &'static str) -> Call<'a> {
        let seconds = |side| (self.side == side).then_some(self.seconds);
        Call {
            client,
            server,
            connection,
            failed: self.failed,
            count: self.count,
            client_seconds: seconds(Side::Client),
            server_seconds: seconds(Side::Server),
        }
    }
}

impl Count for Graph {
    fn count(&mut self, batch: &Batch, counters: &Counters) {
        if let Batch::Traces(batch) = batch {
            self.count_spans(batch, counters);
        }
    }

    fn due(&self) -> Option<Instant> {
        self.pending.due()
    }

    fn elapse(&mut self, counters: &Counters) {
        let (now, at) = (Touch::now(), Instant::now());
        while let Some(half) = self.pending.overdue(at) {
            self.edges.expired(half, counters, now);
        }
    }

    fn end(&mut self, counters: &Counters) {
        let now = Touch::now();
        while let Some(half) = self.pending.oldest() {
            self.edges.expired(half, counters, now);
        }
    }
}

impl Edges {
    /// Counts a half whose other end did not come: as a call of what its attributes say, where they do.
    fn expired(&mut self, half: &Half, counters: &Counters, now: Touch) {
        let service = End::Service(&half.text);
        let peer = service.value(self.dimensions + 1);
        let counted = if half.side == Side::Client && !peer.is_empty() {
            self.add(&half.call(service, End::Node(peer), "virtual_node"), counters, now)
        } else {
            self.alone(UNPAIRED, half, counters, now)
        };
        counters.refused(usize::from(!counted));
    }

    /// Counts a half for a metric of those that found no other.
    fn alone(&mut self, metric: usize, half: &Half, counters: &Counters, now: Touch) -> bool {
        let service = End::Service(&half.text);
        let (client, server) = match half.side {
            Side::Client => (service, End::Unknown),
            Side::Server => (End::Unknown, service),
        };
        let connection = if half.messaging { "messaging_system" } else { "" };
        self.write_key(&half.call(client, server, connection));
        self.observe(metric, 1.0, half.count, counters, now)
    }

    fn add(&mut self, call: &Call<'_>, counters: &Counters, now: Touch) -> bool {
        self.write_key(call);
        let mut counted = self.observe(TOTAL, 1.0, call.count, counters, now);
        if call.failed {
            counted &= self.observe(FAILED, 1.0, call.count, counters, now);
        }
        for (metric, seconds) in [(SERVER_SECONDS, call.server_seconds), (CLIENT_SECONDS, call.client_seconds)] {
            if let Some(seconds) = seconds {
                counted &= self.observe(metric, seconds, call.count, counters, now);
            }
        }
        counted
    }

    fn observe(&mut self, metric: usize, value: f64, count: f64, counters: &Counters, now: Touch) -> bool {
        key::turn_to(metric, &mut self.key);
        counters.add(&self.key, &Observation { value, count, time: UnixNanos::NONE, span: None, line: b"" }, now)
    }

    /// Client, server, connection type, dimensions of the client, dimensions of the server.
    fn write_key(&mut self, call: &Call<'_>) {
        let Self { dimensions, key, .. } = self;
        key::begin(TOTAL, key);
        let mut push = |value: &str| key::push(key, |key| key.extend_from_slice(value.as_bytes()));
        push(call.client.value(0));
        push(call.server.value(0));
        push(call.connection);
        (1..=*dimensions).for_each(|place| push(call.client.value(place)));
        (1..=*dimensions).for_each(|place| push(call.server.value(place)));
    }
}

impl<'a> End<'a> {
    /// The name at place 0, dimensions behind it.
    fn value(self, place: usize) -> &'a str {
        match self {
            Self::Service(text) => key::values(text).nth(place).unwrap_or_default(),
            Self::Node(name) if place == 0 => name,
            Self::Node(_) | Self::Unknown => "",
        }
    }
}

fn key_of(trace: &[u8; 16], span: [u8; 8]) -> Key {
    let mut key = [0; 24];
    key[..16].copy_from_slice(trace);
    key[16..].copy_from_slice(&span);
    key
}
