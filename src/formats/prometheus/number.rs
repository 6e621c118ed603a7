//! Numbers as expositions write them: read as Prometheus's lexers accept them (Go's `strconv.ParseFloat`
//! without hexadecimal digits and underscores), written as Go's `%g` and OpenMetrics's canonical numbers.

use std::io::Write;

/// The NaN that Prometheus stores for every NaN of an exposition, so that none is taken for a staleness marker.
pub const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Powers of ten that a double holds exactly. A whole number below 2^53 times or divided by one of them is
/// rounded once, which makes it the correctly rounded result (Clinger, "How to read floating point numbers
/// accurately", 1990).
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Reads a whole text as a number. Every NaN becomes [`NORMAL_NAN`]; `None` where it is no number, or one beyond
/// the range of a double.
pub fn parse(text: &[u8]) -> Option<f64> {
    if let Some((value, length)) = short(text)
        && length == text.len()
    {
        return Some(value);
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let value = match digits.first()? {
        b'i' | b'I' if digits.eq_ignore_ascii_case(b"inf") || digits.eq_ignore_ascii_case(b"infinity") => f64::INFINITY,
        b'n' | b'N' if text.eq_ignore_ascii_case(b"nan") => return Some(NORMAL_NAN),
        b'0'..=b'9' | b'.' => fast_float2::parse(digits).ok().filter(|value: &f64| value.is_finite())?,
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

/// Reads a number of few digits at the start of a text, up to a blank, a newline or the text's end: the value
/// and how many bytes it takes. `None` says nothing about the number: [`parse`] must see it.
#[inline]
pub fn short(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text.first() == Some(&b'-');
    let mut at = usize::from(negative);
    let (mut mantissa, mut digits) = (0_u64, 0);
    while let Some(digit) = digit(text, at) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
        digits += 1;
        at += 1;
    }
    let mut scale = 0_i32;
    if text.get(at) == Some(&b'.') {
        at += 1;
        let whole = digits;
        while let Some(digit) = digit(text, at) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
            digits += 1;
            at += 1;
        }
        scale = whole - digits;
    }
    // Nineteen digits always fit the mantissa; more may have wrapped around.
    if !(1..=19).contains(&digits) || mantissa > 1 << 53 {
        return None;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let (exponent, length) = short_exponent(&text[at + 1..])?;
        scale += exponent;
        at += 1 + length;
    }
    if !matches!(text.get(at), None | Some(b' ' | b'\n' | b'\t')) {
        return None;
    }
    let power = EXACT_POWERS.get(scale.unsigned_abs() as usize)?;
    let value = if scale < 0 { mantissa as f64 / power } else { mantissa as f64 * power };
    Some((if negative { -value } else { value }, at))
}

fn digit(text: &[u8], at: usize) -> Option<u64> {
    let digit = text.get(at)?.wrapping_sub(b'0');
    (digit < 10).then_some(u64::from(digit))
}

/// An exponent of one to three digits, and its length.
fn short_exponent(text: &[u8]) -> Option<(i32, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let (mut exponent, mut at) = (0, start);
    while let Some(digit) = digit(text, at) {
        exponent = exponent * 10 + digit as i32;
        at += 1;
        if at - start > 3 {
            return None;
        }
    }
    (at > start).then_some((if negative { -exponent } else { exponent }, at))
}

/// Reads a timestamp of a text exposition: whole milliseconds, without a sign.
pub fn parse_millis(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_i64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(())?;
        value.checked_mul(10)?.checked_add(i64::from(digit))
    })
}

/// Appends a number as Go's `%g` writes it: the shortest digits that read back as the same double.
pub fn push(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    // Rust's `{:e}` has the same digits as Go: `-1.2345e-7`. What differs is where the point goes.
    let mut shortest = [0; 32];
    let mut rest = &mut shortest[..];
    // The longest is 24 bytes.
    let _ = write!(rest, "{value:e}");
    let length = 32 - rest.len();
    let text = &shortest[..length];
    let Some(split) = text.iter().position(|byte| *byte == b'e') else { return };
    let exponent = text[split + 1..].iter().filter(|byte| **byte != b'-').fold(0, |n, b| n * 10 + i32::from(b - b'0'));
    let exponent = if text[split + 1] == b'-' { -exponent } else { exponent };
    let (sign, digits) = text[..split].split_at(usize::from(text[0] == b'-'));
    out.extend_from_slice(sign);
    if !(-4..6).contains(&exponent) {
        out.extend_from_slice(digits);
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        let _ = write!(out, "{}", exponent.abs());
        return;
    }
    let digits = || digits.iter().filter(|byte| **byte != b'.').copied();
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend(digits());
        return;
    }
    let whole = exponent as usize + 1;
    out.extend(digits().chain(std::iter::repeat(b'0')).take(whole));
    if digits().count() > whole {
        out.push(b'.');
        out.extend(digits().skip(whole));
    }
}

/// Appends a number as OpenMetrics wants it where it is a label's value, and Prometheus stores it in `le` and
/// `quantile`: as [`push`], with `.0` where neither a point nor an exponent shows that it is no integer.
pub fn push_canonical(value: f64, out: &mut Vec<u8>) {
    let start = out.len();
    push(value, out);
    if value.is_finite() && !out[start..].iter().any(|byte| matches!(byte, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(value: f64) -> String {
        let mut out = Vec::new();
        push_canonical(value, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let good = [
            ("0", 0.0),
            ("-0", -0.0),
            ("+1", 1.0),
            ("0042", 42.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("1e3", 1e3),
            ("1E+03", 1e3),
            ("1.5e-3", 1.5e-3),
            ("1.234567e+06", 1_234_567.0),
            ("123456789012345678", 123_456_789_012_345_680.0),
            ("99999999999999999999999999", 1e26),
            ("1e-400", 0.0),
            ("0e999", 0.0),
            ("1.7976931348623157e308", f64::MAX),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("InFiNiTy", f64::INFINITY),
        ];
        for (text, value) in good {
            assert_eq!(parse(text.as_bytes()).map(f64::to_bits), Some(value.to_bits()), "{text}");
        }
        assert_eq!(parse(b"nAn").map(f64::to_bits), Some(NORMAL_NAN.to_bits()));
        let bad = [
            "", "-", "+", ".", "e5", "1e", "1e+", "--1", "+-1", "1_000", "0x1p3", "0x10", "1e400", "-1e309", "infin",
            "+nan", "-NaN", "nann", "1 ", " 1", "1f", "\u{661}",
        ];
        for text in bad {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_short_number_ends_where_a_blank_or_newline_is() {
        assert_eq!(short(b"1.5 17\n"), Some((1.5, 3)));
        assert_eq!(short(b"-2\n"), Some((-2.0, 2)));
        assert_eq!(short(b"1.7e+09"), Some((1.7e9, 7)));
        assert_eq!(short(b"1}"), None);
        assert_eq!(short(b"\n"), None);
        assert_eq!(short(b"12345678901234567890"), None);
    }

    #[test]
    fn canonical_numbers_are_those_of_the_specification() {
        let texts = [
            "0.0",
            "0.001",
            "0.002",
            "0.01",
            "0.1",
            "0.9",
            "0.95",
            "0.99",
            "0.999",
            "1.0",
            "1.7",
            "10.0",
            "1e-10",
            "1e-09",
            "1e-05",
            "0.0001",
            "100000.0",
            "1e+06",
            "1e+10",
            "1e+23",
            "1.1e+23",
            "+Inf",
            "-Inf",
            "NaN",
            "-1.0",
            "123456.7",
            "1.2345678e+06",
            "5e-324",
            "-2.5",
        ];
        for text in texts {
            assert_eq!(canonical(parse(text.as_bytes()).expect(text)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let read = parse(canonical(value).as_bytes());
            let expected = if value.is_nan() { NORMAL_NAN } else { value };
            prop_assert_eq!(read.map(f64::to_bits), Some(expected.to_bits()));
        }

        #[test]
        fn decimals_are_rounded_as_the_standard_library_rounds_them(text in "-?[0-9]{1,21}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?") {
            let expected: f64 = text.parse().expect("a number");
            let expected = Some(expected).filter(|value| value.is_finite());
            prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), expected.map(f64::to_bits), "{}", text);
        }
    }
}
