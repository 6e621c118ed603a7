//! Constants as Go writes them: texts with escapes, letters, numbers.

use super::tree::Number;
use crate::formats::go::{self, Unit};

const BAD: &str = "invalid syntax";

/// The value of a text in quotes or backticks.
pub(super) fn unquote(written: &str) -> Result<String, String> {
    let inner = written.get(1..written.len().saturating_sub(1)).ok_or(BAD)?;
    if written.starts_with('`') {
        return Ok(inner.replace('\r', ""));
    }
    let bytes = go::unquote(inner, '"').ok_or(BAD)?;
    // Escaped bytes may be no UTF-8; what is written must be.
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A letter in quotes: a number.
pub(super) fn letter(written: &str) -> Result<Number, String> {
    let malformed = || format!("malformed character constant: {written}");
    let (unit, rest) = go::unit(&written[1..], '\'').ok_or(BAD)?;
    if rest != "'" {
        return Err(malformed());
    }
    let code = match unit {
        Unit::Letter(letter) => i64::from(u32::from(letter)),
        Unit::Byte(byte) => i64::from(byte),
    };
    Ok(Number { written: written.into(), int: Some(code), float: Some(code as f64), is_float: false })
}

/// A number: every type that can represent it, and the one it has where that is open.
pub(super) fn number(written: &str) -> Result<Number, String> {
    let illegal = || format!("illegal number syntax: {written:?}");
    let hex = written.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
    let like_float = if hex { written.contains(['p', 'P']) } else { written.contains(['.', 'e', 'E']) };
    if let Some(int) = integer(written) {
        return Ok(Number { written: written.into(), int: Some(int), float: Some(int as f64), is_float: false });
    }
    let float = if hex { hex_float(written) } else { decimal_float(written) }.ok_or_else(illegal)?;
    if !like_float && !written.contains('.') {
        return Err(format!("integer overflow: {written:?}"));
    }
    let whole = float.fract() == 0.0 && (-(2f64.powi(63))..2f64.powi(63)).contains(&float);
    Ok(Number { written: written.into(), int: whole.then_some(float as i64), float: Some(float), is_float: true })
}

/// As Go's `strconv.ParseInt` reads a text of base 0.
fn integer(written: &str) -> Option<i64> {
    let (negative, magnitude) = match written.as_bytes().first()? {
        b'-' => (true, &written[1..]),
        b'+' => (false, &written[1..]),
        _ => (false, written),
    };
    let lower = magnitude.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0o") => (&lower[2..], 8),
        Some("0b") => (&lower[2..], 2),
        _ if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        _ => (&*lower, 10),
    };
    let misplaced = digits.ends_with('_') || digits.contains("__") || (radix == 10 && digits.starts_with('_'));
    if digits.is_empty() || misplaced || digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

fn decimal_float(written: &str) -> Option<f64> {
    written.bytes().any(|byte| byte.is_ascii_digit()).then(|| written.parse().ok()).flatten()
}

/// `0x1.8p3`
fn hex_float(written: &str) -> Option<f64> {
    let negative = written.starts_with('-');
    let lower = written.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let (mantissa, exponent) = lower.strip_prefix("0x")?.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let mantissa = u64::from_str_radix(&digits, 16).ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    let scaled = mantissa as f64 * 2f64.powi(exponent.checked_sub(4 * fraction.len() as i32)?);
    Some(if negative { -scaled } else { scaled })
}
