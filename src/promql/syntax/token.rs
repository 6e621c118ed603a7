//! Tokens of a query, with where they stand. The grammar's own lexer is behind this one: it knows neither places nor all
//! of today's language, and it trusts what it is given.

use std::ops::Range;

use super::super::query::ParseError;
use crate::formats::go;

/// Longest query in bytes.
const LENGTH: usize = 256 << 10;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, keyword or not; in brackets only those that durations are computed from.
    Word,
    /// A number.
    Number,
    /// A duration such as `1h30m`.
    Duration,
    /// A text with its quotes.
    Text,
    /// An operator or a bracket, by its text.
    Sign,
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub token: Token,
    pub at: Range<usize>,
}

/// Cuts a query into tokens; comments and blanks are left out.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, ParseError> {
    if text.len() > LENGTH {
        return Err(ParseError { message: format!("query is longer than {LENGTH} bytes"), at: None });
    }
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), in_braces: false, in_brackets: false };
    while lexer.next()? {}
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Placed>,
    in_braces: bool,
    in_brackets: bool,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<bool, ParseError> {
        let start = self.at;
        let Some(first) = self.peek() else {
            return match (self.in_braces, self.in_brackets) {
                (true, _) => Err(self.error(start, "unexpected end of input inside braces")),
                (_, true) => Err(self.error(start, "unclosed left bracket")),
                _ => Ok(false),
            };
        };
        let token = match first {
            ' ' | '\t' | '\n' | '\r' => {
                self.at += 1;
                return Ok(true);
            }
            '#' if !self.in_brackets => {
                self.skip(|char| char != '\n' && char != '\r');
                return Ok(true);
            }
            '"' | '\'' | '`' if !self.in_brackets => {
                self.quoted(first)?;
                Token::Text
            }
            '0'..='9' => self.number()?,
            '.' if self.text[self.at + 1..].starts_with(|char: char| char.is_ascii_digit()) => self.number()?,
            _ if starts_name(first) || first == ':' && !self.in_brackets && !self.in_braces => {
                let colons = !self.in_braces && !self.in_brackets;
                self.skip(|char| continues_name(char) || colons && char == ':');
                Token::Word
            }
            _ => {
                self.sign(first)?;
                Token::Sign
            }
        };
        self.tokens.push(Placed { token, at: start..self.at });
        Ok(true)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.find(|char| !wanted(char)).unwrap_or(rest.len());
    }

    fn quoted(&mut self, quote: char) -> Result<(), ParseError> {
        let start = self.at;
        let mut escaped = false;
        for (at, char) in self.text[start..].char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if char == '\\' && quote != '`' {
                escaped = true;
            } else if char == quote {
                self.at = start + at + 1;
                return Ok(());
            } else if char == '\n' && quote != '`' {
                break;
            }
        }
        Err(self.error(start, if quote == '`' { "unterminated raw string" } else { "unterminated quoted string" }))
    }

    /// A number, or what follows digits until it is neither letter nor digit: a duration, if it is made of amounts and units.
    fn number(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let hexadecimal = bytes[start] == b'0' && matches!(bytes.get(start + 1), Some(b'x' | b'X'));
        let mut at = start;
        while let Some(byte) = bytes.get(at) {
            let exponent = !hexadecimal && at > start && matches!(bytes[at - 1], b'e' | b'E');
            if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent && matches!(byte, b'+' | b'-') {
                at += 1;
            } else {
                break;
            }
        }
        self.at = at;
        let text = &self.text[start..at];
        if number(text).is_some() {
            return Ok(Token::Number);
        }
        if duration(text).is_some() {
            return Ok(Token::Duration);
        }
        Err(self.error(start, &format!("bad number or duration syntax: {text:?}")))
    }

    fn sign(&mut self, first: char) -> Result<(), ParseError> {
        let start = self.at;
        let second = self.text[start + first.len_utf8()..].chars().next();
        let length = match (first, second) {
            ('=', Some('=')) if !self.in_braces => 2,
            ('=', Some('~')) if self.in_braces => 2,
            ('=', Some('~')) => return Err(self.error(start, "unexpected character after '=': '~'")),
            ('!', Some('=')) => 2,
            ('!', Some('~')) if self.in_braces => 2,
            ('!', _) => return Err(self.error(start, "unexpected character after '!'")),
            ('<' | '>', Some('=' | '/')) if !self.in_braces => 2,
            ('=', _) | ('<' | '>', _) if !self.in_braces => 1,
            ('=', _) | (',', _) => 1,
            ('{', _) if !self.in_braces && !self.in_brackets => {
                self.in_braces = true;
                1
            }
            ('}', _) if self.in_braces => {
                self.in_braces = false;
                1
            }
            ('[', _) if !self.in_braces && !self.in_brackets => {
                self.in_brackets = true;
                1
            }
            (']', _) if self.in_brackets => {
                self.in_brackets = false;
                1
            }
            (':', _) if self.in_brackets => 1,
            ('+' | '-' | '*' | '/' | '%' | '^' | '(' | ')', _) if !self.in_braces => 1,
            ('@', _) if !self.in_braces && !self.in_brackets => 1,
            _ => {
                let inside = if self.in_braces {
                    " inside braces"
                } else if self.in_brackets {
                    " in duration expression"
                } else {
                    ""
                };
                return Err(self.error(start, &format!("unexpected character{inside}: {first:?}")));
            }
        };
        self.at += length;
        Ok(())
    }

    fn error(&self, start: usize, message: &str) -> ParseError {
        ParseError { message: message.to_owned(), at: Some(start..self.at.max(start)) }
    }
}

/// Whether an unquoted name can begin so.
pub(super) fn starts_name(char: char) -> bool {
    char == '_' || char.is_alphabetic()
}

/// Whether an unquoted name can go on so: as in OpenTelemetry's names there may be dots.
pub(super) fn continues_name(char: char) -> bool {
    starts_name(char) || char.is_ascii_digit() || char == '.' || !char.is_ascii() && char.is_numeric()
}

/// The value of a number as Go reads one: digits may be grouped by `_`, and whole numbers may be hexadecimal, octal or
/// binary.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    let groups = !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    if !groups || plain.is_empty() {
        return None;
    }
    let whole = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(|number| number as f64);
    let lower = plain.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        return whole(digits, 16).or_else(|| u128::from_str_radix(digits, 16).ok().map(|number| number as f64));
    }
    if let Some(value) = lower.strip_prefix('0').and_then(|digits| whole(digits, 8)) {
        return Some(value);
    }
    // Rust reads `inf` and `nan`, which are words here.
    lower.starts_with(|char: char| char.is_ascii_digit() || char == '.').then(|| lower.parse().ok()).flatten()
}

/// Milliseconds of a duration such as `1h30m`: each unit once, from years down to milliseconds.
pub(super) fn duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let (mut rest, mut sum, mut units) = (text, 0i64, &UNITS[..]);
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let amount: i64 = rest[..digits].parse().ok()?;
        let letters = &rest[digits..];
        let letters = &letters[..letters.find(|char: char| char.is_ascii_digit()).unwrap_or(letters.len())];
        let unit = units.iter().position(|(name, _)| *name == letters)?;
        sum = sum.checked_add(amount.checked_mul(units[unit].1)?)?;
        units = &units[unit + 1..];
        rest = &rest[digits + letters.len()..];
    }
    (!text.is_empty()).then_some(sum)
}

/// The bytes that a quoted text means: with Go's escapes between quotes, without any between backticks.
pub(super) fn unquote(quoted: &str) -> Option<Vec<u8>> {
    let quote = quoted.chars().next()?;
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if quote == '`' {
        return Some(inner.into());
    }
    go::unquote(inner, quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("1", Some(1.0)),
            ("1_000", Some(1000.0)),
            ("0x1F", Some(31.0)),
            ("017", Some(15.0)),
            ("018", Some(18.0)),
            (".5", Some(0.5)),
            ("1e-3", Some(0.001)),
            ("5.", Some(5.0)),
            ("1__0", None),
            ("1_", None),
            ("0x", None),
            ("5m", None),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
    }

    #[test]
    fn durations_go_down_in_their_units() {
        for (text, value) in [
            ("1h30m", Some(5_400_000)),
            ("1m5ms", Some(60_005)),
            ("1y", Some(31_536_000_000)),
            ("30m1h", None),
            ("1m1m", None),
            ("1x", None),
            ("m", None),
            ("99999999999999y", None),
        ] {
            assert_eq!(duration(text), value, "{text}");
        }
    }

    #[test]
    fn texts_have_gos_escapes() {
        for (quoted, text) in [
            (r#""a\tb\"""#, Some("a\tb\"")),
            (r"'\x41\101\u00e9'", Some("AA\u{e9}")),
            (r"`a\n`", Some(r"a\n")),
            (r#""\q""#, None),
            (r#""\'""#, None),
            (r#""\u12""#, None),
        ] {
            assert_eq!(unquote(quoted).as_deref(), text.map(str::as_bytes), "{quoted}");
        }
    }
}
