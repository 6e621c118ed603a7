//! The ids of the span that a log record belongs to. A receiver of OTLP has them from its sender; a line has them
//! in its JSON object, under `trace_id` and `span_id`, as OpenTelemetry's recommendation for logs that are not
//! OTLP names them (<https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/>).
//!
//! A member is taken for an id if it is a string of as many hexadecimal digits as the id has and not all of
//! them zero, the span's id only beside the trace's; it then is no attribute any more. Any other stays one.

use super::json::text::{hex_digits, unescaped_eq};
use crate::data::LogView;

/// The keys of members that may be ids.
pub const KEYS: [&str; 2] = ["trace_id", "span_id"];

/// The ids of a record's span; all zero for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceIds {
    /// The trace's id.
    pub trace_id: [u8; 16],
    /// The span's id.
    pub span_id: [u8; 8],
    of_members: bool,
}

impl TraceIds {
    /// The ids that a record's sender gave it.
    pub fn of_record(view: &LogView<'_>) -> Self {
        let rare = view.batch.rare(view.record);
        rare.map(|rare| Self { trace_id: rare.trace_id, span_id: rare.span_id, of_members: false }).unwrap_or_default()
    }

    /// The ids among the members of an object: contents of keys, values with their quotes. Of one key the last
    /// member counts.
    pub fn of_members<'a>(members: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut values = [None; 2];
        for (key, value) in members {
            for (name, slot) in KEYS.iter().zip(&mut values) {
                if matches!(key.first(), Some(b't' | b's' | b'\\')) && unescaped_eq(key, name.as_bytes()) {
                    *slot = Some(value);
                }
            }
        }
        let [trace_id, span_id] = values;
        let Some(trace_id) = trace_id.and_then(id) else { return Self::default() };
        Self { trace_id, span_id: span_id.and_then(id).unwrap_or_default(), of_members: true }
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.trace_id != [0; 16] || self.span_id != [0; 8]
    }

    /// Whether members of this key, given as the content of a JSON string, became one of the ids.
    pub fn are_of(&self, key: &[u8]) -> bool {
        self.of_members
            && (unescaped_eq(key, KEYS[0].as_bytes())
                || (self.span_id != [0; 8] && unescaped_eq(key, KEYS[1].as_bytes())))
    }
}

/// The id that a JSON value is.
fn id<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    let digits = value.strip_prefix(b"\"")?.strip_suffix(b"\"").filter(|digits| digits.len() == 2 * N)?;
    let mut id = [0; N];
    for (byte, read) in id.iter_mut().zip(hex_digits(digits)) {
        *byte = read?;
    }
    (id != [0; N]).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\"0AF7651916cd43dd8448eb211c80319c\"";
    const SPAN: &str = "\"b7ad6b7169203331\"";

    fn of(members: &[(&str, &str)]) -> TraceIds {
        TraceIds::of_members(members.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())))
    }

    #[test]
    fn ids_are_hexadecimal_and_of_the_right_length() {
        let ids = of(&[("span_id", SPAN), ("other", "1"), (r"tr\u0061ce_id", TRACE)]);
        assert_eq!((ids.trace_id[0], ids.trace_id[15], ids.span_id[0]), (0x0a, 0x9c, 0xb7));
        assert!(ids.are_of(b"trace_id") && ids.are_of(b"span_id") && !ids.are_of(b"trace_id.x"));
        for wrong in ["\"abc\"", "\"0af7651916cd43dd8448eb211c80319x\"", "12", "null", "\"\"", "{}"] {
            let ids = of(&[("trace_id", wrong), ("span_id", SPAN)]);
            assert!(!ids.any() && !ids.are_of(b"trace_id") && !ids.are_of(b"span_id"), "{wrong}");
        }
        assert!(!of(&[("trace_id", "\"00000000000000000000000000000000\"")]).any());
    }

    #[test]
    fn a_span_is_one_of_a_trace() {
        assert!(!of(&[("span_id", SPAN)]).any());
        let ids = of(&[("trace_id", TRACE), ("span_id", "\"7\"")]);
        assert!(ids.are_of(b"trace_id") && !ids.are_of(b"span_id"));
    }

    #[test]
    fn of_one_key_the_last_counts() {
        assert!(!of(&[("trace_id", TRACE), ("trace_id", "\"short\"")]).any());
        assert!(of(&[("trace_id", "\"short\""), ("trace_id", TRACE)]).any());
    }
}
