//! String literals of Go, in which Alertmanager writes the values of group labels and reads quoted parts of matchers.

use std::fmt::Write;

/// The text as Go's `strconv.Quote` writes it.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if is_printable(c) => out.push(c),
            // Writing to a String cannot fail.
            c if c < ' ' || c == '\x7f' => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => drop(write!(out, "\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Letters, marks, numbers, punctuation, symbols, and of spaces only the common one.
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_control() || c.is_whitespace() => false,
        c => c.is_alphanumeric() || c.escape_debug().len() == 1,
    }
}

/// Reads a literal without its quotes; `None` where it is none, or not UTF-8.
pub(super) fn unquoted(inner: &str) -> Option<String> {
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if matches!(c, '"' | '\n') {
            return None;
        }
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let kind = rest.chars().next()?;
        let plain = match kind {
            'a' => Some(0x07),
            'b' => Some(0x08),
            'f' => Some(0x0c),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(0x0b),
            '\\' | '"' => Some(kind as u8),
            _ => None,
        };
        if let Some(plain) = plain {
            out.push(plain);
            rest = &rest[1..];
            continue;
        }
        let (skipped, digits, radix) = match kind {
            'x' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            '0'..='7' => (0, 3, 8),
            _ => return None,
        };
        let number = rest.get(skipped..skipped + digits)?;
        if !number.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(number, radix).ok()?;
        match kind {
            'u' | 'U' => out.extend_from_slice(char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => out.push(u8::try_from(number).ok()?),
        }
        rest = &rest[skipped + digits..];
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_those_of_go() {
        for (text, literal) in [
            ("a b", r#""a b""#),
            ("\"\\\n\t\x01", r#""\"\\\n\t\x01""#),
            ("é→🙂", r#""é→🙂""#),
            ("\u{a0}\u{feff}", r#""\u00a0\ufeff""#),
            ("\u{e0001}", r#""\U000e0001""#),
        ] {
            assert_eq!(quoted(text), literal);
            assert_eq!(unquoted(&literal[1..literal.len() - 1]).as_deref(), Some(text));
        }
        assert_eq!(unquoted(r"\xc3\xa9\303\251é").as_deref(), Some("ééé"));
        for bad in [r"\'", r"\q", r"\x4", r"\ud800", "\n", r"\xff", r"\400"] {
            assert_eq!(unquoted(bad), None, "{bad}");
        }
    }
}
