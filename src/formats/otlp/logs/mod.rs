//! Logs of OTLP (opentelemetry-proto 1.11, `logs/v1/logs.proto`): requests of the `LogsService` to the batches that
//! tailed lines are in too, and such batches to requests.
//!
//! | in a `LogRecord` | in a batch |
//! |---|---|
//! | `body` that is a string | the body, bytes of the request itself |
//! | any other `body` | the body as JSON, bytes in base64; unedited it leaves as it came ([`LogView::typed_body`]) |
//! | `attributes` | attributes outside the object; lists and maps are JSON |
//! | attribute `log.record.uid` | the record's uid, by which Elasticsearch knows the document |
//! | `severity_number`, `severity_text` | the severity, by its name where it has no number; words of its own are kept |
//! | ids, `flags`, `observed_time_unix_nano`, `event_name`, `dropped_attributes_count` | rare fields |
//!
//! Logs are encoded anew, so a field that this version of the protocol does not know is not kept. Nor are those that
//! [`super::origin`] names, nor the difference of an empty body to none. In nested values bytes become base64, and
//! what is no UTF-8 becomes U+FFFD.
//!
//! [`LogView::typed_body`]: crate::data::LogView::typed_body

mod decode;
mod encode;

pub use decode::{Decoded, Reason, Refused, bytes_of, decode};
pub use encode::{Appended, LogsEncoder};

/// The attribute that is a record's id (OpenTelemetry's semantic conventions 1.37, "General logs attributes").
const UID: &[u8] = b"log.record.uid";

#[cfg(test)]
mod tests;
