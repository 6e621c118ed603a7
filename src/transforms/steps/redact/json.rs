//! Redacting a JSON value: every string and every key at any depth, every occurrence of a key given twice,
//! and numbers, which become texts. What is written is the value's own bytes between the secrets.

use super::search::{Finder, Scratch, Span};
use crate::formats::json::text::escape;
use crate::formats::json::walk::{skip_blank, string_end, value_end};

/// What is written instead of a secret.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// As it is.
    pub text: Box<[u8]>,
    /// As the inside of a JSON string.
    pub inner: Box<[u8]>,
    /// As a JSON string.
    pub json: Box<[u8]>,
}

impl Replacement {
    /// Writes `text`.
    pub fn new(text: &str) -> Self {
        let mut inner = Vec::new();
        escape(text.as_bytes(), &mut inner);
        let json = [b"\"", inner.as_slice(), b"\""].concat();
        Self { text: text.as_bytes().into(), inner: inner.into(), json: json.into() }
    }
}

/// A secret in a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where it stands; a number's is all of it.
    pub span: Span,
    /// What it stands in.
    pub within: Within,
}

/// What a secret stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// A string that is a value.
    Text,
    /// A key.
    Key,
    /// A value that is no string.
    Number,
}

/// Appends the secrets of a JSON value, ascending. Where the value is not proven to be JSON, what follows
/// the first string that does not end is searched as a text.
pub fn hits(finder: &Finder, json: &[u8], scratch: &mut Scratch, out: &mut Vec<Hit>) {
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        let (from, to, end, escaped) = match byte {
            b'"' => match string_end(json, at) {
                Some(end) => (at + 1, end - 1, end, true),
                None => (at, json.len(), json.len(), false),
            },
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'{' | b'}' | b'[' | b']' => {
                at += 1;
                continue;
            }
            _ => {
                let end = value_end(json, at).unwrap_or(json.len());
                (at, end, end, false)
            }
        };
        let text = &json[from..to];
        if finder.suspects(text) {
            let spans = finder.search(text, escaped, scratch);
            let place = |span: &Span| Span { from: from + span.from, to: from + span.to, ..*span };
            match spans {
                [] => {}
                [first, ..] if byte != b'"' => {
                    out.push(Hit { span: Span { from, to, ..*first }, within: Within::Number });
                }
                spans => {
                    let key = json.get(skip_blank(json, end)) == Some(&b':');
                    let within = if key { Within::Key } else { Within::Text };
                    out.extend(spans.iter().map(|span| Hit { span: place(span), within }));
                }
            }
        }
        at = end;
    }
}

/// Appends `json` with the hits replaced, whose places are relative to `base` bytes before it. The
/// second key that is replaced, and each after it, gets a number behind it, so that two keys do not become one; `keys` counts them.
pub fn write(json: &[u8], base: usize, hits: &[Hit], with: &[Replacement], keys: &mut u32, out: &mut Vec<u8>) {
    let mut at = 0;
    for Hit { span, within } in hits {
        out.extend_from_slice(&json[at..span.from - base]);
        at = span.to - base;
        let with = &with[usize::from(span.by)];
        match within {
            Within::Text => out.extend_from_slice(&with.inner),
            Within::Number => out.extend_from_slice(&with.json),
            Within::Key => {
                out.extend_from_slice(&with.inner);
                *keys += 1;
                if *keys > 1 {
                    out.push(b'-');
                    crate::formats::json::text::write_uint(u64::from(*keys), out);
                }
            }
        }
    }
    out.extend_from_slice(&json[at..]);
}

/// Appends `text`, which is no JSON, with the spans replaced.
pub fn write_text(text: &[u8], spans: &[Span], with: &[Replacement], out: &mut Vec<u8>) {
    let mut at = 0;
    for span in spans {
        out.extend_from_slice(&text[at..span.from]);
        out.extend_from_slice(&with[usize::from(span.by)].text);
        at = span.to;
    }
    out.extend_from_slice(&text[at..]);
}
