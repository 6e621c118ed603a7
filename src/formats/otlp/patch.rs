//! Edits of encoded messages: what an edit is not about is copied as it stands, in runs.
//!
//! Every edit appends the new message to `out` and returns true, or finds nothing to do, appends nothing and
//! returns false. Messages were proven well-formed by the index. A key that stands several times is edited or
//! deleted everywhere; of values set, one stays.

use std::ops::Range;

use super::check;
use super::span::{STATUS, STATUS_CODE};
use super::value::{AnyValue, key_value};
use crate::formats::protobuf::{Fields, Value, open_message, push_bytes, push_uint};

/// What is done to the value of an attribute, which is an encoded `AnyValue`.
pub trait ValueEdit {
    /// Whether the value becomes another.
    fn changes(&mut self, value: &[u8]) -> bool;

    /// Appends the other value.
    fn write(&mut self, value: &[u8], out: &mut Vec<u8>);
}

/// Gives an attribute a value, which is an encoded `AnyValue`. Where a map on the way is missing it is made;
/// inside what is no map there is no place.
pub fn set(message: &[u8], number: u32, keys: &[Box<str>], value: &[u8], out: &mut Vec<u8>) -> bool {
    let [key, rest @ ..] = keys else { return false };
    let mut splice = Splice::new(message);
    if rest.is_empty() {
        let mut is_set = false;
        for pair in Pairs::of(message, number, key) {
            splice.cut(pair.place, out);
            if !std::mem::replace(&mut is_set, true) {
                write_pair(number, key, out, |out| out.extend_from_slice(value));
            }
        }
        if !is_set {
            splice.end(out);
            write_pair(number, key, out, |out| out.extend_from_slice(value));
        }
        return splice.finish(out);
    }
    let start = out.len();
    let mut known = None;
    for pair in Pairs::of(message, number, key) {
        splice.cut(pair.place, out);
        known = Some(pair.value);
    }
    match known {
        None => {
            splice.end(out);
            write_pair(number, key, out, |out| wrap(rest, value, out));
        }
        // Of several a reader sees the last.
        Some(known) => {
            let Ok(AnyValue::Map(list)) = AnyValue::read(known) else {
                out.truncate(start);
                return false;
            };
            let mut is_set = false;
            write_pair(number, key, out, |out| {
                let map = open_message(6, out);
                is_set = set(list, 1, rest, value, out);
                map.close(out);
            });
            if !is_set {
                out.truncate(start);
                return false;
            }
        }
    }
    splice.finish(out);
    // A map that went into another may be deeper now than receivers read.
    let is_sound =
        Pairs::of(&out[start..], number, key).all(|pair| check::any_value(pair.value, check::MOST_DEPTH).is_ok());
    if !is_sound {
        out.truncate(start);
    }
    is_sound
}

/// Deletes an attribute.
pub fn delete(message: &[u8], number: u32, keys: &[Box<str>], out: &mut Vec<u8>) -> bool {
    let [key, rest @ ..] = keys else { return false };
    let mut splice = Splice::new(message);
    for pair in Pairs::of(message, number, key) {
        if rest.is_empty() {
            splice.cut(pair.place, out);
        } else if let Ok(AnyValue::Map(list)) = AnyValue::read(pair.value)
            && has(list, 1, rest)
        {
            splice.cut(pair.place, out);
            write_pair(number, key, out, |out| {
                let map = open_message(6, out);
                delete(list, 1, rest, out);
                map.close(out);
            });
        }
    }
    splice.finish(out)
}

/// Edits the value of an attribute.
pub fn edit(message: &[u8], number: u32, keys: &[Box<str>], edit: &mut dyn ValueEdit, out: &mut Vec<u8>) -> bool {
    let [key, rest @ ..] = keys else { return false };
    let mut splice = Splice::new(message);
    for pair in Pairs::of(message, number, key) {
        if !changes(pair.value, rest, edit) {
            continue;
        }
        splice.cut(pair.place, out);
        write_pair(number, key, out, |out| match (rest, AnyValue::read(pair.value)) {
            ([_, ..], Ok(AnyValue::Map(list))) => {
                let map = open_message(6, out);
                self::edit(list, 1, rest, edit, out);
                map.close(out);
            }
            _ => edit.write(pair.value, out),
        });
    }
    splice.finish(out)
}

/// Whether an edit changes what is at `keys` inside a value.
fn changes(value: &[u8], keys: &[Box<str>], edit: &mut dyn ValueEdit) -> bool {
    let [key, rest @ ..] = keys else { return edit.changes(value) };
    let Ok(AnyValue::Map(list)) = AnyValue::read(value) else { return false };
    Pairs::of(list, 1, key).any(|pair| changes(pair.value, rest, edit))
}

/// Replaces a field that is a text.
pub fn set_text(message: &[u8], number: u32, text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut splice = Splice::new(message);
    let mut is_set = false;
    for (found, place, _) in places(message) {
        if found == number {
            splice.cut(place, out);
            if !std::mem::replace(&mut is_set, true) {
                push_bytes(number, text, out);
            }
        }
    }
    if !is_set {
        splice.end(out);
        push_bytes(number, text, out);
    }
    splice.finish(out)
}

/// Replaces the code of a span's status.
pub fn set_status_code(span: &[u8], code: u8, out: &mut Vec<u8>) -> bool {
    let mut splice = Splice::new(span);
    let status = places(span).find(|(number, ..)| *number == STATUS);
    let mut known: &[u8] = &[];
    match status {
        Some((_, place, Value::Bytes(status))) => {
            splice.cut(place, out);
            known = status;
        }
        _ => splice.end(out),
    }
    let status = open_message(STATUS, out);
    let mut rest = Splice::new(known);
    places(known).filter(|(number, ..)| *number == STATUS_CODE).for_each(|(_, place, _)| rest.cut(place, out));
    rest.end(out);
    if code != 0 {
        push_uint(STATUS_CODE, code.into(), out);
    }
    status.close(out);
    splice.finish(out)
}

/// Whether there is an attribute.
pub fn has(message: &[u8], number: u32, keys: &[Box<str>]) -> bool {
    let [key, rest @ ..] = keys else { return false };
    Pairs::of(message, number, key).any(|pair| match AnyValue::read(pair.value) {
        _ if rest.is_empty() => true,
        Ok(AnyValue::Map(list)) => has(list, 1, rest),
        _ => false,
    })
}

/// Maps in each other around a value.
fn wrap(keys: &[Box<str>], value: &[u8], out: &mut Vec<u8>) {
    let [key, rest @ ..] = keys else { return out.extend_from_slice(value) };
    let map = open_message(6, out);
    write_pair(1, key, out, |out| wrap(rest, value, out));
    map.close(out);
}

fn write_pair(number: u32, key: &str, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    let pair = open_message(number, out);
    push_bytes(1, key.as_bytes(), out);
    let inner = open_message(2, out);
    value(out);
    inner.close(out);
    pair.close(out);
}

/// A message on its way to another one.
pub(super) struct Splice<'a> {
    message: &'a [u8],
    /// Up to where it was copied or cut.
    at: usize,
    touched: bool,
}

impl<'a> Splice<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { message, at: 0, touched: false }
    }

    /// Copies what stands before a place, and leaves out what stands there.
    pub(super) fn cut(&mut self, place: Range<usize>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.message[self.at..place.start]);
        self.at = place.end;
        self.touched = true;
    }

    /// Copies all that is left.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.cut(self.message.len()..self.message.len(), out);
    }

    /// Copies what is left of a message that was touched; returns whether it was.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> bool {
        if self.touched {
            self.end(out);
        }
        self.touched
    }
}

/// The fields of a message, each with its number, where it stands, and its value.
pub(super) fn places(message: &[u8]) -> Places<'_> {
    Places { message, fields: Fields::of(message) }
}

/// See [`places`].
pub(super) struct Places<'a> {
    message: &'a [u8],
    fields: Fields<'a>,
}

impl<'a> Iterator for Places<'a> {
    type Item = (u32, Range<usize>, Value<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let from = self.message.len() - self.fields.rest().len();
        let (number, value) = self.fields.field().ok().flatten()?;
        Some((number, from..self.message.len() - self.fields.rest().len(), value))
    }
}

struct Pair<'a> {
    place: Range<usize>,
    value: &'a [u8],
}

/// The attributes of a message that have this key.
struct Pairs<'a, 'k> {
    places: Places<'a>,
    number: u32,
    key: &'k [u8],
}

impl<'a, 'k> Pairs<'a, 'k> {
    fn of(message: &'a [u8], number: u32, key: &'k str) -> Self {
        Self { places: places(message), number, key: key.as_bytes() }
    }
}

impl<'a> Iterator for Pairs<'a, '_> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        loop {
            let (number, place, value) = self.places.next()?;
            if number == self.number
                && let Value::Bytes(pair) = value
                && let Ok((key, value)) = key_value(pair)
                && key == self.key
            {
                return Some(Pair { place, value });
            }
        }
    }
}

#[cfg(test)]
mod tests;
