//! Files of tests, written here; beside promtool they are compared in `tests/rules`.

use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

use super::{Options, Outcome, run, shown};
use crate::data::LabelSet;

const RULES: &str = "groups:
- name: g
  rules:
  - {record: 'job:x:sum', expr: sum by (job) (x)}
  - alert: High
    expr: job:x:sum > 10
    for: 2m
    labels: {severity: page, cluster: '{{ $externalLabels.cluster }}'}
    annotations: {summary: '{{ $labels.job }} is at {{ $value }}'}
";

fn outcome(tests: &str, options: &Options) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(path("rules.yml"), RULES).expect("written");
    std::fs::write(path("tests.yml"), tests).expect("written");
    run(&path("tests.yml"), options)
}

fn with(expected: &str) -> String {
    format!(
        "rule_files: [rules.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  name: sums
  external_labels: {{cluster: c}}
  input_series:
  - {{series: 'x{{job=\"a\", instance=\"1\"}}', values: '1+1x10'}}
  - {{series: 'x{{job=\"a\", instance=\"2\"}}', values: '10x5 stale'}}
  - {{series: 'h{{job=\"a\"}}', values: '{{{{schema:1 sum:3 count:4 buckets:[1 3]}}}}x3'}}
{expected}"
    )
}

const ALERT: &str = "  alert_rule_test:
  - eval_time: 4m
    alertname: High
    exp_alerts:
    - exp_labels: {job: a, severity: page, cluster: c}
      exp_annotations: {summary: a is at 15}
  - {eval_time: 1m, alertname: High}
  - {eval_time: 7m, alertname: High}
";

const EXPRESSIONS: &str = "  promql_expr_test:
  - {expr: 'job:x:sum', eval_time: 2m, exp_samples: [{labels: 'job:x:sum{job=\"a\"}', value: 13}]}
  - {expr: 'count(x)', eval_time: 6m, exp_samples: [{value: 1}]}
  - {expr: nothing, eval_time: 6m}
  - {expr: h, eval_time: 0, exp_samples: [{labels: 'h{job=\"a\"}', histogram: '{{schema:1 sum:3 count:4 buckets:[1 3]}}'}]}
  - {expr: ALERTS, eval_time: 1m, exp_samples: [{labels: 'ALERTS{alertname=\"High\", alertstate=\"pending\", cluster=\"c\", job=\"a\", severity=\"page\"}', value: 1}]}
";

fn failures(outcome: &Outcome) -> Vec<&str> {
    outcome.failures().collect()
}

#[test]
fn what_holds_holds() {
    let outcome = outcome(&with(&format!("{ALERT}{EXPRESSIONS}")), &Options::default());
    assert_eq!(failures(&outcome), [""; 0]);
}

#[test]
fn alerts_that_differ_are_shown_as_promtool_does() {
    let tests = with(&ALERT.replace("a is at 15", "wrong"));
    let outcome = super::tests::outcome(&tests, &Options::default());
    let expected = "    name: sums,
    alertname: High, time: 4m, \n        exp:[
            0:
              Labels:{alertname=\"High\", cluster=\"c\", job=\"a\", severity=\"page\"}
              Annotations:{summary=\"wrong\"}
            ], \n        got:[
            0:
              Labels:{alertname=\"High\", cluster=\"c\", job=\"a\", severity=\"page\"}
              Annotations:{summary=\"a is at 15\"}
            ]";
    assert_eq!(failures(&outcome), [expected]);
    let outcome = super::tests::outcome(&tests, &Options { diff: true, ..Options::default() });
    let shown = failures(&outcome)[0];
    assert!(shown.contains("- annotation summary: \"wrong\""), "{shown}");
    assert!(shown.contains("+ annotation summary: \"a is at 15\"") && shown.contains("  label job: \"a\""), "{shown}");
}

#[test]
fn expressions_that_differ_are_shown_as_promtool_does() {
    let tests = with(
        "  promql_expr_test:\n  - {expr: 'x{instance=\"2\"}', eval_time: 1m, exp_samples: [{labels: x, value: 0.1}]}\n",
    );
    let outcome = outcome(&tests, &Options::default());
    let expected = "    expr: \"x{instance=\\\"2\\\"}\", time: 1m,
        exp: {__name__=\"x\"} 1E-01
        got: {__name__=\"x\", instance=\"2\", job=\"a\"} 1E+01";
    assert_eq!(failures(&outcome), [expected]);
}

#[test]
fn only_tests_of_the_name_are_run() {
    let tests = with(&ALERT.replace("a is at 15", "wrong"));
    let only = |run: &str| Options { run: Some(Regex::new(run).expect("a pattern")), ..Options::default() };
    assert_eq!(failures(&outcome(&tests, &only("other"))).len(), 0);
    assert_eq!(failures(&outcome(&tests, &only("su"))).len(), 1);
}

#[test]
fn numbers_may_be_a_step_apart_if_that_is_said() {
    let next = 1.1f64.next_up();
    let tests = |fuzzy: &str| {
        format!(
            "{fuzzy}tests:\n- input_series: [{{series: y, values: '1.1'}}]\n  promql_expr_test:\n  - {{expr: y, eval_time: 0m, exp_samples: [{{labels: y, value: {next}}}]}}\n"
        )
    };
    assert_eq!(failures(&outcome(&tests(""), &Options::default())).len(), 1);
    assert_eq!(failures(&outcome(&tests("fuzzy_compare: true\n"), &Options::default())).len(), 0);
}

#[test]
fn a_test_may_begin_at_any_time() {
    for start in ["2026-11-23T00:00:00Z", "1795392000"] {
        let tests = format!(
            "tests:\n- start_timestamp: {start}\n  input_series: [{{series: y, values: '1 2'}}]\n  promql_expr_test:\n  - {{expr: timestamp(y), eval_time: 1m, exp_samples: [{{value: 1795392060}}]}}\n  - {{expr: y, eval_time: 1m, exp_samples: [{{labels: y, value: 2}}]}}\n"
        );
        assert_eq!(outcome(&tests, &Options::default()).failures().collect::<Vec<_>>(), [""; 0]);
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    for (tests, expected) in [
        ("tests:\n- nope: 1\n", "tests.yml: 2: unknown key `nope` in a test"),
        ("tests:\n- interval: 5\n", "tests.yml: 2: `interval`: \"5\" is no duration"),
        ("group_eval_order: [a, a]\n", "group name repeated in evaluation order: a"),
        ("tests:\n- input_series: [{series: y, values: 'one'}]\n", "input series"),
        ("tests:\n- alert_rule_test: [{eval_time: 1m}]\n", "misses required attribute alertname at eval_time 1m"),
        ("tests:\n- promql_expr_test: [{expr: 'x[', eval_time: 1m}]\n", "    expr: \"x[\", time: 1m, err: "),
        ("tests:\n- promql_expr_test: [{expr: x, eval_time: 1m, exp_samples: [{value: one}]}]\n", "is no number"),
    ] {
        let outcome = outcome(tests, &Options::default());
        let failures: Vec<&str> = outcome.failures().collect();
        assert!(failures.iter().any(|failure| failure.contains(expected)), "{failures:?} lacks {expected}");
    }
    let outcome = outcome("rule_files: [none*.yml]\n", &Options::default());
    assert!(outcome.failures().next().is_none() && outcome.notes[0].starts_with("  WARNING: no file match pattern"));
}

#[test]
fn a_rule_that_fails_ends_its_test() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("rules.yml"), "groups:\n- name: g\n  rules: [{record: y, expr: x + on () group_left () x}]\n")
        .expect("written");
    let tests = "rule_files: [rules.yml]\ntests:\n- input_series: [{series: 'x{a=\"1\"}', values: 1}, {series: 'x{a=\"2\"}', values: 1}]\n  promql_expr_test: [{expr: y, eval_time: 1m}]\n";
    std::fs::write(path("tests.yml"), tests).expect("written");
    let outcome = run(&path("tests.yml"), &Options::default());
    let failures: Vec<&str> = outcome.failures().collect();
    assert!(failures[0].starts_with("    rule: y, time: 0s, err: "), "{failures:?}");
}

#[test]
fn all_samples_are_shown_for_whoever_looks_for_a_mistake() {
    let options = Options { debug: true, ..Options::default() };
    let outcome = outcome(&with(EXPRESSIONS), &options);
    assert_eq!(outcome.notes[0], "DEBUG: Starting test sums");
    assert!(outcome.notes[1].contains("{__name__=\"job:x:sum\", job=\"a\"} =>\n12 @[60000]"), "{}", outcome.notes[1]);
}

#[test]
fn durations_and_labels_are_written_as_go_does() {
    for (seconds, expected) in
        [(0.0, "0s"), (0.25, "250ms"), (1.5, "1.5s"), (60.0, "1m0s"), (3600.5, "1h0m0.5s"), (90000.0, "25h0m0s")]
    {
        assert_eq!(shown::duration(Duration::from_secs_f64(seconds)), expected);
    }
    let labels: LabelSet = [("a", "x\"y"), ("b.c", "d")].into_iter().collect();
    assert_eq!(shown::labels(&labels), r#"{a="x\"y", "b.c"="d"}"#);
    assert_eq!(shown::alerts(&[]), "[]");
}
