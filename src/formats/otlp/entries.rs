//! How many records a request holds, before any of them is read: what is made of the smallest is many times larger than
//! they are, and memory for it is to be there first.

use crate::formats::protobuf::{Fields, Value};

/// Messages of a request, by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// `ResourceSpans` or `ResourceLogs`.
    pub resources: usize,
    /// `ScopeSpans` or `ScopeLogs`.
    pub scopes: usize,
    /// Spans or log records.
    pub records: usize,
}

impl Entries {
    /// Counts those of an `ExportTraceServiceRequest` or an `ExportLogsServiceRequest`, whose fields are the same, up to
    /// the first that is not well-formed.
    pub fn of(request: &[u8]) -> Self {
        let mut entries = Self::default();
        each(request, 1, |resource| {
            entries.resources += 1;
            each(resource, 2, |scope| {
                entries.scopes += 1;
                each(scope, 2, |_| entries.records += 1);
            });
        });
        entries
    }
}

fn each<'a>(message: &'a [u8], wanted: u32, mut found: impl FnMut(&'a [u8])) {
    let mut fields = Fields::of(message);
    while let Ok(Some((number, value))) = fields.field() {
        if number == wanted
            && let Value::Bytes(inner) = value
        {
            found(inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_by_level() {
        // Two resources: one with two scopes of two records and one, and an empty one.
        let request = b"\x0a\x0a\x12\x04\x12\x00\x12\x00\x12\x02\x12\x00\x0a\x00";
        assert_eq!(Entries::of(request), Entries { resources: 2, scopes: 2, records: 3 });
        assert_eq!(Entries::of(&request[..8]), Entries::default());
        assert_eq!(Entries::of(b""), Entries::default());
    }
}
