//! What differs between the records that were expected and those that came.

use serde_json::{Map, Value as Json};

use super::record::{hex, time};
use super::span::in_words;
use crate::config::Expected;

/// One difference. Records are counted from 1, in the order in which they were expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// A field has another value; `None` stands for absent.
    Field {
        /// Number of the record.
        record: usize,
        /// The field: `body`, `attributes["user"]["id"]`.
        path: String,
        /// What was expected.
        expected: Option<Json>,
        /// What came.
        got: Option<Json>,
    },
    /// A record did not come.
    Missing {
        /// Number of the record.
        record: usize,
        /// What was expected of it.
        expected: Json,
    },
    /// A record came that was not expected.
    Unexpected {
        /// Number of the record.
        record: usize,
        /// The record.
        got: Json,
    },
}

/// Compares record by record, in the fields that are named.
pub(super) fn compare(expected: &[Expected], got: &[Map<String, Json>]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (index, wanted) in expected.iter().enumerate() {
        let (record, wanted) = (index + 1, named(wanted));
        match got.get(index) {
            None => differences.push(Difference::Missing { record, expected: wanted.into() }),
            Some(got) => fields(record, "", &wanted, got, &mut differences),
        }
    }
    for (index, got) in got.iter().enumerate().skip(expected.len()) {
        differences.push(Difference::Unexpected { record: index + 1, got: got.clone().into() });
    }
    differences
}

/// The fields that are named, null for those that must be absent.
fn named(expected: &Expected) -> Map<String, Json> {
    let Expected { span, body, attributes, resource, severity_text, severity_number, time: at, trace_id, span_id } =
        expected;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Option<Json>>| {
        if let Some(value) = value {
            fields.insert(name.into(), value.unwrap_or(Json::Null));
        }
    };
    put("body", body.clone().map(|body| body.filter(|body| !body.is_empty()).map(Json::from)));
    put("severity_text", severity_text.map(|name| name.map(|name| name.0.text().into())));
    put("severity_number", severity_number.map(|number| number.map(|number| number.0.0.into())));
    put("time", at.map(|at| at.map(|at| time(at.0).into())));
    put("trace_id", trace_id.map(|id| id.map(|id| hex(&id.0).into())));
    put("span_id", span_id.map(|id| id.map(|id| hex(&id.0).into())));
    if let Some(span) = span {
        fields.insert("span".into(), in_words(&span.0).into());
    }
    for (name, of) in [("attributes", attributes), ("resource", resource)] {
        if !of.is_empty() {
            fields.insert(name.into(), of.clone().into());
        }
    }
    fields
}

fn fields(
    record: usize,
    within: &str,
    expected: &Map<String, Json>,
    got: &Map<String, Json>,
    differences: &mut Vec<Difference>,
) {
    for (key, wanted) in expected {
        let path = if within.is_empty() { key.clone() } else { format!("{within}[{}]", Json::from(key.as_str())) };
        value(record, path, wanted, got.get(key), differences);
    }
}

fn value(record: usize, path: String, expected: &Json, got: Option<&Json>, differences: &mut Vec<Difference>) {
    match (expected, got) {
        (Json::Null, None | Some(Json::Null)) => {}
        (Json::Object(wanted), Some(Json::Object(got))) => fields(record, &path, wanted, got, differences),
        // Every attribute that must be there is told on its own, and those that must be absent are.
        (Json::Object(wanted), None) if !wanted.is_empty() => {
            fields(record, &path, wanted, &Map::new(), differences);
        }
        (wanted, Some(got)) if same(wanted, got) => {}
        _ => {
            let expected = (!expected.is_null()).then(|| expected.clone());
            differences.push(Difference::Field { record, path, expected, got: got.cloned() });
        }
    }
}

/// Numbers are the same if their values are, however they are written.
fn same(expected: &Json, got: &Json) -> bool {
    match (expected, got) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(expected: Json, got: Json) -> Vec<Difference> {
        let expected: Vec<Expected> = serde_json::from_value(expected).expect("the shape is right");
        let got: Vec<Map<String, Json>> = serde_json::from_value(got).expect("records");
        compare(&expected, &got)
    }

    #[test]
    fn only_what_is_named_is_compared() {
        let got = json!([{ "body": "x", "attributes": { "a": 1, "user": { "id": 7, "mail": "m" }, "n": null } }]);
        for right in [
            json!([{}]),
            json!([{ "body": "x", "attributes": { "a": 1.0, "absent": null, "n": null } }]),
            json!([{ "attributes": { "user": { "id": 7, "gone": null } }, "severity_text": null, "time": null }]),
        ] {
            assert_eq!(differences(right, got.clone()), []);
        }
    }

    #[test]
    fn a_difference_names_the_field() {
        let got = json!([{ "body": "x", "attributes": { "user": { "id": 7 }, "list": [1, 2] } }]);
        let wrong = json!([{ "body": null, "attributes": { "user": { "id": 8 }, "list": [1], "b": true } }]);
        let field = |path: &str, expected: Json, got: Json| Difference::Field {
            record: 1,
            path: path.into(),
            expected: (!expected.is_null()).then_some(expected),
            got: (!got.is_null()).then_some(got),
        };
        let mut told = differences(wrong, got);
        told.sort_by_key(|difference| format!("{difference:?}"));
        let mut expected = vec![
            field("body", Json::Null, json!("x")),
            field("attributes[\"user\"][\"id\"]", json!(8), json!(7)),
            field("attributes[\"list\"]", json!([1]), json!([1, 2])),
            field("attributes[\"b\"]", json!(true), Json::Null),
        ];
        expected.sort_by_key(|difference| format!("{difference:?}"));
        assert_eq!(told, expected);
    }

    #[test]
    fn records_are_counted() {
        let told = differences(json!([{ "body": "a" }, { "body": "b" }]), json!([{ "body": "a" }]));
        assert_eq!(told, [Difference::Missing { record: 2, expected: json!({ "body": "b" }) }]);
        let told = differences(json!([]), json!([{ "body": "a" }]));
        assert_eq!(told, [Difference::Unexpected { record: 1, got: json!({ "body": "a" }) }]);
    }
}
