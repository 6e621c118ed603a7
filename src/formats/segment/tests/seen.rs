//! What a sink sees of a batch.

use super::*;
use crate::data::metrics::SampleValue;
use crate::data::{Attribute, Field, Value};
use crate::formats::document::{DocumentEncoder, Form, Layout};
use crate::formats::elasticsearch::id;

/// Everything that a sink can see of a batch, in one text.
pub(super) fn seen(batch: &Batch, input: &Arc<str>, names: &Names) -> String {
    let mut out = format!("{input} {}\n", batch.count());
    match batch {
        Batch::Logs(logs) => {
            let resource: Vec<_> = logs.resource.attributes().collect();
            out += &format!("{resource:?} {:?}\n", logs.scope);
            for view in logs.iter() {
                let bytes = |slice: Slice| view.bytes(slice).to_vec();
                let attributes = view.attributes().iter().map(|Attribute { key, value }| match *value {
                    Value::Text(slice) | Value::Json(slice) | Value::Bytes(slice) => (bytes(*key), bytes(slice), 0),
                    Value::Int(number) => (bytes(*key), Vec::new(), number.cast_unsigned()),
                    Value::Double(number) => (bytes(*key), Vec::new(), number.to_bits()),
                    Value::Bool(yes) => (bytes(*key), Vec::new(), u64::from(yes)),
                });
                let rare = logs.rare(view.record).map(|rare| {
                    let names = (rare.event_name.map(bytes), rare.uid.map(bytes));
                    (rare.trace_id, rare.span_id, rare.flags, rare.observed, names)
                });
                let fields = view.fields().iter().map(|field| {
                    let Field { kind, edit, nested, member, .. } = field;
                    let path = field.name.map(|name| names.path(name));
                    (path, kind, edit, nested, member, bytes(field.key), bytes(field.value))
                });
                let cuts = view.cuts().iter().map(|cut| (cut.from, cut.to, bytes(cut.with)));
                out += &format!(
                    "{:?}\n",
                    (
                        (view.time(), view.record.time, view.severity(), view.body(), view.object()),
                        (view.record.start, view.record.end),
                        (logs.start_generation(view.record), logs.end_generation(view.record)),
                        attributes.collect::<Vec<_>>(),
                        rare,
                        fields.collect::<Vec<_>>(),
                        cuts.collect::<Vec<_>>(),
                        id::of_position(&view, input),
                    )
                );
            }
            let mut documents = DocumentEncoder::new(Layout::Otel);
            documents.begin(logs, UnixNanos(1));
            let mut text = Vec::new();
            for view in logs.iter() {
                documents.write(&view, Form::Spliced, &mut text);
            }
            out += &String::from_utf8_lossy(&text);
        }
        Batch::Traces(traces) => {
            traces.selection.iter().for_each(|index| out += &format!("{:?}\n", traces.span(index)));
        }
        Batch::Metrics(metrics) => {
            out += &format!("{:?}\n", metrics.resource.attributes().collect::<Vec<_>>());
            let table = metrics.series().table().read();
            for sample in metrics.iter() {
                let value = match sample.value {
                    SampleValue::Float(value) => format!("{:x}", value.to_bits()),
                    SampleValue::Histogram(histogram) => format!("{histogram:?}"),
                };
                let exemplars = metrics.exemplars(sample.index).iter().filter(|one| one.leaves());
                let exemplars = exemplars.map(|one| (metrics.exemplar_labels(one), one.value, one.time));
                out += &format!(
                    "{:?} {:?} {:?} {value} {:?} {:?}\n",
                    table.labels(sample.series),
                    table.family(sample.series),
                    sample.time,
                    exemplars.collect::<Vec<_>>(),
                    metrics.created(sample.index)
                );
            }
        }
    }
    out
}
