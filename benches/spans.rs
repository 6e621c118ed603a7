//! What spans cost in requests of 200, stage by stage: the index of a request, a condition and edits on every span, and
//! the request that goes out.

#[path = "end_to_end/traces/requests.rs"]
#[allow(dead_code, reason = "benches of the whole path count spans too")]
mod requests;
mod stages;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use stages::Steps;
use tailwater::data::names::Interest;
use tailwater::data::{Batch, Chunk, Signal, TraceBatch};
use tailwater::delivery::{Message, Outcome};
use tailwater::formats::otlp::traces::{Emitter, index};

fn indexed(request: &Chunk) -> TraceBatch {
    index(request.clone()).expect("well-formed").batch
}

fn through(steps: &mut Steps, batch: TraceBatch) -> TraceBatch {
    let message = steps.pass(Batch::Traces(batch)).expect("something is left");
    let Message { batch: Batch::Traces(batch), ack, .. } = message else { panic!("a batch of spans") };
    ack.settle(Outcome::Delivered, batch.selection.count() as u64);
    batch
}

fn benches(criterion: &mut Criterion) {
    let requests: Vec<_> = requests::make(7).into_iter().map(Chunk::from_bytes).collect();
    let mut turns = requests.iter().cycle();
    let mut next = || turns.next().expect("it goes round");
    let mut group = criterion.benchmark_group("spans");
    group.throughput(Throughput::Elements(requests::SPANS as u64));
    group.bench_function("index", |bencher| bencher.iter(|| black_box(indexed(next()))));
    let absent = r#"attributes["user_agent.original"] == "kube-probe/1.36""#;
    let set = r#"attributes["deployment.environment.name"] = "production""#;
    let cases = [
        ("condition on the index", json!([{ "drop": "duration > \"1h\"" }])),
        ("condition on an attribute", json!([{ "drop": absent }])),
        ("set", json!([{ "set": set }])),
        ("condition and set", json!([{ "drop": absent }, { "set": set }])),
        ("delete", json!([{ "delete": "attributes[\"client.address\"]" }])),
        ("redact all texts", json!([{ "redact": { "patterns": ["email"] } }])),
    ];
    for (name, list) in cases {
        let mut steps = Steps::of(Signal::Traces, list, &Interest::default());
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| indexed(next()), |batch| through(&mut steps, batch), BatchSize::SmallInput);
        });
    }
    let mut emit = |name: &str, list: serde_json::Value| {
        let mut steps = Steps::of(Signal::Traces, list, &Interest::default());
        let mut emitter = Emitter::default();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || through(&mut steps, indexed(next())),
                |batch| {
                    emitter.emit(&batch, 0..batch.spans().len(), 4 << 20);
                    (emitter.finish(), batch)
                },
                BatchSize::SmallInput,
            );
        });
    };
    emit("emit whole", json!([]));
    emit("emit edited", json!([{ "set": set }]));
    emit("emit every third gone", json!([{ "drop": "attributes[\"http.response.status_code\"] == 200" }]));
    group.finish();
}

criterion_group!(spans, benches);
criterion_main!(spans);
