//! Spans in Protocol Buffers: `zipkin.proto3` of <https://github.com/openzipkin/zipkin-api/blob/master/zipkin.proto>.

use std::borrow::Cow;
use std::net::IpAddr;

use super::super::kind;
use super::Reason;
use super::span::{Address, Annotation, Endpoint, Span, Tag};
use crate::formats::protobuf::{Fields, Value, WireError};

/// Hands each span of a `ListOfSpans` to `take`; an error has the offset of the field that cannot be read.
pub(super) fn each<'a>(body: &'a [u8], mut take: impl FnMut(&'a [u8])) -> Result<(), (usize, WireError)> {
    let mut fields = Fields::of(body);
    loop {
        let at = body.len() - fields.rest().len();
        match fields.field().map_err(|error| (at, error))? {
            Some((1, value)) => take(value.bytes().map_err(|error| (at, error))?),
            Some(_) => {}
            None => return Ok(()),
        }
    }
}

/// Reads a `Span`.
pub(super) fn read_span<'a>(message: &'a [u8], span: &mut Span<'a>) -> Result<(), Reason> {
    let wire = |error: WireError| error.to_string();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field().map_err(wire)? {
        match number {
            1 => span.trace_id = trace_id(value.bytes().map_err(wire)?)?,
            2 => span.parent_id = id("parent id", value.bytes().map_err(wire)?)?,
            3 => span.id = id("id", value.bytes().map_err(wire)?)?,
            4 => span.kind = kind(value.varint().map_err(wire)?)?,
            5 => span.name = Cow::Borrowed(value.text().map_err(wire)?),
            6 => span.timestamp = fixed64(value).map_err(wire)?,
            7 => span.duration = value.varint().map_err(wire)?,
            8 => endpoint(value.bytes().map_err(wire)?, &mut span.local)?,
            9 => endpoint(value.bytes().map_err(wire)?, &mut span.remote)?,
            10 => span.annotations.push(annotation(value.bytes().map_err(wire)?).map_err(wire)?),
            11 => span.tags.push(tag(value.bytes().map_err(wire)?).map_err(wire)?),
            12 => span.debug = value.varint().map_err(wire)? != 0,
            13 => span.shared = value.varint().map_err(wire)? != 0,
            _ => {}
        }
    }
    Ok(())
}

fn fixed64(value: Value<'_>) -> Result<u64, WireError> {
    if let Value::Fixed64(value) = value { Ok(value) } else { Err(WireError::Type) }
}

fn trace_id(bytes: &[u8]) -> Result<[u8; 16], Reason> {
    let mut id = [0; 16];
    match bytes.len() {
        16 => id.copy_from_slice(bytes),
        8 => id[8..].copy_from_slice(bytes),
        length => return Err(format!("its trace id has {length} bytes, not 8 or 16")),
    }
    Ok(id)
}

/// An id; zeros where it is absent.
fn id(name: &str, bytes: &[u8]) -> Result<[u8; 8], Reason> {
    match bytes.len() {
        0 => Ok([0; 8]),
        length => bytes.try_into().map_err(|_| format!("its {name} has {length} bytes, not 8")),
    }
}

fn kind(number: u64) -> Result<u64, Reason> {
    let kinds = [0, kind::CLIENT, kind::SERVER, kind::PRODUCER, kind::CONSUMER];
    let known = usize::try_from(number).ok().and_then(|number| kinds.get(number));
    known.copied().ok_or_else(|| format!("its kind is {number}"))
}

fn endpoint<'a>(message: &'a [u8], to: &mut Endpoint<'a>) -> Result<(), Reason> {
    let wire = |error: WireError| error.to_string();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field().map_err(wire)? {
        match number {
            1 => to.service = Cow::Borrowed(value.text().map_err(wire)?),
            2 => to.ipv4 = address::<4>(value.bytes().map_err(wire)?)?,
            3 => to.ipv6 = address::<16>(value.bytes().map_err(wire)?)?,
            4 => {
                let port = value.varint().map_err(wire)? as i32;
                to.port = port.max(0).try_into().map_err(|_| format!("a port is {port}"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn address<'a, const N: usize>(bytes: &[u8]) -> Result<Option<Address<'a>>, Reason>
where
    IpAddr: From<[u8; N]>,
{
    if bytes.is_empty() {
        return Ok(None);
    }
    let octets: [u8; N] = bytes.try_into().map_err(|_| format!("an address has {} bytes, not {N}", bytes.len()))?;
    Ok(Some(Address::Ip(octets.into())))
}

fn annotation(message: &[u8]) -> Result<Annotation<'_>, WireError> {
    let mut annotation = Annotation::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        match number {
            1 => annotation.timestamp = fixed64(value)?,
            2 => annotation.value = Cow::Borrowed(value.text()?),
            _ => {}
        }
    }
    Ok(annotation)
}

/// An entry of a `map<string, string>`.
fn tag(message: &[u8]) -> Result<Tag<'_>, WireError> {
    let (mut name, mut text) = ("", "");
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        match number {
            1 => name = value.text()?,
            2 => text = value.text()?,
            _ => {}
        }
    }
    Ok(Tag { name: Cow::Borrowed(name), value: Cow::Borrowed(text) })
}
