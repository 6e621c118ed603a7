//! Edits of every text of an encoded message, however deep, by tables of what stands where in it.

use super::patch::{Splice, ValueEdit, places};
use crate::formats::protobuf::{Value, open_message};

/// What is done to texts.
pub trait TextEdit {
    /// Comes before each message.
    fn begin(&mut self) {}

    /// Whether a text becomes another. A number is asked for as JSON writes it, and becomes a text.
    fn changes(&mut self, kind: TextKind, text: &[u8]) -> bool;

    /// Appends the other text.
    fn write(&mut self, kind: TextKind, text: &[u8], out: &mut Vec<u8>);
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// A name, or a message for people.
    Name,
    /// The key of an attribute.
    Key,
    /// The value of an attribute, or a part of it.
    Value,
    /// Bytes that need not be a text.
    Bytes,
    /// A value that is an integer or a double.
    Number,
}

/// What a field holds.
#[derive(Debug)]
enum Part {
    Text(TextKind),
    Inner(&'static Message),
}

/// The fields of a message in which texts stand.
#[derive(Debug)]
pub struct Message(&'static [(u32, Part)]);

/// A `Span`: names, status, and the attributes of it, its events and its links.
pub static SPAN: Message = Message(&[
    (5, Part::Text(TextKind::Name)),
    (9, Part::Inner(&KEY_VALUE)),
    (11, Part::Inner(&EVENT)),
    (13, Part::Inner(&LINK)),
    (15, Part::Inner(&STATUS)),
]);

/// An `AnyValue`.
pub static ANY_VALUE: Message = Message(&[
    (1, Part::Text(TextKind::Value)),
    (3, Part::Text(TextKind::Number)),
    (4, Part::Text(TextKind::Number)),
    (5, Part::Inner(&ARRAY)),
    (6, Part::Inner(&MAP)),
    (7, Part::Text(TextKind::Bytes)),
]);

static KEY_VALUE: Message = Message(&[(1, Part::Text(TextKind::Key)), (2, Part::Inner(&ANY_VALUE))]);
static ARRAY: Message = Message(&[(1, Part::Inner(&ANY_VALUE))]);
static MAP: Message = Message(&[(1, Part::Inner(&KEY_VALUE))]);
static EVENT: Message = Message(&[(2, Part::Text(TextKind::Name)), (3, Part::Inner(&KEY_VALUE))]);
static LINK: Message = Message(&[(4, Part::Inner(&KEY_VALUE))]);
static STATUS: Message = Message(&[(2, Part::Text(TextKind::Name))]);

impl Message {
    /// Whether any text becomes another.
    pub fn changes(&self, message: &[u8], edit: &mut dyn TextEdit) -> bool {
        places(message).any(|(number, _, value)| self.part_changes(number, value, edit))
    }

    /// Appends the message with the other texts; nothing where none becomes another. Returns whether one did.
    pub fn edit(&self, message: &[u8], edit: &mut dyn TextEdit, out: &mut Vec<u8>) -> bool {
        let mut splice = Splice::new(message);
        for (number, place, value) in places(message) {
            if !self.part_changes(number, value, edit) {
                continue;
            }
            splice.cut(place, out);
            match (self.part(number), value) {
                (Some(Part::Inner(inner)), Value::Bytes(bytes)) => {
                    let open = open_message(number, out);
                    inner.edit(bytes, edit, out);
                    open.close(out);
                }
                (Some(Part::Text(kind)), Value::Bytes(text)) => {
                    let open = open_message(number, out);
                    edit.write(*kind, text, out);
                    open.close(out);
                }
                (Some(Part::Text(kind)), value) => {
                    let Some(digits) = Digits::of(value) else { continue };
                    let open = open_message(1, out);
                    edit.write(*kind, digits.text(), out);
                    open.close(out);
                }
                _ => {}
            }
        }
        splice.finish(out)
    }

    fn part(&self, number: u32) -> Option<&Part> {
        self.0.iter().find(|(known, _)| *known == number).map(|(_, part)| part)
    }

    fn part_changes(&self, number: u32, value: Value<'_>, edit: &mut dyn TextEdit) -> bool {
        match (self.part(number), value) {
            (Some(Part::Inner(inner)), Value::Bytes(bytes)) => inner.changes(bytes, edit),
            (Some(Part::Text(kind)), Value::Bytes(text)) => edit.changes(*kind, text),
            (Some(Part::Text(TextKind::Number)), value) => {
                Digits::of(value).is_some_and(|digits| edit.changes(TextKind::Number, digits.text()))
            }
            _ => false,
        }
    }
}

/// A number as JSON writes it.
struct Digits {
    buffer: [u8; MOST_DIGITS],
    length: usize,
}

/// The shortest form of a double has 24 bytes at most, an integer 20.
const MOST_DIGITS: usize = 32;

impl Digits {
    /// Those of a field; none where it is no number, or not a finite one.
    fn of(value: Value<'_>) -> Option<Self> {
        let mut buffer = [0; MOST_DIGITS];
        let mut rest = &mut buffer[..];
        let written = match value {
            Value::Varint(int) => serde_json::to_writer(&mut rest, &int.cast_signed()),
            Value::Fixed64(bits) if f64::from_bits(bits).is_finite() => {
                serde_json::to_writer(&mut rest, &f64::from_bits(bits))
            }
            _ => return None,
        };
        let length = MOST_DIGITS - rest.len();
        written.ok().map(|()| Self { buffer, length })
    }

    fn text(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

/// The edit of all texts of one value.
pub struct OfValue<'a>(pub &'a mut dyn TextEdit);

impl ValueEdit for OfValue<'_> {
    fn changes(&mut self, value: &[u8]) -> bool {
        ANY_VALUE.changes(value, self.0)
    }

    fn write(&mut self, value: &[u8], out: &mut Vec<u8>) {
        ANY_VALUE.edit(value, self.0, out);
    }
}
