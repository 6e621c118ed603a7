//! The step `truncate`: cuts values that are too long.

use schemars::JsonSchema;

use super::fields::Fields;
use super::spans::{OfTexts, SpanStep};
use super::step::{StepKind, StepPlan};
use crate::data::{Names, Signal};
use crate::expression::Subject;
use crate::expression::option::CompileError;
use crate::formats::otlp::texts::{TextEdit, TextKind};
use crate::options::{ByteSize, Problem};

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "truncate",
    summary: "Cuts texts in values of attributes that are too long.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// A text is cut between two characters. In lists and maps each text is cut for itself.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The attributes: `attributes["db.query.text"]`. Default: all of the span, its events and its links.
    #[serde(default)]
    fields: Option<Fields>,
    /// Most bytes of a text, such as `1KiB`.
    max_bytes: ByteSize,
}

impl StepPlan for Options {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        self.fields.iter().flat_map(|fields| fields.problems(subject)).collect()
    }

    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Traces
    }

    fn on_spans(&self, _: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        let most = usize::try_from(self.max_bytes.0).unwrap_or(usize::MAX);
        Some(OfTexts::boxed(self.fields.as_ref(), Truncate { most }))
    }

    fn edits_resource(&self) -> bool {
        self.fields.as_ref().is_some_and(Fields::name_a_resource)
    }
}

#[derive(Clone)]
struct Truncate {
    most: usize,
}

impl TextEdit for Truncate {
    fn changes(&mut self, kind: TextKind, text: &[u8]) -> bool {
        matches!(kind, TextKind::Value | TextKind::Bytes) && text.len() > self.most
    }

    fn write(&mut self, kind: TextKind, text: &[u8], out: &mut Vec<u8>) {
        let mut end = self.most.min(text.len());
        while kind == TextKind::Value && end > 0 && end < text.len() && text[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        out.extend_from_slice(&text[..end]);
    }
}
