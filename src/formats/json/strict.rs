//! The slow, exact judge: a byte at a time, for objects that the fast scan refused. A valid object that
//! fails only because of white space is copied without it, so that it can be spliced after all.

use super::text::valid_escape;

/// Deeper nesting than this is not spliced: it goes as text. Elasticsearch itself stops at 1,000.
pub const MAX_DEPTH: usize = 256;

/// The kinds of brackets that are open, a bit each: the whole stack without an allocation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Brackets {
    objects: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Brackets {
    /// Number of open brackets.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Opens one; false where the limit is reached.
    #[inline]
    pub(super) fn open(&mut self, object: bool) -> bool {
        if self.depth == MAX_DEPTH {
            return false;
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        self.objects[word] = self.objects[word] & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
        true
    }

    /// Closes the innermost; false where none is open or it is of the other kind.
    #[inline]
    pub(super) fn close(&mut self, object: bool) -> bool {
        if self.depth == 0 || self.in_object() != object {
            return false;
        }
        self.depth -= 1;
        true
    }

    /// Whether the innermost open bracket is an object's.
    #[inline]
    pub(super) fn in_object(&self) -> bool {
        self.depth > 0 && self.objects[(self.depth - 1) / 64] >> ((self.depth - 1) % 64) & 1 == 1
    }
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A key, or the end of an object that is still empty.
    FirstKey,
    /// A key.
    Key,
    /// The colon behind a key.
    Colon,
    /// A value, or the end of an array that is still empty.
    FirstValue,
    /// A value.
    Value,
    /// A comma or the end.
    Comma,
    /// Nothing: the object is closed.
    End,
}

/// Appends the object `text` without its white space to `out`. False (and `out` as it was) where it is
/// not one valid object: duplicate keys and numbers out of range pass, everything else is checked.
pub fn compact(text: &[u8], out: &mut Vec<u8>) -> bool {
    let before = out.len();
    let valid = std::str::from_utf8(text).is_ok() && compact_tokens(text, out).is_some();
    if !valid {
        out.truncate(before);
    }
    valid
}

fn compact_tokens(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut brackets = Brackets::default();
    let mut next = Next::FirstKey;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let start = at;
        at += 1;
        let value = matches!(next, Next::FirstValue | Next::Value);
        next = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'{' if value || (brackets.depth() == 0 && next != Next::End) => {
                brackets.open(true).then_some(())?;
                Next::FirstKey
            }
            b'[' if value => {
                brackets.open(false).then_some(())?;
                Next::FirstValue
            }
            b'}' | b']' if closes(byte, next) => {
                brackets.close(byte == b'}').then_some(())?;
                if brackets.depth() == 0 { Next::End } else { Next::Comma }
            }
            b':' if next == Next::Colon => Next::Value,
            b',' if next == Next::Comma => {
                if brackets.in_object() {
                    Next::Key
                } else {
                    Next::Value
                }
            }
            b'"' if brackets.depth() > 0 => {
                at = string_end(text, start)?;
                match next {
                    Next::FirstKey | Next::Key => Next::Colon,
                    _ if value => Next::Comma,
                    _ => return None,
                }
            }
            _ if value => {
                at = scalar_end(text, start)?;
                Next::Comma
            }
            _ => return None,
        };
        out.extend_from_slice(&text[start..at]);
    }
    (next == Next::End).then_some(())
}

fn closes(byte: u8, next: Next) -> bool {
    match next {
        Next::FirstKey => byte == b'}',
        Next::FirstValue => byte == b']',
        Next::Comma => true,
        Next::Key | Next::Colon | Next::Value | Next::End => false,
    }
}

/// The end of the string that begins at `start`, if it is well formed.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += valid_escape(&text[at..])?,
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// The end of the number or literal that begins at `start`, if it is well formed.
fn scalar_end(text: &[u8], start: usize) -> Option<usize> {
    let rest = &text[start..];
    let len = rest.iter().position(|b| b" \t\n\r,:[]{}\"".contains(b)).unwrap_or(rest.len());
    let token = &rest[..len];
    (matches!(token, b"true" | b"false" | b"null") || is_number(token)).then_some(start + len)
}

/// Whether `token` is a number by the grammar of RFC 8259, section 6.
pub fn is_number(token: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut rest = token.strip_prefix(b"-").unwrap_or(token);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let places = digits(fraction);
        if places == 0 {
            return false;
        }
        rest = &fraction[places..];
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let unsigned = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let places = digits(unsigned);
        if places == 0 {
            return false;
        }
        rest = &unsigned[places..];
    }
    rest.is_empty()
}
