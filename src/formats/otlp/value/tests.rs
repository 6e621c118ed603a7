//! Values as JSON and back, beside what prost makes of them.

use opentelemetry_proto::tonic::common::v1 as proto;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Kind;
use prost::Message;

use super::super::random::Random;
use super::*;

fn json(value: &proto::AnyValue) -> Result<String, MessageError> {
    let mut out = Vec::new();
    AnyValue::read(&value.encode_to_vec())?.write_json(&mut out)?;
    Ok(String::from_utf8(out).expect("text"))
}

fn value(json: &str) -> proto::AnyValue {
    let mut out = Vec::new();
    push_json_value(1, json.as_bytes(), &mut out);
    let list = proto::ArrayValue::decode(&*out).expect("prost reads it");
    assert_eq!(list.values.len(), 1);
    list.values.into_iter().next().expect("one")
}

/// What a value is after it was JSON: bytes are their base64, all else is the same.
fn shown(value: proto::AnyValue) -> proto::AnyValue {
    use base64::Engine;
    let value = value.value.map(|value| match value {
        Kind::BytesValue(bytes) => Kind::StringValue(base64::engine::general_purpose::STANDARD.encode(bytes)),
        Kind::ArrayValue(list) => {
            Kind::ArrayValue(proto::ArrayValue { values: list.values.into_iter().map(shown).collect() })
        }
        Kind::KvlistValue(list) => Kind::KvlistValue(proto::KeyValueList {
            values: list
                .values
                .into_iter()
                .map(|member| proto::KeyValue { value: member.value.map(shown), ..member })
                .collect(),
        }),
        other => other,
    });
    proto::AnyValue { value }
}

proptest::proptest! {
    #[test]
    fn a_value_comes_back_from_json(seed: u64) {
        let made = Random::new(seed).value(4);
        let text = json(&made).expect("valid");
        proptest::prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        proptest::prop_assert_eq!(value(&text), shown(made));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
        if let Ok(value) = AnyValue::read(&bytes) {
            let _ = value.write_json(&mut Vec::new());
        }
        let mut out = Vec::new();
        push_json_value(1, &bytes, &mut out);
        proptest::prop_assert!(proto::ArrayValue::decode(&*out).is_ok());
    }
}

#[test]
fn numbers_and_words_of_json() {
    let kind = |json: &str| value(json).value;
    assert_eq!(kind("-7"), Some(Kind::IntValue(-7)));
    assert_eq!(kind("7.0"), Some(Kind::DoubleValue(7.0)));
    assert_eq!(kind("1e3"), Some(Kind::DoubleValue(1000.0)));
    assert_eq!(kind("9223372036854775808"), Some(Kind::DoubleValue(9223372036854775808.0)));
    assert_eq!(kind("null"), None);
    // The scan proves none of these.
    for wrong in ["01", "nul", "+1", "1e999", "-"] {
        assert_eq!(kind(wrong), Some(Kind::StringValue(wrong.to_owned())), "{wrong}");
    }
    assert_eq!(kind(r#""a\u00e9\n""#), Some(Kind::StringValue("aé\n".to_owned())));
}

#[test]
fn depth_is_bounded_both_ways() {
    let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    let mut inner = value(&deep);
    let mut depth = 0;
    while let Some(Kind::ArrayValue(list)) = inner.value {
        inner = list.values.into_iter().next().expect("one");
        depth += 1;
    }
    assert_eq!(depth, MOST_DEPTH as usize);
    assert_eq!(inner.value, Some(Kind::StringValue(deep[depth..deep.len() - depth].to_owned())));

    let nest = |depth: u32| {
        (0..depth).fold(proto::AnyValue::default(), |inner, _| proto::AnyValue {
            value: Some(Kind::ArrayValue(proto::ArrayValue { values: vec![inner] })),
        })
    };
    assert!(json(&nest(MOST_DEPTH)).is_ok());
    assert_eq!(json(&nest(MOST_DEPTH + 1)), Err(MessageError::Depth));
}

#[test]
fn text_that_is_not_utf8_is_mended() {
    let mut out = Vec::new();
    push_text_value(1, b"a\xffb", &mut out);
    let list = proto::ArrayValue::decode(&*out).expect("prost reads it");
    assert_eq!(list.values[0].value, Some(Kind::StringValue("a\u{fffd}b".to_owned())));
    assert_eq!(
        AnyValue::read(b"\x0a\x01\xff").map(|value| {
            let mut out = Vec::new();
            value.write_json(&mut out).map(|()| out)
        }),
        Ok(Ok("\"\u{fffd}\"".as_bytes().to_vec()))
    );
}
