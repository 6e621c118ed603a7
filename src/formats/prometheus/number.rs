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
    let mut buffer = zmij::Buffer::new();
    let Some(shortest) = Shortest::of(value, &mut buffer, out) else { return };
    if (-4..6).contains(&shortest.exponent) { shortest.push_plain(out) } else { shortest.push_scientific(out) }
}

/// Appends a number as Go's `%f` does with as many digits as it takes: as [`push`], but never with an exponent.
pub fn push_plain(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    let mut buffer = zmij::Buffer::new();
    if (1e-4..1e15).contains(&size) || size == 0.0 {
        // Here the library writes what is wanted, but for an integer's `.0`.
        let text = buffer.format_finite(value);
        return out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    }
    if let Some(shortest) = Shortest::of(value, &mut buffer, out) {
        shortest.push_plain(out);
    }
}

/// Appends a number as Go's `%e` does with as many digits as it takes: as [`push`], but always with an exponent.
pub fn push_scientific(value: f64, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    if let Some(shortest) = Shortest::of(value, &mut buffer, out) {
        shortest.push_scientific(out);
    }
}

/// The shortest digits of a number that read back as the same double, and where its point goes.
struct Shortest<'a> {
    negative: bool,
    /// Digits before the library's point and behind it, without zeros that say nothing.
    digits: (&'a [u8], &'a [u8]),
    /// The power of ten of the first digit.
    exponent: i32,
}

impl<'a> Shortest<'a> {
    /// Those of a finite number; any other is written.
    fn of(value: f64, buffer: &'a mut zmij::Buffer, out: &mut Vec<u8>) -> Option<Self> {
        if value.is_nan() {
            out.extend_from_slice(b"NaN");
            return None;
        }
        if value.is_infinite() {
            out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
            return None;
        }
        let text = buffer.format_finite(value.abs());
        let (text, scale) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let scale: i32 = scale.parse().unwrap_or_default();
        let fraction = fraction.trim_end_matches('0');
        let zeros = fraction.len() - fraction.trim_start_matches('0').len();
        let (digits, exponent) = match whole {
            "0" if zeros < fraction.len() => (("", &fraction[zeros..]), -1 - zeros as i32),
            "0" => (("0", ""), 0),
            whole if fraction.is_empty() => {
                let some = whole.trim_end_matches('0');
                ((some, ""), whole.len() as i32 - 1)
            }
            whole => ((whole, fraction), whole.len() as i32 - 1),
        };
        Some(Self {
            negative: value.is_sign_negative(),
            digits: (digits.0.as_bytes(), digits.1.as_bytes()),
            exponent: exponent + scale,
        })
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits.0.iter().chain(self.digits.1).copied()
    }

    fn push_sign(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
    }

    fn push_plain(&self, out: &mut Vec<u8>) {
        self.push_sign(out);
        if self.exponent < 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', (-self.exponent - 1) as usize));
            return out.extend(self.digits());
        }
        let whole = self.exponent as usize + 1;
        out.extend(self.digits().chain(std::iter::repeat(b'0')).take(whole));
        if self.digits.0.len() + self.digits.1.len() > whole {
            out.push(b'.');
            out.extend(self.digits().skip(whole));
        }
    }

    fn push_scientific(&self, out: &mut Vec<u8>) {
        self.push_sign(out);
        let mut digits = self.digits();
        out.extend(digits.next());
        if self.digits.0.len() + self.digits.1.len() > 1 {
            out.push(b'.');
            out.extend(digits);
        }
        // Writing into memory does not fail.
        let _ = write!(out, "e{}{:02}", if self.exponent < 0 { '-' } else { '+' }, self.exponent.abs());
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

    fn written(value: f64, push: fn(f64, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(value, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (plain, scientific) in [
            ("0", "0e+00"),
            ("-0", "-0e+00"),
            ("1", "1e+00"),
            ("-1.5", "-1.5e+00"),
            ("100", "1e+02"),
            ("1234567", "1.234567e+06"),
            ("0.30000000000000004", "3.0000000000000004e-01"),
            ("0.0001", "1e-04"),
            ("0.00001", "1e-05"),
            ("-0.0000012345", "-1.2345e-06"),
            ("0.00000000001", "1e-11"),
            ("999999999999999.9", "9.999999999999999e+14"),
            ("1000000000000000", "1e+15"),
            ("-12345678901234567000", "-1.2345678901234567e+19"),
            ("999999999999999900000", "9.999999999999999e+20"),
            ("1000000000000000000000", "1e+21"),
            ("+Inf", "+Inf"),
            ("-Inf", "-Inf"),
            ("NaN", "NaN"),
        ] {
            let value = parse(plain.as_bytes()).expect(plain);
            assert_eq!(written(value, push_plain), plain);
            assert_eq!(written(value, push_scientific), scientific);
        }
        // Half way between two of the shortest it is the even one.
        assert_eq!(written(698_921_842_421_627.0 + 0.25, push_plain), "698921842421627.2");
        assert_eq!(written(698_921_842_421_627.0 + 0.75, push_plain), "698921842421627.8");
        assert_eq!(written(f64::MAX, push_scientific), "1.7976931348623157e+308");
        assert_eq!(written(5e-324, push_scientific), "5e-324");
    }

    proptest! {
        #[test]
        fn numbers_are_as_short_as_the_standard_librarys(bits in any::<u64>(), size in -30_i32..40, whole in any::<i64>(), digits in 0_usize..23) {
            let some = bits as f64 * 10_f64.powi(size - 19);
            for value in [f64::from_bits(bits), some, -some, whole as f64 / EXACT_POWERS[digits], (whole >> 40) as f64 / 1e3] {
                if !value.is_finite() {
                    continue;
                }
                let (plain, scientific) = (written(value, push_plain), written(value, push_scientific));
                prop_assert_eq!(plain.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{}", plain);
                prop_assert_eq!(scientific.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{}", scientific);
                // Where two are as near as each other, the library does not take the even one.
                let (expected, of_plain) = (value.to_string(), plain.len());
                prop_assert!(expected.len() == of_plain, "{} for {}", plain, expected);
                let (start, _) = scientific.split_once('e').expect("an exponent");
                let expected = format!("{value:e}");
                prop_assert_eq!(start.len(), expected.find('e').expect("an exponent"), "{} for {}", start, expected);
            }
        }

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
