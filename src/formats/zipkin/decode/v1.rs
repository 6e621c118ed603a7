//! Spans of v1 in JSON. There an annotation says who recorded it, and what client and server recorded may stand in
//! one span; what kind of span it is, and when it began and ended, is said by annotations as well:
//!
//! | | begins | ends | address of the other side |
//! |---|---|---|---|
//! | client | `cs` | `cr` | `sa` |
//! | server | `sr` | `ss` | `ca` |
//! | producer | `ms` | `ws` | `ma` |
//! | consumer | `wr` | `mr` | `ma` |
//!
//! A span becomes one span for each service that took part, as it does in Zipkin's own converter
//! (`zipkin2.v1.V1SpanConverter`), to which the specification points.

use std::borrow::Cow;

use serde::de::{Error, MapAccess};

use super::super::kind;
use super::Reason;
use super::json::{self, Array, Object, ReadMember, Scalar};
use super::span::{Annotation, Endpoint, Span, Tag};

/// Reads a span of v1 into one or more. `repeats` is what spans of this body may still repeat for their sides.
pub(super) fn read_spans<'a>(object: &'a str, spans: &mut Vec<Span<'a>>, repeats: &mut Repeats) -> Result<(), Reason> {
    let mut source = V1Span::default();
    json::read_object(object, &mut source)?;
    let mut sides = Sides { first: source.common, spans, left: repeats.left, refused: None };
    sides.fork(&Endpoint::default());
    let marks = sides.annotations(source.annotations);
    sides.calls(&marks);
    sides.messages(&marks);
    sides.binary_annotations(source.binary_annotations, &marks);
    if let Some(reason) = sides.refused {
        return Err(reason);
    }
    repeats.left = sides.left;
    Ok(())
}

/// Bytes that the sides of a body's spans may still repeat: each has the name of the whole.
pub(super) struct Repeats {
    left: usize,
}

impl Repeats {
    /// Those of a body of this length. That the names of all spans are repeated twice, for three services each, is
    /// always possible.
    pub fn of(body: usize) -> Self {
        Self { left: LEAST_REPEATS + 2 * body }
    }
}

/// What a body of any length may repeat.
const LEAST_REPEATS: usize = 1 << 20;

/// Sides of a span. Two are what there should be; each annotation looks for its own among all.
const MOST_SIDES: usize = 32;

/// A span as it is written.
#[derive(Default)]
struct V1Span<'a> {
    /// What is the same in v2.
    common: Span<'a>,
    annotations: Vec<V1Annotation<'a>>,
    binary_annotations: Vec<BinaryAnnotation<'a>>,
}

/// An annotation and who recorded it.
#[derive(Clone, Default)]
struct V1Annotation<'a> {
    annotation: Annotation<'a>,
    endpoint: Endpoint<'a>,
}

/// A tag, or, where the value is `true`, an address.
#[derive(Default)]
struct BinaryAnnotation<'a> {
    key: Cow<'a, str>,
    value: Cow<'a, str>,
    endpoint: Endpoint<'a>,
}

impl<'a> ReadMember<'a> for V1Span<'a> {
    const WHAT: &'static str = "a span";

    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "annotations" => map.next_value_seed(Array(&mut self.annotations)),
            "binaryAnnotations" => map.next_value_seed(Array(&mut self.binary_annotations)),
            "kind" | "shared" | "tags" | "localEndpoint" | "remoteEndpoint" => {
                Err(A::Error::custom(format_args!("`{name}` is of v2")))
            }
            _ => self.common.member(name, map),
        }
    }
}

impl<'a> ReadMember<'a> for V1Annotation<'a> {
    const WHAT: &'static str = "an annotation";

    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "endpoint" => map.next_value_seed(Object(&mut self.endpoint)).map(drop),
            _ => self.annotation.member(name, map),
        }
    }
}

impl<'a> ReadMember<'a> for BinaryAnnotation<'a> {
    const WHAT: &'static str = "a binary annotation";

    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "key" => self.key = json::text(map)?,
            "value" => {
                self.value = map.next_value::<Option<Scalar<'a>>>()?.map(|Scalar(text)| text).unwrap_or_default()
            }
            "endpoint" => drop(map.next_value_seed(Object(&mut self.endpoint))?),
            _ => json::ignore(map)?,
        }
        Ok(())
    }
}

/// Annotations that say what kind of span it is.
#[derive(Default)]
struct Marks<'a> {
    client_send: Mark<'a>,
    client_receive: Mark<'a>,
    server_receive: Mark<'a>,
    server_send: Mark<'a>,
    message_send: Mark<'a>,
    message_receive: Mark<'a>,
    wire_send: Mark<'a>,
    wire_receive: Mark<'a>,
}

type Mark<'a> = Option<V1Annotation<'a>>;

impl<'a> Marks<'a> {
    /// The mark of an annotation's value, and the kind of span that it makes.
    fn of(&mut self, value: &str) -> Option<(&mut Mark<'a>, u64)> {
        Some(match value {
            "cs" => (&mut self.client_send, kind::CLIENT),
            "cr" => (&mut self.client_receive, kind::CLIENT),
            "sr" => (&mut self.server_receive, kind::SERVER),
            "ss" => (&mut self.server_send, kind::SERVER),
            "ms" => (&mut self.message_send, kind::PRODUCER),
            "mr" => (&mut self.message_receive, kind::CONSUMER),
            "ws" => (&mut self.wire_send, 0),
            "wr" => (&mut self.wire_receive, 0),
            _ => return None,
        })
    }
}

/// The spans that a span becomes, one for each service.
struct Sides<'s, 'a> {
    /// What was written of the whole.
    first: Span<'a>,
    spans: &'s mut Vec<Span<'a>>,
    /// Bytes that further sides may repeat.
    left: usize,
    /// Why there are fewer than there should be.
    refused: Option<Reason>,
}

impl<'a> Sides<'_, 'a> {
    /// The side of an endpoint. The first side takes what nobody in particular has said.
    fn of(&mut self, endpoint: &Endpoint<'a>) -> &mut Span<'a> {
        let known = |span: &mut Span<'a>| {
            if endpoint.is_empty() {
                return true;
            }
            if span.local.is_empty() {
                span.local = endpoint.clone();
            }
            span.local.service == endpoint.service
        };
        let at = self.spans.iter_mut().position(known).unwrap_or(self.spans.len());
        if at == self.spans.len() { self.fork(endpoint) } else { &mut self.spans[at] }
    }

    /// The side of an endpoint that is of this kind, where two are of one service.
    fn of_kind(&mut self, endpoint: &Endpoint<'a>, kind: u64) -> &mut Span<'a> {
        let this = |side: &Span<'_>| side.kind == kind && side.local.service == endpoint.service;
        match self.spans.iter().position(this) {
            Some(at) => &mut self.spans[at],
            None => self.of(endpoint),
        }
    }

    /// One more side.
    fn fork(&mut self, endpoint: &Endpoint<'a>) -> &mut Span<'a> {
        if self.spans.len() == MOST_SIDES {
            self.refused.get_or_insert_with(|| format!("more than {MOST_SIDES} services took part in it"));
            return &mut self.spans[0];
        }
        if !self.spans.is_empty() {
            let name = self.first.name.len();
            let Some(left) = self.left.checked_sub(name) else {
                self.refused.get_or_insert_with(|| {
                    format!(
                        "each service that took part in it repeats its name of {name} bytes: more than a request may"
                    )
                });
                return &mut self.spans[0];
            };
            self.left = left;
        }
        let side = Span { local: endpoint.clone(), timestamp: 0, duration: 0, ..self.first.clone() };
        self.spans.push(side);
        self.spans.last_mut().expect("one was pushed")
    }

    /// Gives annotations to their sides, and the marks among them back.
    fn annotations(&mut self, annotations: Vec<V1Annotation<'a>>) -> Marks<'a> {
        let mut marks = Marks::default();
        for recorded in annotations {
            let side = self.of(&recorded.endpoint);
            match marks.of(&recorded.annotation.value) {
                Some((mark, kind)) => {
                    if kind != 0 {
                        side.kind = kind;
                    }
                    *mark = Some(recorded);
                }
                None => side.annotations.push(recorded.annotation),
            }
        }
        // Whoever bridges between models may leave out where a span begins, since its own time says so.
        let (begin, duration) = (self.first.timestamp, self.first.duration);
        let begins = |send: &mut Mark<'a>, end: &Mark<'a>| {
            if let (None, Some(end)) = (&send, end)
                && begin != 0
                && duration != 0
                && begin.saturating_add(duration) == end.annotation.timestamp
            {
                let mut mark = end.clone();
                mark.annotation.timestamp = begin;
                *send = Some(mark);
            }
        };
        begins(&mut marks.client_send, &marks.client_receive);
        begins(&mut marks.server_receive, &marks.server_send);
        marks
    }

    /// Kinds and times of clients and servers.
    fn calls(&mut self, marks: &Marks<'a>) {
        let Marks { client_send, client_receive, server_receive, server_send, .. } = marks;
        match (client_send, client_receive, server_receive, server_send) {
            (Some(send), end, Some(receive), answer) => {
                // Both sides in one span: its times are the client's.
                self.time(send, end.as_ref());
                let server = if send.endpoint.service == receive.endpoint.service {
                    self.of(&send.endpoint).kind = kind::CLIENT;
                    let server = self.fork(&receive.endpoint);
                    server.kind = kind::SERVER;
                    server
                } else {
                    self.of(&receive.endpoint)
                };
                server.shared = true;
                between(server, receive, answer.as_ref());
            }
            (Some(begin), Some(end), _, stray) | (_, stray, Some(begin), Some(end)) => {
                self.time(begin, Some(end));
                self.keep(stray);
            }
            _ => self.incomplete(marks),
        }
        // v1 has no flag for it: a server without times of its own continues a client's span.
        if let (None, Some(receive)) = (client_send, server_receive)
            && (self.first.timestamp == 0 || server_send.is_some() && self.first.duration == 0)
        {
            self.of(&receive.endpoint).shared = true;
        }
    }

    /// What begins and never ends, or the other way round: an end stays an annotation.
    fn incomplete(&mut self, marks: &Marks<'a>) {
        for side in &mut *self.spans {
            let (begin, end) = match side.kind {
                kind::CLIENT => (&marks.client_send, &marks.client_receive),
                kind::SERVER => (&marks.server_receive, &marks.server_send),
                _ => continue,
            };
            if let Some(begin) = begin {
                side.timestamp = begin.annotation.timestamp;
            }
            side.annotations.extend(end.iter().map(|end| end.annotation.clone()));
        }
        if self.first.timestamp != 0 {
            self.spans[0].timestamp = self.first.timestamp;
            self.spans[0].duration = self.first.duration;
        }
    }

    /// Times of producers and consumers.
    fn messages(&mut self, marks: &Marks<'a>) {
        let Marks { message_send, message_receive, wire_send, wire_receive, .. } = marks;
        match (message_send, message_receive) {
            (Some(send), Some(receive)) => {
                let producer = self.of(&send.endpoint);
                between(producer, send, wire_send.as_ref());
                let consumer = if send.endpoint.service == receive.endpoint.service {
                    producer.kind = kind::PRODUCER;
                    let consumer = self.fork(&receive.endpoint);
                    consumer.kind = kind::CONSUMER;
                    consumer
                } else {
                    self.of(&receive.endpoint)
                };
                consumer.shared = true;
                match wire_receive {
                    Some(arrival) => between(consumer, arrival, Some(receive)),
                    None => between(consumer, receive, None),
                }
            }
            (Some(send), None) => {
                self.time(send, wire_send.as_ref());
                self.keep(wire_receive);
            }
            (None, Some(receive)) => {
                match wire_receive {
                    Some(arrival) => self.time(arrival, Some(receive)),
                    None => self.time(receive, None),
                }
                self.keep(wire_send);
            }
            (None, None) => {
                self.keep(wire_send);
                self.keep(wire_receive);
            }
        }
    }

    /// A mark that marks nothing stays an annotation.
    fn keep(&mut self, mark: &Mark<'a>) {
        if let Some(mark) = mark {
            self.of(&mark.endpoint).annotations.push(mark.annotation.clone());
        }
    }

    /// The times of a side: those written of the span, or else those of its marks.
    fn time(&mut self, begin: &V1Annotation<'a>, end: Option<&V1Annotation<'a>>) {
        let Span { timestamp, duration, .. } = self.first;
        let side = self.of(&begin.endpoint);
        if timestamp != 0 && duration != 0 {
            (side.timestamp, side.duration) = (timestamp, duration);
        } else {
            between(side, begin, end);
        }
    }

    /// Tags, and the addresses of the other sides.
    fn binary_annotations(&mut self, annotations: Vec<BinaryAnnotation<'a>>, marks: &Marks<'a>) {
        let (mut client, mut server, mut broker) = (None, None, None);
        for BinaryAnnotation { key, value, endpoint } in annotations {
            // The value is `true` in JSON and a byte of 1 where it was converted from Thrift.
            let marks_address = matches!(&*value, "true" | "\u{1}" | "") && !endpoint.is_empty();
            match &*key {
                "ca" if marks_address => client = Some(endpoint),
                "sa" if marks_address => server = Some(endpoint),
                "ma" if marks_address => broker = Some(endpoint),
                // Says that the span is a local one, and where.
                "lc" if value.is_empty() => drop(self.of(&endpoint)),
                _ => self.of(&endpoint).tags.push(Tag { name: key, value }),
            }
        }
        let nobody = Endpoint::default();
        let client_side = marks.client_send.as_ref().or(marks.client_receive.as_ref());
        let server_side = marks.server_receive.as_ref().or(marks.server_send.as_ref());
        match (client_side, server_side, client, server) {
            (None, None, Some(client), Some(server)) => self.of(&client).remote = server,
            // An address of a server is recorded by whoever calls anything: not only by clients.
            (None, None, None, Some(server)) => self.of(&nobody).remote = server,
            (None, None, Some(client), None) => {
                let side = self.of(&nobody);
                side.kind = kind::SERVER;
                side.remote = client;
            }
            (client_side, server_side, client, server) => {
                if let (Some(side), Some(mut client)) = (server_side, client)
                    && client != side.endpoint
                {
                    // Finagle has the server's own name here, which would make it call itself.
                    if client.service == side.endpoint.service {
                        client.service = Cow::default();
                    }
                    self.of_kind(&side.endpoint, kind::SERVER).remote = client;
                }
                if let (Some(side), Some(server)) = (client_side, server) {
                    self.of_kind(&side.endpoint, kind::CLIENT).remote = server;
                }
            }
        }
        for side in [&marks.message_send, &marks.message_receive].into_iter().flatten() {
            if let Some(broker) = &broker {
                self.of(&side.endpoint).remote = broker.clone();
            }
        }
    }
}

/// Sets the times of a side.
fn between<'a>(side: &mut Span<'a>, begin: &V1Annotation<'a>, end: Option<&V1Annotation<'a>>) {
    let begin = begin.annotation.timestamp;
    side.timestamp = begin;
    side.duration = end.map_or(0, |end| end.annotation.timestamp.saturating_sub(begin));
}
