//! What a message becomes: a document for each of its records, or for each of its spans.

use super::parcel::Item;
use crate::data::{Batch, UnixNanos};
use crate::formats::document::{DocumentEncoder, Form, SpanEncoder};
use crate::formats::elasticsearch::bulk::{self, DocumentId};
use crate::formats::elasticsearch::id;

/// Writes documents of either signal. Clone one for each task.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    pub records: DocumentEncoder,
    pub spans: SpanEncoder,
}

impl Documents {
    /// Prepares for the items of `batch`; what has no time gets `arrival`.
    pub fn begin(&mut self, batch: &Batch, arrival: UnixNanos) {
        match batch {
            Batch::Logs(batch) => self.records.begin(batch, arrival),
            Batch::Traces(_) => self.spans.begin(arrival),
            // The plan accepts nothing else.
            Batch::Metrics(_) => {}
        }
    }

    /// Appends the action and the document of an item of the batch that was begun. Returns how many members of its
    /// object were renamed.
    pub fn write_item(&mut self, ids: DocumentId, batch: &Batch, item: &Item, input: &str, out: &mut Vec<u8>) -> u32 {
        match batch {
            Batch::Logs(batch) => {
                let view = batch.view(item.record as usize);
                bulk::write_item(ids, &mut self.records, &view, input, item.form, out)
            }
            Batch::Traces(batch) => {
                bulk::write_span(ids, &mut self.spans, batch, item.record as usize, out);
                0
            }
            Batch::Metrics(_) => 0,
        }
    }

    /// Appends the document of an item for the dead letter.
    pub fn write_dead(&mut self, batch: &Batch, item: &Item, out: &mut Vec<u8>) {
        match batch {
            Batch::Logs(batch) => {
                self.records.write(&batch.view(item.record as usize), Form::Text, out);
            }
            Batch::Traces(batch) => self.spans.write(batch, item.record as usize, out),
            Batch::Metrics(_) => out.extend_from_slice(b"null"),
        }
    }
}

/// The id of an item, empty where it has none.
pub(super) fn id_of(batch: &Batch, item: &Item, input: &str) -> String {
    let mut written = Vec::new();
    match batch {
        Batch::Logs(batch) => {
            bulk::write_id(&batch.view(item.record as usize), input, &mut written);
        }
        Batch::Traces(batch) => written.extend_from_slice(&id::of_span(batch, item.record as usize)),
        Batch::Metrics(_) => {}
    }
    // It is the content of a JSON string, so it is text.
    String::from_utf8_lossy(&written).into_owned()
}

/// Whether a document that was refused can be written in another form that may be taken.
pub(super) fn has_other_form(batch: &Batch, item: &Item) -> bool {
    let Batch::Logs(batch) = batch else { return false };
    let view = batch.view(item.record as usize);
    let members = !view.object().is_empty() || !view.fields().is_empty();
    item.form == Form::Spliced && members
}
