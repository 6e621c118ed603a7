//! Both text parsers: what is read, what is refused and where, and that knowing what comes next changes nothing.

mod goldens;

use proptest::prelude::*;

use super::*;

fn entries<'a>(mut next: impl FnMut() -> Result<Option<Entry<'a>>, ParseError>) -> Result<Vec<Entry<'a>>, String> {
    let mut all = Vec::new();
    while let Some(entry) = next().map_err(|error| error.to_string())? {
        all.push(entry);
    }
    Ok(all)
}

fn text(body: &str) -> Result<Vec<Entry<'_>>, String> {
    let mut parser = TextParser::new(body.as_bytes());
    entries(|| parser.entry())
}

fn openmetrics(body: &str) -> Result<Vec<Entry<'_>>, String> {
    let mut parser = OpenMetricsParser::new(body.as_bytes());
    entries(|| parser.entry())
}

fn sample(raw: &str, value: f64, millis: Option<i64>) -> Entry<'_> {
    let point = Point { value, timestamp: millis.map(UnixMillis), exemplar: None };
    Entry::Series(Series { raw: raw.as_bytes(), point, created: None })
}

#[test]
fn text_is_read_as_loosely_as_prometheus_reads_it() {
    let body = "\n# HELP up Is it \\\\ \\n up?\n# TYPE up gauge\n#comment\n# HELP\n  # more\n\nup 1\n\tup\t2.5  1000\n\
                up{a=\"b\nc\"}3\nup { a = \"1\" b=\"2\", } NaN\n{\"my.up\"} +Inf 5 \n# TYPE \"my.x\" untyped\nup 1e3";
    let all = text(body).expect("an exposition");
    let expected = [
        Entry::Help { name: b"up", text: b"Is it \\\\ \\n up?" },
        Entry::Type { name: b"up", kind: MetricKind::Gauge },
        Entry::Comment(b"#comment"),
        Entry::Comment(b"# HELP"),
        Entry::Comment(b"# more"),
        sample("up", 1.0, None),
        sample("up", 2.5, Some(1000)),
        sample("up{a=\"b\nc\"}", 3.0, None),
    ];
    assert_eq!(all[..8], expected);
    assert!(matches!(all[8], Entry::Series(series) if series.point.value.to_bits() == number::NORMAL_NAN.to_bits()));
    let expected = [
        sample("{\"my.up\"}", f64::INFINITY, Some(5)),
        Entry::Type { name: b"my.x", kind: MetricKind::Unknown },
        sample("up", 1000.0, None),
    ];
    assert_eq!(all[9..], expected);
    assert_eq!(text(""), Ok(Vec::new()));
}

#[test]
fn text_that_prometheus_refuses_is_refused_with_line_and_column() {
    let cases = [
        ("up\n", "1:3: a value is expected behind the series"),
        ("up 1\nup x\n", "2:4: not a number"),
        ("up 1_0\n", "1:4: not a number"),
        ("up 0x1\n", "1:4: not a number"),
        ("up 1\r\n", "1:4: not a number"),
        ("up 1 -5\n", "1:6: the line must end here"),
        ("up 1 1.5\n", "1:7: the line must end here"),
        ("up 1 99999999999999999999\n", "1:6: not a timestamp"),
        ("up 1 5 6\n", "1:8: the line must end here"),
        ("up{a=\"1\"\n", "1:9: a label's name or `}` is expected"),
        ("{a=\"1\"} 1\n", "1:8: the series has no metric name"),
        ("1up 1\n", "1:1: a line must begin with a metric's name, `{` or `#`"),
        ("up 1\n\0\n", "2:1: a line must begin with a metric's name, `{` or `#`"),
        ("# TYPE up\n", "1:10: unknown metric type"),
        ("# TYPE up  gauge\n", "1:10: unknown metric type"),
        ("# TYPE up gauge \n", "1:10: unknown metric type"),
        ("# TYPE up info\n", "1:10: unknown metric type"),
        ("# HELP 1 x\n", "1:8: a metric's name is expected"),
    ];
    for (body, told) in cases {
        assert_eq!(text(body), Err(told.to_owned()), "{body:?}");
    }
}

#[test]
fn openmetrics_is_read_with_exemplars_units_and_seconds() {
    let body = "# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n# HELP a_seconds x \\\"y\\\"\n\
                a_seconds_bucket{le=\"1\"} 2 # {trace_id=\"abc\"} 0.5 1520879607.789\n\
                a_seconds_bucket{le=\"+Inf\"} 3 1520879608 # {} 7\na_seconds_created 1520430000.123\n\
                # UNIT a \n{\"b.c\",} 1.5 -1\n# EOF";
    let all = openmetrics(body).expect("an exposition");
    assert_eq!(all[0], Entry::Type { name: b"a_seconds", kind: MetricKind::Histogram });
    assert_eq!(all[1], Entry::Unit { name: b"a_seconds", unit: b"seconds" });
    assert_eq!(all[2], Entry::Help { name: b"a_seconds", text: b"x \\\"y\\\"" });
    let exemplar = |labels, value, timestamp| Some(RawExemplar { labels, value, timestamp });
    let Entry::Series(first) = all[3] else { panic!("{:?}", all[3]) };
    assert_eq!(first.point.exemplar, exemplar(b"{trace_id=\"abc\"}", 0.5, Some(UnixMillis(1_520_879_607_789))));
    let Entry::Series(second) = all[4] else { panic!("{:?}", all[4]) };
    assert_eq!(second.point.timestamp, Some(UnixMillis(1_520_879_608_000)));
    assert_eq!(second.point.exemplar, exemplar(b"{}", 7.0, None));
    assert_eq!(all[5], sample("a_seconds_created", 1_520_430_000.123, None));
    assert_eq!(all[6], Entry::Unit { name: b"a", unit: b"" });
    assert_eq!(all[7], sample("{\"b.c\",}", 1.5, Some(-1000)));
    assert_eq!(openmetrics("# EOF\n"), Ok(Vec::new()));
}

#[test]
fn openmetrics_that_prometheus_refuses_is_refused_with_line_and_column() {
    let cases = [
        ("", "1:1: the exposition does not end with `# EOF`"),
        ("a 1\n", "2:1: the exposition does not end with `# EOF`"),
        ("a 1", "1:4: the exposition does not end with `# EOF`"),
        ("# EOF\n\n", "2:1: there is more behind `# EOF`"),
        ("a 1\n\n# EOF\n", "2:1: a line must begin with a metric's name, `{` or `#`"),
        ("# hello\n# EOF\n", "1:1: a line must begin with a metric's name, `{` or `#`"),
        ("a  1\n# EOF\n", "1:3: a value is expected behind the series"),
        ("a 1 \n# EOF\n", "1:5: the line must end here"),
        ("a 1 NaN\n# EOF\n", "1:5: not a timestamp"),
        ("a 1 1 1\n# EOF\n", "1:6: the line must end here"),
        ("a 1 # {\"x\"} 1\n# EOF\n", "1:8: a label's name or `}` is expected"),
        ("a 1 # {a=\"b\"}\n# EOF\n", "1:14: a value is expected behind the series"),
        ("a 1 # {a=\"b\"} 1 +Inf\n# EOF\n", "1:17: not a timestamp"),
        ("# TYPE a untyped\n# EOF\n", "1:10: unknown metric type"),
        ("# HELP a\n# EOF\n", "1:9: a text is expected behind the metric's name"),
        ("# UNIT a_b c\n# EOF\n", "1:8: the unit is not a suffix of the metric's name"),
        ("# UNIT b b\n# EOF\n", "1:8: the unit is not a suffix of the metric's name"),
    ];
    for (body, told) in cases {
        assert_eq!(openmetrics(body), Err(told.to_owned()), "{body:?}");
    }
}

/// Reads `body` as one who saw `before`: samples are predicted, everything else is skipped where it is the same.
pub(super) fn predicted<P: Exposition>(mut before: P, mut now: P) -> Result<Vec<String>, String> {
    let mut told = Vec::new();
    let mut known: Vec<(Option<Vec<u8>>, Vec<u8>, MetricKind)> = Vec::new();
    while let Ok(Some(entry)) = before.next() {
        let raw = if let Entry::Series(series) = entry { Some(series.raw.to_vec()) } else { None };
        known.push((raw, before.consumed().to_vec(), before.kind()));
    }
    let mut known = known.iter();
    loop {
        if let Some((raw, bytes, kind)) = known.next() {
            match raw {
                Some(raw) => {
                    let kind = now.kind();
                    if let Some(point) = now.predicted(raw) {
                        told.push(format!("{:?} {kind:?} {point:?}", String::from_utf8_lossy(raw)));
                        continue;
                    }
                }
                None if now.skip(bytes, *kind) => continue,
                None => {}
            }
        }
        let Some(entry) = now.next().map_err(|error| error.to_string())? else { return Ok(told) };
        if let Entry::Histogram(series) = entry {
            told.push(format!("{:?} {:?}", series.raw, series.histogram));
        } else if let Entry::Series(series) = entry {
            let (raw, point) = (String::from_utf8_lossy(series.raw).into_owned(), format!("{:?}", series.point));
            told.push(format!("{raw:?} {:?} {point}", now.kind()));
        }
    }
}

#[test]
fn a_help_that_is_skipped_does_not_bring_back_an_earlier_kind() {
    let mut parser = TextParser::new(b"# TYPE a counter\n# HELP a x\n#  TYPE a gauge\n");
    assert!(parser.next().is_ok_and(|entry| entry.is_some()));
    assert!(parser.skip(b"# HELP a x\n", MetricKind::Unknown));
    assert_eq!(parser.kind(), MetricKind::Counter);
    assert!(parser.skip(b"#  TYPE a gauge\n", MetricKind::Gauge));
    assert_eq!(parser.kind(), MetricKind::Gauge);
}

/// Lines of which some are wrong.
fn line() -> impl Strategy<Value = String> {
    let name = prop_oneof!["[a-c]", Just("{\"a.b\"}".to_owned()), Just("a{b=\"c\"}".to_owned()), "[ -~]{0,6}"];
    let value = prop_oneof!["-?[0-9]{1,3}(\\.[0-9])?", Just("NaN".to_owned()), Just("+Inf".to_owned()), "[ -~]{0,4}"];
    let rest = prop_oneof![
        6 => Just(String::new()),
        1 => " [0-9]{1,4}",
        1 => Just(" # {a=\"b\"} 1".to_owned()),
        1 => "[ -~]{0,4}",
    ];
    prop_oneof![
        5 => (name, value, rest).prop_map(|(name, value, rest)| format!("{name} {value}{rest}\n")),
        1 => Just("# TYPE a counter\n".to_owned()),
        1 => Just("# TYPE a gauge\n".to_owned()),
        1 => Just("# HELP a x\n".to_owned()),
    ]
}

proptest! {
    #[test]
    fn knowing_the_last_exposition_changes_nothing(
        mut lines in proptest::collection::vec(line(), 0..12),
        changed in proptest::collection::vec((0_usize..12, line()), 0..3),
    ) {
        let before = format!("{}# EOF\n", lines.concat());
        for (index, line) in changed {
            if let Some(place) = lines.get_mut(index) {
                *place = line;
            }
        }
        let now = format!("{}# EOF\n", lines.concat());
        let (before, now) = (before.as_bytes(), now.as_bytes());
        let fresh = predicted(TextParser::new(b""), TextParser::new(now));
        prop_assert_eq!(predicted(TextParser::new(before), TextParser::new(now)), fresh);
        let fresh = predicted(OpenMetricsParser::new(b""), OpenMetricsParser::new(now));
        prop_assert_eq!(predicted(OpenMetricsParser::new(before), OpenMetricsParser::new(now)), fresh);
    }

    #[test]
    fn no_bytes_make_a_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut parser = TextParser::new(&body);
        while let Ok(Some(_)) = parser.next() {}
        let mut parser = OpenMetricsParser::new(&body);
        while let Ok(Some(_)) = parser.next() {}
    }
}
