//! What answers mean: <https://opentelemetry.io/docs/specs/otlp/#failures> for gRPC, `#failures-1` for HTTP.

use std::borrow::Cow;
use std::time::Duration;

use crate::formats::protobuf::Fields;
use crate::net::Answer;
use crate::net::grpc::{Code, Status};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The receiver has it.
    Taken {
        /// Records of it that it refuses for good.
        rejected: u64,
        /// Whether it says anything beside that.
        says: bool,
    },
    /// There is no answer.
    Unanswered,
    /// Not now.
    Later { after: Option<Duration> },
    /// Something is wrong that the data has nothing to do with.
    Blocked,
    /// Less at once.
    TooLarge,
    /// It says that it failed, and the specification forbids to ask again. It often was a proxy that failed.
    Failed,
    /// It will never take this.
    Refused,
}

/// A success, and what it says of records that were refused.
pub(super) fn taken(response: &[u8]) -> (Meaning, String) {
    let partial = Fields::of(response).flatten().filter(|(number, _)| *number == 1);
    let (mut rejected, mut words) = (0, String::new());
    for (number, value) in partial.filter_map(|(_, value)| value.bytes().ok()).flat_map(Fields::of).flatten() {
        match number {
            1 => {
                rejected = value.varint().ok().and_then(|count| i64::try_from(count).ok()).map_or(0, i64::cast_unsigned)
            }
            2 => words = quoted(value.bytes().unwrap_or_default()).into_owned(),
            _ => {}
        }
    }
    let says = !words.is_empty();
    (Meaning::Taken { rejected, says }, if says { format!(" says: {words}") } else { words })
}

/// A success whose answer cannot be read.
pub(super) fn unreadable(why: &str) -> (Meaning, String) {
    (Meaning::Taken { rejected: 0, says: true }, format!(" took it; {why}"))
}

/// What a status of gRPC means.
pub(super) fn of_grpc(status: &Status, retry_delay: Option<Duration>) -> (Meaning, String) {
    let meaning = match status.code() {
        // The libraries of gRPC say so of a message beyond their limit.
        Code::ResourceExhausted | Code::OutOfRange if retry_delay.is_none() && is_about_size(status.message()) => {
            Meaning::TooLarge
        }
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        | Code::ResourceExhausted => Meaning::Later { after: retry_delay },
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::NotFound => Meaning::Blocked,
        Code::Unknown | Code::Internal => Meaning::Failed,
        _ => Meaning::Refused,
    };
    let hint = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => "; check the credentials of the sink",
        Code::Unimplemented => "; check `endpoint`, `protocol` and `compression`",
        _ => "",
    };
    (meaning, format!(" answered {:?}: {}{hint}", status.code(), quoted(status.message().as_bytes())))
}

fn is_about_size(words: &str) -> bool {
    words.contains("larger than max") || words.contains("message length too large") || words.contains("too large")
}

/// What a status of HTTP means.
pub(super) fn of_http(answer: &Answer, protobuf: bool) -> (Meaning, String) {
    let status = answer.status.as_u16();
    let after = answer.retry_after;
    let meaning = match status {
        408 | 425 | 429 | 502..=504 => Meaning::Later { after },
        413 => Meaning::TooLarge,
        300..=399 | 401 | 403..=407 | 411 | 414 | 415 | 417 | 421 | 426 | 431 | 451 => Meaning::Blocked,
        500..=599 => Meaning::Failed,
        _ => Meaning::Refused,
    };
    let hint = match status {
        401 | 403 => "; check the credentials of the sink",
        404 | 405 => "; check `endpoint` and `protocol`",
        415 => "; check `protocol` and `compression`",
        407 => "; the proxy on the way wants credentials",
        300..=399 => "; `endpoint` must name the receiver itself",
        _ => "",
    };
    let said = if protobuf { message(&answer.body) } else { None };
    let said = said.unwrap_or(&answer.body);
    (meaning, format!(" answered {status}: {}{hint}", quoted(said).trim()))
}

/// Bytes of an answer that are quoted: in the log, on the page of the agent and to who sent the records.
const QUOTED: usize = 500;

fn quoted(words: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&words[..words.len().min(QUOTED)])
}

/// The words of a `google.rpc.Status`.
fn message(status: &[u8]) -> Option<&[u8]> {
    Fields::of(status).flatten().find(|(number, _)| *number == 2)?.1.bytes().ok()
}
