//! What a plain scalar stands for under YAML 1.2's core schema, and where each byte of a scalar's value was
//! written.

/// A scalar, resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resolved {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Unsigned(u64),
    /// A whole number below zero.
    Signed(i64),
    /// Any other number.
    Float(f64),
    /// None of these.
    Text,
}

/// Resolves a plain scalar (YAML 1.2.2 §10.3.2).
pub fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        _ => {}
    }
    let based = |digits: &str, base| match u64::from_str_radix(digits, base) {
        Ok(number) if !digits.starts_with('+') => Resolved::Unsigned(number),
        _ => Resolved::Text,
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        if let Ok(number) = text.parse() {
            return Resolved::Unsigned(number);
        }
        if let Ok(number) = text.parse() {
            return Resolved::Signed(number);
        }
    }
    // Rust reads more than YAML does (`inf`, `nan`, `infinity`): a digit and only these bytes make a number.
    let numeric = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    if text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().all(numeric)
        && let Ok(number) = text.parse()
    {
        return Resolved::Float(number);
    }
    Resolved::Text
}

/// The offset in `source`, the text of a scalar as written, of byte `at` of its value. Follows quotes,
/// escapes, folding and the indentation of block scalars.
pub fn offset(source: &str, value: &str, at: usize) -> usize {
    let bytes = source.as_bytes();
    let (mut from, block) = match bytes.first() {
        Some(b'\'' | b'"') => (1, false),
        Some(b'|' | b'>') => (source.find('\n').map_or(source.len(), |n| n + 1), true),
        _ => (0, false),
    };
    let double = bytes.first() == Some(&b'"');
    let single = bytes.first() == Some(&b'\'');
    if block {
        from += indentation(&source[from..]);
    }
    for c in value[..at.min(value.len())].chars() {
        let rest = &source[from.min(source.len())..];
        from += match rest.chars().next() {
            None => break,
            // A folded line: its break and the next line's indentation became this blank or newline.
            Some('\n' | '\r') => {
                let line = rest.find(|c| c != '\n' && c != '\r').unwrap_or(rest.len());
                let breaks = if c == '\n' { rest.find('\n').map_or(line, |n| n + 1) } else { line };
                breaks + if c == '\n' && rest[breaks..].starts_with('\n') { 0 } else { indentation(&rest[breaks..]) }
            }
            Some('\\') if double => escape(rest),
            Some('\'') if single => 2,
            Some(' ' | '\t')
                if !block && c == ' ' && rest.trim_start_matches([' ', '\t']).starts_with(['\n', '\r']) =>
            {
                rest.find(|c: char| !c.is_ascii_whitespace()).unwrap_or(rest.len())
            }
            Some(c) => c.len_utf8(),
        };
    }
    from.min(source.len())
}

fn indentation(text: &str) -> usize {
    text.find(|c| c != ' ').unwrap_or(text.len())
}

/// Length of an escape of a double-quoted scalar.
fn escape(rest: &str) -> usize {
    let wanted = match rest.as_bytes().get(1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => 2,
    };
    wanted.min(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_schema() {
        assert_eq!(resolve("12"), Resolved::Unsigned(12));
        assert_eq!(resolve("-12"), Resolved::Signed(-12));
        assert_eq!(resolve("0x1F"), Resolved::Unsigned(31));
        assert_eq!(resolve("0o17"), Resolved::Unsigned(15));
        assert_eq!(resolve("1e3"), Resolved::Float(1000.0));
        assert_eq!(resolve("~"), Resolved::Null);
        for text in ["yes", "off", "inf", "nan", "1_000", "12:30", "1.2.3", "0x", "0x+1", "-", "e", "16MiB"] {
            assert_eq!(resolve(text), Resolved::Text, "{text}");
        }
    }

    #[test]
    fn bytes_are_found_in_every_style() {
        let find = |source: &str, value: &str, word: &str| {
            let at = value.find(word).expect("in the value");
            assert!(source[offset(source, value, at)..].starts_with(word), "{source:?}");
        };
        find("plain text", "plain text", "text");
        find("'it''s here'", "it's here", "here");
        find(r#""a\tb \u00e9 \"q\" here""#, "a\tb \u{e9} \"q\" here", "here");
        find("|\n    one\n    two here\n", "one\ntwo here\n", "here");
        find(">-\n    one\n    two here\n", "one two here", "here");
        find("one\n    two here", "one two here", "here");
        find("|\n  a\n\n  b here\n", "a\n\nb here\n", "here");
        assert_eq!(offset("'abc'", "abc", 3), 4);
    }
}
