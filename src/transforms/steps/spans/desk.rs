//! What lies before a step: a span, or a resource, as the steps before left it, and the sheets that edits write on.

use std::sync::Arc;

use super::On;
use crate::data::Resource;
use crate::data::traces::SpanEntry;
use crate::expression::Evaluator;
use crate::expression::traces::SpanView;
use crate::formats::otlp::span::SpanMessage;
use crate::formats::protobuf::{Open, open_message_of};

/// A span, or a resource, as the steps before left it.
pub struct Desk<'a> {
    /// What it is.
    pub on: On,
    /// What the index says of the span.
    pub entry: &'a mut SpanEntry,
    pub(super) came: &'a [u8],
    pub(super) scope: &'a [u8],
    pub(super) resource: &'a Arc<Resource>,
    pub(super) sheets: &'a mut Sheets,
}

/// What edits write.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheets {
    /// The edited messages, one behind the other, each with its tag and length in front.
    pub written: Vec<u8>,
    /// The message on the desk, the last of them, where it is edited.
    pub open: Option<Open>,
    /// Room for what a further edit makes of that.
    next: Vec<u8>,
}

impl Sheets {
    /// The message on the desk, which came so.
    fn message<'a>(&'a self, came: &'a [u8]) -> &'a [u8] {
        self.open.map_or(came, |open| open.content(&self.written))
    }

    /// Makes that what `edit` appends, unless it returns false, as this does then.
    fn edit(&mut self, came: &[u8], edit: impl FnOnce(&[u8], &mut Vec<u8>) -> bool) -> bool {
        let Self { written, open, next } = self;
        if let Some(open) = open {
            next.clear();
            let is_edited = edit(open.content(written), next);
            if is_edited {
                open.clear(written);
                written.extend_from_slice(next);
            }
            return is_edited;
        }
        // The field `spans` of a `ScopeSpans`.
        let begun = open_message_of(2, came.len(), written);
        let is_edited = edit(came, written);
        if is_edited {
            *open = Some(begun);
        } else {
            begun.cancel(written);
        }
        is_edited
    }
}

impl Desk<'_> {
    /// The encoded message.
    pub fn message(&self) -> &[u8] {
        self.sheets.message(self.came)
    }

    /// What expressions read. Of a resource alone they read only that.
    pub fn view(&self) -> SpanView<'_> {
        let message = if self.on == On::Span { self.message() } else { &[] };
        SpanView { entry: self.entry, message: SpanMessage(message), scope: self.scope, resource: self.resource }
    }

    /// Whether a condition holds.
    pub fn holds(&self, condition: &mut Evaluator) -> bool {
        condition.begin(self.resource).unwrap_or_else(|| condition.holds(&self.view()))
    }

    /// Makes the message what `edit` appends, unless that returns false.
    pub fn edit(&mut self, edit: impl FnOnce(&[u8], &mut Vec<u8>) -> bool) {
        if self.sheets.edit(self.came, edit) {
            self.entry.attributes = 0;
        }
    }

    /// The same for an edit of attributes, which is given the message from the first of them on.
    pub fn edit_attributes(&mut self, edit: impl FnOnce(&[u8], &mut Vec<u8>) -> bool) {
        let from = usize::from(self.entry.attributes);
        self.sheets.edit(self.came, |message, out| {
            let (before, rest) = message.split_at(from.min(message.len()));
            out.extend_from_slice(before);
            edit(rest, out)
        });
    }
}
