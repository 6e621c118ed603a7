//! Requests in a folder, and all that becomes of each.

use std::path::Path;

use super::super::super::json::{self, Document};
use super::*;
use crate::data::{Names, Signal};
use crate::formats::document::{DocumentEncoder, Form, Layout};
use crate::formats::json::Scanner;

/// `tests/formats/otlp_logs`: a request in OTLP/JSON, and below the documents of its records in both layouts and the
/// request that they leave as, each record with `parse_json` and without.
#[test]
fn goldens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/otlp_logs");
    let inputs = std::fs::read_dir(folder.join("input")).expect("goldens");
    let mut inputs: Vec<_> = inputs.map(|entry| entry.expect("entry").path()).collect();
    inputs.sort();
    assert!(inputs.len() > 2, "the goldens are there");
    for input in inputs {
        let request = json::read(Document::Request(Signal::Logs), &std::fs::read(&input).expect("text"), 1 << 20);
        let request = request.unwrap_or_else(|error| panic!("{}: {error}", input.display()));
        let decoded = decoded(&request).expect("well-formed");
        let mut shown = format!("refused: {}\n", decoded.refused);
        for (title, parse) in [("as it came", false), ("parsed", true)] {
            let mut batches = decoded.batches.clone();
            if parse {
                batches.iter_mut().for_each(parse_bodies);
            }
            shown.push_str(&format!("\n{title}\n"));
            for batch in &batches {
                shown.push_str(&documents(batch));
            }
            let again = encoded(&batches, "otlp/x.logs").encode_to_vec();
            let mut json = Vec::new();
            json::write(Document::Request(Signal::Logs), &again, &mut json).expect("a message");
            shown.push_str(&String::from_utf8(json).expect("text"));
            shown.push('\n');
        }
        let name = input.file_stem().expect("a name").to_string_lossy().into_owned();
        let expected = folder.join("expected").join(format!("{name}.txt"));
        let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/seeds/otlp_logs/{name}"));
        if std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some() {
            std::fs::write(&expected, &shown).expect("writable");
            std::fs::write(&seed, &request).expect("writable");
        }
        assert_eq!(shown, std::fs::read_to_string(&expected).unwrap_or_default(), "{name}");
        assert_eq!(request, std::fs::read(&seed).unwrap_or_default(), "the fuzzer's seed {name}");
    }
}

fn documents(batch: &LogBatch) -> String {
    let mut shown = String::new();
    for layout in [Layout::Otel, Layout::Ecs] {
        let mut documents = DocumentEncoder::new(layout);
        documents.begin(batch, UnixNanos(1_795_957_300_000_000_000));
        for view in batch.iter() {
            let mut document = Vec::new();
            documents.write(&view, Form::Spliced, &mut document);
            let document = String::from_utf8(document).expect("documents are text");
            serde_json::from_str::<serde_json::Value>(&document).unwrap_or_else(|error| panic!("{error}: {document}"));
            shown.push_str(&document);
            shown.push('\n');
        }
    }
    shown
}

/// What the step `parse_json` does, for the graph of both layouts.
fn parse_bodies(batch: &mut LogBatch) {
    let mut interest = DocumentEncoder::interest(Layout::Otel);
    interest.merge(&DocumentEncoder::interest(Layout::Ecs));
    let mut scanner = Scanner::new(&Names::default(), &interest);
    let (overlay, payload) = batch.edit();
    for index in 0..payload.source.records.len() {
        let body = overlay.states[index].body;
        if scanner.parse_into(body, payload.bytes(body), overlay, index).is_ok() {
            overlay.states[index].body = Slice::EMPTY;
        }
    }
}
