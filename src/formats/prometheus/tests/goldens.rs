//! Every file of `tests/formats/*/input`, read and compared with what `expected` says of it.
//! `TAILWATER_UPDATE_GOLDENS=1` writes what is expected anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::super::openmetrics::strict;
use super::super::*;

fn folder(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(format)
}

fn compare(format: &str, told: impl Fn(&[u8]) -> String) {
    let entries = std::fs::read_dir(folder(format).join("input")).expect("there are inputs");
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 5, "{format} has goldens");
    let update = std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some();
    for input in inputs {
        let name = input.file_stem().expect("a name").to_string_lossy();
        let expected = folder(format).join("expected").join(format!("{name}.txt"));
        let told = told(&std::fs::read(&input).expect("readable"));
        if update {
            std::fs::write(&expected, &told).expect("writable");
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(told, expected, "{}", input.display());
    }
}

/// What a parser reads, an entry a line, and its error at the end.
fn entries<P: Exposition>(mut parser: P) -> String {
    let mut told = String::new();
    let mut labels = LabelSet::new();
    loop {
        let entry = match parser.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => return told,
            Err(error) => {
                writeln!(told, "error {error}").expect("memory");
                return told;
            }
        };
        let exemplar = |told: &mut String, exemplar: RawExemplar<'_>| {
            let mut labels = LabelSet::new();
            match P::read_exemplar(exemplar, &mut labels) {
                Ok(()) => write!(told, " exemplar {labels:?} {} ", exemplar.value),
                Err(fault) => write!(told, " exemplar refused: {fault}"),
            }
            .expect("memory");
            moment(told, '@', exemplar.timestamp);
        };
        let mut rest = String::new();
        let raw = match entry {
            Entry::Series(Series { raw, point, created }) => {
                write!(rest, "{} ", point.value).expect("memory");
                moment(&mut rest, '@', point.timestamp);
                moment(&mut rest, '+', created);
                point.exemplar.into_iter().for_each(|found| exemplar(&mut rest, found));
                raw.to_vec()
            }
            Entry::Histogram(series) => {
                write!(rest, "{:?} ", series.histogram).expect("memory");
                moment(&mut rest, '@', series.timestamp);
                moment(&mut rest, '+', series.created);
                series.exemplars.iter().for_each(|found| exemplar(&mut rest, *found));
                series.raw.to_vec()
            }
            other => {
                metadata(&mut told, &other);
                continue;
            }
        };
        match P::read_labels(&raw, parser.kind(), &mut labels) {
            Ok(()) => writeln!(told, "{labels:?} {}", rest.trim_end()),
            Err(fault) => writeln!(told, "labels refused: {fault}"),
        }
        .expect("memory");
    }
}

fn moment(told: &mut String, sign: char, time: Option<UnixMillis>) {
    if let Some(UnixMillis(millis)) = time {
        write!(told, "{sign}{millis} ").expect("memory");
    }
}

fn metadata(told: &mut String, entry: &Entry<'_>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match entry {
        Entry::Type { name, kind } => writeln!(told, "type {:?} {}", text(name), kind.name()),
        Entry::Help { name, text: help } => writeln!(told, "help {:?} {:?}", text(name), text(help)),
        Entry::Unit { name, unit } => writeln!(told, "unit {:?} {:?}", text(name), text(unit)),
        Entry::Comment(comment) => writeln!(told, "comment {:?}", text(comment)),
        Entry::Series(_) | Entry::Histogram(_) => Ok(()),
    }
    .expect("memory");
}

#[test]
fn text() {
    compare("prometheus_text", |body| entries(TextParser::new(body)));
}

#[test]
fn openmetrics() {
    compare("openmetrics", |body| {
        let strict = strict::check(body).map_or_else(|violation| violation.to_string(), |_| "valid".into());
        format!("{}check: {strict}\n", entries(OpenMetricsParser::new(body)))
    });
}

#[test]
fn protobuf() {
    compare("prometheus_protobuf", |body| {
        let parser = |native, classic_too| ProtobufParser::new(body, Histograms { native, classic_too });
        format!("{}\nnative histograms:\n{}", entries(parser(false, false)), entries(parser(true, true)))
    });
}
