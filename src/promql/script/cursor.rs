//! A place in one line of a script, and what is told where the line makes no sense there.

use std::fmt;

use crate::formats::prometheus::number;

/// A line, or a part of one, that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationError {
    /// Where: bytes from the start of what was read.
    pub at: usize,
    /// What should stand there, or what is wrong with what does.
    pub problem: String,
}

impl std::error::Error for NotationError {}

impl fmt::Display for NotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.at + 1, self.problem)
    }
}

/// A place in a text.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Whether `token` stands here; if so the cursor is behind it.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    pub(super) fn expect(&mut self, token: &str) -> Result<(), NotationError> {
        if self.take(token) { Ok(()) } else { Err(self.expected(&format!("`{token}`"))) }
    }

    /// The characters from here on that fit.
    pub(super) fn take_while(&mut self, mut fits: impl FnMut(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !fits(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// Whether blanks stood here.
    pub(super) fn blanks(&mut self) -> bool {
        !self.take_while(is_blank).is_empty()
    }

    /// A text in quotes of one of the three kinds.
    pub(super) fn quoted(&mut self) -> Result<String, NotationError> {
        let start = self.clone();
        let quote =
            self.peek().filter(|c| matches!(c, '"' | '\'' | '`')).ok_or_else(|| self.expected("a quoted text"))?;
        self.at += 1;
        let mut escaped = false;
        self.take_while(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped && quote != '`';
            !ends
        });
        self.expect(quote.encode_utf8(&mut [0; 4]))?;
        let whole = &self.text[start.at..self.at];
        promql_parser::util::unquote_string(whole)
            .map_err(|_| start.problem(format!("{whole} has an escape that does not exist, or bytes that are no text")))
    }

    /// A number with or without a sign, `NaN` and `Inf` among them. A hexadecimal one is none here, because its `x` is
    /// the sign of repetition.
    pub(super) fn number(&mut self) -> Result<f64, NotationError> {
        let start = self.clone();
        let negative = self.take("-");
        let _ = negative || self.take("+");
        self.unsigned(&start).map(|value| if negative { -value } else { value })
    }

    /// A number without a sign; `start` is told as its place.
    fn unsigned(&mut self, start: &Self) -> Result<f64, NotationError> {
        let text = if self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
        } else {
            let mut before = ' ';
            let mut seen_exponent = false;
            self.take_while(|c| {
                let fits = c.is_ascii_digit()
                    || matches!(c, '.' | '_')
                    || (matches!(c, 'e' | 'E') && !seen_exponent)
                    || (matches!(c, '+' | '-') && matches!(before, 'e' | 'E'));
                seen_exponent |= matches!(c, 'e' | 'E');
                before = c;
                fits
            })
        };
        // The word `infinity` is no number of PromQL, though it is one of Go.
        let value = literal(text).filter(|_| !text.eq_ignore_ascii_case("infinity"));
        let ends = self.peek().is_none_or(|c| c == 'x' || !(c.is_alphanumeric() || c == '_'));
        value.filter(|_| ends).ok_or_else(|| start.expected("a number"))
    }

    /// A whole number without a sign.
    pub(super) fn whole(&mut self) -> Result<u64, NotationError> {
        let start = self.clone();
        let digits = self.take_while(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| start.expected("a whole number"))
    }

    pub(super) fn expected(&self, what: &str) -> NotationError {
        let found: String = self.rest().chars().take_while(|c| !is_blank(*c)).take(20).collect();
        self.problem(match (found.is_empty(), self.is_done()) {
            (false, _) => format!("expected {what}, found `{found}`"),
            (true, true) => format!("expected {what}, found the end"),
            (true, false) => format!("expected {what}, found a blank"),
        })
    }

    pub(super) fn problem(&self, problem: impl Into<String>) -> NotationError {
        NotationError { at: self.at, problem: problem.into() }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// A whole text as Go reads a number: first as an integer that may have a prefix of its base (`0x1f`, `017`), then as
/// a decimal.
pub(super) fn literal(text: &str) -> Option<f64> {
    integer(text).or_else(|| number::parse(text.as_bytes()))
}

#[expect(clippy::cast_precision_loss, reason = "as Prometheus converts it")]
fn integer(text: &str) -> Option<f64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    // An underscore stands between two digits, or behind the prefix.
    let prefixed = base != 10;
    let mut before = if prefixed { '0' } else { '_' };
    for c in digits.chars() {
        if c == '_' && before == '_' {
            return None;
        }
        before = c;
    }
    if before == '_' || !digits.chars().all(|c| c == '_' || c.is_digit(base)) {
        return None;
    }
    let value = i64::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if negative { -value } else { value } as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("0", 0.0),
            ("-0x1F", -31.0),
            ("0x_f", 15.0),
            ("017", 15.0),
            ("08", 8.0),
            ("1_000", 1000.0),
            ("0b11", 3.0),
            ("1.5e3", 1500.0),
            ("+Inf", f64::INFINITY),
            ("99999999999999999999", 1e20),
        ] {
            assert_eq!(literal(text), Some(expected), "{text}");
        }
        assert!(literal("NaN").is_some_and(f64::is_nan));
        for bad in ["", "-", "x", "1__0", "_1", "1_", "0x", "1 2", "é"] {
            assert_eq!(literal(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_quoted_text_ends_at_its_own_quote() {
        for (text, expected) in
            [(r#""a\"b" rest"#, "a\"b"), (r"'a\'b'", "a'b"), (r"`a\`", r"a\"), ("\"\"", ""), (r#""\\""#, "\\")]
        {
            assert_eq!(Cursor::new(text).quoted().as_deref(), Ok(expected), "{text}");
        }
        for bad in ["\"", "\"a", "a", "", "'\\", r#""\q""#, "`"] {
            assert!(Cursor::new(bad).quoted().is_err(), "{bad}");
        }
    }
}
