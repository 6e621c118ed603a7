//! The same records, whatever a read brought.

use super::*;
use crate::data::{Generation, LogBatch};
use crate::tail::generation::GenerationFile;

const T: &str = "2026-11-23T00:00:00.000000000Z";

/// A record as a reader sees it.
type Seen = (String, Option<String>, u64, u64);

fn generation(text: &[u8]) -> Arc<GenerationFile> {
    use std::io::Write;
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(text).expect("writes");
    let generation = Generation { id: fastrand::u64(1..), birth: UnixNanos(1) };
    Arc::new(GenerationFile::new(generation, Arc::new(file), 0, None))
}

fn seen(batch: &LogBatch) -> Vec<Seen> {
    let record = |view: crate::data::LogView<'_>| {
        let stream = view.attributes().iter().find(|a| view.bytes(a.key) == b"log.iostream");
        let stream = stream.map(|attribute| match attribute.value {
            Value::Text(text) => String::from_utf8_lossy(view.bytes(text)).into_owned(),
            other => panic!("{other:?}"),
        });
        (String::from_utf8_lossy(view.body()).into_owned(), stream, view.record.start, view.record.end)
    };
    batch.iter().map(record).collect()
}

/// Cuts `text` in segments that end at the line feeds numbered in `ends`.
fn cut(format: Format, most: usize, text: &[u8], ends: &[usize]) -> (Vec<Seen>, Counts) {
    let file = generation(text);
    let mut cutter = LineCutter::new(format, most, None);
    let feeds: Vec<usize> = memchr_iter(b'\n', text).map(|feed| feed + 1).collect();
    let mut bounds: Vec<usize> = ends.iter().filter_map(|end| feeds.get(*end).copied()).collect();
    bounds.push(text.len());
    bounds.sort_unstable();
    let (mut all, mut total, mut from) = (Vec::new(), Counts::default(), 0);
    for bound in bounds {
        // The chunk has other bytes before and behind.
        let chunk = Chunk::from_vec([b"??", &text[from..bound], b"??"].concat());
        let segment = Segment {
            chunk: &chunk,
            from: 2,
            len: bound - from,
            file: &file,
            seq: 0,
            offset: from as u64,
            reached: UnixNanos(1),
        };
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        let counts = cutter.cut(&segment, &mut builder);
        all.extend(seen(&builder.build()));
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        if bound == text.len() {
            cutter.flush(&segment, &mut builder);
            all.extend(seen(&builder.build()));
        }
        total.broken += counts.broken;
        total.cut += counts.cut;
        from = bound;
    }
    assert_eq!(cutter.oldest_open(), None);
    (all, total)
}

fn bodies(records: &[Seen]) -> Vec<&str> {
    records.iter().map(|record| record.0.as_str()).collect()
}

#[test]
fn lines_of_a_runtime() {
    let text = format!(
        "{T} stdout F one\n{T} stderr P left \n{T} stdout F between\n{T} stderr F right\nno header\n\
         {T} stdout F \n{T} stdout F a\0b\n{T} stdout P never ended"
    );
    let (records, counts) = cut(Format::Container, 1 << 20, text.as_bytes(), &[]);
    assert_eq!(bodies(&records), ["one", "between", "left right", "no header", "", "a\0b", "never ended"]);
    let streams: Vec<_> = records.iter().map(|record| record.1.as_deref()).collect();
    let (out, err) = (Some("stdout"), Some("stderr"));
    assert_eq!(streams, [out, out, err, None, out, out, out]);
    assert_eq!(counts.broken, 1);
    let line = T.len() + 10;
    assert_eq!((records[0].2, records[0].3), (0, line as u64 + 4));
    assert_eq!(records[2].2, line as u64 + 4, "a joined record begins where its first part does");
}

#[test]
fn lines_of_docker() {
    let line = |log: &str| format!("{{\"log\":{log},\"stream\":\"stdout\",\"time\":\"{T}\"}}\n");
    let text = [line(r#""plain\n""#), line(r#""{\"a\":\"\\n\"}\n""#), line(r#""part ""#), line(r#""end\n""#)].concat();
    let (records, _) = cut(Format::Container, 1 << 20, text.as_bytes(), &[]);
    assert_eq!(bodies(&records), ["plain", r#"{"a":"\n"}"#, "part end"]);
}

#[test]
fn long_records_are_cut_at_the_same_places() {
    let long = "x".repeat(25);
    let (records, counts) = cut(Format::Text, 10, format!("{long}\nshort\r\n").as_bytes(), &[]);
    assert_eq!(bodies(&records), ["xxxxxxxxxx", "xxxxxxxxxx", "xxxxx", "short"]);
    assert_eq!(records.iter().map(|r| (r.2, r.3)).collect::<Vec<_>>(), [(0, 10), (10, 20), (20, 26), (26, 33)]);
    assert_eq!(counts.cut, 2);
    let text: String = (0..5).map(|n| format!("{T} stdout P part{n}\n")).collect();
    let (records, _) = cut(Format::Container, 10, format!("{text}{T} stdout F .\n").as_bytes(), &[]);
    assert_eq!(bodies(&records), ["part0part1", "part2part3", "part4."]);
}

proptest::proptest! {
    #[test]
    fn records_do_not_depend_on_reads(
        lines in proptest::collection::vec((0u8..3, proptest::bool::ANY, "[a-z]{0,12}"), 1..40),
        ends in proptest::collection::vec(0usize..40, 0..10),
        most in 4usize..40,
    ) {
        let text: String = lines
            .iter()
            .map(|(kind, err, text)| {
                let stream = if *err { "stderr" } else { "stdout" };
                match kind {
                    0 => format!("{T} {stream} F {text}\n"),
                    1 => format!("{T} {stream} P {text}\n"),
                    _ => format!("broken {text}\n"),
                }
            })
            .collect();
        let whole = cut(Format::Container, most, text.as_bytes(), &[]);
        let parts = cut(Format::Container, most, text.as_bytes(), &ends);
        proptest::prop_assert_eq!(&whole.0, &parts.0);
        proptest::prop_assert_eq!(whole.1.cut, parts.1.cut);
        // Nothing is lost: every byte of content is in some record.
        let content: usize = lines.iter().map(|(kind, _, text)| text.len() + if *kind > 1 { 7 } else { 0 }).sum();
        proptest::prop_assert_eq!(whole.0.iter().map(|record| record.0.len()).sum::<usize>(), content);
    }
}
