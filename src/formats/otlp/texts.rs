//! Edits of every text of an encoded message, however deep, by tables of what stands where in it.

use super::patch::{Splice, ValueEdit, places};
use crate::formats::protobuf::{Value, open_message};

/// What is done to texts.
pub trait TextEdit {
    /// Comes before each message.
    fn begin(&mut self) {}

    /// Whether a text becomes another. An integer is asked for as its digits, and becomes a text.
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
    /// A value that is an integer.
    Int,
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
    (3, Part::Text(TextKind::Int)),
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
                (Some(Part::Text(kind)), Value::Varint(int)) => {
                    let (digits, from) = digits(int.cast_signed());
                    let open = open_message(1, out);
                    edit.write(*kind, &digits[from..], out);
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
            (Some(Part::Text(TextKind::Int)), Value::Varint(int)) => {
                let (digits, from) = digits(int.cast_signed());
                edit.changes(TextKind::Int, &digits[from..])
            }
            (Some(Part::Text(kind)), Value::Bytes(text)) => edit.changes(*kind, text),
            _ => false,
        }
    }
}

/// The digits of an integer at the end of a buffer, and where they begin in it.
fn digits(int: i64) -> ([u8; 20], usize) {
    let (mut buffer, mut at, mut rest) = ([0; 20], 20, int.unsigned_abs());
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if int < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    (buffer, at)
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
