//! Unary calls of gRPC whose messages stay bytes, so that a batch is received and sent without being decoded and
//! encoded: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>. Connections, TLS and logins are those of
//! [`http_server`](super::http_server) and [`http_client`](super::http_client); statuses are tonic's.

mod client;
mod server;
#[cfg(test)]
mod tests;

pub use client::{Call, CallError, GrpcClient};
pub use server::{decline, read, reply};
pub use tonic::{Code, Status};

use bytes::Bytes;
use http::HeaderValue;

use super::http_server::Unpack;
use crate::formats::inflate::{self, Inflater};
use crate::formats::protobuf::{Fields, push_bytes, push_uint};

/// Before each message: whether it is compressed, and its length in big-endian.
const PREFIX: usize = 5;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Name of a message of google.rpc, in a status's details.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The encodings of messages that either side takes.
const ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");

/// How a message of an encoding is read; `None` where the encoding is not known.
fn unpack(encoding: &[u8]) -> Option<Unpack> {
    match encoding {
        b"gzip" => Some(|packed, text, most| Inflater::default().gzip(packed, text, most)),
        b"zstd" => Some(inflate::zstd),
        _ => None,
    }
}

fn prefix(compressed: bool, length: usize) -> [u8; PREFIX] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [u8::from(compressed), a, b, c, d]
}

/// A status that says when to come again: `google.rpc.RetryInfo` in its details, as OTLP wants it
/// (<https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling>).
pub fn retry_later(code: Code, words: &str, after: std::time::Duration) -> Status {
    let (mut delay, mut info, mut any, mut status) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    push_uint(1, after.as_secs(), &mut delay);
    push_uint(2, u64::from(after.subsec_nanos()), &mut delay);
    push_bytes(1, &delay, &mut info);
    push_bytes(1, RETRY_INFO.as_bytes(), &mut any);
    push_bytes(2, &info, &mut any);
    push_uint(1, code as u64, &mut status);
    push_bytes(2, words.as_bytes(), &mut status);
    push_bytes(3, &any, &mut status);
    Status::with_details(code, words, Bytes::from(status))
}

/// The delay of a `google.rpc.RetryInfo` among the details of a `google.rpc.Status`; `None` where there is none.
pub fn retry_delay(status: &[u8]) -> Option<std::time::Duration> {
    let details = Fields::of(status).flatten().filter(|(number, _)| *number == 3);
    let info = details.filter_map(|(_, any)| {
        let any = any.bytes().ok()?;
        let named = |(number, value): &(u32, _)| *number == 1 && field_is(*value, RETRY_INFO.as_bytes());
        Fields::of(any).flatten().find(named)?;
        Fields::of(any).flatten().find(|(number, _)| *number == 2)?.1.bytes().ok()
    });
    let delay = info.filter_map(|info| Fields::of(info).flatten().find(|(number, _)| *number == 1));
    let delay = delay.last()?.1.bytes().ok()?;
    let (mut seconds, mut nanos) = (0, 0);
    for (number, value) in Fields::of(delay).flatten() {
        match number {
            1 => seconds = value.varint().ok()?,
            2 => nanos = value.varint().ok()?,
            _ => {}
        }
    }
    // Negative numbers are huge ones here.
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    (seconds <= i64::MAX as u64).then(|| std::time::Duration::new(seconds, nanos))
}

fn field_is(value: crate::formats::protobuf::Value<'_>, expected: &[u8]) -> bool {
    value.bytes().is_ok_and(|bytes| bytes == expected)
}
