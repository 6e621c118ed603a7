//! Values as expressions see them, borrowed from where they stand, and how they compare.

use std::cmp::Ordering;

use crate::data::{JsonKind, UnixNanos};
use crate::formats::json::text::{unescape, unescaped_eq};
use crate::formats::json::walk::{Member, kind, members};
use crate::formats::otlp::value::AnyValue;

/// A value of a record, a resource or an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// There is none.
    Missing,
    /// Text as it is.
    Text(&'a [u8]),
    /// Text as it stands between the quotes of a JSON string.
    Escaped(&'a [u8]),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A number as JSON writes it.
    Number(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// An object or an array as JSON text, or what stands in a value's place without being one.
    Json(&'a [u8]),
    /// A list or a map as OTLP encodes it.
    Encoded(&'a [u8]),
    /// An id's bytes.
    Id(&'a [u8]),
    /// A point in time.
    Time(UnixNanos),
}

impl<'a> ValueRef<'a> {
    /// A value of JSON text; `null` is missing.
    pub fn of_json(kind: JsonKind, text: &'a [u8]) -> Self {
        match kind {
            JsonKind::Null if text == b"null" => Self::Missing,
            JsonKind::Bool if text == b"true" => Self::Bool(true),
            JsonKind::Bool if text == b"false" => Self::Bool(false),
            // `tru`, `nul`: no value of JSON, whose spelling nobody has proven.
            JsonKind::Null | JsonKind::Bool => Self::Json(text),
            JsonKind::Number => Self::Number(text),
            JsonKind::String => Self::Escaped(text.get(1..text.len().saturating_sub(1)).unwrap_or_default()),
            JsonKind::Object | JsonKind::Array => Self::Json(text),
        }
    }

    /// A value that OTLP encodes (opentelemetry.proto.common.v1.AnyValue); one that says nothing is missing.
    pub fn of_otlp(message: &'a [u8]) -> Self {
        match AnyValue::read(message) {
            Ok(AnyValue::Text(text)) => Self::Text(text),
            Ok(AnyValue::Bool(value)) => Self::Bool(value),
            Ok(AnyValue::Int(int)) => Self::Int(int),
            Ok(AnyValue::Double(double)) => Self::Double(double),
            Ok(AnyValue::Bytes(bytes)) => Self::Id(bytes),
            Ok(AnyValue::Array(_) | AnyValue::Map(_)) => Self::Encoded(message),
            Ok(AnyValue::Empty) | Err(_) => Self::Missing,
        }
    }

    /// Whether there is no value.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// The bytes of a text, unescaped into `buffer` where that is needed; `None` for what is no text.
    pub fn text<'b>(self, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        match self {
            Self::Text(text) => Some(text),
            Self::Escaped(inner) if memchr::memchr(b'\\', inner).is_none() => Some(inner),
            Self::Escaped(inner) => {
                buffer.clear();
                unescape(inner, buffer);
                Some(buffer)
            }
            _ => None,
        }
    }

    fn number(self) -> Option<Number> {
        match self {
            Self::Int(int) => Some(Number::Int(i128::from(int))),
            Self::Double(double) => Some(Number::Double(double)),
            Self::Number(text) => Number::of_json(text),
            _ => None,
        }
    }
}

/// The value at `keys` inside a JSON value: the way to what nobody located. Of two members with one key
/// the last is read.
pub fn nested<'a>(json: &'a [u8], keys: &[Box<str>]) -> ValueRef<'a> {
    let mut json = json;
    for key in keys {
        let is_meant = |member: &Member| unescaped_eq(&json[member.key.start + 1..member.key.end - 1], key.as_bytes());
        let object = json.starts_with(b"{").then(|| members(json, 0));
        let Some(member) = object.and_then(|members| members.filter(is_meant).last()) else { return ValueRef::Missing };
        json = &json[member.value];
    }
    ValueRef::of_json(kind(json.first().copied().unwrap_or_default()), json)
}

/// A text compared with the inside of a JSON string. No escape is shorter than what it stands for, so
/// that most unequal texts are told apart without looking for one.
fn equals_escaped(text: &[u8], inner: &[u8]) -> bool {
    if inner.len() < text.len() {
        return false;
    }
    if memchr::memchr(b'\\', inner).is_none() {
        return inner == text;
    }
    unescaped_eq(inner, text)
}

/// Whether two values are equal. Missing ones never are.
pub fn equal(a: ValueRef<'_>, b: ValueRef<'_>, buffers: &mut Buffers) -> bool {
    match (a, b) {
        (ValueRef::Text(a), ValueRef::Text(b)) => a == b,
        (ValueRef::Escaped(inner), ValueRef::Text(text)) | (ValueRef::Text(text), ValueRef::Escaped(inner)) => {
            equals_escaped(text, inner)
        }
        (ValueRef::Bool(a), ValueRef::Bool(b)) => a == b,
        (ValueRef::Json(a), ValueRef::Json(b))
        | (ValueRef::Encoded(a), ValueRef::Encoded(b))
        | (ValueRef::Id(a), ValueRef::Id(b)) => a == b,
        _ => order(a, b, buffers) == Some(Ordering::Equal),
    }
}

/// The order of two values of one type; `None` where there is none.
pub fn order(a: ValueRef<'_>, b: ValueRef<'_>, buffers: &mut Buffers) -> Option<Ordering> {
    if let (ValueRef::Time(a), ValueRef::Time(b)) = (a, b) {
        return Some(a.cmp(&b));
    }
    if let (Some(a), Some(b)) = (a.number(), b.number()) {
        return a.order(b);
    }
    let Buffers(left, right) = buffers;
    Some(a.text(left)?.cmp(b.text(right)?))
}

/// Room for unescaped texts, used again and again.
#[derive(Clone, Debug, Default)]
pub struct Buffers(pub Vec<u8>, pub Vec<u8>);

#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i128),
    Double(f64),
}

impl Number {
    /// Reads a JSON number; integers of up to 37 digits exactly. What merely stands in a number's place
    /// (`NaN`, `tru`) is none.
    fn of_json(text: &[u8]) -> Option<Self> {
        if !text.iter().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.len() < 38 && digits.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().map(Self::Int);
        }
        text.parse().ok().map(Self::Double)
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Double(b)) => order_mixed(a, b),
            (Self::Double(a), Self::Int(b)) => order_mixed(b, a).map(Ordering::reverse),
        }
    }
}

/// Compares without rounding the integer.
fn order_mixed(int: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    let whole = double.trunc();
    // 2^127 is exact as a double; beyond it every i128 is on one side.
    if whole >= 2f64.powi(127) {
        return Some(Ordering::Less);
    }
    if whole < -(2f64.powi(127)) {
        return Some(Ordering::Greater);
    }
    let fraction = 0.0f64.partial_cmp(&(double - whole))?;
    Some(int.cmp(&(whole as i128)).then(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_without_rounding() {
        let mut buffers = Buffers::default();
        let mut order = |a: &'static str, b| order(ValueRef::Number(a.as_bytes()), b, &mut buffers);
        assert_eq!(order("9007199254740993", ValueRef::Double(9007199254740992.0)), Some(Ordering::Greater));
        assert_eq!(order("9223372036854775808", ValueRef::Int(i64::MAX)), Some(Ordering::Greater));
        assert_eq!(order("-1.5", ValueRef::Int(-1)), Some(Ordering::Less));
        assert_eq!(order("1e999", ValueRef::Int(5)), Some(Ordering::Greater));
        assert_eq!(order("5.0", ValueRef::Int(5)), Some(Ordering::Equal));
        for bad in ["NaN", "inf", "tru", "", "-", "1-2"] {
            assert_eq!(order(bad, ValueRef::Int(1)), None, "{bad}");
        }
        assert_eq!(order("1", ValueRef::Text(b"1")), None, "a text is no number");
    }

    #[test]
    fn an_escape_is_not_the_text_that_looks_like_it() {
        let mut buffers = Buffers::default();
        let mut equal = |inner: &'static str, text: &'static str| {
            equal(ValueRef::Escaped(inner.as_bytes()), ValueRef::Text(text.as_bytes()), &mut buffers)
        };
        assert!(!equal(r"a\nb", r"a\nb"), "a line break is no backslash and an n");
        assert!(equal(r"a\\nb", r"a\nb"));
        assert!(!equal(r"\u0061", r"\u0061") && equal(r"\u0061", "a"));
    }

    #[test]
    fn what_only_looks_like_a_literal_is_none() {
        for (kind, text) in [(JsonKind::Bool, "tru"), (JsonKind::Bool, "falsey"), (JsonKind::Null, "nul")] {
            assert_eq!(ValueRef::of_json(kind, text.as_bytes()), ValueRef::Json(text.as_bytes()));
        }
    }

    #[test]
    fn the_last_of_two_members_is_read_inside_a_value() {
        let read = |keys: &[&str]| {
            let keys: Vec<Box<str>> = keys.iter().map(|&key| key.into()).collect();
            nested(br#"{"a":{"b":1,"\u0062":"x","n":NaN,"l":[{"b":2}]},"c":null}"#, &keys)
        };
        assert_eq!(read(&["a", "b"]), ValueRef::Escaped(b"x"));
        assert_eq!(read(&["c"]), ValueRef::Missing);
        assert_eq!(read(&["a", "l", "b"]), ValueRef::Missing);
        assert_eq!(read(&["a", "b", "c"]), ValueRef::Missing);
    }

    proptest::proptest! {
        #[test]
        fn texts_compare_after_unescaping(a in "[ab\"\\\\\u{e9}\u{1f600}\n]{0,6}", b in "[ab\"\\\\\u{e9}\u{1f600}\n]{0,6}", all in proptest::bool::ANY) {
            let escaped: String = if all {
                a.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
            } else {
                let quoted = serde_json::to_string(&a).expect("a text");
                quoted[1..quoted.len() - 1].to_owned()
            };
            let mut buffers = Buffers::default();
            for other in [&a, &b] {
                let (left, right) = (ValueRef::Escaped(escaped.as_bytes()), ValueRef::Text(other.as_bytes()));
                proptest::prop_assert_eq!(equal(left, right, &mut buffers), a == *other);
                proptest::prop_assert_eq!(order(left, right, &mut buffers), Some(a.as_bytes().cmp(other.as_bytes())));
            }
        }
    }
}
