//! Patched messages, read by an independent codec, against the same edits of its types.

use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue as ProtoAny, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;
use prost::Message;

use super::super::random::Random;
use super::super::span::{ATTRIBUTES, NAME, SpanMessage};
use super::super::texts::{OfValue, SPAN, TextEdit, TextKind};
use super::*;

fn spans(seed: u64) -> Vec<Span> {
    let request = Random::new(seed).traces();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// Ways that hit what random spans have, and ways that miss.
fn keys() -> impl Strategy<Value = Vec<Box<str>>> {
    let key = prop_oneof![Just(""), Just("a"), Just("shop"), Just("x.y"), Just("new"), Just("café ☕ 🦀")];
    proptest::collection::vec(key.prop_map(Box::from), 1..4)
}

fn list_of(pair: &mut KeyValue) -> Option<&mut Vec<KeyValue>> {
    match pair.value.as_mut()?.value.as_mut()? {
        ProtoValue::KvlistValue(list) => Some(&mut list.values),
        _ => None,
    }
}

fn set_model(pairs: &mut Vec<KeyValue>, keys: &[Box<str>], value: &ProtoAny) -> bool {
    let (key, rest) = keys.split_first().expect("at least one");
    let of = |value: ProtoAny| KeyValue { key: key.to_string(), value: Some(value), ..KeyValue::default() };
    let is = |pair: &KeyValue| pair.key == **key;
    if rest.is_empty() {
        let first = pairs.iter().position(is);
        let mut at = 0;
        pairs.retain(|pair| {
            at += 1;
            !is(pair) || Some(at - 1) == first
        });
        match first {
            Some(first) => pairs[first] = of(value.clone()),
            None => pairs.push(of(value.clone())),
        }
        return true;
    }
    match pairs.iter().rposition(is) {
        Some(last) => {
            let is_set = list_of(&mut pairs[last]).is_some_and(|list| set_model(list, rest, value));
            let mut at = 0;
            pairs.retain(|pair| {
                at += 1;
                !is_set || !is(pair) || at - 1 == last
            });
            is_set
        }
        None => {
            let mut list = Vec::new();
            set_model(&mut list, rest, value);
            pairs.push(of(ProtoAny { value: Some(ProtoValue::KvlistValue(KeyValueList { values: list })) }));
            true
        }
    }
}

fn delete_model(pairs: &mut Vec<KeyValue>, keys: &[Box<str>]) {
    let (key, rest) = keys.split_first().expect("at least one");
    if rest.is_empty() {
        return pairs.retain(|pair| pair.key != **key);
    }
    for list in pairs.iter_mut().filter(|pair| pair.key == **key).filter_map(list_of) {
        delete_model(list, rest);
    }
}

fn edited(span: &Span, edit: impl FnOnce(&[u8], &mut Vec<u8>) -> bool) -> Option<Span> {
    let mut out = b"before".to_vec();
    if !edit(&span.encode_to_vec(), &mut out) {
        assert_eq!(out, b"before", "what changes nothing appends nothing");
        return None;
    }
    Some(Span::decode(out.strip_prefix(b"before").expect("appended")).expect("prost reads it"))
}

/// Replaces the word `shop`.
struct Shout;

impl TextEdit for Shout {
    fn changes(&mut self, _: TextKind, text: &[u8]) -> bool {
        memchr::memmem::find(text, b"shop").is_some()
    }

    fn write(&mut self, _: TextKind, text: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(String::from_utf8_lossy(text).replace("shop", "SHOUTED LOUDLY").as_bytes());
    }
}

fn shout(text: &mut String) {
    *text = text.replace("shop", "SHOUTED LOUDLY");
}

fn shout_value(value: &mut Option<ProtoAny>) {
    match value.as_mut().and_then(|value| value.value.as_mut()) {
        Some(ProtoValue::StringValue(text)) => shout(text),
        Some(ProtoValue::ArrayValue(list)) => list.values.iter_mut().for_each(|value| {
            let mut inner = Some(std::mem::take(value));
            shout_value(&mut inner);
            *value = inner.expect("it was put there");
        }),
        Some(ProtoValue::KvlistValue(list)) => shout_pairs(&mut list.values),
        _ => {}
    }
}

fn shout_pairs(pairs: &mut [KeyValue]) {
    for pair in pairs {
        shout(&mut pair.key);
        shout_value(&mut pair.value);
    }
}

proptest! {
    #[test]
    fn set_is_what_the_types_say(seed in any::<u64>(), keys in keys()) {
        let value = Random::new(!seed).value(2);
        for span in spans(seed) {
            let mut expected = span.clone();
            let is_set = set_model(&mut expected.attributes, &keys, &value);
            let found = edited(&span, |span, out| set(span, ATTRIBUTES, &keys, &value.encode_to_vec(), out));
            prop_assert_eq!(found.is_some(), is_set);
            prop_assert_eq!(&found.unwrap_or(span), &expected);
            if is_set {
                let bytes = expected.encode_to_vec();
                prop_assert_eq!(SpanMessage(&bytes).attribute(&keys), Some(&value.encode_to_vec()[..]));
            }
        }
    }

    #[test]
    fn delete_is_what_the_types_say(seed in any::<u64>(), keys in keys()) {
        for span in spans(seed) {
            let mut expected = span.clone();
            delete_model(&mut expected.attributes, &keys);
            let found = edited(&span, |span, out| delete(span, ATTRIBUTES, &keys, out));
            prop_assert_eq!(found.is_some(), expected != span);
            prop_assert_eq!(found.unwrap_or(span), expected);
        }
    }

    #[test]
    fn every_text_is_found_and_replaced(seed in any::<u64>()) {
        for span in spans(seed) {
            let mut expected = span.clone();
            shout(&mut expected.name);
            shout_pairs(&mut expected.attributes);
            for event in &mut expected.events {
                shout(&mut event.name);
                shout_pairs(&mut event.attributes);
            }
            expected.links.iter_mut().for_each(|link| shout_pairs(&mut link.attributes));
            if let Some(status) = &mut expected.status {
                shout(&mut status.message);
            }
            let found = edited(&span, |span, out| SPAN.edit(span, &mut Shout, out));
            prop_assert_eq!(found.is_some(), expected != span);
            prop_assert_eq!(found.unwrap_or(span), expected);
        }
    }

    #[test]
    fn one_value_is_edited_and_no_other(seed in any::<u64>()) {
        for span in spans(seed) {
            let mut expected = span.clone();
            expected.attributes.iter_mut().filter(|pair| pair.key == "a").for_each(|pair| shout_value(&mut pair.value));
            let found = edited(&span, |span, out| {
                edit(span, ATTRIBUTES, &["a".into()], &mut OfValue(&mut Shout), out)
            });
            prop_assert_eq!(found.is_some(), expected != span);
            prop_assert_eq!(found.unwrap_or(span), expected);
        }
    }

    #[test]
    fn name_and_status_are_replaced(seed in any::<u64>(), name in ".{0,200}", code in 0_u8..3) {
        for span in spans(seed) {
            let found = edited(&span, |span, out| set_text(span, NAME, name.as_bytes(), out));
            prop_assert_eq!(found, Some(Span { name: name.clone(), ..span.clone() }));
            let found = edited(&span, |span, out| set_status_code(span, code, out));
            let status = Status { code: code.into(), ..span.status.clone().unwrap_or_default() };
            prop_assert_eq!(found, Some(Span { status: Some(status), ..span }));
        }
    }

    #[test]
    fn no_bytes_make_an_edit_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), keys in keys()) {
        let mut out = Vec::new();
        set(&bytes, ATTRIBUTES, &keys, b"\x0a\x01x", &mut out);
        delete(&bytes, ATTRIBUTES, &keys, &mut out);
        SPAN.edit(&bytes, &mut Shout, &mut out);
        set_status_code(&bytes, 2, &mut out);
        let _ = (SpanMessage(&bytes).attribute(&keys), SpanMessage(&bytes).event(b"x"));
    }
}

#[test]
fn of_several_maps_with_one_key_the_one_that_readers_see_is_set_and_stays() {
    let text = |text: &str| ProtoAny { value: Some(ProtoValue::StringValue(text.into())) };
    let pair = |key: &str, value| KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() };
    let map = |values| ProtoAny { value: Some(ProtoValue::KvlistValue(KeyValueList { values })) };
    let secret = map(vec![pair("secret", text("s"))]);
    let span = |attributes| Span { attributes, ..Span::default() };
    let before = span(vec![
        pair("a", secret.clone()),
        pair("b", text("b")),
        pair("a", map(vec![pair("in", secret), pair("y", text("y")), pair("in", map(vec![]))])),
        pair("c", text("c")),
    ]);
    let set_in = |keys: &[&str]| {
        let keys: Vec<Box<str>> = keys.iter().map(|key| Box::from(*key)).collect();
        edited(&before, |span, out| set(span, ATTRIBUTES, &keys, &text("new").encode_to_vec(), out))
    };
    let inner = map(vec![pair("z", text("new"))]);
    let outer = map(vec![pair("y", text("y")), pair("in", inner)]);
    let expected = span(vec![pair("b", text("b")), pair("a", outer), pair("c", text("c"))]);
    assert_eq!(set_in(&["a", "in", "z"]), Some(expected));
    assert_eq!(set_in(&["a", "y", "z"]), None, "where there is no place nothing goes");
}

#[test]
fn a_value_that_would_be_nested_too_deeply_changes_nothing() {
    let mut deep = ProtoAny::default();
    for _ in 0..check::MOST_DEPTH {
        let pair = KeyValue { key: "k".into(), value: Some(deep), ..KeyValue::default() };
        deep = ProtoAny { value: Some(ProtoValue::KvlistValue(KeyValueList { values: vec![pair] })) };
    }
    let (span, deep) = (Span::default(), deep.encode_to_vec());
    assert!(edited(&span, |span, out| set(span, ATTRIBUTES, &["a".into()], &deep, out)).is_some());
    assert!(edited(&span, |span, out| set(span, ATTRIBUTES, &["a".into(), "b".into()], &deep, out)).is_none());
}
