//! Texts in quotes, as Go's `strconv.Quote` writes them.

use std::fmt::{self, Display, Formatter, Write};

/// The text in double quotes, with what cannot be printed escaped; all that is not ASCII, if `ascii`.
pub fn quote(text: &str, ascii: bool) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    // Writing to a string cannot fail.
    let _ = write_quoted(text, ascii, &mut quoted);
    quoted
}

/// A text that is displayed as [`quote`] writes it, as `%q` does.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_quoted(self.0, false, f)
    }
}

fn write_quoted(text: &str, ascii: bool, out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    text.chars().try_for_each(|letter| escape(letter, '"', ascii, out))?;
    out.write_char('"')
}

/// A character in single quotes.
pub fn quote_letter(letter: char, ascii: bool) -> String {
    let mut quoted = String::from("'");
    let _ = escape(letter, '\'', ascii, &mut quoted);
    quoted.push('\'');
    quoted
}

/// Whether the text can stand in backticks as it is.
pub fn can_be_raw(text: &str) -> bool {
    text.chars().all(|letter| letter == '\t' || !matches!(letter, '\0'..' ' | '`' | '\x7f' | '\u{feff}'))
}

fn escape(letter: char, quote: char, ascii: bool, out: &mut impl Write) -> fmt::Result {
    match letter {
        _ if letter == quote || letter == '\\' => {
            out.write_char('\\')?;
            out.write_char(letter)
        }
        _ if is_printable(letter) && (letter.is_ascii() || !ascii) => out.write_char(letter),
        '\x07' => out.write_str("\\a"),
        '\x08' => out.write_str("\\b"),
        '\x0c' => out.write_str("\\f"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\x0b' => out.write_str("\\v"),
        _ => match u32::from(letter) {
            code @ (0..0x20 | 0x7f) => write!(out, "\\x{code:02x}"),
            code if code < 0x1_0000 => write!(out, "\\u{code:04x}"),
            code => write!(out, "\\U{code:08x}"),
        },
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
