//! Spans as lines: what the sinks `file` and `console` write of traces.
//!
//! [`json()`] is OpenTelemetry's file format (<https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/>): each line is
//! a request (`TracesData`) in OTLP/JSON, which the Collector's receiver `otlpjsonfile` and whatever takes OTLP reads back.
//! [`text`] is for people, a span a line.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;

use super::ndjson::printable;
use super::otlp::json::{self, Document, Unwritable};
use super::otlp::span::{self, RESOURCE_ATTRIBUTES, SpanMessage};
use super::otlp::traces::Emitter;
use super::otlp::value::AnyValue;
use crate::data::{Signal, TraceBatch};

/// Most bytes of encoded spans that become one line, but for a single span that is larger.
const LINE: usize = 1 << 20;

/// Appends the selected spans as requests, as a rule in one line.
///
/// # Errors
/// Where a span cannot be written as JSON. Nothing is appended then.
pub fn json(batch: &TraceBatch, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let begun = out.len();
    let mut emitter = Emitter::default();
    let mut from = 0;
    loop {
        let (next, spans) = emitter.emit(batch, from..batch.spans().len(), LINE);
        let pieces = emitter.finish();
        if spans > 0 {
            let request = if let [whole] = &pieces[..] { whole.clone() } else { Bytes::from(pieces.concat()) };
            json::write(Document::Request(Signal::Traces), &request, out).inspect_err(|_| out.truncate(begun))?;
            out.push(b'\n');
        }
        match next {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

/// Appends a line of text for each selected span.
pub fn text(batch: &TraceBatch, out: &mut Vec<u8>) {
    const INTO_MEMORY: &str = "writing into memory does not fail";
    let service = ["service.name".into()];
    for at in batch.selection.iter() {
        let entry = &batch.spans()[at];
        let message = SpanMessage(batch.span(at));
        entry.start.write_rfc3339(out);
        out.push(b' ');
        if let Some(value) = span::attribute(batch.resource_of(entry), RESOURCE_ATTRIBUTES, &service)
            && let Ok(AnyValue::Text(name)) = AnyValue::read(value)
        {
            printable(name, out);
            out.push(b' ');
        }
        out.extend_from_slice(kind(entry.kind).as_bytes());
        printable(message.name(), out);
        let took: Duration = entry.end.since(entry.start);
        write!(out, " {:.3} ms", took.as_secs_f64() * 1e3).expect(INTO_MEMORY);
        match entry.status {
            1 => out.extend_from_slice(b" OK"),
            2 => out.extend_from_slice(b" ERROR"),
            _ => {}
        }
        if !message.status_message().is_empty() {
            out.push(b' ');
            printable(message.status_message(), out);
        }
        let [trace, span] = [&entry.trace_id[..], &entry.span_id[..]].map(hex);
        writeln!(out, " trace_id={trace} span_id={span}").expect(INTO_MEMORY);
    }
}

/// A `SpanKind` in words, and a space.
const fn kind(kind: u8) -> &'static str {
    match kind {
        1 => "INTERNAL ",
        2 => "SERVER ",
        3 => "CLIENT ",
        4 => "PRODUCER ",
        5 => "CONSUMER ",
        _ => "",
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Chunk;
    use crate::formats::otlp::traces::index;

    /// Two spans of one resource, the second of which failed.
    fn batch() -> TraceBatch {
        let text =
            br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"sh\nop"}}]},
            "scopeSpans":[{"spans":[
            {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET /","kind":2,
             "startTimeUnixNano":"1795392123000000000","endTimeUnixNano":"1795392123012500000"},
            {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b175","parentSpanId":"eee19b7ec3c1b174",
             "name":"SELECT","kind":3,"status":{"code":2,"message":"gone"}}]}]}]}"#;
        let message = json::read(Document::Request(Signal::Traces), text, 1 << 20).expect("OTLP/JSON");
        index(Chunk::from_vec(message)).expect("indexed").batch
    }

    #[test]
    fn a_line_is_a_request_of_what_is_selected() {
        let mut batch = batch();
        let mut out = b"before\n".to_vec();
        json(&batch, &mut out).expect("writes");
        let lines: Vec<_> = std::str::from_utf8(&out).expect("UTF-8").lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, "before"));
        let again = json::read(Document::Request(Signal::Traces), lines[1].as_bytes(), 1 << 20).expect("reads");
        let again = index(Chunk::from_vec(again)).expect("indexed").batch;
        let mut twice = b"before\n".to_vec();
        json(&again, &mut twice).expect("writes");
        assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&out), "what is read back is the same");
        assert_eq!(again.spans().len(), 2);

        batch.selection.restrict(1, 2);
        out.clear();
        json(&batch, &mut out).expect("writes");
        let line: serde_json::Value = serde_json::from_slice(&out).expect("one line of JSON");
        let spans = &line["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!((spans[0]["name"].as_str(), &spans[1]), (Some("SELECT"), &serde_json::Value::Null));
        assert_eq!(line["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "sh\nop");

        batch.selection.restrict(0, 0);
        out.clear();
        json(&batch, &mut out).expect("writes");
        assert_eq!(out, b"", "no span, no line");
    }

    #[test]
    fn a_text_is_a_span_a_line() {
        let mut out = Vec::new();
        text(&batch(), &mut out);
        let ids = "trace_id=5b8efff798038103d269b633813fc60c span_id=eee19b7ec3c1b17";
        let expected = format!(
            "2026-11-23T00:02:03.000000000Z sh\\nop SERVER GET / 12.500 ms {ids}4\n\
             1970-01-01T00:00:00.000000000Z sh\\nop CLIENT SELECT 0.000 ms ERROR gone {ids}5\n"
        );
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }
}
