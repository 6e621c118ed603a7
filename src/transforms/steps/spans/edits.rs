//! What `set`, `rename` and `delete` do to spans and their resources.

use super::desk::Desk;
use super::{On, Place, SpanStep};
use crate::data::Names;
use crate::expression::check::CheckedTerm;
use crate::expression::option::CompileError;
use crate::expression::traces::{NAME, STATUS_CODE, STATUS_CODES, SUBJECT};
use crate::expression::{Assignment, Operand, PathOption, ValueRef};
use crate::formats::json::text::{unescape, write_double, write_hex, write_int};
use crate::formats::otlp::value::AnyValue;
use crate::formats::otlp::{patch, span};
use crate::formats::protobuf::{push_bytes, push_double, push_uint};

/// Appends a value as an encoded `AnyValue`; returns whether there is one.
fn encode(value: ValueRef<'_>, text: &mut Vec<u8>, out: &mut Vec<u8>) -> bool {
    match value {
        ValueRef::Missing => return false,
        ValueRef::Text(text) => push_bytes(1, text, out),
        ValueRef::Int(int) => push_uint(3, int.cast_unsigned(), out),
        ValueRef::Double(double) => push_double(4, double, out),
        ValueRef::Bool(value) => push_uint(2, value.into(), out),
        ValueRef::Encoded(message) => out.extend_from_slice(message),
        other => {
            text.clear();
            write_text(other, text);
            push_bytes(1, text, out);
        }
    }
    true
}

/// Appends a value as a text; returns whether there is one.
pub fn write_text(value: ValueRef<'_>, out: &mut Vec<u8>) -> bool {
    match value {
        ValueRef::Missing => return false,
        ValueRef::Text(text) | ValueRef::Number(text) | ValueRef::Json(text) => out.extend_from_slice(text),
        ValueRef::Escaped(inner) => unescape(inner, out),
        ValueRef::Int(int) => write_int(int, out),
        ValueRef::Double(double) => write_double(double, out),
        ValueRef::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        // No deeper than the index has let it be.
        ValueRef::Encoded(message) => {
            return AnyValue::read(message).is_ok_and(|value| value.write_json(out).is_ok());
        }
        ValueRef::Id(id) => write_hex(id, out),
        ValueRef::Time(time) => time.write_rfc3339(out),
    }
    true
}

/// What `set` writes to.
#[derive(Clone, Debug)]
enum To {
    Name,
    StatusCode,
    Attribute(Place),
}

#[derive(Clone)]
struct Set {
    to: To,
    value: Operand,
    /// The value as it is written: made once where it is a constant.
    encoded: Vec<u8>,
    text: Vec<u8>,
}

/// The step `set`.
pub fn set(assignment: &Assignment, names: &Names) -> Result<Box<dyn SpanStep>, CompileError> {
    let (target, value) = assignment.checked(&SUBJECT)?;
    let to = match &target {
        CheckedTerm::Field(field, _) if *field == NAME => To::Name,
        CheckedTerm::Field(field, _) if *field == STATUS_CODE => To::StatusCode,
        // The checker lets nothing else be set.
        attribute => To::Attribute(Place::of_term(attribute)),
    };
    let value = Operand::new(&value, names)?;
    let (mut encoded, mut text) = (Vec::new(), Vec::new());
    if let (To::Attribute(_), Operand::Literal(constant)) = (&to, &value) {
        encode(constant.value(), &mut text, &mut encoded);
    }
    Ok(Box::new(Set { to, value, encoded, text }))
}

impl Set {
    /// Makes the value ready to be written as an attribute; returns whether there is one.
    fn encode(&mut self, desk: &Desk<'_>) -> bool {
        if let Operand::Literal(_) = self.value {
            return true;
        }
        self.encoded.clear();
        let view = desk.view();
        if let Operand::Attribute(path) = &self.value {
            // As it stands, whatever it is.
            let found = view.message.attribute(&path.keys).unwrap_or_default();
            self.encoded.extend_from_slice(found);
            return !ValueRef::of_otlp(found).is_missing();
        }
        encode(self.value.read(&view), &mut self.text, &mut self.encoded)
    }
}

impl SpanStep for Set {
    fn reads_resource(&self) -> bool {
        matches!(self.value, Operand::Resource(_))
    }

    fn edits_resource(&self) -> bool {
        matches!(&self.to, To::Attribute(place) if place.on == On::Resource)
    }

    fn run(&mut self, desk: &mut Desk<'_>) -> bool {
        match &self.to {
            To::Attribute(place) if place.on != desk.on => {}
            To::Attribute(_) => {
                if self.encode(desk)
                    && let To::Attribute(place) = &self.to
                {
                    desk.edit_attributes(|rest, out| patch::set(rest, place.number(), &place.keys, &self.encoded, out));
                }
            }
            To::Name => {
                self.text.clear();
                if write_text(self.value.read(&desk.view()), &mut self.text) {
                    desk.edit(|message, out| patch::set_text(message, span::NAME, &self.text, out));
                }
            }
            To::StatusCode => {
                let code = match self.value.read(&desk.view()) {
                    ValueRef::Int(code) => u8::try_from(code).ok().filter(|code| *code <= 2),
                    ValueRef::Text(text) => {
                        let word = std::str::from_utf8(text).ok().and_then(|text| STATUS_CODES.find(text));
                        let known = STATUS_CODES.words.iter().position(|known| Some(*known) == word);
                        known.map(|code| code as u8)
                    }
                    _ => None,
                };
                if let Some(code) = code.filter(|code| *code != desk.entry.status) {
                    desk.edit(|message, out| patch::set_status_code(message, code, out));
                    desk.entry.status = code;
                }
            }
        }
        true
    }

    fn copy(&self) -> Box<dyn SpanStep> {
        Box::new(self.clone())
    }
}

#[derive(Clone)]
struct Rename {
    from: Place,
    to: Place,
    value: Vec<u8>,
    without: Vec<u8>,
}

/// The step `rename`. Both places are of one message.
pub fn rename(from: &PathOption, to: &PathOption) -> Result<Box<dyn SpanStep>, CompileError> {
    let (from, to) = (Place::of(from)?, Place::of(to)?);
    Ok(Box::new(Rename { from, to, value: Vec::new(), without: Vec::new() }))
}

impl SpanStep for Rename {
    fn edits_resource(&self) -> bool {
        self.from.on == On::Resource
    }

    fn run(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.from.on != desk.on || self.from.keys == self.to.keys {
            return true;
        }
        let Self { from, to, value, without } = self;
        desk.edit_attributes(|rest, out| {
            let Some(found) = span::attribute(rest, from.number(), &from.keys) else { return false };
            if ValueRef::of_otlp(found).is_missing() {
                return false;
            }
            value.clear();
            value.extend_from_slice(found);
            without.clear();
            patch::delete(rest, from.number(), &from.keys, without)
                && patch::set(without, to.number(), &to.keys, value, out)
        });
        true
    }

    fn copy(&self) -> Box<dyn SpanStep> {
        Box::new(self.clone())
    }
}

#[derive(Clone)]
struct Delete(Vec<Place>);

/// The step `delete`.
pub fn delete(places: Vec<Place>) -> Box<dyn SpanStep> {
    Box::new(Delete(places))
}

impl SpanStep for Delete {
    fn edits_resource(&self) -> bool {
        self.0.iter().any(|place| place.on == On::Resource)
    }

    fn run(&mut self, desk: &mut Desk<'_>) -> bool {
        let on = desk.on;
        for place in self.0.iter().filter(|place| place.on == on) {
            desk.edit_attributes(|rest, out| patch::delete(rest, place.number(), &place.keys, out));
        }
        true
    }

    fn copy(&self) -> Box<dyn SpanStep> {
        Box::new(self.clone())
    }
}
