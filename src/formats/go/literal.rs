//! What stands between the quotes of Go's string and character literals (`strconv.UnquoteChar`).

/// What one letter or escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A letter, or an escape that names one.
    Letter(char),
    /// A byte that `\x` or an octal escape names: alone it may be no UTF-8.
    Byte(u8),
}

/// The first letter or escape of a text between quotes, and what is behind it. `None` where there is none, where it is
/// the quote or a line feed, and where the escape does not exist.
pub fn unit(text: &str, quote: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == quote || first == '\n' {
        return None;
    }
    if first != '\\' {
        return Some((Unit::Letter(first), chars.as_str()));
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let (skipped, digits, radix) = match escape {
        'a' => return Some((Unit::Letter('\x07'), rest)),
        'b' => return Some((Unit::Letter('\x08'), rest)),
        'f' => return Some((Unit::Letter('\x0c'), rest)),
        'n' => return Some((Unit::Letter('\n'), rest)),
        'r' => return Some((Unit::Letter('\r'), rest)),
        't' => return Some((Unit::Letter('\t'), rest)),
        'v' => return Some((Unit::Letter('\x0b'), rest)),
        '\\' => return Some((Unit::Letter('\\'), rest)),
        '\'' | '"' if escape == quote => return Some((Unit::Letter(quote), rest)),
        'x' => (2, 2, 16),
        'u' => (2, 4, 16),
        'U' => (2, 8, 16),
        '0'..='7' => (1, 3, 8),
        _ => return None,
    };
    let digits = text.get(skipped..skipped + digits)?;
    // A sign is no digit to Go.
    let number =
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, radix).ok())??;
    let unit = match escape {
        'u' | 'U' => Unit::Letter(char::from_u32(number)?),
        _ => Unit::Byte(u8::try_from(number).ok()?),
    };
    Some((unit, &text[skipped + digits.len()..]))
}

/// The bytes that a text between quotes stands for; they may be no UTF-8.
pub fn unquote(inner: &str, quote: char) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::with_capacity(inner.len()), inner);
    while !rest.is_empty() {
        let (unit, after) = unit(rest, quote)?;
        match unit {
            Unit::Letter(letter) => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Unit::Byte(byte) => bytes.push(byte),
        }
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::quote;
    use super::*;

    fn text(inner: &str) -> Option<String> {
        String::from_utf8(unquote(inner, '"')?).ok()
    }

    #[test]
    fn what_is_quoted_is_read_again() {
        for (plain, literal) in [
            ("a b", r#""a b""#),
            ("\"\\\n\t\x01", r#""\"\\\n\t\x01""#),
            ("é→🙂e\u{301}", "\"é→🙂e\u{301}\""),
            ("\u{85}\u{a0}\u{ad}\u{feff}", r#""\u0085\u00a0\u00ad\ufeff""#),
            ("\u{e0001}", r#""\U000e0001""#),
        ] {
            assert_eq!(quote(plain, false), literal);
            assert_eq!(text(&literal[1..literal.len() - 1]).as_deref(), Some(plain));
        }
    }

    #[test]
    fn escapes_are_those_of_go() {
        assert_eq!(text(r"\xc3\xa9\303\251é").as_deref(), Some("ééé"));
        assert_eq!(unquote(r"\xff", '"'), Some(vec![0xff]));
        assert_eq!(unquote(r"\'", '\''), Some(vec![b'\'']));
        for bad in [r"\'", r"\q", r"\x4", r"\x+1", r"\ud800", "\n", r"\400", r"\08", "\"", r"\u12é", "\\"] {
            assert_eq!(unquote(bad, '"'), None, "{bad}");
        }
    }
}
