//! OTLP/JSON: requests and answers of OTLP 1.10 in the "JSON Protobuf Encoding" of its specification
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>), to the bytes of their messages and back.
//!
//! The encoding is proto3's JSON mapping with ids in hexadecimal and enumerations as numbers. Nothing is built
//! in between: the reader writes the message as it goes through the text, led by tables of the messages'
//! fields. It takes what the OpenTelemetry Collector takes beyond the specification: names of fields with
//! underscores and of enumerations in words. A field that is not known is passed over, `null` is a field that is not there.
//!
//! Limits: text is nested at most 128 deep (serde_json's limit, so at most 30 lists or maps in each other),
//! and the message takes no more bytes than the caller allows.

mod any;
mod read;
mod schema;
mod write;

use crate::data::Signal;
use crate::formats::protobuf::WireError;
use schema::Message;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// `Export…ServiceRequest` of a signal.
    Request(Signal),
    /// `Export…ServiceResponse` of a signal.
    Response(Signal),
    /// `google.rpc.Status`, the answer that says what went wrong.
    Status,
}

impl Document {
    fn message(self) -> &'static Message {
        match self {
            Self::Request(Signal::Traces) => &schema::TRACES,
            Self::Request(Signal::Logs) => &schema::LOGS,
            Self::Request(Signal::Metrics) => &schema::METRICS,
            Self::Response(Signal::Traces) => &schema::TRACES_ANSWER,
            Self::Response(Signal::Logs) => &schema::LOGS_ANSWER,
            Self::Response(Signal::Metrics) => &schema::METRICS_ANSWER,
            Self::Status => &schema::STATUS,
        }
    }
}

/// Why a text is not OTLP/JSON; names line and column.
#[derive(Debug, thiserror::Error)]
#[error("not OTLP/JSON: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// Why a message cannot be written as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// It is not one.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Messages in messages beyond [`MOST_DEPTH`].
    #[error("messages are nested more than {MOST_DEPTH} deep")]
    Depth,
}

/// Messages in messages that are written: as many as readers of Protocol Buffers take.
pub const MOST_DEPTH: usize = 100;

/// The message that `text` says, in at most about `most` bytes.
pub fn read(document: Document, text: &[u8], most: usize) -> Result<Vec<u8>, JsonError> {
    Ok(read::read(document.message(), text, most)?)
}

/// Appends a message as JSON. Fields that are not known are left out; text that is not UTF-8 has U+FFFD in its
/// place.
pub fn write(document: Document, message: &[u8], out: &mut Vec<u8>) -> Result<(), Unwritable> {
    write::write(document.message(), message, MOST_DEPTH, out)
}

#[cfg(test)]
mod tests;
