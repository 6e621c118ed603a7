//! Going over the bytes of an object that a scan has proven: members, values, their kinds. Everything is
//! an offset into the text; nothing recurses.

use std::ops::Range;

use memchr::memchr2;

use crate::data::JsonKind;

/// A member of an object: where its key (with quotes) and its value stand in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key with its quotes.
    pub key: Range<usize>,
    /// The value, without white space around it.
    pub value: Range<usize>,
}

/// The members of the object that begins at `at` in `text`, in order. Ends early where the text is not
/// an object after all.
pub fn members(text: &[u8], at: usize) -> Members<'_> {
    Members { text, at: at + 1 }
}

/// Iterator of [`members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Members<'_> {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        let mut start = skip_blank(self.text, self.at);
        if self.text.get(start) == Some(&b',') {
            start = skip_blank(self.text, start + 1);
        }
        if self.text.get(start) != Some(&b'"') {
            return None;
        }
        let key = start..string_end(self.text, start)?;
        let colon = skip_blank(self.text, key.end);
        if self.text.get(colon) != Some(&b':') {
            return None;
        }
        let value = skip_blank(self.text, colon + 1);
        let value = value..value_end(self.text, value)?;
        self.at = value.end;
        Some(Member { key, value })
    }
}

/// The first offset from `at` that is no white space.
#[inline]
pub fn skip_blank(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// What the value that begins with `first` is.
#[inline]
pub fn kind(first: u8) -> JsonKind {
    match first {
        b'"' => JsonKind::String,
        b'{' => JsonKind::Object,
        b'[' => JsonKind::Array,
        b't' | b'f' => JsonKind::Bool,
        b'n' => JsonKind::Null,
        _ => JsonKind::Number,
    }
}

/// Behind the value that begins at `at`; `None` where the text ends first or no value begins there.
pub fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match *text.get(at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => brackets_end(text, at),
        b',' | b':' | b'}' | b']' => None,
        _ => {
            let rest = &text[at..];
            Some(at + rest.iter().position(|b| b" \t\n\r,:[]{}\"".contains(b)).unwrap_or(rest.len()))
        }
    }
}

/// Behind the string whose opening quote is at `at`.
pub fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        let found = at + memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

fn brackets_end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match *text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}
