//! Batches through an edge, and the spans that come of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::data::{Chunk, LogBuilder, LogRecord, Signal, Slice};
use crate::delivery::queue::{WhenFull, edge};
use crate::delivery::{Ack, Message};
use crate::formats::otlp::json::{self, Document};
use crate::formats::otlp::traces::index;
use crate::telemetry::Telemetry;

/// Metrics of a process that follows every batch, and the spans that came of it.
fn followed() -> (Telemetry, Arc<Mutex<Vec<SpanData>>>) {
    let (telemetry, spans) = (Telemetry::new(), Arc::new(Mutex::new(Vec::new())));
    let keep = spans.clone();
    telemetry.own_traces().follow(1.0, Arc::new(move |span| keep.lock().expect("not poisoned").push(span)));
    (telemetry, spans)
}

fn logs() -> Batch {
    let mut builder = LogBuilder::new(Arc::default(), Arc::default());
    let chunk = builder.add_chunk(Chunk::from_static(b"a line"));
    builder.source().records.extend([LogRecord::of_body(Slice::new(chunk, 0, 6)); 3]);
    Batch::Logs(builder.build())
}

fn traces(scope: &str) -> Batch {
    let text = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[
            {{"spans":[{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a"}}]}},
            {{"scope":{{"name":"{scope}"}},
             "spans":[{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b175","name":"b"}}]}}]}}]}}"#
    );
    let message = json::read(Document::Request(Signal::Traces), text.as_bytes(), 1 << 20).expect("OTLP/JSON");
    Batch::Traces(index(Chunk::from_vec(message)).expect("indexed").batch)
}

fn number(span: &SpanData, key: &str) -> Option<i64> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    if let opentelemetry::Value::I64(number) = found.value { Some(number) } else { None }
}

#[tokio::test]
async fn a_way_has_its_waits_and_its_requests_below_it() {
    let (telemetry, spans) = followed();
    let (source, sink) = (telemetry.component("source", "file/in"), telemetry.component("sink", "elasticsearch/out"));
    let (sender, mut receiver) = edge(1 << 20, WhenFull::Block, sink.clone());
    let message = Message::new(logs(), Ack::detached());
    message.ack.follow(begin("read", &source, &message.batch).expect("all are followed"));
    sender.send(message).await.expect("open");
    let message = receiver.recv().await.expect("there");
    for attempted in [Attempted::Retry { reason: "busy".into(), after: None, progress: false }, Attempted::Done] {
        message.ack.request(&sink).expect("followed").attempted(&attempted);
    }
    message.ack.count(Outcome::Delivered, 2);
    message.ack.refuse(Outcome::Refused, 1, "too odd");
    assert_eq!(spans.lock().expect("not poisoned").len(), 3, "the rest is not over");
    message.ack.done();

    let spans = std::mem::take(&mut *spans.lock().expect("not poisoned"));
    let ids: HashMap<_, _> = spans.iter().map(|span| (span.span_context.span_id(), &*span.name)).collect();
    let shown: Vec<_> = spans
        .iter()
        .map(|span| {
            let parent = ids.get(&span.parent_span_id).copied().unwrap_or("none");
            let failed = if let Status::Error { description } = &span.status { description } else { "" };
            (&*span.name, parent, failed)
        })
        .collect();
    let expected = [
        ("wait for elasticsearch/out", "read file/in", ""),
        ("send elasticsearch/out", "deliver elasticsearch/out", "busy"),
        ("send elasticsearch/out", "deliver elasticsearch/out", ""),
        ("deliver elasticsearch/out", "read file/in", "too odd"),
        ("read file/in", "none", "too odd"),
    ];
    assert_eq!(shown, expected);
    assert!(spans.iter().all(|span| span.span_context.trace_id() == spans[0].span_context.trace_id()));
    for span in &spans[3..] {
        assert_eq!(number(span, "tailwater.records"), Some(3));
        assert_eq!(number(span, "tailwater.records.delivered"), Some(2));
        assert_eq!(number(span, "tailwater.records.refused"), Some(1));
    }
}

#[test]
fn a_leg_lasts_until_the_last_part_is_done_and_tells_one_that_vanished() {
    let (telemetry, spans) = followed();
    let sink = telemetry.component("sink", "file/out");
    let batch = logs();
    let mut ack = Ack::detached();
    ack.follow(begin("read", &sink, &batch).expect("followed"));
    ack.go_on("deliver", &sink, &batch);
    let (part, other) = (ack.fork(), ack.fork());
    ack.done();
    part.done();
    assert!(spans.lock().expect("not poisoned").is_empty());
    drop(other);
    let spans = spans.lock().expect("not poisoned");
    assert_eq!(spans.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["deliver file/out", "read file/out"]);
    assert!(spans.iter().all(|span| span.status == Status::error(ABANDONED)), "{spans:?}");
}

#[test]
fn an_agents_own_spans_are_never_followed() {
    let (telemetry, spans) = followed();
    let source = telemetry.component("source", "otlp/in");
    assert!(begin("read", &source, &traces("shop")).is_some());
    assert!(begin("read", &source, &traces(SCOPE)).is_none(), "not even with others beside them");
    telemetry.own_traces().stop();
    assert!(begin("read", &source, &logs()).is_none());
    assert_eq!(spans.lock().expect("not poisoned").len(), 1);
}
