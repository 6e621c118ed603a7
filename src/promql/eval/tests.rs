//! Queries over small worlds: what the evaluator does that no function does.

use std::time::{Duration, Instant};

use super::super::script::series_notation::Item;
use super::super::script::{MemorySamples, Script};
use super::super::{EvalError, Limits, Query, Value, When};
use crate::data::LabelSet;

/// Runs a script that must hold.
fn holds(script: &str) {
    let limits = Limits { delayed_name_removal: true, ..Limits::default() };
    let report = Script::parse(script).expect("a script").run(&limits);
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
}

fn evaluate(text: &str, when: When, limits: &Limits) -> Result<Value, EvalError> {
    let samples = MemorySamples::new();
    let query = Query::parse(text).expect("a query");
    query.evaluate(&samples, when, limits).map(|evaluation| evaluation.value)
}

#[test]
fn windows_slide_open_on_the_left() {
    holds(
        "load 1m\n  a 0+60x5 stale _ 1 2\n\n\
         eval range from 1m to 4m step 1m count_over_time(a[2m])\n  {} 2 2 2 2\n\n\
         eval range from 1m to 5m step 2m increase(a[2m1s])\n  expect info\n  {} 60 121 121\n\n\
         eval instant at 7m a\n\n\
         eval instant at 9m sum_over_time(a[10m])\n  {} 903\n\n\
         eval instant at 2m sum_over_time(a[1m:30s] offset 1m)\n  {} 60\n",
    );
}

#[test]
fn a_group_is_named_once_whatever_the_steps() {
    holds(
        "load 1m\n  a{job=\"x\", n=\"1\"} 1 2 _\n  a{job=\"x\", n=\"2\"} 10 _ 30\n  a{job=\"y\", n=\"1\"} _ 5 5\n\n\
         eval range from 0 to 2m step 1m sum by (job) (last_over_time(a[30s]))\n  {job=\"x\"} 11 2 30\n  {job=\"y\"} _ 5 5\n\n\
         eval range from 0 to 2m step 1m topk by (job) (1, last_over_time(a[30s]))\n  a{job=\"x\", n=\"1\"} _ 2 _\n  \
         a{job=\"x\", n=\"2\"} 10 _ 30\n  a{job=\"y\", n=\"1\"} _ 5 5\n\n\
         eval range from 0 to 1m step 1m count_values without (n) (\"v\", a)\n  {job=\"x\", v=\"1\"} 1 _\n  \
         {job=\"x\", v=\"10\"} 1 1\n  {job=\"x\", v=\"2\"} _ 1\n  {job=\"y\", v=\"5\"} _ 1\n",
    );
}

#[test]
fn series_find_each_other_at_each_step() {
    holds(
        "load 1m\n  a{i=\"1\"} 1 2 3\n  a{i=\"2\"} 4 5 6\n  b{i=\"1\", v=\"old\"} 10 10 stale\n  b{i=\"1\", v=\"new\"} _ _ 20\n\n\
         eval range from 0 to 2m step 1m a * on (i) group_left (v) b\n  {i=\"1\", v=\"old\"} 10 20 _\n  {i=\"1\", v=\"new\"} _ _ 60\n\n\
         eval range from 0 to 2m step 1m a + on (i) fill (100) b\n  {i=\"1\"} 11 12 23\n  {i=\"2\"} 104 105 106\n\n\
         eval range from 0 to 2m step 1m b unless on (i) (a > 2)\n  b{i=\"1\", v=\"old\"} 10 10 _\n\n\
         eval instant at 0 a * on () b\n  expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)\n",
    );
}

/// Runs a script that must hold where names go as soon as a function is computed, as rules and the API have it.
fn holds_at_once(script: &str) {
    let report = Script::parse(script).expect("a script").run(&Limits::default());
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
}

#[test]
fn names_that_go_at_once_matter_only_to_what_keeps_a_series_each() {
    let same = "vector cannot contain metrics with the same labelset";
    let mut script = "load 1m\n  m{i=\"1\"} 1 2 3\n  n{i=\"1\"} 1 2 3\n\n".to_owned();
    let present = ["absent_over_time({i=\"1\"}[2m])", "absent_over_time({i=\"1\"}[2m:30s])", "absent({i=\"1\"})"];
    for expression in present {
        script.push_str(&format!("eval instant at 2m {expression}\n\n"));
    }
    script.push_str("eval range from 2m to 8m step 3m absent_over_time({i=\"1\"}[2m])\n  {i=\"1\"} _ 1 1\n\n");
    script.push_str("eval instant at 2m last_over_time({i=\"1\"}[2m])\n  m{i=\"1\"} 3\n  n{i=\"1\"} 3\n\n");
    for expression in [
        "present_over_time({i=\"1\"}[2m])",
        "sum(count_over_time({i=\"1\"}[2m]))",
        "rate({i=\"1\"}[2m])",
        "absent_over_time(abs({i=\"1\"})[2m:30s])",
        "absent(abs({i=\"1\"}))",
        "timestamp({i=\"1\"})",
        "scalar(abs({i=\"1\"}))",
        "{i=\"1\"} > bool 1",
    ] {
        script.push_str(&format!("eval instant at 2m {expression}\n  expect fail msg: {same}\n\n"));
    }
    holds_at_once(&script);
}

#[test]
fn a_match_counts_even_where_the_comparison_leaves_it_out() {
    let load = "load 1m\n  g{i=\"1\"} 1\n  g2{i=\"1\"} 9\n  k{i=\"1\"} 2\n  h1{i=\"1\"} {{count:1 sum:1 buckets:[1]}}\n  \
                h2{i=\"1\"} {{count:1 sum:1 buckets:[1]}}\n\n";
    let explicit = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
    let mut script = load.to_owned();
    for expression in [
        "{__name__=~\"g.?\"} > k",
        "{__name__=~\"g.?\"} == g",
        "{__name__=~\"g.?\"} != on(i) k",
        "{__name__=~\"h.\"} == h1",
    ] {
        script.push_str(&format!("eval instant at 0 {expression}\n  expect fail msg: {explicit}\n\n"));
    }
    script.push_str("eval instant at 0 {__name__=~\"g.?\"} > on(i) group_left k\n  g2{i=\"1\"} 9\n");
    holds_at_once(&script);
    holds(&script);
}

#[test]
fn what_is_not_defined_between_two_is_no_match() {
    let mut script =
        "load 1m\n  f{x=\"1\", y=\"1\"} 1\n  f{x=\"1\", y=\"2\"} 2\n  h{x=\"1\"} {{count:1 sum:1 buckets:[1]}}\n  \
         mixed{x=\"1\", t=\"f\"} 2\n  mixed{x=\"1\", t=\"h\"} {{count:2 sum:2 buckets:[2]}}\n\n"
            .to_owned();
    for operator in ["+", "-", "%", "^", "atan2", "==", ">", "</"] {
        for group in ["", "group_left"] {
            script.push_str(&format!("eval instant at 0 f {operator} on(x) {group} h\n  expect info\n\n"));
        }
    }
    script.push_str("eval instant at 0 f * on(x) h\n  expect fail\n\n");
    script.push_str("eval instant at 0 h + on(x) group_right f\n  expect info\n\n");
    // The number finds nothing, and the histogram stays the only one.
    script.push_str("eval instant at 0 mixed + on(x) h\n  expect info\n  {x=\"1\"} {{count:3 sum:3 buckets:[3]}}\n");
    holds(&script);
}

#[test]
fn sort_leaves_histograms_out_and_says_where_it_does_nothing() {
    let words = "PromQL warning: sort is ineffective for range queries since results are always ordered by labels";
    let ask = format!(
        "load 1m\n  g{{x=\"1\"}} 1x5\n  h{{x=\"1\"}} {{{{count:1 sum:1 buckets:[1]}}}}x5\n\n\
         eval range from 0 to 2m step 1m sort(h)\n  expect warn\n\n\
         eval range from 0 to 2m step 1m sort_desc({{x=\"1\"}})\n  expect warn msg: {words} (1:1)\n  g{{x=\"1\"}} 1 1 1\n\n\
         eval instant at 2m count_over_time(sort(h)[2m:1m])\n  expect warn msg: {words} (1:17)\n\n\
         eval instant at 2m count_over_time(sort(g)[2m:1m])\n  expect warn\n  {{x=\"1\"}} 2\n\n\
         eval range from 0 to 2m step 1m sort(sort(g))\n  expect warn msg: {words} (1:1)\n  g{{x=\"1\"}} 1 1 1\n\n\
         eval range from 0 to 30s step 1m sort(g)\n  expect warn\n  g{{x=\"1\"}} 1\n\n\
         eval range from 0 to 2m step 1m sort(g @ start())\n  expect no_warn\n  g{{x=\"1\"}} 1 1 1\n\n\
         eval range from 0 to 1m step 1m sort(vector(1))\n  expect no_warn\n  {{}} 1 1\n\n\
         eval instant at 0 sort(g)\n  expect no_warn\n  g{{x=\"1\"}} 1\n"
    );
    holds(&ask);
}

#[test]
fn what_is_said_of_a_subquery_points_to_the_start() {
    let words = "PromQL warning: quantile value should be between 0 and 1, got 2";
    holds(&format!(
        "load 1m\n  a 1 2 3\n\n\
         eval instant at 2m 1 + rate(a[2m:1m])\n  expect info regex: .*might not be a counter.*\\(1:1\\)\n  {{}} 1.016666666666666666\n\n\
         eval instant at 2m quantile(2, none)\n  expect warn msg: {words} (1:10)\n\n\
         eval instant at 2m quantile by (a) (2, none)\n  expect warn\n"
    ));
}

#[test]
fn a_reset_on_one_side_alone_is_no_match() {
    holds(
        "load 1m\n  a {{count:5 sum:5 buckets:[5]}} {{count:3 sum:3 buckets:[3]}} {{count:4 sum:3 buckets:[4]}}\n  \
         b {{count:5 sum:5 buckets:[5]}} {{count:6 sum:3 buckets:[6]}} {{count:2 sum:3 buckets:[2]}}\n\n\
         eval instant at 2m histogram_count(a - b)\n  expect warn\n\n\
         eval instant at 2m histogram_count(a + b)\n  expect warn\n\n\
         eval instant at 2m a - b\n  {} {{count:2 counter_reset_hint:gauge buckets:[2]}}\n",
    );
}

#[test]
fn limits_end_an_evaluation() {
    let range = When::Range { start: 0, end: 1_000_000, step: 1 };
    let few = Limits { samples: 1000, ..Limits::default() };
    assert!(matches!(evaluate("vector(1)", range, &few), Err(EvalError::TooManySamples)));
    let small = Limits { bytes: 1000, ..Limits::default() };
    assert!(matches!(evaluate("vector(1)", range, &small), Err(EvalError::TooManyBytes(1000))));
    let late = Limits { deadline: Instant::now().checked_sub(Duration::from_secs(1)), ..Limits::default() };
    assert!(matches!(evaluate("vector(1)", range, &late), Err(EvalError::Timeout)));
    let long = When::Range { start: 0, end: i64::MAX, step: 1 };
    assert!(matches!(evaluate("1", long, &Limits::default()), Err(EvalError::Query(_))));
    assert!(evaluate("1", When::Range { start: 5, end: 0, step: 1 }, &Limits::default()).is_ok());
    let subquery = "sum_over_time(vector(1)[200y:1ms])";
    assert!(matches!(evaluate(subquery, When::Instant(0), &Limits::default()), Err(EvalError::Query(_))));
}

#[test]
fn the_deepest_query_is_evaluated() {
    let deep = "-".repeat(64) + &"(".repeat(63) + "vector(1)" + &")".repeat(63);
    assert!(
        matches!(evaluate(&deep, When::Instant(0), &Limits::default()), Ok(Value::Vector(samples)) if samples.len() == 1)
    );
    let calls = "abs(".repeat(63) + "vector(1)" + &")".repeat(63);
    assert!(evaluate(&calls, When::Instant(0), &Limits::default()).is_ok());
    let powers = "2".to_owned() + &" ^ 1".repeat(64);
    assert!(matches!(evaluate(&powers, When::Instant(0), &Limits::default()), Ok(Value::Scalar(2.0))));
    let long = "vector(1)".to_owned() + &" + vector(1)".repeat(500);
    assert!(
        matches!(evaluate(&long, When::Instant(0), &Limits::default()), Ok(Value::Vector(samples)) if samples.len() == 1)
    );
}

#[test]
fn times_at_the_ends_of_the_world_do_no_harm() {
    for text in
        ["a offset 290y", "a offset -290y", "rate(a[290y] offset 290y)", "a @ -9e15", "max_over_time(a[1y:1d] @ 9e15)"]
    {
        for time in [i64::MIN / 2, 0, i64::MAX / 2] {
            assert!(evaluate(text, When::Instant(time), &Limits::default()).is_ok(), "{text} at {time}");
        }
    }
}

/// What a script says that is evaluated with so many bytes.
fn failures(script: &str, bytes: u64) -> String {
    let report = Script::parse(script).expect("a script").run(&Limits { bytes, ..Limits::default() });
    format!("{:?}", report.failures)
}

#[test]
fn histograms_labels_and_what_is_computed_with_count_as_memory() {
    let load =
        "load 1m\n  h {{schema:0 sum:4 count:4 buckets:[1 2 1]}}+{{schema:0 sum:4 count:4 buckets:[1 2 1]}}x100\n\n";
    for query in ["rate(h[5m])", "sum(h)", "h * 2", "h + h", "last_over_time(h[2m])"] {
        let script = format!("{load}eval range from 0 to 100m step 1m {query}\n  h 1\n");
        assert!(failures(&script, 8_000).contains("bytes of memory"), "{query}");
        assert!(!failures(&script, 300_000).contains("bytes of memory"), "{query}");
    }
    // One that stands at many steps is there once.
    let repeated =
        "load 1m\n  h {{schema:0 sum:4 count:4 buckets:[1 2 1]}}\n\neval range from 0 to 4m step 1s -h\n  h 1\n";
    assert!(!failures(repeated, 20_000).contains("bytes of memory"));
    let long = format!("load 1m\n  a{{l=\"{}\"}} 1\n\neval instant at 0 a\n  a 1\n", "x".repeat(5_000));
    assert!(failures(&long, 4_000).contains("bytes of memory"));
    assert!(!failures(&long, 12_000).contains("bytes of memory"));
    // A sum has what it lost beside it.
    let range = When::Range { start: 0, end: 999, step: 1 };
    let within = |bytes| evaluate("sum(vector(time()))", range, &Limits { bytes, ..Limits::default() });
    assert!(matches!(within(28_000), Err(EvalError::TooManyBytes(28_000))));
    assert!(within(40_000).is_ok());
}

#[test]
fn info_finds_any_number_of_targets() {
    // More than a pattern may be large, and more than one is made for.
    for (targets, length) in [(600, 3000), (1500, 1)] {
        let mut samples = MemorySamples::new();
        for target in 0..targets {
            let instance = format!("{target}{}", "x".repeat(length));
            let series =
                |name: &str| [("__name__", name), ("instance", instance.as_str()), ("job", "j")].into_iter().collect();
            let mut info: LabelSet = series("target_info");
            info.set("data", "there");
            samples.append(&series("up"), 0, None, &Item::Float(1.0)).expect("in order");
            samples.append(&info, 0, None, &Item::Float(1.0)).expect("in order");
        }
        let query = Query::parse("count by (data) (info(up))").expect("a query");
        let evaluated = query.evaluate(&samples, When::Instant(0), &Limits::default()).expect("a result");
        let Value::Vector(found) = evaluated.value else { panic!("no vector") };
        assert_eq!((found.len(), found[0].labels.get("data")), (1, "there"));
    }
}

#[test]
fn labels_that_grow_with_each_call_end_an_evaluation() {
    let long = "x".repeat(1000);
    for (open, close) in [
        ("label_join(", ", \"a\", \"\", \"a\", \"a\", \"a\", \"a\")"),
        ("label_replace(", ", \"a\", \"$1$1$1$1\", \"a\", \"(.*)\")"),
    ] {
        let first = format!("label_replace(vector(1), \"a\", \"{long}\", \"\", \"\")");
        let text = format!("{}{first}{}", open.repeat(12), close.repeat(12));
        let result = evaluate(&text, When::Instant(0), &Limits::default());
        assert!(matches!(&result, Err(EvalError::Query(why)) if why.contains("makes a value")), "{result:?}");
        let small = Limits { bytes: 100_000, ..Limits::default() };
        assert!(matches!(evaluate(&text, When::Instant(0), &small), Err(EvalError::TooManyBytes(_))));
    }
}
