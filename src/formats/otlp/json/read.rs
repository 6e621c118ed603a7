//! From JSON to the bytes of a message, in one pass over the text.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::any;
use super::schema::{Field, Kind, Message};
use crate::formats::json::strict::is_number;
use crate::formats::json::text::hex_digits;
use crate::formats::protobuf::{self, open_message, push_bytes, push_varint};

pub(super) fn read(message: &'static Message, text: &[u8], most: usize) -> Result<Vec<u8>, serde_json::Error> {
    // Most texts are several times as long as their messages.
    let mut out = Out { bytes: Vec::with_capacity((text.len() / 3).min(most)), most };
    let mut json = serde_json::Deserializer::from_slice(text);
    json.deserialize_map(Root { message, out: &mut out })?;
    json.end()?;
    Ok(out.bytes)
}

/// The message being written.
struct Out {
    bytes: Vec<u8>,
    most: usize,
}

impl Out {
    fn check<E: Error>(&self) -> Result<(), E> {
        if self.bytes.len() <= self.most {
            return Ok(());
        }
        Err(E::custom(format_args!("the message takes more than {} bytes", self.most)))
    }
}

struct Root<'a> {
    message: &'static Message,
    out: &'a mut Out,
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        members(self.message, map, self.out)
    }
}

fn members<'de, A: MapAccess<'de>>(message: &'static Message, mut map: A, out: &mut Out) -> Result<(), A::Error> {
    while let Some(field) = map.next_key_seed(Key(message))? {
        match field {
            Some(field) => map.next_value_seed(Member { field, out })?,
            None => drop(map.next_value::<IgnoredAny>()?),
        }
    }
    out.check()
}

/// A key of an object: the field it names, if any.
struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.fields.iter().find(|field| is_name(field.name, key)))
    }
}

/// Whether a key is this name, written `likeThis` or `like_this`.
fn is_name(name: &str, key: &str) -> bool {
    if name.len() == key.len() {
        return name == key;
    }
    let mut key = key.bytes();
    let same = name.bytes().all(|byte| match key.next() {
        Some(b'_') => byte.is_ascii_uppercase() && key.next() == Some(byte.to_ascii_lowercase()),
        other => other == Some(byte),
    });
    same && key.next().is_none()
}

/// The value of a field: one, or a list.
struct Member<'a> {
    field: &'static Field,
    out: &'a mut Out,
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.field.repeated {
            return deserializer.deserialize_any(self);
        }
        One { field: self.field, place: Place::Alone, out: self.out }.deserialize(deserializer)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list as `{}`", self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { field, out } = self;
        if !field.kind.is_packed() {
            while list.next_element_seed(One { field, place: Place::Listed, out })?.is_some() {}
            return Ok(());
        }
        let packed = open_message(field.number, &mut out.bytes);
        while list.next_element_seed(One { field, place: Place::Packed, out })?.is_some() {
            out.check()?;
        }
        if packed.is_empty(&out.bytes) {
            packed.cancel(&mut out.bytes);
        } else {
            packed.close(&mut out.bytes);
        }
        Ok(())
    }
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the field; `null` is none.
    Alone,
    /// In a list, with a tag of its own; `null` is what the field is by default.
    Listed,
    /// In a list without tags.
    Packed,
}

/// One value.
struct One<'a> {
    field: &'static Field,
    place: Place,
    out: &'a mut Out,
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { field, place, out } = self;
        match field.kind {
            Kind::Any => any::read(field.number, deserializer, &mut out.bytes),
            kind if kind.is_packed() => {
                let text = <&RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
                let text = match (text, place) {
                    ("null", Place::Alone) => return Ok(()),
                    ("null", _) if matches!(kind, Kind::Bool) => "false",
                    ("null", _) => "0",
                    (text, _) => text,
                };
                let number = if place == Place::Packed { None } else { Some(field.number) };
                push_scalar(kind, text, number, &mut out.bytes).ok_or_else(|| {
                    let shown: String = text.chars().take(MOST_SHOWN).collect();
                    D::Error::custom(format_args!("`{}` is not {}: {shown}", field.name, kind.expected()))
                })
            }
            _ => deserializer.deserialize_any(One { field, place, out }),
        }
    }
}

/// Characters of a wrong value that are shown.
const MOST_SHOWN: usize = 40;

impl<'de> Visitor<'de> for One<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as `{}`", self.field.kind.expected(), self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        if self.place != Place::Alone {
            push_bytes(self.field.number, &[], &mut self.out.bytes);
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let wrong = || E::invalid_value(Unexpected::Str(text), &self);
        let Self { field, ref out, .. } = self;
        // What a length may take is known before the bytes are.
        let mut bytes = Cow::Borrowed(text.as_bytes());
        match field.kind {
            Kind::Text => {}
            Kind::Id => bytes = id(text).ok_or_else(wrong)?.into(),
            Kind::Bytes => bytes = decode_base64(text).ok_or_else(wrong)?.into(),
            _ => return Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
        out.check()?;
        push_bytes(field.number, &bytes, &mut self.out.bytes);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        };
        let open = open_message(self.field.number, &mut self.out.bytes);
        members(message, map, self.out)?;
        open.close(&mut self.out.bytes);
        Ok(())
    }
}

/// The bytes of an id. Hexadecimal digits that make no whole bytes are an id of a length that none has, so that only what
/// is marked by it is refused, as for any other length that is wrong.
fn id(text: &str) -> Option<Vec<u8>> {
    const OF_NO_LENGTH: [u8; 1] = [0];
    let text = text.as_bytes();
    match text.len() % 2 {
        0 => hex_digits(text).collect(),
        _ => text.iter().all(u8::is_ascii_hexdigit).then(|| OF_NO_LENGTH.to_vec()),
    }
}

/// Base64 as senders write it: standard or for URLs, padded or not.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    engine.decode(text).ok()
}

/// Appends a scalar that is given as JSON text, with a tag if it has a number. `None` where it is none of that kind.
fn push_scalar(kind: Kind, text: &str, number: Option<u32>, out: &mut Vec<u8>) -> Option<()> {
    let quoted = text.starts_with('"');
    let text = if quoted { serde_json::from_str::<Cow<'_, str>>(text).ok()? } else { Cow::Borrowed(text) };
    let text = &*text;
    let wire = match kind {
        Kind::Bool if quoted => return None,
        Kind::Bool => Wire::Varint(match text {
            "true" => 1,
            "false" => 0,
            _ => return None,
        }),
        // Negative numbers of 32 bits have ten bytes, as those of 64.
        Kind::Int32 => Wire::Varint(i64::from(integer::<i32>(text)?).cast_unsigned()),
        Kind::Enum(prefix, names) => Wire::Varint(i64::from(enumerated(text, quoted, prefix, names)?).cast_unsigned()),
        Kind::Int64 => Wire::Varint(integer::<i64>(text)?.cast_unsigned()),
        Kind::Sint32 => Wire::Varint(protobuf::to_zigzag(integer::<i32>(text)?.into())),
        Kind::Uint32 => Wire::Varint(integer::<u32>(text)?.into()),
        Kind::Uint64 => Wire::Varint(integer(text)?),
        Kind::Fixed32 => Wire::Fixed32(integer(text)?),
        Kind::Fixed64 => Wire::Fixed64(integer(text)?),
        Kind::Sfixed64 => Wire::Fixed64(integer::<i64>(text)?.cast_unsigned()),
        Kind::Double => Wire::Fixed64(double(text, quoted)?.to_bits()),
        Kind::Text | Kind::Bytes | Kind::Id | Kind::Message(_) | Kind::Any => return None,
    };
    let kind = match wire {
        Wire::Varint(_) => 0,
        Wire::Fixed64(_) => 1,
        Wire::Fixed32(_) => 5,
    };
    if let Some(number) = number {
        push_varint(u64::from(number) << 3 | kind, out);
    }
    match wire {
        Wire::Varint(value) => push_varint(value, out),
        Wire::Fixed64(value) => out.extend_from_slice(&value.to_le_bytes()),
        Wire::Fixed32(value) => out.extend_from_slice(&value.to_le_bytes()),
    }
    Some(())
}

/// A scalar as it is written.
enum Wire {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
}

/// An integer; one in the notation of a double is one if it is whole, as in JavaScript's `1.7e18`.
fn integer<T: TryFrom<i128>>(text: &str) -> Option<T> {
    if !is_number(text.as_bytes()) {
        return None;
    }
    let value = text.parse::<i128>().ok().or_else(|| {
        let double: f64 = text.parse().ok()?;
        // Beyond, no number of 64 bits is meant.
        (double.fract() == 0.0 && double.abs() < 2e19).then_some(double as i128)
    })?;
    T::try_from(value).ok()
}

fn double(text: &str, quoted: bool) -> Option<f64> {
    match text {
        "NaN" if quoted => Some(f64::NAN),
        "Infinity" if quoted => Some(f64::INFINITY),
        "-Infinity" if quoted => Some(f64::NEG_INFINITY),
        _ if is_number(text.as_bytes()) => text.parse().ok().filter(|double: &f64| double.is_finite()),
        _ => None,
    }
}

fn enumerated(text: &str, quoted: bool, prefix: &str, names: &[&str]) -> Option<i32> {
    let named = || {
        let name = text.strip_prefix(prefix)?;
        i32::try_from(names.iter().position(|known| *known == name)?).ok()
    };
    integer(text).or_else(|| if quoted { named() } else { None })
}
