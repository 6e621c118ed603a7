//! What is valid and what is not, a rule at a time. The line and the rule are part of each expectation.

use super::*;

fn told(body: &str) -> String {
    check(body.as_bytes()).map_or_else(|violation| violation.to_string(), |_| "valid".to_owned())
}

/// Checks lines with the end that they need.
fn lines(lines: &str) -> String {
    told(&format!("{lines}\n# EOF\n"))
}

#[test]
fn valid_expositions() {
    let valid = [
        "# TYPE a counter\n# UNIT a \n# HELP a \na_total 1\na_created 1520430000.123",
        "# HELP a_s x\n# TYPE a_s counter\n# UNIT a_s s\na_s_total{a=\"1\"} 1 5 # {trace_id=\"x\"} 0.5 1\na_s_total{a=\"2\"} +Inf",
        "# TYPE a gauge\na{b=\"\\\\ \\\" \\n \\x } # {\"} -1e-3\na{b=\"\"} NaN\na 0042 -5.5\na 1. -5",
        "a +inf\nb -InFiNiTy\nc nan\nd .5E+1\na_total 1",
        "# TYPE a gauge",
        "# TYPE a gauge\n# TYPE b counter\n# HELP c never used",
        "# HELP a ends in \\\n# HELP b \"quotes\" and \0",
        "# TYPE h histogram\nh_bucket{le=\"-1\"} 0\nh_bucket{le=\"1\"} 2 # {} -5\nh_bucket{le=\"+Inf\"} 2.0 # {a=\"b\"} 1e9 3",
        "# TYPE h histogram\nh_sum 1\nh_count 2\nh_bucket{le=\"1e-05\"} 0\nh_bucket{le=\"+Inf\"} 2\nh_created 1",
        "# TYPE h histogram\nh_bucket{a=\"1\",le=\"+Inf\"} 2 1\nh_bucket{a=\"1\",le=\"+Inf\"} 3 2\nh_bucket{a=\"2\",le=\"+Inf\"} 1",
        "# TYPE g gaugehistogram\ng_bucket{le=\"-1\"} 1\ng_bucket{le=\"+Inf\"} 3\ng_gcount 3\ng_gsum -5",
        "# TYPE s summary\ns{quantile=\"0\"} NaN\ns{quantile=\"1.0\"} 2\ns_count 3\ns_sum 0.5\ns_created 4",
        "# TYPE s summary\ns_count{a=\"1\"} 0 123\ns_sum{a=\"1\"} 0 123\ns_count{a=\"1\"} 0 456\ns_sum{a=\"1\"} 0 456.0",
        "# TYPE i info\ni_info{a=\"1\"} 1 1\ni_info{a=\"2\"} 1.0 0",
        "# TYPE t stateset\nt{t=\"a\"} 0\nt{t=\"b\"} 1\nt{e=\"x\",t=\"a\"} 1.0",
        "# TYPE a gauge\na 1 0.0000000000\na 2 0.0000000001\na 3 12345678901234567890.1234567890",
    ];
    for body in valid {
        assert_eq!(lines(body), "valid", "{body}");
    }
    assert_eq!(told("# EOF"), "valid");
    assert_eq!(check(b"a 1\nb 2\nb{c=\"d\"} 3\n# EOF"), Ok(Summary { families: 2, samples: 3 }));
    let long = "é".repeat(127);
    assert_eq!(lines(&format!("# TYPE a counter\na_total 1 # {{a=\"{long}\"}} 1")), "valid");
}

/// Pairs of lines and what is told of them.
fn refused(cases: &[(&str, &str)]) {
    for (body, reason) in cases {
        let told = lines(body);
        assert!(told.starts_with(reason), "{body:?}: {told:?} is not {reason:?}");
    }
}

#[test]
fn the_text_as_a_whole() {
    let end = "the exposition must end with `# EOF`";
    assert_eq!(told(""), format!("1:1: {end}"));
    assert_eq!(told("a 1\n"), format!("2:1: {end}"));
    assert_eq!(told("a 1"), format!("1:4: {end}"));
    assert_eq!(told("# EOF\n\n"), "2:1: nothing may follow `# EOF`");
    assert_eq!(told("# EOF\na 1"), "2:1: nothing may follow `# EOF`");
    assert_eq!(told("\u{feff}# EOF\n"), "1:1: an exposition must not begin with a byte order mark");
    let utf8 = check(b"a 1\na{b=\"\xff\"} 1\n# EOF\n").expect_err("refused");
    assert_eq!(utf8.to_string(), "2:6: not valid UTF-8");
    refused(&[
        ("a 1\r", "1:4: a line must not end in a carriage"),
        ("# HELP a x\r", "1:11: a line must not end in a carriage"),
        ("a 1\n\nb 1", "2:1: there must be no blank line"),
        ("# a comment", "1:1: a line that begins with `#`"),
        ("#HELP a x", "1:1: a line that begins with `#`"),
        ("# EOFx", "1:1: a line that begins with `#`"),
        ("# help a x", "1:1: a line that begins with `#`"),
        (" # HELP a x", "1:1: a metric's name is expected"),
    ]);
}

#[test]
fn metadata_lines() {
    refused(&[
        ("# HELP", "1:1: a line that begins with `#`"),
        ("# HELP ", "1:8: a metric's name"),
        ("# HELP  a x", "1:8: a metric's name"),
        ("# HELP a", "1:9: a text is expected"),
        ("# HELP a\tx", "1:9: a text is expected"),
        ("# HELP \"a\" x", "1:8: a metric's name"),
        ("# TYPE a", "1:9: a text is expected"),
        ("# TYPE a untyped", "1:10: the type must be"),
        ("# TYPE a gauge ", "1:10: the type must be"),
        ("# TYPE a Gauge", "1:10: the type must be"),
        ("# UNIT a seconds", "1:10: the unit must be a suffix"),
        ("# UNIT seconds seconds", "1:16: the unit must be a suffix"),
        ("# UNIT a_seconds seconds ", "1:18: the unit must be a suffix"),
        ("# TYPE a_u info\n# UNIT a_u u", "2:1: a family of type info must not"),
        ("# UNIT a_u u\n# TYPE a_u stateset", "2:1: a family of type stateset must not"),
        ("# HELP a \n# HELP a ", "2:1: a family must not have more than one HELP"),
        ("# TYPE a gauge\n# TYPE a counter", "2:1: a family must not have more than one TYPE"),
        ("# UNIT a_s s\n# UNIT a_s s", "2:1: a family must not have more than one UNIT"),
        ("a 1\n# TYPE a gauge", "2:1: metadata must come before"),
        ("# TYPE _a gauge", "1:8: names that begin with an underscore"),
    ]);
}

#[test]
fn names_labels_and_numbers() {
    refused(&[
        ("0a 1", "1:1: a metric's name"),
        ("a.b 1", "1:2: one space and a value"),
        ("{\"a.b\"} 1", "1:1: a metric's name"),
        ("a", "1:2: one space and a value"),
        ("a ", "1:3: one space and a value"),
        ("a  1", "1:3: one space and a value"),
        ("a\t1", "1:2: one space and a value"),
        ("a 1 ", "1:5: a timestamp is expected"),
        ("a 1 2 ", "1:6: an exemplar is expected"),
        ("a 1 2 3", "1:6: an exemplar is expected"),
        ("a {b=\"c\"} 1", "1:3: a number is expected"),
        ("a{ b=\"c\"} 1", "1:3: a label's name"),
        ("a{1=\"c\"} 1", "1:3: a label's name"),
        ("a{b:c=\"c\"} 1", "1:4: `=` is expected"),
        ("a{_b=\"c\"} 1", "1:3: names that begin with an underscore"),
        ("a{b} 1", "1:4: `=` is expected"),
        ("a{b=c} 1", "1:5: a value in double quotes"),
        ("a{b='c'} 1", "1:5: a value in double quotes"),
        ("a{b=\"c} 1", "1:6: the double quote is not closed"),
        ("a{b=\"c\\", "1:7: the double quote is not closed"),
        ("a{b=\"1\"c=\"2\"} 1", "1:8: `,` or `}` is expected"),
        ("a{b=\"1\",,c=\"2\"} 1", "1:9: a label's name"),
        ("a{b=\"1\",} 1", "1:9: a label's name"),
        ("a{b=\"1\",b=\"1\"} 1", "1:9: the label `b` is given twice"),
        ("a{b=\"1\"}1", "1:9: one space and a value"),
        ("a x", "1:3: a number is expected"),
        ("a 1_000", "1:3: a number"),
        ("a 0x1p-3", "1:3: a number"),
        ("a +nan", "1:3: a number"),
        ("a 1e", "1:3: a number"),
        ("a 1e400", "1:3: a number"),
        ("a 1 NaN", "1:5: a timestamp"),
        ("a 1 +Inf", "1:5: a timestamp"),
        ("a 1 1.1.1", "1:5: a timestamp"),
    ]);
}

#[test]
fn families_and_metrics_stand_together() {
    refused(&[
        ("a 1\nb 1\na{c=\"d\"} 1", "3:1: the name `a` clashes"),
        ("# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\n# HELP a x", "5:1: the name `a` clashes"),
        ("# TYPE a_created gauge\n# TYPE a counter", "2:1: the name `a_created` clashes"),
        ("# TYPE a counter\n# TYPE a_total gauge", "2:1: the name `a_total` clashes"),
        ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_total 1\na_sum 1", "4:1: the name `a_sum` clashes"),
        ("# TYPE a counter\na 1", "2:1: a sample of a counter must have one of the suffixes _total, _created"),
        ("# TYPE a info\na 1", "2:1: a sample of a info must have"),
        ("# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"1\"} 1 2", "4:1: the samples of one metric must stand"),
        (
            "# TYPE a summary\na_sum{b=\"1\"} 0\na_sum{b=\"2\"} 0\na_count{b=\"1\"} 0",
            "4:1: the samples of one metric must stand",
        ),
        ("# TYPE i info\ni_info{b=\"1\"} 1\ni_info{b=\"2\"} 1\ni_info{b=\"1\"} 1", "4:1: the samples of one metric"),
        ("a 1\na 2", "2:1: the sample is there twice"),
        ("a 1 5\na 2 5.0", "2:1: the sample is there twice"),
        ("# TYPE a counter\na_total 1\na_created 1\na_total 2", "4:1: the sample is there twice"),
        ("a 0\na 0 0", "2:1: the samples of one metric must all have a timestamp"),
        ("a 0 0\na 0", "2:1: the samples of one metric must all have a timestamp"),
        ("a 0 -1\na 0 -1.1", "2:5: timestamps must increase"),
        ("# TYPE a summary\na_count 0 1\na_count 0 2\na_sum 0 1\na_sum 0 2", "4:9: timestamps must increase"),
    ]);
}

#[test]
fn counters_infos_and_states() {
    refused(&[
        ("# TYPE a counter\na_total NaN", "2:9: the value must not be NaN"),
        ("# TYPE a counter\na_total -1", "2:9: the value must not be negative"),
        ("# TYPE a counter\na_total{b=\"1\"} 1\na_created{b=\"2\"} 1", "3:1: a counter must have a sample `_total`"),
        ("# TYPE a counter\na_created NaN", "2:11: a timestamp"),
        ("# TYPE i info\ni_info 2", "2:8: the value must be 1"),
        ("# TYPE i info\ni_info NaN", "2:8: the value must be 1"),
        ("# TYPE t stateset\nt 0", "2:1: the sample must have a label `t`"),
        ("# TYPE t stateset\nt{t=\"a\"} 0.5", "2:10: the value must be 0 or 1"),
        ("# TYPE t stateset\nt{t=\"a\"} 0\nt{t=\"a\"} 1", "3:1: the sample is there twice"),
    ]);
}

#[test]
fn summaries() {
    refused(&[
        ("# TYPE s summary\ns 0", "2:1: the sample must have a label `quantile`"),
        ("# TYPE s summary\ns{quantile=\"-0.1\"} 0", "2:1: a quantile must be a number from 0 to 1"),
        ("# TYPE s summary\ns{quantile=\"1.01\"} 0", "2:1: a quantile must be"),
        ("# TYPE s summary\ns{quantile=\"NaN\"} 0", "2:1: a quantile must be"),
        ("# TYPE s summary\ns{quantile=\"x\"} 0", "2:1: a quantile must be"),
        ("# TYPE s summary\ns{quantile=\"1\"} -1", "2:17: the value must not be negative"),
        ("# TYPE s summary\ns{quantile=\"1\"} 1\ns{quantile=\"1.0\"} 1", "3:1: the sample is there twice"),
        ("# TYPE s summary\ns_count 0.5", "2:9: the value must be an integer"),
        ("# TYPE s summary\ns_count -1", "2:9: the value must not be negative"),
        ("# TYPE s summary\ns_sum NaN", "2:7: the value must not be NaN"),
        ("# TYPE s summary\ns_sum{quantile=\"1\"} 1", "2:1: the sample must not have a label `quantile`"),
    ]);
}

#[test]
fn histograms() {
    refused(&[
        ("# TYPE h histogram\nh_bucket 0", "2:1: the sample must have a label `le`"),
        ("# TYPE h histogram\nh_bucket{le=\"NaN\"} 0", "2:1: a bucket's `le` must be a number"),
        ("# TYPE h histogram\nh_bucket{le=\"+INF\"} 0", "2:1: a bucket's `le` must be"),
        ("# TYPE h histogram\nh_bucket{le=\"0x1\"} 0", "2:1: a bucket's `le` must be"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0.5", "2:21: the value must be an integer"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} +Inf", "2:21: the value must be an integer"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} NaN", "2:21: the value must not be NaN"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} -1", "2:21: the value must not be negative"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 1", "2:1: there must be a bucket with"),
        ("# TYPE h histogram\nh_count 1\nh_sum 1", "2:1: there must be a bucket with"),
        (
            "# TYPE h histogram\nh_bucket{le=\"2\"} 0\nh_bucket{le=\"1\"} 0\nh_bucket{le=\"+Inf\"} 0",
            "3:1: buckets must be in",
        ),
        (
            "# TYPE h histogram\nh_bucket{le=\"1\"} 0\nh_bucket{le=\"1.0\"} 0\nh_bucket{le=\"+Inf\"} 0",
            "3:1: the sample is there",
        ),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 0", "3:21: buckets must be cumulative"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0\nh_count 1\nh_sum 0", "2:1: `_count` must equal the bucket"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0\nh_count 0", "2:1: `_count` and `_sum` must come together"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0\nh_sum 0", "2:1: `_count` and `_sum` must come together"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0\nh_sum -1", "3:7: the value must not be negative"),
        (
            "# TYPE h histogram\nh_bucket{le=\"-1\"} 0\nh_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0",
            "2:1: there must be no `_sum` beside",
        ),
        (
            "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0\nh_count{le=\"1\"} 0",
            "3:1: the sample must not have a label `le`",
        ),
        ("# TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 0\ng_gcount 0", "2:1: `_gcount` and `_gsum` must come"),
        (
            "# TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 1\ng_gcount 1\ng_gsum -1",
            "2:1: `_gsum` must not be negative",
        ),
        ("# TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 1\ng_gsum NaN", "3:8: the value must not be NaN"),
        ("# TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 1\ng_gcount 2\ng_gsum 1", "2:1: `_gcount` must equal"),
        ("# TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 1\ng_sum 1", "valid"),
    ]);
}

#[test]
fn exemplars() {
    let long = format!("# TYPE a counter\na_total 1 # {{a=\"{}\"}} 1", "é".repeat(128));
    refused(&[
        (&long, "2:10: the labels of an exemplar must not be longer"),
        ("# TYPE a counter\na_total 1 #", "2:10: an exemplar is expected"),
        ("# TYPE a counter\na_total 1# {} 1", "2:9: a number is expected"),
        ("# TYPE a counter\na_total 1 #{} 1", "2:10: an exemplar is expected"),
        ("# TYPE a counter\na_total 1 # a=\"b\"} 1", "2:10: an exemplar is expected"),
        ("# TYPE a counter\na_total 1 # {}", "2:15: one space and a value"),
        ("# TYPE a counter\na_total 1 # {}1", "2:15: one space and a value"),
        ("# TYPE a counter\na_total 1 # {} 1 ", "2:18: a timestamp"),
        ("# TYPE a counter\na_total 1 # {} 1 1 ", "2:19: the line must end"),
        ("# TYPE a counter\na_total 1 # {} 1 Inf", "2:18: a timestamp"),
        ("# TYPE a counter\na_total 1 # {} 0x1p-3", "2:16: a number"),
        ("# TYPE a counter\na_total 1 # {b=\"1\",b=\"2\"} 1", "2:20: the label `b` is given twice"),
        ("# TYPE a counter\na_created 1 # {} 1", "2:12: only `_total` of a counter"),
        ("# TYPE a gauge\na 1 # {} 1", "2:4: only `_total` of a counter"),
        ("# TYPE h histogram\nh_sum 1 # {} 1", "2:8: only `_total` of a counter"),
        ("# TYPE a_bucket gauge\na_bucket 1 # {} 1", "2:11: only `_total` of a counter"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {} 1.5", "2:19: the exemplar must lie within"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {} NaN", "2:19: the exemplar must lie within"),
    ]);
}
