//! The body of a bulk request: an action line and a document for each record.

use super::super::document::{DocumentEncoder, Form};
use super::super::json::text;
use super::id;
use crate::data::LogView;

/// Where a document's `_id` comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentId {
    /// From the record's place in its log: a line that is sent twice is stored once.
    #[default]
    Position,
    /// Elasticsearch makes one up: faster there, but a line whose request was not answered is stored twice.
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
    out.extend_from_slice(b"{\"create\":{");
    if ids == DocumentId::Position {
        let before = out.len();
        out.extend_from_slice(b"\"_id\":\"");
        if write_id(view, input, out) {
            out.push(b'"');
        } else {
            out.truncate(before);
        }
    }
    out.extend_from_slice(b"}}\n");
    let renamed = encoder.write(view, form, out);
    out.push(b'\n');
    renamed
}

/// Appends the record's id as the content of a JSON string; false (and nothing) where it has none: the uid
/// that its sender gave it, else the one of its position.
pub fn write_id(view: &LogView<'_>, input: &str, out: &mut Vec<u8>) -> bool {
    let uid = view.batch.rare(view.record).and_then(|rare| rare.uid).map(|uid| view.bytes(uid));
    if let Some(uid) = uid.filter(|uid| !uid.is_empty() && uid.len() <= LONGEST_ID) {
        text::escape(uid, out);
        return true;
    }
    match id::of_position(view, input) {
        Some(id) => {
            out.extend_from_slice(&id);
            true
        }
        None => false,
    }
}
