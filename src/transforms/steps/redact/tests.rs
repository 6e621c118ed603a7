//! Secrets planted anywhere and escaped anyhow, redacted, against what serde_json reads of the same text.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::super::tests::{documents, run_on};
use crate::data::Signal;
use crate::data::names::Interest;

const CARD: &str = "4111 1111 1111 1111";
const MAIL: &str = "bob@example.com";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27";

fn run(steps: Json, lines: &[&str]) -> Vec<Json> {
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    documents(&run_on(steps, &lines, &Interest::default()).0)
}

fn all() -> Json {
    json!({ "redact": { "patterns": ["card_number", "email", "jwt"] } })
}

#[test]
fn everywhere_in_a_record() {
    let steps = json!([{ "parse_json": {} }, all()]);
    let lines = [
        r#"{"a":"x bob@example.com y","b":[{"c":"4111\u00201111 1111 1111"}],"n":4111111111111111,"m":1,"d":-4111111111111111.0}"#,
        r#"{"a":"one","a":"bob@example.com","\u0061":"\u0062ob\u0040example.com"}"#,
        r#"{"bob@example.com":1,"x":{"al@example.com":{"4111-1111-1111-1111":null}}}"#,
        "plain bob@example.com and 4111111111111111",
        r#"{"broken":"bob\u0040example.com""#,
        r#"{"a":"{\"mail\":\"bob\\u0040example.com\"}","@timestamp":"2026-11-24T10:00:00Z"}"#,
        r#"{"url":"https:\/\/example.com\/?m=bob@example.com","q":"\"bob@example.com\""}"#,
    ];
    let expected = [
        json!({"attributes": {
            "a": "x [REDACTED:email] y", "b": [{"c": "[REDACTED:card_number]"}], "n": "[REDACTED:card_number]", "m": 1,
            "d": "[REDACTED:card_number]"
        }}),
        json!({"attributes": {"a": "[REDACTED:email]"}}),
        json!({"attributes": {"[REDACTED:email]": 1, "x": {"[REDACTED:email]-2": {"[REDACTED:card_number]-3": null}}}}),
        json!({"body": "plain [REDACTED:email] and [REDACTED:card_number]", "attributes": {}}),
        json!({"body": "{\"broken\":\"[REDACTED:email]\"", "attributes": {}}),
        json!({"attributes": {"a": "{\"mail\":\"[REDACTED:email]\"}", "@timestamp": "2026-11-24T10:00:00Z"}}),
        json!({"attributes": {"url": "https://example.com/?m=[REDACTED:email]", "q": "\"[REDACTED:email]\""}}),
    ];
    assert_eq!(run(steps, &lines), expected);
}

#[test]
fn only_the_fields_that_are_named() {
    let redact =
        |fields: Json| json!({ "redact": { "fields": fields, "patterns": ["email"], "replacement": "<\"gone\">" } });
    let line = r#"{"user":{"mail":"bob@example.com","mail":"al@example.com","id":1},"other":"bob@example.com","list":["bob@example.com"]}"#;
    let gone = "<\"gone\">";
    let one = |fields: Json| run(json!([{ "parse_json": {} }, redact(fields)]), &[line]).remove(0)["attributes"].take();
    let nested = one(json!("attributes[\"user\"][\"mail\"]"));
    assert_eq!(nested, json!({"user": {"mail": gone, "id": 1}, "other": MAIL, "list": [MAIL]}));
    let two = one(json!(["attributes[\"user\"]", "attributes[\"list\"]", "attributes[\"user\"][\"id\"]", "body"]));
    assert_eq!(two, json!({"user": {"mail": gone, "id": 1}, "other": MAIL, "list": [gone]}));
    let body = run(json!([redact(json!(["body", "attributes[\"a\"][\"b\"]"]))]), &["to bob@example.com"]);
    assert_eq!(body, [json!({"body": "to <\"gone\">", "attributes": {}})]);
    let outside = json!([
        { "set": "attributes[\"a\"][\"b\"] = body" },
        { "set": "attributes[\"a\"][\"c\"] = body" },
        redact(json!("attributes[\"a\"][\"b\"]"))
    ]);
    let outside = run(outside, &[MAIL]);
    assert_eq!(outside, [json!({"body": MAIL, "attributes": {"a": {"b": gone, "c": MAIL}}})]);
}

#[test]
fn what_steps_read_and_write_afterwards_is_redacted() {
    let steps = json!([
        { "parse_json": {} },
        { "set": "attributes[\"added\"] = attributes[\"mail\"]" },
        { "rename": { "from": "attributes[\"old\"]", "to": "attributes[\"new\"]" } },
        all(),
        { "set": "attributes[\"copy\"] = attributes[\"mail\"]" },
        { "set": "attributes[\"deep\"] = attributes[\"user\"][\"mail\"]" },
        { "drop": "attributes[\"user\"] contains \"@\" or attributes[\"mail\"] == \"bob@example.com\"" },
        { "delete": "attributes[\"user\"][\"id\"]" },
        all()
    ]);
    let line = r#"{"mail":"bob@example.com","user":{"mail":"bob@example.com","id":4111111111111111,"n":1},"old":"bob@example.com"}"#;
    let mail = "[REDACTED:email]";
    let expected = json!({"attributes": {
        "mail": mail, "user": {"mail": mail, "n": 1}, "new": mail, "added": mail, "copy": mail, "deep": mail
    }});
    assert_eq!(run(steps, &[line]), [expected]);
}

#[test]
fn attributes_outside_the_object() {
    let steps = json!([
        { "set": "attributes[\"n\"] = 4111111111111111" },
        { "set": "attributes[\"d\"] = 4111111111111111.0" },
        { "set": "attributes[\"bob@example.com\"] = true" },
        { "set": "attributes[\"al@example.com\"][\"x\"] = body" },
        all()
    ]);
    let expected = json!({"body": "[REDACTED:email]", "attributes": {
        "n": "[REDACTED:card_number]", "d": "[REDACTED:card_number]", "[REDACTED:email]": true,
        "[REDACTED:email]-2": {"x": "[REDACTED:email]"}
    }});
    assert_eq!(run(steps, &[MAIL]), [expected]);
}

#[test]
fn expressions_of_ones_own() {
    let steps = json!([
        { "parse_json": {} },
        { "redact": { "regexes": ["^sk_[a-z0-9]+$", "pin=(?<secret>[0-9]+)"] } }
    ]);
    let line = r#"{"key":"sk_1a2b","text":"x sk_1a2b","form":"a=1&pin=1234\u0035&pin=","sk_9":7}"#;
    let redacted = "[REDACTED]";
    let expected = json!({"attributes": {
        "key": redacted, "text": "x sk_1a2b", "form": "a=1&pin=[REDACTED]&pin=", redacted: 7
    }});
    assert_eq!(run(steps, &[line]), [expected]);
}

#[test]
fn wrong_options_are_told() {
    use super::super::Options;
    let read = |step: Json| serde_json::from_value::<Options>(json!({ "steps": [{ "redact": step }] }));
    assert!(read(json!({})).expect_err("nothing to do").to_string().contains("what to look for"));
    assert!(read(json!({ "patterns": ["e_mail"] })).expect_err("unknown").to_string().contains("e_mail"));
    let options = read(json!({ "fields": ["time"], "regexes": ["(", "a*"] })).expect("the shape is right");
    let problems: Vec<_> = options.problems_of(Signal::Logs).into_iter().map(|problem| problem.message).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[2].contains("empty text"), "{problems:?}");
}

/// How a text is written in JSON: each character raw or escaped, by turns of `how`.
fn written(text: &str, how: u64) -> String {
    let mut out = String::from("\"");
    for (at, char) in text.chars().enumerate() {
        let plain = Json::from(char.to_string()).to_string();
        if how >> (at % 64) & 1 == 1 {
            out.extend(char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else if char == '/' {
            out.push_str("\\/");
        } else {
            out.push_str(&plain[1..plain.len() - 1]);
        }
    }
    out + "\""
}

/// A JSON value as it is written, with secrets planted as `Plant`s.
#[derive(Clone, Debug)]
enum Planted {
    Scalar(Json),
    Text(String, u64),
    Card,
    Array(Vec<Planted>),
    Object(Vec<(String, u64, Planted)>),
}

fn text() -> impl Strategy<Value = String> {
    let harmless = "[a-c \"\\\\\n/\u{e9}\u{1f600},.:]{0,6}";
    let secret = prop_oneof![Just(""), Just(CARD), Just(MAIL), Just(JWT), Just("5500-0000-0000-0004")];
    (harmless, secret, harmless).prop_map(|(before, secret, behind)| {
        if secret.is_empty() { before } else { format!("{before} {secret} {behind}") }
    })
}

fn planted() -> impl Strategy<Value = Planted> {
    let leaf = prop_oneof![
        prop_oneof![Just(json!(null)), Just(json!(true)), Just(json!(-1.5)), Just(json!(1700000000000u64))]
            .prop_map(Planted::Scalar),
        Just(Planted::Card),
        (text(), escapes()).prop_map(|(text, how)| Planted::Text(text, how)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Planted::Array),
            members(inner).prop_map(Planted::Object),
        ]
    })
}

fn escapes() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), any::<u64>()]
}

fn members(value: impl Strategy<Value = Planted>) -> impl Strategy<Value = Vec<(String, u64, Planted)>> {
    // Few keys, so that many are given twice.
    let key = prop_oneof![3 => "[ab]", 1 => text()];
    proptest::collection::vec((key, escapes(), value), 0..4)
}

impl Planted {
    fn write(&self, out: &mut String) {
        let separated = |out: &mut String, at: usize| out.push_str(if at > 0 { " , " } else { "" });
        match self {
            Self::Scalar(value) => out.push_str(&value.to_string()),
            Self::Card => out.push_str("4111111111111111"),
            Self::Text(text, how) => out.push_str(&written(text, *how)),
            Self::Array(values) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    separated(out, at);
                    value.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (key, how, value)) in members.iter().enumerate() {
                    separated(out, at);
                    out.push_str(&written(key, *how));
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn clean(text: &str) -> String {
    let mut text = text.to_owned();
    for (secret, name) in [(CARD, "card_number"), ("5500-0000-0000-0004", "card_number"), (MAIL, "email"), (JWT, "jwt")]
    {
        text = text.replace(secret, &format!("[REDACTED:{name}]"));
    }
    text
}

/// What is expected of a value read with serde_json, keys apart from their numbers.
fn expected(value: &Json) -> Json {
    match value {
        Json::String(text) => clean(text).into(),
        Json::Number(number) if number.as_u64() == Some(4111111111111111) => "[REDACTED:card_number]".into(),
        Json::Array(values) => values.iter().map(expected).collect::<Vec<_>>().into(),
        Json::Object(members) => {
            let mut all = Map::new();
            for (key, value) in members {
                all.insert(clean(key), expected(value));
            }
            all.into()
        }
        other => other.clone(),
    }
}

/// Takes the numbers off redacted keys.
fn without_numbers(value: Json) -> Json {
    match value {
        Json::Array(values) => values.into_iter().map(without_numbers).collect::<Vec<_>>().into(),
        Json::Object(members) => {
            let number = regex::Regex::new(r"\]-[0-9]+").expect("valid");
            members
                .into_iter()
                .map(|(key, value)| (number.replace_all(&key, "]").into_owned(), without_numbers(value)))
                .collect()
        }
        other => other,
    }
}

/// Whether two different keys of one object become one without their secrets: then only one is left to compare.
fn collides(value: &Json) -> bool {
    match value {
        Json::Array(values) => values.iter().any(collides),
        Json::Object(members) => {
            let mut keys: Vec<_> = members.keys().map(|key| clean(key)).collect();
            keys.sort();
            keys.windows(2).any(|two| two[0] == two[1]) || members.values().any(collides)
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn no_secret_is_left_and_nothing_else_is_touched(
        object in members(planted()), edit in 0..5u8, parsed in any::<bool>()
    ) {
        let mut line = String::new();
        Planted::Object(object).write(&mut line);
        let read: Json = serde_json::from_str(&line).expect("the writer writes JSON");
        let mut steps = vec![json!({ "parse_json": {} })];
        // Located members, and edits before the redaction.
        steps.extend(match edit {
            0 => vec![],
            1 => vec![json!({ "drop": "attributes[\"a\"] == 9 or attributes[\"b\"][\"a\"] == 9" })],
            2 => vec![json!({ "drop": "attributes[\"a\"][\"b\"] == 9 or attributes[\"a\"] == 9" })],
            3 => vec![json!({ "set": "attributes[\"zz\"] = attributes[\"a\"]" }), json!({ "delete": "attributes[\"zz\"]" })],
            _ => vec![all()],
        });
        steps.push(all());
        if !parsed {
            steps = vec![all()];
        }
        let document = run(steps.into(), &[&line]).remove(0);
        if !parsed {
            let body = document["body"].as_str().expect("a body");
            let mut shown = Vec::new();
            crate::formats::json::text::unescape(body.as_bytes(), &mut shown);
            let shown = String::from_utf8(shown).expect("UTF-8");
            prop_assert!(![CARD, MAIL, JWT].iter().any(|secret| shown.contains(secret)), "{} {}", line, shown);
            return Ok(());
        }
        let shown = document.to_string();
        for secret in [CARD, MAIL, JWT, "5500-0000-0000-0004", "4111111111111111"] {
            prop_assert!(!shown.contains(secret), "{} {}", line, shown);
        }
        if !collides(&read) {
            prop_assert_eq!(without_numbers(document["attributes"].clone()), expected(&read), "{}", line);
        }
    }
}
