//! What Prometheus gives to annotations and labels of alerts
//! (<https://prometheus.io/docs/prometheus/latest/configuration/template_reference/>).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::texts::{HUMANIZE_DURATION, MATCH, REPLACE, SAFE_HTML, TO_LOWER, TO_UPPER, URL_QUERY_ESCAPE};
use super::{Function, FunctionSet, PROMETHEUS, Type, escape, hosts, humanize, text, texts};
use crate::alerting::template::format::{Style, float};
use crate::alerting::template::value::{ANY_MAP, List, ListType, Map, Record, RecordType, Value};
use crate::alerting::template::{Template, TemplateError, time};
use crate::data::labels::LabelSet;
use crate::options::prometheus_duration;
use crate::promql::histogram::FloatHistogram;
use crate::promql::{Point, VectorSample};

use Type::{Any, Sample, Samples, String as Text};

/// What `query` finds.
pub static SAMPLES: ListType = ListType { name: "template.queryResult", methods: &[], shown: None };

/// One of them.
pub static SAMPLE: RecordType =
    RecordType { name: "*template.sample", fields: &["Labels", "Value"], json: &["Labels", "Value"], methods: &[] };

/// What the templates of an alert are given.
static ALERT: RecordType = RecordType {
    name: "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }",
    fields: &["Labels", "ExternalLabels", "ExternalURL", "Value"],
    json: &["Labels", "ExternalLabels", "ExternalURL", "Value"],
    methods: &[],
};

/// Names for what an alert's template is given, before its text.
const PRELUDE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                       {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// Parses a label or an annotation of an alert, which may use `$labels`, `$externalLabels`, `$externalURL` and `$value`.
///
/// # Errors
/// Where the text is no template.
pub fn alert_template(alert: &str, text: &str) -> Result<Template, TemplateError> {
    let name = format!("__alert_{alert}");
    // Most labels have no action.
    let prelude = if text.contains("{{") { PRELUDE } else { "" };
    Template::parse(&name, &format!("{prelude}{text}"), functions())
}

/// What the templates of an alert are given: the labels of its series, those of the agent, the agent's address and what the
/// expression is.
pub fn alert_data(labels: &LabelSet, external_labels: &LabelSet, external_url: &str, value: &Point) -> Value {
    let fields = [Value::labels(labels), Value::labels(external_labels), external_url.into(), point(value)];
    Value::Record(Record::new(&ALERT, fields.into()))
}

/// The functions of Prometheus.
pub fn functions() -> &'static FunctionSet {
    &PROMETHEUS
}

fn point(point: &Point) -> Value {
    match point {
        Point::Float(number) => Value::Float(*number),
        Point::Histogram(histogram) => Value::Histogram(FloatHistogram::from(&**histogram).to_string().into()),
    }
}

fn sample(sample: &VectorSample) -> Value {
    Value::Record(Record::new(&SAMPLE, vec![Value::labels(&sample.labels), point(&sample.point)]))
}

/// By name.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("query", &[Text], |call, arguments| {
        let query = call.context.query.ok_or("there is nothing to query here")?;
        let found = query(text(arguments, 0))?;
        Ok(Value::List(List::new(&SAMPLES, found.iter().map(sample).collect())))
    }),
    Function::new("first", &[Samples], |_, arguments| {
        let first = samples(&arguments[0]).first().cloned();
        first.ok_or_else(|| "first() called on vector with no elements".into())
    }),
    Function::new("label", &[Text, Sample], |_, arguments| label(&arguments[1], text(arguments, 0))),
    Function::new("strvalue", &[Sample], |_, arguments| label(&arguments[0], "__value__")),
    Function::new("value", &[Sample], |_, arguments| match &arguments[0] {
        Value::Record(sample) => Ok(sample.get("Value").cloned().unwrap_or(Value::Nil)),
        _ => Err(NO_SAMPLE.into()),
    }),
    Function::new("sortByLabel", &[Text, Samples], |_, arguments| {
        let mut sorted = samples(&arguments[1]).to_vec();
        let key = |sample: &Value| label(sample, text(arguments, 0)).ok();
        sorted.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.as_ref().and_then(Value::as_str).cmp(&b.as_ref().and_then(Value::as_str))
        });
        Ok(Value::List(List::new(&SAMPLES, sorted)))
    }),
    Function::and_more("args", &[], Any, |_, arguments| {
        let named = arguments.iter().enumerate().map(|(index, value)| (format!("arg{index}").into(), value.clone()));
        Ok(Value::Map(Map::new(&ANY_MAP, named.collect::<BTreeMap<Arc<str>, Value>>())))
    }),
    REPLACE,
    SAFE_HTML,
    MATCH,
    TO_UPPER,
    TO_LOWER,
    Function::new("title", &[Text], |_, arguments| Ok(texts::title(text(arguments, 0), false).into())),
    Function::new("graphLink", &[Text], |_, arguments| Ok(link(text(arguments, 0), 0).into())),
    Function::new("tableLink", &[Text], |_, arguments| Ok(link(text(arguments, 0), 1).into())),
    Function::new("stripPort", &[Text], |_, arguments| Ok(hosts::strip_port(text(arguments, 0)).into())),
    Function::new("stripDomain", &[Text], |_, arguments| Ok(hosts::strip_domain(text(arguments, 0)).into())),
    Function::new("humanize", &[Any], |_, a| humanize::number(&a[0]).map(|n| humanize::metric(n).into())),
    Function::new("humanize1024", &[Any], |_, a| humanize::number(&a[0]).map(|n| humanize::binary(n).into())),
    HUMANIZE_DURATION,
    Function::new("humanizePercentage", &[Any], |_, a| humanize::number(&a[0]).map(|n| humanize::percentage(n).into())),
    Function::new("humanizeTimestamp", &[Any], |_, arguments| {
        let seconds = humanize::number(&arguments[0])?;
        if !seconds.is_finite() {
            return Ok(float(seconds, Style::Shorter, Some(4), false).into());
        }
        time::of_seconds(seconds).map(|time| time::text(&time).into())
    }),
    Function::new("toTime", &[Any], |_, arguments| {
        time::of_seconds(humanize::number(&arguments[0])?).map(|time| Value::Time(Arc::new(time)))
    }),
    Function::new("toDuration", &[Any], |_, arguments| {
        humanize::number(&arguments[0]).map(|seconds| Value::Duration((seconds * 1e9) as i64))
    }),
    Function::new("now", &[], |call, _| Ok(Value::Float(call.context.now.0 as f64 / 1000.0))),
    Function::new("externalURL", &[], |call, _| Ok(call.context.external_url.into())),
    Function::new("pathPrefix", &[], |call, _| Ok(path(call.context.external_url).into())),
    Function::new("parseDuration", &[Text], |_, arguments| {
        let written = text(arguments, 0);
        let (sign, magnitude) = match written.strip_prefix('-') {
            Some(magnitude) => (-1.0, magnitude),
            None => (1.0, written),
        };
        let wrong = |_| format!("not a valid duration string: {}", super::super::format::quote(written, false));
        prometheus_duration::parse(magnitude).map(|duration| Value::Float(sign * duration.as_secs_f64())).map_err(wrong)
    }),
    URL_QUERY_ESCAPE,
];

const NO_SAMPLE: &str = "runtime error: invalid memory address or nil pointer dereference";

fn samples(list: &Value) -> &[Value] {
    match list {
        Value::List(list) => list.items(),
        _ => &[],
    }
}

fn label(sample: &Value, name: &str) -> Result<Value, String> {
    match sample {
        Value::Record(sample) => match sample.get("Labels") {
            Some(Value::Map(labels)) => Ok(labels.get(name)),
            _ => Ok("".into()),
        },
        _ => Err(NO_SAMPLE.into()),
    }
}

fn link(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", escape::query(expression))
}

/// The path of an address.
fn path(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = behind.find('/').map_or("", |slash| &behind[slash..]);
    path.find(['?', '#']).map_or(path, |end| &path[..end])
}
