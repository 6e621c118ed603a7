//! What Alertmanager gives to notifications (<https://prometheus.io/docs/alerting/latest/notifications/>): its functions, and
//! the types of its data with what they can be asked.

use std::sync::Arc;

use base64::engine::general_purpose::URL_SAFE;
use base64::{DecodeError, Engine as _};
use jiff::tz::TimeZone;

use super::texts::{HUMANIZE_DURATION, MATCH, REPLACE, SAFE_HTML, TO_LOWER, TO_UPPER};
use super::{Function, Type, escape, json, text, texts};
use crate::alerting::alert::Occurrence;
use crate::alerting::template::time;
use crate::alerting::template::value::{
    ANY_LIST, ANY_MAP, Entries, List, ListType, Map, MapType, Record, RecordType, Value,
};
use crate::data::UnixMillis;
use crate::data::labels::{ALERT_NAME, LabelSet};

use Type::{Any, List as Anything, String as Text, Strings, Time};

/// Labels or annotations.
pub static KV: MapType =
    MapType { name: "template.KV", methods: KV_METHODS, of_texts: true, shown: Some(|entries| shown(&pairs(entries))) };

/// Names and values in order.
pub static PAIRS: ListType = ListType { name: "template.Pairs", methods: PAIRS_METHODS, shown: Some(shown_pairs) };

/// A name and a value.
pub static PAIR: RecordType =
    RecordType { name: "template.Pair", fields: &["Name", "Value"], json: &["Name", "Value"], methods: &[] };

/// Names or values.
pub static NAMED_STRINGS: ListType = ListType { name: "template.Strings", methods: STRINGS_METHODS, shown: None };

/// All alerts of a notification.
pub static ALERTS: ListType = ListType { name: "template.Alerts", methods: ALERTS_METHODS, shown: None };

/// Some of them.
pub static SOME_ALERTS: ListType = ListType { name: "[]template.Alert", methods: &[], shown: None };

/// An alert. Alertmanager knows no `Occurrences`: where there are none, JSON does not have them.
pub static ALERT: RecordType = RecordType {
    name: "template.Alert",
    fields: &["Status", "Labels", "Annotations", "StartsAt", "EndsAt", "GeneratorURL", "Fingerprint", "Occurrences"],
    json: &[
        "status",
        "labels",
        "annotations",
        "startsAt",
        "endsAt",
        "generatorURL",
        "fingerprint",
        "occurrences,omitempty",
    ],
    methods: &[],
};

/// What an alert counted.
pub static OCCURRENCES: ListType = ListType { name: "[]template.Occurrence", methods: &[], shown: None };

/// One of it.
pub static OCCURRENCE: RecordType = RecordType {
    name: "template.Occurrence",
    fields: &["Time", "Value", "TraceID", "SpanID", "Line"],
    json: &["time", "value", "traceID,omitempty", "spanID,omitempty", "line,omitempty"],
    methods: &[],
};

/// A notification.
pub static DATA: RecordType = RecordType {
    name: "*template.Data",
    fields: &[
        "Receiver",
        "Status",
        "Alerts",
        "NotificationReason",
        "GroupLabels",
        "CommonLabels",
        "CommonAnnotations",
        "RouteLabels",
        "ExternalURL",
    ],
    json: &[
        "receiver",
        "status",
        "alerts",
        "notification_reason",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "routeLabels",
        "externalURL",
    ],
    methods: &[],
};

/// What a template knows of an alert.
#[derive(Clone, Copy, Debug)]
pub struct AlertFields<'a> {
    /// `firing` or `resolved`.
    pub status: &'a str,
    /// Its labels.
    pub labels: &'a LabelSet,
    /// Its annotations.
    pub annotations: &'a LabelSet,
    /// When it began.
    pub starts_at: UnixMillis,
    /// When it ended, if it has.
    pub ends_at: Option<UnixMillis>,
    /// Where its rule can be looked at.
    pub generator_url: &'a str,
    /// Its fingerprint.
    pub fingerprint: &'a str,
    /// What is known of its cause.
    pub occurrences: &'a [Occurrence],
}

/// What a template knows of a notification.
#[derive(Clone, Copy, Debug)]
pub struct DataFields<'a> {
    /// The receiver's name.
    pub receiver: &'a str,
    /// `firing` where any alert is.
    pub status: &'a str,
    /// Why it is sent.
    pub reason: &'a str,
    /// Labels by which its alerts are grouped.
    pub group_labels: &'a LabelSet,
    /// Labels that all its alerts have.
    pub common_labels: &'a LabelSet,
    /// Annotations that all its alerts have.
    pub common_annotations: &'a LabelSet,
    /// Labels of the route.
    pub route_labels: &'a LabelSet,
    /// Where this agent can be reached.
    pub external_url: &'a str,
}

/// An alert as templates see it.
pub fn alert(fields: &AlertFields<'_>) -> Value {
    let time = |time: UnixMillis| Value::Time(Arc::new(time::of_millis(time.0)));
    let fields = vec![
        fields.status.into(),
        labels(fields.labels),
        labels(fields.annotations),
        time(fields.starts_at),
        fields.ends_at.map_or_else(|| Value::Time(Arc::new(time::zero())), time),
        fields.generator_url.into(),
        fields.fingerprint.into(),
        Value::List(List::new(&OCCURRENCES, fields.occurrences.iter().map(occurrence).collect())),
    ];
    Value::Record(Record::new(&ALERT, fields))
}

fn occurrence(of: &Occurrence) -> Value {
    let time = Value::Time(Arc::new(time::of_millis(of.time.0)));
    let fields = vec![time, Value::Float(of.value), (*of.trace_id).into(), (*of.span_id).into(), (*of.line).into()];
    Value::Record(Record::new(&OCCURRENCE, fields))
}

/// A notification of these [alerts](alert) as templates see it.
pub fn data(fields: &DataFields<'_>, alerts: Vec<Value>) -> Value {
    let fields = vec![
        fields.receiver.into(),
        fields.status.into(),
        Value::List(List::new(&ALERTS, alerts)),
        fields.reason.into(),
        labels(fields.group_labels),
        labels(fields.common_labels),
        labels(fields.common_annotations),
        labels(fields.route_labels),
        fields.external_url.into(),
    ];
    Value::Record(Record::new(&DATA, fields))
}

/// Labels or annotations as templates see them.
pub fn labels(labels: &LabelSet) -> Value {
    Value::Map(Map::of_labels(&KV, labels))
}

const KV_METHODS: &[Function] = &[
    Function::new("SortedPairs", &[], |_, arguments| Ok(pairs_of(&arguments[0]))),
    Function::new("Names", &[], |_, arguments| Ok(column(&pairs_of(&arguments[0]), "Name"))),
    Function::new("Values", &[], |_, arguments| Ok(column(&pairs_of(&arguments[0]), "Value"))),
    Function::new("String", &[], |_, arguments| Ok(shown(&pairs_of(&arguments[0])).into())),
    Function::new("Remove", &[Strings], |_, arguments| {
        let Value::Map(map) = &arguments[0] else { return Ok(Value::Nil) };
        let removed = |name: &str| items(&arguments[1]).iter().any(|item| item.as_str() == Some(name));
        let kept = map.entries().iter().filter(|(name, _)| !removed(name));
        Ok(Value::Map(Map::new(&KV, kept.map(|(name, value)| (name.clone(), value.clone())).collect())))
    }),
];

const PAIRS_METHODS: &[Function] = &[
    Function::new("Names", &[], |_, arguments| Ok(column(&arguments[0], "Name"))),
    Function::new("Values", &[], |_, arguments| Ok(column(&arguments[0], "Value"))),
    Function::new("String", &[], |_, arguments| Ok(shown(&arguments[0]).into())),
];

const STRINGS_METHODS: &[Function] =
    &[Function::new("Join", &[Text], |call, arguments| join(call, text(arguments, 1), &arguments[0]))];

const ALERTS_METHODS: &[Function] = &[
    Function::new("Firing", &[], |_, arguments| Ok(with_status(&arguments[0], "firing"))),
    Function::new("Resolved", &[], |_, arguments| Ok(with_status(&arguments[0], "resolved"))),
];

/// By name.
pub(super) const FUNCTIONS: &[Function] = &[
    TO_UPPER,
    TO_LOWER,
    Function::new("title", &[Text], |_, arguments| Ok(texts::title(text(arguments, 0), true).into())),
    Function::new("trimSpace", &[Text], |_, arguments| Ok(text(arguments, 0).trim().into())),
    Function::new("join", &[Text, Strings], |call, arguments| join(call, text(arguments, 0), &arguments[1])),
    MATCH,
    SAFE_HTML,
    Function::new("safeUrl", &[Text], |_, arguments| Ok(Value::Html(text(arguments, 0).into()))),
    Function::new("urlUnescape", &[Text], |_, arguments| escape::unescape_query(text(arguments, 0)).map(Value::from)),
    REPLACE,
    Function::and_more("stringSlice", &[], Text, |_, arguments| {
        Ok(Value::strings(arguments.iter().filter_map(Value::as_str)))
    }),
    Function::new("routeLabels", &[Text], |call, arguments| match call.context.route_label {
        Some(label) => label(text(arguments, 0)).map(Value::from),
        None => Ok("".into()),
    }),
    Function::new("date", &[Text, Time], |_, arguments| match &arguments[1] {
        Value::Time(time) => Ok(time::format(time, text(arguments, 0)).into()),
        _ => Ok(Value::Nil),
    }),
    Function::new("tz", &[Text, Time], |_, arguments| {
        let name = text(arguments, 0);
        let zone = match name {
            "" | "UTC" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
        };
        match &arguments[1] {
            Value::Time(time) => Ok(Value::Time(Arc::new(time.with_time_zone(zone)))),
            _ => Ok(Value::Nil),
        }
    }),
    Function::new("now", &[], |call, _| Ok(Value::Time(Arc::new(time::of_millis(call.context.now.0))))),
    Function::new("since", &[Time], |call, arguments| match &arguments[0] {
        Value::Time(time) => Ok(Value::Duration(time::between(time, &time::of_millis(call.context.now.0)))),
        _ => Ok(Value::Nil),
    }),
    HUMANIZE_DURATION,
    Function::new("toDate", &[Text, Text], |_, arguments| {
        let read = time::parse(text(arguments, 0), text(arguments, 1));
        Ok(Value::Time(Arc::new(read.unwrap_or_else(|_| time::zero()))))
    }),
    Function::new("mustToDate", &[Text, Text], |_, arguments| {
        time::parse(text(arguments, 0), text(arguments, 1)).map(|time| Value::Time(Arc::new(time)))
    }),
    Function::new("toJson", &[Any], |call, arguments| {
        let mut out = call.out();
        json::write(&arguments[0], &mut out)?;
        call.written(out)
    }),
    Function::new("base64encode", &[Text], |_, arguments| Ok(URL_SAFE.encode(text(arguments, 0)).into())),
    Function::new("base64decode", &[Text], |_, arguments| {
        let written = text(arguments, 0);
        let bytes = URL_SAFE.decode(written).map_err(|error| {
            let at = match error {
                DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
                DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => written.len(),
            };
            format!("illegal base64 data at input byte {at}")
        })?;
        Ok(String::from_utf8_lossy(&bytes).into())
    }),
    Function::and_more("list", &[], Any, |_, arguments| Ok(Value::List(List::new(&ANY_LIST, arguments.to_vec())))),
    Function::and_more("append", &[Anything], Any, |_, arguments| {
        Ok(Value::List(List::new(&ANY_LIST, [items(&arguments[0]), &arguments[1..]].concat())))
    }),
    Function::and_more("dict", &[], Any, |_, arguments| {
        if arguments.len() % 2 != 0 {
            return Err("dict requires an even number of arguments".into());
        }
        let entry = |pair: &[Value]| match &pair[0] {
            Value::String(name) => Ok((name.clone(), pair[1].clone())),
            _ => Err("dict keys must be strings".to_owned()),
        };
        let entries = arguments.chunks_exact(2).map(entry).collect::<Result<Entries, _>>()?;
        Ok(Value::Map(Map::new(&ANY_MAP, entries)))
    }),
];

fn items(list: &Value) -> &[Value] {
    match list {
        Value::List(list) => list.items(),
        _ => &[],
    }
}

fn pairs_of(map: &Value) -> Value {
    match map {
        Value::Map(map) => pairs(map.entries()),
        _ => Value::Nil,
    }
}

/// Names and values by name, that of the alert before all others.
fn pairs(entries: &Entries) -> Value {
    let first = entries.get_key_value(ALERT_NAME);
    let others = entries.iter().filter(|(name, _)| &***name != ALERT_NAME);
    let pair = |(name, value): (&Arc<str>, &Value)| {
        Value::Record(Record::new(&PAIR, vec![Value::String(name.clone()), value.clone()]))
    };
    Value::List(List::new(&PAIRS, first.into_iter().chain(others).map(pair).collect()))
}

fn field(record: &Value, name: &str) -> Value {
    match record {
        Value::Record(record) => record.get(name).cloned().unwrap_or(Value::Nil),
        _ => Value::Nil,
    }
}

fn column(pairs: &Value, name: &str) -> Value {
    Value::List(List::new(&NAMED_STRINGS, items(pairs).iter().map(|pair| field(pair, name)).collect()))
}

fn shown(pairs: &Value) -> String {
    shown_pairs(items(pairs))
}

/// `a=b, c=d`
fn shown_pairs(pairs: &[Value]) -> String {
    let pair = |pair: &Value| {
        let (name, value) = (field(pair, "Name"), field(pair, "Value"));
        format!("{}={}", name.as_str().unwrap_or_default(), value.as_str().unwrap_or_default())
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
}

fn with_status(alerts: &Value, status: &str) -> Value {
    let found = items(alerts).iter().filter(|alert| field(alert, "Status").as_str() == Some(status));
    Value::List(List::new(&SOME_ALERTS, found.cloned().collect()))
}

fn join(call: &super::Call<'_>, separator: &str, texts: &Value) -> Result<Value, String> {
    let mut out = call.out();
    for (index, text) in items(texts).iter().enumerate() {
        out.push_str(if index > 0 { separator } else { "" });
        out.push_str(text.as_str().unwrap_or_default());
    }
    call.written(out)
}
