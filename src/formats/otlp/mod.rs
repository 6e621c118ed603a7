//! OTLP, the OpenTelemetry Protocol: <https://opentelemetry.io/docs/specs/otlp/> 1.10, messages of
//! <https://github.com/open-telemetry/opentelemetry-proto> 1.11.
//!
//! Traces are forwarded as the bytes they came in ([`traces`]); logs become batches and requests again ([`logs`]);
//! metrics become samples, and samples metrics ([`metrics`]). JSON becomes the bytes of its message before anything else
//! looks at it ([`json`]).

pub mod check;
pub mod entries;
pub mod json;
pub mod logs;
pub mod metrics;
pub mod origin;
pub mod patch;
#[cfg(test)]
mod random;
pub mod resource;
pub mod span;
pub mod texts;
pub mod traces;
pub mod value;

use super::protobuf::WireError;

/// Most bytes of a resource, of a scope, and of what a request has beside its resources: each part of the request repeats
/// them.
pub const MOST_AROUND: usize = 256 << 10;

/// Why a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {error}")]
pub struct Malformed {
    /// Where, as in `resource_spans[2].scope_spans[0].spans[17]`.
    pub place: String,
    /// What is wrong there.
    pub error: MessageError,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is not Protocol Buffers, or its fields are of the wrong types.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A field that may stand once stands twice.
    #[error("the field `{0}` stands more than once")]
    Repeated(&'static str),
    /// Values within values beyond [`check::MOST_DEPTH`].
    #[error("values are nested more than {} deep", check::MOST_DEPTH)]
    Depth,
    /// More around the records than may be, which would stand in every part of the request: see [`MOST_AROUND`].
    #[error("what stands around its records is larger than {} KiB", MOST_AROUND >> 10)]
    Around,
    /// Attributes of two or three bytes without end.
    #[error("it has too many attributes for its size")]
    Crowded,
    /// More bytes than a request may have at all.
    #[error("it is larger than 4 GiB")]
    TooLarge,
}
