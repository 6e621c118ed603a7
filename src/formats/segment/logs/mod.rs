//! Log records in a segment: the bytes of the selected records in one run, and behind them what names those
//! bytes. Nothing is parsed again: objects, located fields and edits come back as they were, so that a sink
//! writes the same document and the same id.
//!
//! ```text
//! resource     varint  0: it follows and gets the next number; else a number
//!                      varint count × { key text, value }, schema URL text *
//! scope        the same: name text, version text, schema URL text *, varint count × { key text, value } *
//! payload      text    the bytes that slices name
//! generations  varint count × { id u64, birth u64 }
//! attributes   varint count × attribute
//! rare         varint count × { trace id 16, span id 8, flags varint, observed u64, event name slice?, uid slice?,
//!              severity text slice? *, typed body slice? *, dropped attributes varint * }
//! edited       u8      whether each record is followed by its state
//! records      varint count × record
//!
//! slice        varint length, and unless that is 0 the difference of its start to the end of the slice before
//! slice?       u8 0, or 1 and a slice
//! attribute    key slice, u8 type (0 text, 1 JSON, 2 bytes: slice; 3 integer, 4 double: u64; 5 false, 6 true)
//! value        u8 type (0 text, 1 JSON: text; 3, 4: u64; 5, 6)
//! record       time (difference to the record before), body slice, attributes (first, count), generation of
//!              the start and of the end, severity u8, start (difference to the end before), end (difference to
//!              the start), rare (0: none, else index + 1)
//! state        time (difference to the record's), severity u8, body slice, object slice, fields, cuts, attributes
//! fields       varint count × { name, u8 kind + 8 × edit + 64 × nested, key slice, value slice, from, to }
//! name         varint 0: none; 1: a path follows (varint count × text) and gets the next number; else number + 1
//! cuts         varint count × { from, to, slice }
//! attributes   varint 0: those of the record; else count + 1 and so many attributes
//!
//! * only in a record that says that it is detailed: lines of files have none of these
//! ```

mod decode;
mod encode;

pub use decode::Decoder;
pub use encode::Encoder;

use super::Damaged;
use crate::data::logs::RareFields;
use crate::data::{FieldEdit, JsonKind, LogBatch, Scope};

/// Whether a batch has what only pushed records have.
pub fn is_detailed(batch: &LogBatch) -> bool {
    let of_rare =
        |rare: &RareFields| rare.severity_text.is_some() || rare.typed_body.is_some() || rare.dropped_attributes > 0;
    let Scope { attributes, schema_url, .. } = &*batch.scope;
    let named = !schema_url.is_empty() || !attributes.is_empty() || !batch.resource.schema_url().is_empty();
    named || batch.source().rare.iter().any(of_rare)
}

/// What numbers of a record are written against.
#[derive(Debug, Default)]
struct Before {
    time: u64,
    end: u64,
}

/// The number of a kind is its place.
const KINDS: [JsonKind; 6] =
    [JsonKind::Null, JsonKind::Bool, JsonKind::Number, JsonKind::String, JsonKind::Object, JsonKind::Array];

/// The number of an edit is its place.
const EDITS: [FieldEdit; 4] = [FieldEdit::Original, FieldEdit::Replaced, FieldEdit::Deleted, FieldEdit::Added];

fn kind_number(kind: JsonKind) -> u8 {
    KINDS.iter().position(|known| *known == kind).unwrap_or_default() as u8
}

fn kind_of(number: u8) -> Result<JsonKind, Damaged> {
    KINDS.get(usize::from(number)).copied().ok_or(Damaged("a field is of an unknown kind"))
}

fn edit_number(edit: FieldEdit) -> u8 {
    EDITS.iter().position(|known| *known == edit).unwrap_or_default() as u8
}

fn edit_of(number: u8) -> Result<FieldEdit, Damaged> {
    EDITS.get(usize::from(number)).copied().ok_or(Damaged("a field was edited in an unknown way"))
}
