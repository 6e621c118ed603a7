//! The step `parse_json`: makes the JSON object in a record's body its attributes.
//!
//! Nothing is built: the object's own bytes become the attributes, the body empties, and only what the
//! graph reads is located.

use schemars::JsonSchema;

use super::edit::Workbench;
use super::step::{OnError, Step, StepKind, StepPlan};
use crate::data::logs::Payload;
use crate::data::names::Interest;
use crate::data::{LogBatch, Names, Overlay, Slice};
use crate::expression::Subject;
use crate::expression::option::CompileError;
use crate::formats::json::NotAnObject;
use crate::formats::json::strict::compact;
use crate::formats::json::text::unescaped_eq;
use crate::formats::json::walk::{Member, members};
use crate::options::Problem;

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "parse_json",
    summary: "Makes the JSON object in the body the record's attributes.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Option<Options>>(options)?.unwrap_or_default())),
    schema: |generator| Options::json_schema(generator),
};

/// The object's keys become attributes and the body empties. Severity is taken from `level`, `severity`
/// or `lvl` (names, and the numbers of pino and bunyan). Sinks write `trace_id` and `span_id`, where they are
/// hexadecimal ids of the right length, as the record's own.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// What happens to a record whose body is not one JSON object: `keep` leaves it as it was, `drop`
    /// drops it. Both are counted as errors. Default: `keep`.
    on_error: OnError,
}

impl StepPlan for Options {
    fn problems(&self, _: &Subject) -> Vec<Problem> {
        Vec::new()
    }

    fn prepare(&self, _: &Subject, _: &Names) -> Result<Box<dyn Step>, CompileError> {
        Ok(Box::new(*self))
    }
}

impl Step for Options {
    fn interest(&self, _: &mut Interest) {}

    fn run(&mut self, batch: &mut LogBatch, records: &[u32], bench: &mut Workbench) {
        bench.begin(batch);
        let mut failed = 0;
        let (overlay, payload) = batch.edit();
        for &record in records {
            let index = record as usize;
            let body = overlay.states[index].body;
            let text = payload.bytes(body);
            if overlay.states[index].has_object() {
                // It has attributes from an earlier object: both sets are kept, the body's in front.
                if bench.scanner.scan(text).is_ok() {
                    bench.merge(record, body);
                } else if !body.is_empty() {
                    failed += 1;
                }
                continue;
            }
            let parsed = match bench.scanner.parse_into(body, text, overlay, index) {
                Err(NotAnObject::Blank) => {
                    let start = bench.fresh.len();
                    compact(text, &mut bench.fresh);
                    let object = bench.slice(start);
                    bench.scanner.parse_into(object, &bench.fresh[start..], overlay, index)
                }
                parsed => parsed,
            };
            match parsed {
                Ok(()) => {
                    overlay.states[index].body = Slice::EMPTY;
                    shadow(overlay, payload, bench, index);
                }
                Err(_) => {
                    failed += 1;
                    bench.unread.push(record);
                }
            }
        }
        bench.finish(batch);
        bench.failed("parse_json: the body is not one JSON object", failed);
        bench.drop_unread(batch, self.on_error == OnError::Drop);
    }

    fn copy(&self) -> Box<dyn Step> {
        Box::new(*self)
    }
}

/// Takes out attributes that earlier steps gave the record and that its object has too: of one key there is one value,
/// the object's, as for every other reader.
fn shadow(overlay: &mut Overlay, payload: Payload<'_>, bench: &Workbench, index: usize) {
    let object = bench.bytes(overlay.states[index].object, payload);
    let source = payload.source.attributes(&payload.source.records[index]);
    let edited = overlay.attributes(&overlay.states[index]).map_or(0, <[_]>::len);
    for at in (0..edited).rev() {
        let key = payload.bytes(overlay.attributes_mut(index, source)[at].key);
        let meant = |member: Member| unescaped_eq(&object[member.key.start + 1..member.key.end - 1], key);
        if members(object, 0).any(meant) {
            overlay.remove_attribute(index, source, at);
        }
    }
}
