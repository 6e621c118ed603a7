//! Spans in JSON. A body is looked at twice: once to find where each span begins and ends, which proves that it is
//! JSON, and once to read a span by itself, so that a bad one takes no other with it. Neither goes deeper into what
//! is not known than a fixed stack; strings without escapes are borrowed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Reason;
use super::span::{Address, Annotation, Endpoint, Span, Tag, kind_of, read_id};

/// Hands each element of an array to `take`, as it is written.
pub(super) fn each<'a>(body: &'a str, take: impl FnMut(&'a str)) -> Result<(), serde_json::Error> {
    struct Each<F>(F);
    impl<'a, F: FnMut(&'a str)> Visitor<'a> for Each<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'a>>(mut self, mut seq: A) -> Result<(), A::Error> {
            while let Some(element) = seq.next_element::<&RawValue>()? {
                self.0(element.get());
            }
            Ok(())
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(body);
    deserializer.deserialize_any(Each(take))?;
    deserializer.end()
}

/// Reads an object into `to`.
pub(super) fn read_object<'a, R: ReadMember<'a>>(object: &'a str, to: &mut R) -> Result<(), Reason> {
    match Object(to).deserialize(&mut serde_json::Deserializer::from_str(object)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("it is null and not {}", R::WHAT)),
        // It tells line and column, but not of what.
        Err(error) => Err(format!("{error} of the span")),
    }
}

impl<'a> ReadMember<'a> for Span<'a> {
    const WHAT: &'static str = "a span";

    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "traceId" => self.trace_id = id(&name, map)?,
            "id" => self.id = id(&name, map)?,
            "parentId" => self.parent_id = parent_id(map)?,
            "kind" => {
                let kind = text(map)?;
                if !kind.is_empty() {
                    let known = kind_of(&kind).ok_or_else(|| A::Error::custom(format_args!("`kind` is `{kind}`")));
                    self.kind = known?;
                }
            }
            "name" => self.name = text(map)?,
            "timestamp" => self.timestamp = micros(map)?,
            "duration" => self.duration = micros(map)?,
            "localEndpoint" => drop(map.next_value_seed(Object(&mut self.local))?),
            "remoteEndpoint" => drop(map.next_value_seed(Object(&mut self.remote))?),
            "annotations" => map.next_value_seed(Array(&mut self.annotations))?,
            "tags" => drop(map.next_value_seed(Object(&mut Tags(&mut self.tags)))?),
            "debug" => self.debug = flag(map)?,
            "shared" => self.shared = flag(map)?,
            "binaryAnnotations" => return Err(A::Error::custom("`binaryAnnotations` are of v1")),
            _ => ignore(map)?,
        }
        Ok(())
    }
}

impl<'a> ReadMember<'a> for Endpoint<'a> {
    const WHAT: &'static str = "an endpoint";

    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "serviceName" => self.service = text(map)?,
            "ipv4" => self.ipv4 = Address::read(text(map)?),
            "ipv6" => self.ipv6 = Address::read(text(map)?),
            "port" => {
                let Number(port) = map.next_value::<Option<Number>>()?.unwrap_or(Number(0));
                // Thrift's ports of v1 have 16 bits with a sign; what is negative is none.
                let port = u16::try_from(port.max(0));
                self.port = port.map_err(|_| A::Error::custom("`port` is more than 65535"))?;
            }
            _ => ignore(map)?,
        }
        Ok(())
    }
}

impl<'a> ReadMember<'a> for Annotation<'a> {
    const WHAT: &'static str = "an annotation";

    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "timestamp" => self.timestamp = micros(map)?,
            "value" => self.value = text(map)?,
            _ => ignore(map)?,
        }
        Ok(())
    }
}

struct Tags<'s, 'a>(&'s mut Vec<Tag<'a>>);

impl<'a> ReadMember<'a> for Tags<'_, 'a> {
    const WHAT: &'static str = "an object of tags";

    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error> {
        let Scalar(value) = map.next_value()?;
        self.0.push(Tag { name, value });
        Ok(())
    }
}

/// What an object is read into, member by member.
pub(super) trait ReadMember<'a> {
    /// What is expected.
    const WHAT: &'static str;

    /// Reads the value of the member `name` from `map`.
    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object, and tells whether there was one: `null` is none.
pub(super) struct Object<'r, R>(pub &'r mut R);

impl<'a, R: ReadMember<'a>> DeserializeSeed<'a> for Object<'_, R> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, R: ReadMember<'a>> Visitor<'a> for Object<'_, R> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(R::WHAT)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            self.0.member(name, &mut map)?;
        }
        Ok(true)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// Reads an array of objects into a list; `null` is none, and one in it is passed over.
pub(super) struct Array<'r, R>(pub &'r mut Vec<R>);

impl<'a, R: ReadMember<'a> + Default> DeserializeSeed<'a> for Array<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, R: ReadMember<'a> + Default> Visitor<'a> for Array<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array, each of it {}", R::WHAT)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut element = R::default();
        while let Some(there) = seq.next_element_seed(Object(&mut element))? {
            if there {
                self.0.push(std::mem::take(&mut element));
            }
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A text; nothing where it is `null`.
pub(super) fn text<'a, A: MapAccess<'a>>(map: &mut A) -> Result<Cow<'a, str>, A::Error> {
    Ok(map.next_value::<Option<Text<'a>>>()?.map(|Text(text)| text).unwrap_or_default())
}

/// An id.
pub(super) fn id<'a, const N: usize, A: MapAccess<'a>>(name: &str, map: &mut A) -> Result<[u8; N], A::Error> {
    read_id(&text(map)?).map_err(|reason| A::Error::custom(format_args!("`{name}` {reason}")))
}

/// The id of a parent; zeros where there is none.
pub(super) fn parent_id<'a, A: MapAccess<'a>>(map: &mut A) -> Result<[u8; 8], A::Error> {
    let digits = text(map)?;
    if digits.bytes().all(|digit| digit == b'0') {
        return Ok([0; 8]);
    }
    read_id(&digits).map_err(|reason| A::Error::custom(format_args!("`parentId` {reason}")))
}

/// A time or a duration: 0 where it is `null`, or before 1970.
pub(super) fn micros<'a, A: MapAccess<'a>>(map: &mut A) -> Result<u64, A::Error> {
    let number = map.next_value::<Option<Number>>()?;
    Ok(number.map_or(0, |Number(number)| number.max(0).try_into().unwrap_or(u64::MAX)))
}

pub(super) fn flag<'a, A: MapAccess<'a>>(map: &mut A) -> Result<bool, A::Error> {
    Ok(map.next_value::<Option<bool>>()?.unwrap_or_default())
}

pub(super) fn ignore<'a, A: MapAccess<'a>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// A string, borrowed where nothing in it is escaped.
#[derive(Debug)]
pub(in super::super) struct Text<'a>(pub Cow<'a, str>);

impl<'a> Deserialize<'a> for Text<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'a> Visitor<'a> for Read {
            type Value = Text<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// The value of a tag: a string, or a number or a boolean that a sender has not made one of.
pub(super) struct Scalar<'a>(pub Cow<'a, str>);

impl<'a> Deserialize<'a> for Scalar<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'a> Visitor<'a> for Read {
            type Value = Scalar<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Scalar<'a>, E> {
                Ok(Scalar(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'a>, E> {
                Ok(Scalar(Cow::Owned(text.to_owned())))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar<'a>, E> {
                Ok(Scalar(Cow::Borrowed(if value { "true" } else { "false" })))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar<'a>, E> {
                Ok(Scalar(Cow::Owned(value.to_string())))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar<'a>, E> {
                Ok(Scalar(Cow::Owned(value.to_string())))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar<'a>, E> {
                // As JSON writes it: with a fraction, and not with hundreds of digits.
                let written = serde_json::to_string(&value).map_err(E::custom)?;
                Ok(Scalar(Cow::Owned(written)))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A whole number, which some senders write as a fraction of nothing or as a string.
struct Number(i64);

impl<'a> Deserialize<'a> for Number {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(i64::try_from(value).unwrap_or(i64::MAX)))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value as i64))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Number, E> {
                value.parse().map(Number).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(value), &self))
            }
        }
        deserializer.deserialize_any(Read)
    }
}
