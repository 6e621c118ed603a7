//! The body of a bulk request: an action line and a document for each record or span.

use super::super::document::{DocumentEncoder, Form, SpanEncoder};
use super::super::json::text;
use super::id;
use crate::data::{LogView, TraceBatch};

/// Where a document's `_id` comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentId {
    /// From the record's place in its log, or from what a span says: what is sent twice is stored once.
    #[default]
    Position,
    /// Elasticsearch makes one up: faster there, but what was in a request that was not answered is stored twice.
    Auto,
}

/// Longest `_id` that Elasticsearch takes, in bytes.
const LONGEST_ID: usize = 512;

/// Appends the action and the document of one record. Returns how many members of its object were renamed.
pub fn write_item(
    ids: DocumentId,
    encoder: &mut DocumentEncoder,
    view: &LogView<'_>,
    input: &str,
    form: Form,
    out: &mut Vec<u8>,
) -> u32 {
    match (ids, Id::of(view, input)) {
        (DocumentId::Position, Id::Position(id)) => write_create(&id, out),
        (DocumentId::Position, Id::Uid(uid)) => {
            out.extend_from_slice(b"{\"create\":{\"_id\":");
            text::write_string(uid, out);
            out.extend_from_slice(b"}}\n");
        }
        (DocumentId::Position, Id::None) | (DocumentId::Auto, _) => out.extend_from_slice(b"{\"create\":{}}\n"),
    }
    let renamed = encoder.write(view, form, out);
    out.push(b'\n');
    renamed
}

/// Appends the action and the document of one span.
pub fn write_span(ids: DocumentId, encoder: &mut SpanEncoder, batch: &TraceBatch, index: usize, out: &mut Vec<u8>) {
    match ids {
        DocumentId::Position => write_create(&id::of_span(batch, index), out),
        DocumentId::Auto => out.extend_from_slice(b"{\"create\":{}}\n"),
    }
    encoder.write(batch, index, out);
    out.push(b'\n');
}

fn write_create(id: &[u8; id::ID_LEN], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"create\":{\"_id\":\"");
    out.extend_from_slice(id);
    out.extend_from_slice(b"\"}}\n");
}

/// Appends the record's id as the content of a JSON string; false (and nothing) where it has none: the uid
/// that its sender gave it, else the one of its position.
pub fn write_id(view: &LogView<'_>, input: &str, out: &mut Vec<u8>) -> bool {
    match Id::of(view, input) {
        Id::Uid(uid) => text::escape(uid, out),
        Id::Position(id) => out.extend_from_slice(&id),
        Id::None => return false,
    }
    true
}

/// A record's id.
enum Id<'a> {
    /// What its sender gave it, raw.
    Uid(&'a [u8]),
    /// Made of its position.
    Position([u8; id::ID_LEN]),
    /// It has neither.
    None,
}

impl<'a> Id<'a> {
    fn of(view: &LogView<'a>, input: &str) -> Self {
        let uid = view.batch.rare(view.record).and_then(|rare| rare.uid).map(|uid| view.bytes(uid));
        match uid.filter(|uid| !uid.is_empty() && uid.len() <= LONGEST_ID) {
            Some(uid) => Self::Uid(uid),
            None => id::of_position(view, input).map_or(Self::None, Self::Position),
        }
    }
}
