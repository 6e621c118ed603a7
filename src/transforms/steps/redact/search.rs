//! Finding secrets in texts, however they are escaped.
//!
//! Most texts have none. [`Finder::suspects`] says so in about one fast pass over bytes as they stand, JSON
//! or not, and is wrong only in the safe direction; [`Finder::search`] then finds every secret in one text.
//! A `\uXXXX` is looked through, also where it was escaped once more on its way into another string.

use memchr::memchr_iter;
use regex::bytes::Regex;

use super::pattern::{Pattern, Place, has_address};
use crate::formats::json::text::escaped_char;

/// What is looked for, and what is written instead.
#[derive(Clone, Debug)]
pub struct Finder {
    patterns: Vec<Pattern>,
    regexes: Vec<Regex>,
    digits: bool,
}

/// A secret in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub from: usize,
    /// Behind the last byte.
    pub to: usize,
    /// Which of the finder's patterns found it, expressions counted behind the known ones.
    pub by: u16,
}

/// Room for texts without their escapes, used again and again.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    spans: Vec<Span>,
    text: Vec<u8>,
    /// Where each byte of `text` stood, and where the text ended.
    places: Vec<u32>,
}

/// The group of an expression that alone is replaced.
const SECRET: &str = "secret";

/// Shorter than this no known secret is.
const SHORTEST: usize = 6;

/// How often a text that was escaped again and again is looked into.
const LEVELS: usize = 4;

impl Finder {
    /// Looks for these.
    pub fn new(patterns: Vec<Pattern>, regexes: Vec<Regex>) -> Self {
        let digits = patterns.iter().any(|pattern| pattern.is_of_digits());
        Self { patterns, regexes, digits }
    }

    /// Whether `text` (a text, the inside of a JSON string, a whole JSON value) may hold a secret.
    pub fn suspects(&self, text: &[u8]) -> bool {
        !self.regexes.is_empty()
            || (text.len() >= SHORTEST
                && (self.patterns.iter().any(|pattern| !pattern.each(text, &mut |_| false)) || self.may_hide(text)))
    }

    /// Whether an escape may hide a part of a secret: one that stands for ASCII, one whose own digits touch
    /// a number, or any at all where there may be an address.
    fn may_hide(&self, text: &[u8]) -> bool {
        let address = || self.patterns.contains(&Pattern::Email) && has_address(text);
        memchr_iter(b'\\', text).any(|at| match &text[at + 1..] {
            [b'u', b'0', b'0', b'0'..=b'7', ..] => true,
            [b'u', _, _, _, _, next, ..] if self.digits && next.is_ascii_digit() => true,
            [b'u', ..] => address(),
            _ => false,
        })
    }

    /// The secrets in a text: ascending, apart from each other. `escaped` says that it is the inside of a
    /// JSON string; places are those of its bytes as they stand.
    pub fn search<'a>(&self, text: &[u8], escaped: bool, scratch: &'a mut Scratch) -> &'a [Span] {
        let Scratch { spans, text: plain, places } = scratch;
        spans.clear();
        let mut again = has_unicode_escape(text);
        if escaped && memchr::memchr(b'\\', text).is_some() {
            unescape(text, plain, places);
            self.find(plain, |from, to, by| {
                spans.push(Span { from: places[from] as usize, to: places[to] as usize, by })
            });
            again = has_unicode_escape(plain);
        } else {
            self.find(text, |from, to, by| spans.push(Span { from, to, by }));
            if again {
                unescape(text, plain, places);
                self.find(plain, |from, to, by| {
                    spans.push(Span { from: places[from] as usize, to: places[to] as usize, by });
                });
                again = has_unicode_escape(plain);
            }
        }
        for _ in 1..LEVELS {
            if !again {
                break;
            }
            let (outer, outer_places) = (std::mem::take(plain), std::mem::take(places));
            unescape(&outer, plain, places);
            for place in places.iter_mut() {
                *place = outer_places[*place as usize];
            }
            self.find(plain, |from, to, by| {
                spans.push(Span { from: places[from] as usize, to: places[to] as usize, by })
            });
            again = has_unicode_escape(plain);
        }
        merge(spans);
        spans
    }

    fn find(&self, text: &[u8], mut found: impl FnMut(usize, usize, u16)) {
        let mut by = 0;
        if text.len() >= SHORTEST {
            for pattern in &self.patterns {
                pattern.each(text, &mut |(from, to): Place| {
                    found(from, to, by);
                    true
                });
                by += 1;
            }
        }
        by = self.patterns.len() as u16;
        for regex in &self.regexes {
            if regex.capture_names().flatten().any(|name| name == SECRET) {
                for captures in regex.captures_iter(text) {
                    if let Some(secret) = captures.name(SECRET).filter(|secret| !secret.is_empty()) {
                        found(secret.start(), secret.end(), by);
                    }
                }
            } else {
                for secret in regex.find_iter(text).filter(|secret| !secret.is_empty()) {
                    found(secret.start(), secret.end(), by);
                }
            }
            by += 1;
        }
    }
}

fn has_unicode_escape(text: &[u8]) -> bool {
    memchr_iter(b'\\', text).any(|at| text.get(at + 1) == Some(&b'u'))
}

/// Unescapes as [`crate::formats::json::text::unescape`] does, and keeps where every byte stood.
fn unescape(text: &[u8], plain: &mut Vec<u8>, places: &mut Vec<u32>) {
    plain.clear();
    places.clear();
    let mut at = 0;
    while at < text.len() {
        let here = at as u32;
        if text[at] == b'\\' {
            let (char, len) = escaped_char(&text[at..]);
            plain.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            places.resize(plain.len(), here);
            at += len;
        } else {
            plain.push(text[at]);
            places.push(here);
            at += 1;
        }
    }
    places.push(text.len() as u32);
}

/// Sorts, and makes one of those that overlap.
fn merge(spans: &mut Vec<Span>) {
    spans.sort_by_key(|span| (span.from, std::cmp::Reverse(span.to)));
    spans.dedup_by(|next, last| {
        let overlap = next.from < last.to;
        if overlap {
            last.to = last.to.max(next.to);
        }
        overlap
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str, escaped: bool) -> String {
        let finder = Finder::new(
            vec![Pattern::CardNumber, Pattern::Email, Pattern::Jwt],
            vec![Regex::new("pin=(?<secret>[0-9]+)").expect("valid")],
        );
        let mut scratch = Scratch::default();
        let spans = finder.search(text.as_bytes(), escaped, &mut scratch);
        let mut out = text.to_owned();
        for span in spans.iter().rev() {
            assert!(finder.suspects(text.as_bytes()));
            out.replace_range(span.from..span.to, "*");
        }
        out
    }

    #[test]
    fn escapes_are_looked_through() {
        for (text, expected) in [
            (r"a bob\u0040example.com b", "a * b"),
            (r"\u00264111111111111111", r"\u0026*"),
            (r"\u20264111111111111111\u2026", r"\u2026*\u2026"),
            (r"4111\u0020111\u0031 1111 1111", "*"),
            (r"\u0034\u0031\u0031\u0031111111111111", "*"),
            (r#"{\"mail\":\"bob@example.com\",\"n\":1}"#, r#"{\"mail\":\"*\",\"n\":1}"#),
            (r#"{\"mail\":\"bob\\u0040example.com\"}"#, r#"{\"mail\":\"*\"}"#),
            (r#"\"{\\\"mail\\\":\\\"bob\\\\u0040example.com\\\"}\""#, r#"\"{\\\"mail\\\":\\\"*\\\"}\""#),
            (r"\u0065yJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "*"),
            (r"tab\tbob@example.com\nline", r"tab\t*\nline"),
            (r"j\u00fcrgen@example.com", "*"),
            (r"pin=1\u00323;", "pin=*;"),
        ] {
            assert_eq!(left(text, true), expected, "{text}");
        }
        for (text, expected) in [
            (r#"{"mail":"bob\u0040example.com","#, r#"{"mail":"*","#),
            (r#"{"n":"\u0034111111111111111"#, r#"{"n":"*"#),
            (r"C:\users\al@example.com", r"C:\users\*"),
            (r#"{"m":"x\nbob@example.com"}"#, r#"{"m":"x\n*"}"#),
            ("pin=1234, bob@example.com 4111111111111111", "pin=*, * *"),
        ] {
            assert_eq!(left(text, false), expected, "{text}");
        }
    }

    #[test]
    fn most_lines_are_not_suspected() {
        let finder = Finder::new(vec![Pattern::CardNumber, Pattern::Email, Pattern::Jwt, Pattern::UsSsn], vec![]);
        for line in [
            r#"{"@timestamp":"2026-11-24T10:00:00.123456789Z","ts":1764000000000,"msg":"caf\u00e9 \"x\"","d":0.30000000000000004}"#,
            r#"{"trace_id":"3f41111111111111115b4a3c2d1e0f9a","path":"C:\\users\\x","range":"2026-11-24 10:00 - 11:00"}"#,
        ] {
            assert!(!finder.suspects(line.as_bytes()), "{line}");
        }
    }
}
