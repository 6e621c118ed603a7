//! From Zipkin's spans to a request of OTLP. What one span has wrong costs that span; what is wrong with the body
//! itself, all of it.

mod json;
mod protobuf;
mod request;
mod span;
mod v1;

pub(super) use json::Text;
pub(super) use span::read_id;

use super::Format;
use crate::formats::protobuf::WireError;
use request::Request;
use span::Span;

/// Limits of what is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of one span as it came. One that is larger would burst most receivers' requests on its own.
    pub span_bytes: usize,
    /// Most services and scopes of a request: each costs memory beyond that of its spans.
    pub scopes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { span_bytes: 1 << 20, scopes: 16_384 }
    }
}

/// What came of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// An encoded `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`. Its spans are grouped by
    /// service and by scope, each in the order in which it first occurs.
    pub request: Vec<u8>,
    /// Spans in it. One of v1 may become several, one for each service that took part.
    pub spans: usize,
    /// What was not taken.
    pub refused: Refused,
}

/// Spans that were not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many of the body's spans.
    pub spans: usize,
    /// Which was the first, counted from 0, and what is wrong with it.
    pub first: Option<(usize, String)>,
}

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not UTF-8, as JSON is.
    #[error("the body is not JSON: byte {0} is not UTF-8")]
    Utf8(usize),
    /// It is not JSON, or not an array.
    #[error("the body is not a JSON array of spans: {0}")]
    Json(serde_json::Error),
    /// It is not the message.
    #[error("the body is not a zipkin.proto3.ListOfSpans: {error} at byte {at}")]
    Wire {
        /// Offset of the field that cannot be read.
        at: usize,
        /// What is wrong with it.
        error: WireError,
    },
}

/// Reads a body. Memory is at most a few times that of the body, whatever it holds.
pub fn decode(format: Format, body: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let mut reading = Reading { limits, request: Request::default(), spans: 0, refused: Refused::default() };
    match format {
        Format::JsonV2 => {
            let mut span = Span::default();
            json::each(text(body)?, |object| {
                span.clear();
                reading.take(object.len(), || {
                    json::read_object(object, &mut span).map(|()| std::slice::from_mut(&mut span))
                });
            })
            .map_err(DecodeError::Json)?;
        }
        Format::JsonV1 => {
            let (mut spans, mut repeats) = (Vec::new(), v1::Repeats::of(body.len()));
            json::each(text(body)?, |object| {
                spans.clear();
                reading.take(object.len(), || v1::read_spans(object, &mut spans, &mut repeats).map(|()| &mut *spans));
            })
            .map_err(DecodeError::Json)?;
        }
        Format::Protobuf => {
            let mut span = Span::default();
            protobuf::each(body, |message| {
                span.clear();
                reading.take(message.len(), || {
                    protobuf::read_span(message, &mut span).map(|()| std::slice::from_mut(&mut span))
                });
            })
            .map_err(|(at, error)| DecodeError::Wire { at, error })?;
        }
    }
    let Reading { request, refused, .. } = reading;
    let (request, spans) = request.finish();
    Ok(Decoded { request, spans, refused })
}

fn text(body: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(body).map_err(|error| DecodeError::Utf8(error.valid_up_to()))
}

/// What a span was refused for, in words.
type Reason = String;

/// A sender's text may be in it.
const MOST_REASON_BYTES: usize = 300;

struct Reading<'l, 'a> {
    limits: &'l Limits,
    request: Request<'a>,
    /// Spans of the body that were looked at.
    spans: usize,
    refused: Refused,
}

impl<'a> Reading<'_, 'a> {
    /// Takes the next span of the body, `length` bytes of it, or refuses it.
    fn take<'s>(&mut self, length: usize, read: impl FnOnce() -> Result<&'s mut [Span<'a>], Reason>)
    where
        'a: 's,
    {
        let most = self.limits.span_bytes;
        let read = if length > most { Err(format!("it has {length} bytes, the limit is {most}")) } else { read() };
        let taken = read.and_then(|spans| self.add(spans));
        if let Err(mut reason) = taken {
            if self.refused.spans == 0 {
                reason.truncate(reason.floor_char_boundary(MOST_REASON_BYTES));
                self.refused.first = Some((self.spans, reason));
            }
            self.refused.spans += 1;
        }
        self.spans += 1;
    }

    /// Adds all of `spans`, or none where one cannot be.
    fn add(&mut self, spans: &mut [Span<'a>]) -> Result<(), Reason> {
        for span in &mut *spans {
            span.check()?;
        }
        let new = spans.iter().filter(|span| !self.request.knows(span)).count();
        if self.request.scopes() + new > self.limits.scopes {
            return Err(format!("the request has more than {} services and scopes", self.limits.scopes));
        }
        spans.iter().for_each(|span| self.request.push(span));
        Ok(())
    }
}
