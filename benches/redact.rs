//! What redaction costs on lines of about 340 bytes, beside a plain search for newlines over the same bytes.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value as Json, json};
use tailwater::data::names::Interest;
use tailwater::data::{Chunk, LogBatch, LogBuilder, LogRecord, Names, Slice};
use tailwater::expression::logs::SUBJECT;
use tailwater::transforms::steps::edit::Workbench;
use tailwater::transforms::steps::step::{Step, StepKind};
use tailwater::transforms::steps::{parse_json, redact, set};

const LINES: usize = 500;

fn line(number: usize, mail: &str) -> String {
    let message = "checkout finished for basket with 3 positions, payment accepted by provider, took 87 ms in total";
    format!(
        r#"{{"@timestamp":"2026-11-24T10:00:{:02}.{:09}Z","level":"info","logger":"shop.checkout.Basket","msg":"{message}","user_email":"{mail}","trace_id":"3f{:030x}","status":200,"duration":0.{:016},"ts":1764000{:06},"ok":true,"region":"eu-central-1"}}"#,
        number % 60,
        number * 7919 % 1_000_000_000,
        number * 104_729,
        number * 31,
        number
    )
}

fn batch(mail: &str) -> (LogBatch, String) {
    let text: Vec<String> = (0..LINES).map(|number| line(number, mail)).collect();
    let mut builder = LogBuilder::new(Arc::default(), Arc::default());
    let chunk = builder.add_chunk(Chunk::from_vec(text.concat().into_bytes()));
    let mut at = 0;
    for line in &text {
        let len = u32::try_from(line.len()).expect("short");
        builder.source().records.push(LogRecord::of_body(Slice::new(chunk, at, len)));
        at += len;
    }
    (builder.build(), text.join("\n"))
}

fn prepare(kind: &StepKind, options: Json, names: &Names, interest: &mut Interest) -> Box<dyn Step> {
    let plan = (kind.plan)(&mut <dyn erased_serde::Deserializer<'_>>::erase(options)).expect("valid options");
    let step = plan.prepare(&SUBJECT, names).expect("compiles");
    step.interest(interest);
    step
}

fn benches(criterion: &mut Criterion) {
    let all = json!({ "patterns": ["card_number", "email", "jwt"] });
    let one = json!({ "fields": ["attributes[\"user_email\"]"], "patterns": ["email"] });
    let nobody = "customer-12345-of-shop";
    let somebody = "customer-12345@shop.io";
    let mut group = criterion.benchmark_group("redact");
    let (_, text) = batch(nobody);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("newlines alone", |bencher| {
        bencher.iter(|| memchr::memchr_iter(b'\n', black_box(text.as_bytes())).fold(0, |sum, at| sum ^ at));
    });
    for (name, mail, kind, options) in [
        ("everywhere, nothing there", nobody, &redact::KIND, all.clone()),
        ("everywhere, an address in each line", somebody, &redact::KIND, all),
        ("one field, nothing there", nobody, &redact::KIND, one.clone()),
        ("one field, an address in each", somebody, &redact::KIND, one),
        ("set a constant", nobody, &set::KIND, json!("attributes[\"env\"] = \"prod\"")),
    ] {
        let (names, mut interest) = (Names::default(), Interest::default());
        let mut parse = prepare(&parse_json::KIND, json!({}), &names, &mut interest);
        let mut step = prepare(kind, options, &names, &mut interest);
        let mut bench = Workbench::new(&names, &interest);
        let records: Vec<u32> = (0..LINES as u32).collect();
        let (batch, _) = batch(mail);
        let parsed = |parse: &mut Box<dyn Step>, bench: &mut Workbench| {
            let mut batch = batch.clone();
            parse.run(&mut batch, &records, bench);
            batch
        };
        let mut parse_bench = bench.clone();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || parsed(&mut parse, &mut parse_bench),
                |mut batch| {
                    step.run(&mut batch, &records, &mut bench);
                    batch
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(redaction, benches);
criterion_main!(redaction);
