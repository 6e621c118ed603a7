//! Texts made safe for HTML, JavaScript and the query of a URL.

use std::borrow::Cow;
use std::fmt::Write;

use crate::alerting::template::format::is_printable;

/// As Go's `html` does; with `all`, also what only `html/template` escapes.
pub fn html(text: &str, all: bool) -> Cow<'_, str> {
    let special = |letter: char| match letter {
        '\0' => Some("\u{fffd}"),
        '"' => Some("&#34;"),
        '\'' => Some("&#39;"),
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '+' if all => Some("&#43;"),
        _ => None,
    };
    if !text.chars().any(|letter| special(letter).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        match special(letter) {
            Some(entity) => escaped.push_str(entity),
            None => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

/// As Go's `js` does.
pub fn js(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '"' => escaped.push_str("\\\""),
            '<' => escaped.push_str("\\u003C"),
            '>' => escaped.push_str("\\u003E"),
            '&' => escaped.push_str("\\u0026"),
            '=' => escaped.push_str("\\u003D"),
            ' '..='\x7f' => escaped.push(letter),
            _ if letter >= ' ' && is_printable(letter) => escaped.push(letter),
            // Writing to a string cannot fail.
            _ => {
                let _ = write!(escaped, "\\u{:04X}", u32::from(letter));
            }
        }
    }
    escaped
}

/// As Go's `url.QueryEscape` does: a blank becomes `+`.
pub fn query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            b' ' => escaped.push('+'),
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

/// The other way round; an error says which escape is none.
pub fn unescape_query(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                let byte = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let Some(byte) = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
                    let escape = [b"%", &rest[..rest.len().min(2)]].concat();
                    return Err(format!("invalid URL escape {:?}", String::from_utf8_lossy(&escape)));
                };
                bytes.push(byte);
                rest = &rest[2..];
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
