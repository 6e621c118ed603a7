//! Floats as Go's `strconv.FormatFloat` writes them.

use std::fmt::{self, Display, Formatter};

use crate::formats::prometheus::number;

/// A float that is displayed as `%g` writes it: with the fewest digits that read back as it.
#[derive(Clone, Copy, Debug)]
pub struct Shortest(pub f64);

impl Display for Shortest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        number::push(self.0, &mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// How a float is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `1.5e+00`
    Exponent,
    /// `1.5`
    Plain,
    /// The shorter of both.
    Shorter,
}

/// The float without a sign unless it is negative; with the fewest digits that read back as it, if no `precision` is given.
/// `pad` keeps zeros at the end that [`Style::Shorter`] leaves out.
pub fn float(value: f64, style: Style, precision: Option<usize>, pad: bool) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let Some(precision) = precision else {
        let mut text = Vec::with_capacity(24);
        match style {
            Style::Exponent => number::push_scientific(value, &mut text),
            Style::Plain => number::push_plain(value, &mut text),
            Style::Shorter => number::push(value, &mut text),
        }
        return String::from_utf8_lossy(&text).into_owned();
    };
    match style {
        Style::Exponent => with_exponent(&scientific(value, precision)),
        Style::Plain => plain(value, precision),
        Style::Shorter => shorter(value, precision.max(1), pad),
    }
}

/// No float has more digits behind its point than 1074: all further ones are zeros. Rust's own formatter panics where it is
/// asked for more than 65535.
const MOST_DIGITS: usize = 1074;

/// With so many digits behind the point.
fn plain(value: f64, precision: usize) -> String {
    let exact = precision.min(MOST_DIGITS);
    format!("{value:.exact$}") + &"0".repeat(precision - exact)
}

/// With so many digits behind the point, and an exponent as Rust writes it.
fn scientific(value: f64, precision: usize) -> String {
    let exact = precision.min(MOST_DIGITS);
    let text = format!("{value:.exact$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if precision > exact => {
            format!("{mantissa}{}e{exponent}", "0".repeat(precision - exact))
        }
        _ => text,
    }
}

/// Go writes a sign and at least two digits of an exponent.
fn with_exponent(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn shorter(number: f64, precision: usize, pad: bool) -> String {
    let scientific = scientific(number, precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let kept = if pad { mantissa } else { trimmed(mantissa) };
    if exponent < -4 || exponent >= i32::try_from(precision).unwrap_or(i32::MAX) {
        return with_exponent(&format!("{kept}e{exponent}"));
    }
    let digits = kept.bytes().filter(u8::is_ascii_digit).count();
    let decimals = usize::try_from(digits as i64 - 1 - i64::from(exponent)).unwrap_or(0);
    plain(number, decimals)
}

fn trimmed(mantissa: &str) -> &str {
    if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa }
}

/// `0x1.8p+01`: the float in base 16.
pub fn hex(number: f64, precision: Option<usize>) -> String {
    if !number.is_finite() {
        return float(number, Style::Plain, None, false);
    }
    let (mut mantissa, exponent) = parts(number);
    // The point stands behind the first bit; 60 bits follow it.
    let mut power = 0;
    if mantissa != 0 {
        let shift = mantissa.leading_zeros() as i32 - 3;
        mantissa <<= shift;
        power = exponent + 60 - shift;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let shift = 60 - 4 * precision as u32;
        let extra = mantissa & ((1 << shift) - 1);
        mantissa >>= shift;
        let half = 1 << (shift - 1);
        if extra > half || (extra == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= shift;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            power += 1;
        }
    }
    let digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let digits = match precision {
        Some(precision) => {
            let zeros = "0".repeat(precision.saturating_sub(digits.len()));
            (digits + &zeros)[..precision].to_owned()
        }
        None => digits.trim_end_matches('0').to_owned(),
    };
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let point = if digits.is_empty() { "" } else { "." };
    let (power_sign, power) = if power < 0 { ('-', -power) } else { ('+', power) };
    format!("{sign}0x{}{point}{digits}p{power_sign}{power:02}", mantissa >> 60)
}

/// `4503599627370496p-52`: mantissa and exponent in base 2.
pub fn binary(number: f64) -> String {
    if !number.is_finite() {
        return float(number, Style::Plain, None, false);
    }
    let (mantissa, exponent) = parts(number);
    let sign = if number.is_sign_negative() { "-" } else { "" };
    format!("{sign}{mantissa}p{exponent:+}")
}

/// Mantissa and exponent: what is multiplied by a power of two.
fn parts(number: f64) -> (u64, i32) {
    let bits = number.to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i32);
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_digits_are_found() {
        let table = [
            (0.0, "0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (100_000.0, "100000"),
            (1_234_567.0, "1.234567e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            // 698921842421627.25: half way between two of the fewest digits it is the even one.
            (2_795_687_369_686_509.0 / 4.0, "6.989218424216272e+14"),
        ];
        for (number, expected) in table {
            assert_eq!(float(number, Style::Shorter, None, false), expected);
            assert_eq!(Shortest(number).to_string(), expected);
        }
    }

    #[test]
    fn a_precision_rounds_to_that_many_digits() {
        for (number, expected) in [
            (0.25, "0.25"),
            (1.0, "1"),
            (12.0, "12"),
            (99.6, "1e+02"),
            (123.0, "1.2e+02"),
            (0.00001, "1e-05"),
            (0.126, "0.13"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(float(number, Style::Shorter, Some(2), false), expected);
        }
    }

    #[test]
    fn more_digits_than_a_formatter_writes_are_zeros() {
        let many = 1_000_000;
        let zeros = |count: usize| "0".repeat(count);
        assert_eq!(float(-1.5, Style::Plain, Some(many), false), format!("-1.5{}", zeros(many - 1)));
        assert_eq!(float(1500.0, Style::Exponent, Some(70_000), false), format!("1.5{}e+03", zeros(69_999)));
        assert_eq!(float(12.5, Style::Shorter, Some(many), false), "12.5");
        assert_eq!(float(12.5, Style::Shorter, Some(many), true), format!("12.5{}", zeros(many - 3)));
        assert_eq!(hex(1.5, Some(70_000)), format!("0x1.8{}p+00", zeros(69_999)));
        // The smallest float has digits up to the last that any float has.
        let least = float(5e-324, Style::Plain, Some(1076), false);
        assert!(least.ends_with("62500"), "{least}");
        assert_eq!(float(5e-324, Style::Plain, Some(70_000), false), least + &zeros(70_000 - 1076));
    }

    #[test]
    fn base_sixteen_and_two() {
        for (number, expected) in
            [(1.0, "0x1p+00"), (1.5, "0x1.8p+00"), (-0.1, "-0x1.999999999999ap-04"), (0.0, "0x0p+00")]
        {
            assert_eq!(hex(number, None), expected);
        }
        assert_eq!(hex(1.999, Some(1)), "0x1.0p+01");
        assert_eq!(binary(1.0), "4503599627370496p-52");
    }
}
