//! Every file of `tests/formats/otlp_metrics/input`, a request in OTLP's JSON: what it becomes, and what goes out for that.
//! `TAILWATER_UPDATE_GOLDENS=1` writes what is expected anew, and the requests as seeds for the fuzz target.

use std::path::Path;

use super::*;

/// A batch as requests in JSON.
fn out(encoder: &mut Encoder, batch: &MetricBatch) -> String {
    let written = all_of(encoder, batch, 1 << 20);
    let json = written.iter().filter(|encoded| encoded.points > 0).map(|encoded| {
        let message = ExportMetricsServiceRequest::decode(&*encoded.body).expect("a request");
        serde_json::to_string_pretty(&message).expect("JSON")
    });
    json.collect::<Vec<_>>().join("\n")
}

#[test]
fn requests_become_what_is_expected_of_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/otlp_metrics");
    let entries = std::fs::read_dir(folder.join("input")).expect("there are inputs");
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 6, "there are goldens");
    let update = std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some();
    for input in inputs {
        let request: ExportMetricsServiceRequest = serde_json::from_slice(&std::fs::read(&input).expect("readable"))
            .unwrap_or_else(|error| panic!("{}: {error}", input.display()));
        let (mut source, mut encoder) = (Source::default(), Encoder::new("0"));
        let decoded = source.read(&request);
        let mut told = String::new();
        if let Some(batch) = &decoded.batch {
            let look = source.table.read();
            for (line, sample) in lines(batch).iter().zip(batch.iter()) {
                let family = look.family(sample.series);
                writeln!(told, "{line}  [{} of {} {:?}]", family.kind.name(), family.name, &*family.unit)
                    .expect("memory");
            }
        }
        writeln!(told, "\ntaken: {} points\nrefused: {}\n", decoded.points, decoded.refused).expect("memory");
        if let Some(batch) = &decoded.batch {
            writeln!(told, "{}", out(&mut encoder, batch)).expect("memory");
        }
        let name = input.file_stem().expect("a name").to_string_lossy();
        let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/otlp_metrics").join(format!("{name}.pb"));
        let expected = folder.join("expected").join(format!("{name}.txt"));
        if update {
            std::fs::write(&expected, &told).expect("writable");
            std::fs::write(&seed, request.encode_to_vec()).expect("writable");
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(told, expected, "{}", input.display());
        assert_eq!(std::fs::read(&seed).ok(), Some(request.encode_to_vec()), "{}", seed.display());
    }
}
