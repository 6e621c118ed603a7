//! From an `ExportLogsServiceRequest` to batches.

use std::fmt;
use std::sync::Arc;

use super::super::MessageError;
use super::super::origin::read_scope;
use super::super::value::{AnyValue, key_value};
use super::UID;
use crate::data::logs::{LogRecords, RareFields};
use crate::data::{Attribute, Chunk, LogBatch, LogBuilder, LogRecord, Resource, Severity, Slice, UnixNanos, Value};
use crate::formats::protobuf::{Fields, WireError};

/// What a request holds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Its records, those of one scope of one resource in a batch or, if they are many, in several.
    pub batches: Vec<LogBatch>,
    /// The records that are in none.
    pub refused: Refused,
    /// Attributes of the batches.
    attributes: usize,
}

/// Records that are not taken, by reason: what `partial_success` tells the sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused([u64; Reason::ALL.len()]);

/// Why a record is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its trace id has another length than 16 bytes.
    TraceId,
    /// Its span id has another length than 8 bytes.
    SpanId,
    /// Its body or an attribute is nested too deeply.
    Depth,
    /// It has more attributes than a record can.
    Attributes,
}

impl Reason {
    const ALL: [Self; 4] = [Self::TraceId, Self::SpanId, Self::Depth, Self::Attributes];

    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::TraceId => "the trace id is not 16 bytes long",
            Self::SpanId => "the span id is not 8 bytes long",
            Self::Depth => "a value is nested more than 30 deep",
            Self::Attributes => "it has more than 65535 attributes",
        }
    }
}

impl Refused {
    /// How many records are not taken.
    pub fn records(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many for each reason, those that occur.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (reason, count)) in self.reasons().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            let records = if count == 1 { "record" } else { "records" };
            write!(f, "{separator}{count} log {records} refused: {}", reason.words())?;
        }
        Ok(())
    }
}

/// Records of a batch, at the most: so many the pools of the data model keep their room for.
const MOST_RECORDS: usize = 8192;

/// Bytes of attributes that any request may have; beyond them at most four times its own.
const MOST_FREE: usize = 1 << 20;

/// Bytes that so many batches and records take at the most, beside attributes, before they are read.
pub const fn bytes_of(scopes: usize, records: usize) -> u64 {
    // What a batch takes that is made for a scope of one record.
    const BATCH: usize = 1024;
    (scopes * BATCH + records * size_of::<LogRecord>()) as u64
}

/// Reads a request, whose bytes its records then name. `resource` finds or makes the resource for a `Resource`
/// and the URL of its schema, most likely with `read_resource`: it may know it from an earlier request, and add
/// what it knows of the sender.
///
/// # Errors
/// Where the request is not well-formed: then nothing of it is taken.
pub fn decode(
    request: &Chunk,
    mut resource: impl FnMut(&[u8], &[u8]) -> Result<Arc<Resource>, MessageError>,
) -> Result<Decoded, MessageError> {
    let mut decoded = Decoded::default();
    if u32::try_from(request.len()).is_err() {
        return Err(MessageError::TooLarge);
    }
    for field in Fields::of(request.as_slice()) {
        if let (1, found) = field? {
            resource_logs(request, found.bytes()?, &mut resource, &mut decoded)?;
        }
    }
    Ok(decoded)
}

fn resource_logs(
    request: &Chunk,
    message: &[u8],
    resource: &mut impl FnMut(&[u8], &[u8]) -> Result<Arc<Resource>, MessageError>,
    decoded: &mut Decoded,
) -> Result<(), MessageError> {
    let resource = {
        let (described, schema_url) = around(message)?;
        resource(described, schema_url)?
    };
    for field in Fields::of(message) {
        if let (2, found) = field? {
            scope_logs(request, found.bytes()?, &resource, decoded)?;
        }
    }
    Ok(())
}

fn scope_logs(
    request: &Chunk,
    message: &[u8],
    resource: &Arc<Resource>,
    decoded: &mut Decoded,
) -> Result<(), MessageError> {
    let (described, schema_url) = around(message)?;
    let scope = Arc::new(read_scope(described, schema_url)?);
    let mut open: Option<OpenBatch<'_>> = None;
    for field in Fields::of(message) {
        let (2, found) = field? else { continue };
        let record = found.bytes()?;
        let batch = open.get_or_insert_with(|| {
            let mut builder = LogBuilder::new(resource.clone(), scope.clone());
            builder.add_chunk(request.clone());
            OpenBatch { request: request.as_slice(), builder, made: Vec::new(), bytes: 0 }
        });
        batch.add(record, &mut decoded.refused)?;
        let attributes = batch.builder.source().attributes.len();
        if (decoded.attributes + attributes) * size_of::<Attribute>() > 4 * request.len() + MOST_FREE {
            return Err(MessageError::Crowded);
        }
        if batch.builder.source().records.len() == MOST_RECORDS {
            decoded.attributes += attributes;
            decoded.batches.extend(open.take().and_then(OpenBatch::finish));
        }
    }
    if let Some(mut batch) = open {
        decoded.attributes += batch.builder.source().attributes.len();
        decoded.batches.extend(batch.finish());
    }
    Ok(())
}

/// What stands beside the content of `ResourceLogs` and `ScopeLogs`: the resource or the scope, and its schema's URL.
fn around(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut described, mut schema_url): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::of(message) {
        match field? {
            (1, found) => described = found.bytes()?,
            (3, found) => schema_url = found.bytes()?,
            _ => {}
        }
    }
    Ok((described, schema_url))
}

/// Indices of a batch's chunks: the request itself, and what had to be written.
const REQUEST: u32 = 0;
const MADE: u32 = 1;

/// A batch being written.
struct OpenBatch<'a> {
    request: &'a [u8],
    builder: LogBuilder,
    /// Values that are shown as JSON.
    made: Vec<u8>,
    bytes: u64,
}

/// Fields of a `LogRecord` as they are found, later ones in place of earlier ones.
#[derive(Default)]
struct Found<'a> {
    time: u64,
    observed: u64,
    severity_number: u64,
    severity_text: &'a [u8],
    body: &'a [u8],
    dropped_attributes: u32,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
    uid: Option<&'a [u8]>,
}

impl OpenBatch<'_> {
    fn finish(mut self) -> Option<LogBatch> {
        if self.builder.is_empty() {
            return None;
        }
        self.builder.add_payload_bytes(self.bytes + self.made.len() as u64);
        if !self.made.is_empty() {
            self.builder.add_chunk(Chunk::from_vec(self.made));
        }
        Some(self.builder.build())
    }

    fn add(&mut self, message: &[u8], refused: &mut Refused) -> Result<(), MessageError> {
        let (attributes, made) = (self.builder.source().attributes.len(), self.made.len());
        match self.record(message) {
            Ok(()) => {
                self.bytes += message.len() as u64;
                return Ok(());
            }
            Err(Stop::Malformed(error)) => return Err(error),
            Err(Stop::Refused(reason)) => refused.0[reason as usize] += 1,
        }
        self.builder.source().attributes.truncate(attributes);
        self.made.truncate(made);
        Ok(())
    }

    fn record(&mut self, message: &[u8]) -> Result<(), Stop> {
        let mut found = Found::default();
        let attributes_start = self.builder.source().attributes.len();
        for field in Fields::of(message) {
            match field? {
                (1, value) => found.time = value.fixed64()?,
                (2, value) => found.severity_number = value.varint()?,
                (3, value) => found.severity_text = value.bytes()?,
                (5, value) => found.body = value.bytes()?,
                (6, value) => self.attribute(value.bytes()?, &mut found)?,
                (7, value) => found.dropped_attributes = value.varint()? as u32,
                (8, value) => found.flags = value.fixed32()?,
                (9, value) => found.trace_id = value.bytes()?,
                (10, value) => found.span_id = value.bytes()?,
                (11, value) => found.observed = value.fixed64()?,
                (12, value) => found.event_name = value.bytes()?,
                _ => {}
            }
        }
        let attributes = self.builder.source().attributes.len() - attributes_start;
        let attributes_len = u16::try_from(attributes).map_err(|_| Stop::Refused(Reason::Attributes))?;
        let (body, typed_body) = self.body(found.body)?;
        let severity = severity(found.severity_number, found.severity_text);
        let known = severity.text().as_bytes() == found.severity_text;
        let rare = RareFields {
            trace_id: id(found.trace_id).ok_or(Stop::Refused(Reason::TraceId))?,
            span_id: id(found.span_id).ok_or(Stop::Refused(Reason::SpanId))?,
            flags: found.flags,
            observed: UnixNanos(found.observed),
            event_name: self.slice_if_any(found.event_name),
            uid: found.uid.map(|uid| self.slice(uid)),
            severity_text: if known { None } else { self.slice_if_any(found.severity_text) },
            typed_body,
            dropped_attributes: found.dropped_attributes,
        };
        let record = LogRecord {
            time: UnixNanos(found.time),
            severity,
            attributes_start: attributes_start as u32,
            attributes_len,
            ..LogRecord::of_body(body)
        };
        push(record, rare, self.builder.source());
        Ok(())
    }

    fn attribute<'a>(&mut self, message: &'a [u8], found: &mut Found<'a>) -> Result<(), Stop> {
        let (key, value) = key_value(message)?;
        let value = AnyValue::read(value)?;
        if let (UID, AnyValue::Text(uid)) = (key, value) {
            found.uid = Some(uid);
            return Ok(());
        }
        let value = match value {
            AnyValue::Text(text) => Value::Text(self.slice(text)),
            AnyValue::Bytes(bytes) => Value::Bytes(self.slice(bytes)),
            AnyValue::Bool(value) => Value::Bool(value),
            AnyValue::Int(value) => Value::Int(value),
            AnyValue::Double(value) => Value::Double(value),
            AnyValue::Empty | AnyValue::Array(_) | AnyValue::Map(_) => {
                let start = self.made.len();
                value.write_json(&mut self.made)?;
                Value::Json(self.made_since(start))
            }
        };
        let key = self.slice(key);
        self.builder.source().attributes.push(Attribute { key, value });
        Ok(())
    }

    /// The body, and the `AnyValue` that it is where that is no text.
    fn body(&mut self, message: &[u8]) -> Result<(Slice, Option<Slice>), Stop> {
        match AnyValue::read(message)? {
            AnyValue::Empty => Ok((Slice::EMPTY, None)),
            AnyValue::Text(text) => Ok((self.slice(text), None)),
            value => {
                let start = self.made.len();
                value.write_json(&mut self.made)?;
                let shown = self.made_since(start);
                // Bytes and doubles that are not finite, without the quotes that JSON puts around them.
                let quoted = u32::from(self.made[start] == b'"');
                Ok((shown.sub(quoted, shown.len - quoted), Some(self.slice(message))))
            }
        }
    }

    /// The slice of the request that a part of it is.
    fn slice(&self, part: &[u8]) -> Slice {
        if part.is_empty() {
            return Slice::EMPTY;
        }
        let start = part.as_ptr().addr() - self.request.as_ptr().addr();
        Slice::new(REQUEST, start as u32, part.len() as u32)
    }

    fn slice_if_any(&self, part: &[u8]) -> Option<Slice> {
        (!part.is_empty()).then(|| self.slice(part))
    }

    fn made_since(&self, start: usize) -> Slice {
        Slice::new(MADE, start as u32, (self.made.len() - start) as u32)
    }
}

/// Adds a record, and its rare fields if it has any.
fn push(mut record: LogRecord, rare: RareFields, source: &mut LogRecords) {
    let any = rare != RareFields::default();
    if any {
        record.rare = source.rare.len() as u32;
        source.rare.push(rare);
    }
    source.records.push(record);
}

/// Why reading a record stops.
enum Stop {
    /// The request is not well-formed.
    Malformed(MessageError),
    /// The record is not taken.
    Refused(Reason),
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Malformed(error.into())
    }
}

impl From<MessageError> for Stop {
    fn from(error: MessageError) -> Self {
        if error == MessageError::Depth { Self::Refused(Reason::Depth) } else { Self::Malformed(error) }
    }
}

/// An id; all zero where there is none, `None` where it has another length.
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    if bytes.is_empty() { Some([0; N]) } else { bytes.try_into().ok() }
}

/// The severity by its number or, without one, by its name.
fn severity(number: u64, text: &[u8]) -> Severity {
    match number {
        1..=24 => Severity(number as u8),
        _ => Severity::from_text(text).unwrap_or(Severity::UNSPECIFIED),
    }
}
