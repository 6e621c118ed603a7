//! Texts in quotes, as Go's `strconv.Quote` writes them.

use std::fmt::Write;

/// The text in double quotes, with what cannot be printed escaped; all that is not ASCII, if `ascii`.
pub fn quote(text: &str, ascii: bool) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    text.chars().for_each(|letter| escape(letter, '"', ascii, &mut quoted));
    quoted.push('"');
    quoted
}

/// A character in single quotes.
pub(super) fn quote_letter(letter: char, ascii: bool) -> String {
    let mut quoted = String::from("'");
    escape(letter, '\'', ascii, &mut quoted);
    quoted.push('\'');
    quoted
}

/// Whether the text can stand in backticks as it is.
pub(super) fn can_be_raw(text: &str) -> bool {
    text.chars().all(|letter| letter == '\t' || !matches!(letter, '\0'..' ' | '`' | '\x7f' | '\u{feff}'))
}

fn escape(letter: char, quote: char, ascii: bool, out: &mut String) {
    match letter {
        _ if letter == quote || letter == '\\' => {
            out.push('\\');
            out.push(letter);
        }
        _ if is_printable(letter) && (letter.is_ascii() || !ascii) => out.push(letter),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        // Writing to a string cannot fail.
        _ => {
            let code = u32::from(letter);
            let _ = match code {
                0..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
                _ if code < 0x1_0000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

/// As Go's `unicode.IsPrint`: letters, marks, numbers, signs, and of the blanks only the usual one.
pub fn is_printable(letter: char) -> bool {
    match letter {
        ' '..='~' => true,
        '\0'..='\u{a0}' => false,
        // Behind a letter, marks are not escaped for being marks.
        _ => {
            !letter.is_whitespace() && !letter.is_control() && {
                let text: String = ['a', letter].iter().collect();
                !text.escape_debug().skip(1).any(|escaped| escaped == '\\')
            }
        }
    }
}
