//! Numbers, durations and texts as they are written: where they end, what they mean, and what is wrong with them.

use super::token::Token;
use crate::formats::go;

/// How many bytes a number or a duration has at the start of a text, and which of both it is; if it is neither, how far it
/// might have been one.
pub(super) fn scan(text: &str) -> (usize, Option<Token>) {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    if scan.number() {
        return (scan.at, Some(Token::Number));
    }
    let duration = scan.duration();
    (scan.at, duration.then_some(Token::Duration))
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn accept(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let accepted = self.bytes.get(self.at).is_some_and(|byte| wanted(*byte));
        self.at += usize::from(accepted);
        accepted
    }

    fn among(&mut self, wanted: &[u8]) -> bool {
        self.accept(|byte| wanted.contains(&byte))
    }

    /// Whether a letter or a digit follows, which neither a number nor a duration can stand before.
    fn goes_on(&self) -> bool {
        self.bytes.get(self.at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    }

    fn number(&mut self) -> bool {
        let hexadecimal = self.among(b"0") && self.among(b"xX");
        if hexadecimal {
            self.among(b"_");
        }
        let digit = |byte: u8| if hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
        self.among(b".");
        let mut dotted = false;
        loop {
            while self.accept(digit) {}
            let before = self.at;
            if self.among(b".") {
                if dotted || hexadecimal || self.among(b"_.") {
                    return false;
                }
                dotted = true;
            } else if self.among(b"_") {
                if self.at == self.bytes.len() || self.among(b"._eE") {
                    return false;
                }
            } else if !hexadecimal && self.among(b"eE") {
                if self.among(b"._eE") {
                    return false;
                }
                self.among(b"+-");
                if self.at == self.bytes.len() {
                    return false;
                }
            }
            if self.at == before {
                return !self.goes_on();
            }
        }
    }

    /// Goes on where a number ended.
    fn duration(&mut self) -> bool {
        loop {
            if !self.among(b"smhdwy") {
                return false;
            }
            self.among(b"s");
            if !self.accept(|byte| byte.is_ascii_digit()) {
                break;
            }
            while self.accept(|byte| byte.is_ascii_digit()) {}
        }
        let goes_on = self.goes_on();
        self.at += usize::from(goes_on);
        !goes_on
    }
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
        return whole(digits, 16);
    }
    if let Some(value) = lower.strip_prefix('0').and_then(|digits| whole(digits, 8)) {
        return Some(value);
    }
    // Rust reads `inf` and `nan`, which are words here.
    lower.starts_with(|char: char| char.is_ascii_digit() || char == '.').then(|| lower.parse().ok()).flatten()
}

/// The value of a number token, which may be out of range or no number after all.
pub(super) fn checked_number(text: &str) -> Result<f64, String> {
    let bad = |why| Err(format!("error parsing number: strconv.ParseFloat: parsing {text:?}: {why}"));
    match number(text) {
        None => bad("invalid syntax"),
        Some(value) if value.is_infinite() => bad("value out of range"),
        Some(value) => Ok(value),
    }
}

/// Milliseconds of a duration such as `1h30m`: each unit once, from years down to milliseconds.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    // Prometheus counts nanoseconds.
    const MOST: i64 = i64::MAX / 1_000_000;
    let bad = || format!("not a valid duration string: {text:?}");
    let far = || "duration out of range".to_owned();
    let (mut rest, mut sum, mut units) = (text, 0i64, &UNITS[..]);
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit()).filter(|digits| *digits > 0).ok_or_else(bad)?;
        let letters = &rest[digits..];
        let letters = &letters[..letters.find(|char: char| char.is_ascii_digit()).unwrap_or(letters.len())];
        if UNITS.iter().all(|(name, _)| *name != letters) {
            return Err(format!("unknown unit {letters:?} in duration {text:?}"));
        }
        let unit = units.iter().position(|(name, _)| *name == letters).ok_or_else(bad)?;
        let amount = rest[..digits].parse::<i64>().ok().and_then(|amount| amount.checked_mul(units[unit].1));
        sum = amount.and_then(|amount| sum.checked_add(amount)).filter(|sum| *sum <= MOST).ok_or_else(far)?;
        units = &units[unit + 1..];
        rest = &rest[digits + letters.len()..];
    }
    if text.is_empty() { Err(bad()) } else { Ok(sum) }
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

/// What is wrong with the first escape of a quoted text that means nothing.
pub(super) fn bad_escape(quoted: &str) -> Option<String> {
    if quoted.starts_with('`') {
        return None;
    }
    let quote = quoted.chars().next()?;
    let mut chars = quoted.get(1..)?.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            continue;
        }
        let kind = chars.next()?;
        let (digits, radix, most) = match kind {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => continue,
            _ if kind == quote => continue,
            '0'..='7' => (3, 8, 255),
            'x' => (2, 16, 255),
            'u' => (4, 16, u32::from(char::MAX)),
            'U' => (8, 16, u32::from(char::MAX)),
            _ => return Some(format!("unknown escape sequence {}", character(kind))),
        };
        let mut value = kind.to_digit(8).unwrap_or(0);
        for _ in usize::from(radix == 8)..digits {
            let digit = chars.next()?;
            let Some(digit) = digit.to_digit(radix) else {
                return Some(format!("illegal character {} in escape sequence", character(digit)));
            };
            value = value.saturating_mul(radix).saturating_add(digit);
        }
        if value > most || (0xd800..0xe000).contains(&value) {
            return Some("escape sequence is an invalid Unicode code point".to_owned());
        }
    }
    None
}

/// A character as Go names it.
fn character(char: char) -> String {
    format!("U+{:04X} '{char}'", u32::from(char))
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
            assert_eq!(duration(text).ok(), value, "{text}");
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
