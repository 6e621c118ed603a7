//! Templates beside what Go made of them: each case of `go.json` is a template and what Go 1.26 wrote, or said was wrong,
//! when it had the same data.

mod bounds;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::functions::alertmanager::{self, AlertFields, DataFields};
use super::functions::prometheus::{alert_data, alert_template};
use super::value::{ANY_LIST, ANY_MAP, List, ListType, Map, Record, RecordType, STRING_MAP};
use super::*;
use crate::data::labels::LabelSet;
use crate::promql::Point;

/// A template, and what becomes of it.
#[derive(Deserialize)]
struct Case(String, Expected);

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Output(String),
    Error { error: String },
}

static PAIR: RecordType =
    RecordType { name: "main.Pair", fields: &["Name", "Value"], json: &["Name", "Value"], methods: &[] };

static PAIRS: ListType = ListType { name: "[]main.Pair", methods: &[], shown: None };

fn go(name: &str, template: &str) -> Result<Template, TemplateError> {
    Template::parse(name, template, &functions::GO)
}

/// Compares all cases, and tells every difference at once.
fn compare(cases: &str, parse: impl Fn(&str) -> Result<Template, TemplateError>, data: &Value, context: &Context<'_>) {
    let cases: Vec<Case> = serde_json::from_str(cases).expect("cases");
    let mut different = String::new();
    for Case(template, expected) in &cases {
        let done = parse(template).and_then(|template| template.execute(data, context));
        let same = match (&done, expected) {
            (Ok(output), Expected::Output(expected)) => output == expected,
            (Err(error), Expected::Error { error: expected }) => error.to_string() == *expected,
            _ => false,
        };
        if !same {
            let expected = match expected {
                Expected::Output(output) => format!("{output:?}"),
                Expected::Error { error } => format!("error {error}"),
            };
            let done = done.map_or_else(|error| format!("error {error}"), |output| format!("{output:?}"));
            different += &format!("{template:?}\n  Go   {expected}\n  here {done}\n");
        }
    }
    assert!(different.is_empty(), "of {} cases these differ:\n{different}", cases.len());
}

fn map(entries: &[(&str, Value)]) -> BTreeMap<Arc<str>, Value> {
    entries.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()
}

fn data() -> Value {
    let pair = |name: &str, value: &str| Value::Record(Record::new(&PAIR, vec![name.into(), value.into()]));
    let of_anything = |entries: &[(&str, Value)]| Value::Map(Map::new(&ANY_MAP, map(entries)));
    of_anything(&[
        ("s", "text".into()),
        ("n", Value::Int(7)),
        ("f", Value::Float(2.5)),
        ("big", Value::Float(1_234_567.0)),
        ("t", Value::Bool(true)),
        ("nil", Value::Nil),
        ("list", Value::List(List::new(&ANY_LIST, vec!["a".into(), Value::Int(1), Value::Float(2.5), Value::Nil]))),
        ("names", Value::strings(["x", "y", "z"])),
        ("m", Value::Map(Map::new(&STRING_MAP, map(&[("a", "1".into()), ("b", "2".into())])))),
        ("any", of_anything(&[("deep", of_anything(&[("k", "v".into())])), ("one", Value::Int(1))])),
        ("time", Value::Time(Arc::new(time::of_millis(1_700_000_000_123)))),
        ("d", Value::Duration(5_401_500_000_000)),
        ("pair", pair("a", "1")),
        ("pairs", Value::List(List::new(&PAIRS, vec![pair("a", "1"), pair("b", "2")]))),
    ])
}

#[test]
fn the_language_is_gos() {
    compare(include_str!("go.json"), |text| go("t", text), &data(), &Context::at(UnixMillis(0)));
}

#[test]
fn annotations_are_prometheuss() {
    let labels: LabelSet = [("job", "api"), ("instance", "a.example.com:80")].into_iter().collect();
    let external: LabelSet = [("region", "eu")].into_iter().collect();
    let url = "http://example.com:9090/base/";
    let data = alert_data(&labels, &external, url, &Point::Float(1234.5678));
    let up = |instance: &str, value| VectorSample {
        labels: [("__name__", "up"), ("instance", instance), ("job", "api")].into_iter().collect(),
        time: 0,
        point: Point::Float(value),
    };
    let query = |query: &str| match query {
        "fails" => Err("no such thing".to_owned()),
        query if query.starts_with("up") => Ok(vec![up("b:80", 1.0), up("a:80", 0.25)]),
        _ => Ok(Vec::new()),
    };
    let context = Context { external_url: url, query: Some(&query), ..Context::at(UnixMillis(1_700_000_000_123)) };
    compare(include_str!("prometheus.json"), |text| alert_template("A", text), &data, &context);
}

#[test]
fn notifications_are_alertmanagers() {
    let set = |labels: &[(&str, &str)]| labels.iter().copied().collect::<LabelSet>();
    let summary = set(&[("summary", "it is <down>")]);
    let start = 1_700_000_000_000;
    let alert = |status: &str, instance: &str, ends_at| {
        alertmanager::alert(&AlertFields {
            status,
            labels: &set(&[("alertname", "Down"), ("instance", instance), ("job", "api")]),
            annotations: &summary,
            starts_at: UnixMillis(start),
            ends_at,
            generator_url: "http://p/graph?x=1&y",
            fingerprint: "00ff",
            occurrences: &[],
        })
    };
    let alerts = vec![alert("firing", "a:1", None), alert("resolved", "b:2", Some(UnixMillis(start + 90_000)))];
    let fields = DataFields {
        receiver: "team",
        status: "firing",
        reason: "first",
        group_labels: &set(&[("job", "api")]),
        common_labels: &set(&[("job", "api"), ("alertname", "Down"), ("env", "p")]),
        common_annotations: &summary,
        route_labels: &LabelSet::new(),
        external_url: "http://am.example/",
    };
    let data = alertmanager::data(&fields, alerts);
    let parse = |text: &str| Template::parse("", text, &functions::ALERTMANAGER);
    compare(include_str!("alertmanager.json"), parse, &data, &Context::at(UnixMillis(start)));
}

#[test]
fn a_histogram_is_shown_as_prometheus_shows_it() {
    let histogram = crate::data::histogram::Histogram {
        schema: 0,
        zero_threshold: 0.001,
        sum: 5.5,
        counts: crate::data::histogram::Counts::Integer { count: 3, zero: 1, positive: vec![2], negative: vec![] },
        positive_spans: vec![crate::data::histogram::BucketSpan { offset: 1, length: 1 }],
        negative_spans: vec![],
        custom_bounds: vec![],
        reset_hint: Default::default(),
    };
    let point = Point::Histogram(Arc::new(histogram));
    let data = alert_data(&LabelSet::new(), &LabelSet::new(), "", &point);
    let template = alert_template("A", "{{ $value }}").expect("parses");
    let shown = template.execute(&data, &Context::at(UnixMillis(0)));
    assert_eq!(shown.expect("runs"), "{count:3, sum:5.5, [-0.001,0.001]:1, (1,2]:2}");
}

#[test]
fn templates_of_files_know_each_other() {
    let mut set = Templates::new(&functions::ALERTMANAGER);
    set.add("a.tmpl", "ignored {{ define \"a\" }}1{{ template \"b\" . }}{{ end }}").expect("parses");
    set.add("b.tmpl", "{{ define \"b\" }}2{{ . }}{{ end }}{{ define \"c\" }}3{{ end }}").expect("parses");
    // What comes later wins, but not if it is only space.
    set.add("c.tmpl", "{{ define \"c\" }}4{{ end }}{{ define \"b\" }} {{ end }}").expect("parses");
    assert_eq!(
        set.add("d.tmpl", "{{ define \"x\" }}").expect_err("is open").to_string(),
        "template: d.tmpl:1: unexpected EOF"
    );
    let run = |text: &str| set.template("", text)?.execute(&"x".into(), &Context::at(UnixMillis(0)));
    assert_eq!(run("{{ template \"a\" . }}{{ template \"c\" }}").expect("runs"), "12x4");
    // What a text defines is its own.
    assert_eq!(run("{{ define \"c\" }}5{{ end }}{{ template \"c\" }}").expect("runs"), "5");
    assert_eq!(run("{{ template \"c\" }}").expect("runs"), "4");
    let error = run("{{ template \"b\" .x }}").expect_err("fails").to_string();
    assert_eq!(error, "template: :1:16: executing \"\" at <.x>: can't evaluate field x in type string");
    set.add("e.tmpl", "{{ define \"e\" }}\n{{ len 5 }}{{ end }}").expect("parses");
    let error =
        set.template("", "{{ template \"e\" }}").and_then(|t| t.execute(&Value::Nil, &Context::at(UnixMillis(0))));
    let expected = "template: e.tmpl:2:3: executing \"e\" at <len 5>: error calling len: len of type int";
    assert_eq!(error.expect_err("fails").to_string(), expected);
}

#[test]
fn html_is_escaped_where_it_is_asked_for() {
    let template =
        Template::parse("", "<b>{{ . }}</b>{{ safeHtml \"<i>\" }}", &functions::ALERTMANAGER).expect("parses");
    let context = Context { html: true, ..Context::at(UnixMillis(0)) };
    let data = "<a href='x'>\"+\"</a>".into();
    let expected = "<b>&lt;a href=&#39;x&#39;&gt;&#34;&#43;&#34;&lt;/a&gt;</b><i>";
    assert_eq!(template.execute(&data, &context).expect("runs"), expected);
    let plain = template.execute(&data, &Context::at(UnixMillis(0))).expect("runs");
    assert_eq!(plain, "<b><a href='x'>\"+\"</a></b><i>");
}

#[test]
fn what_another_engine_says_of_a_pattern_is_told_around_it() {
    for (text, expected) in [
        ("{{ match \"(\" \"a\" }}", "error calling match: error parsing regexp: a `(` is not closed: `(`"),
        ("{{ reReplaceAll \"(\" \"\" \"a\" }}", "regexp: Compile(`(`): error parsing regexp: a `(` is not closed: `(`"),
        ("{{ match \"[z-a]\" \"a\" }}", "invalid character class range, the start must be <= the end: `[z-a]`"),
        ("{{ parseDuration \"1 h\" }}", "error calling parseDuration: not a valid duration string: \"1 h\""),
    ] {
        let template = alert_template("A", text).expect("parses");
        let error = template.execute(&Value::Nil, &Context::at(UnixMillis(0))).expect_err(text).to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}
