//! Timestamps compared as they are written: two that differ by a nanosecond are one double.

use std::cmp::Ordering;

use super::super::super::number;

/// A timestamp in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time<'a> {
    negative: bool,
    /// Digits before and behind the point.
    whole: &'a [u8],
    fraction: &'a [u8],
    /// Power of ten that the digits are to be multiplied with.
    exponent: i64,
}

impl<'a> Time<'a> {
    /// Reads a finite number.
    pub fn parse(text: &'a str) -> Option<Self> {
        number::parse(text.as_bytes()).filter(|seconds| seconds.is_finite())?;
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        // What a double holds has an exponent of a few digits, unless the digits are all zero.
        let exponent = exponent.parse().unwrap_or(0);
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        Some(Self { negative, whole: whole.as_bytes(), fraction: fraction.as_bytes(), exponent })
    }

    /// Digits without zeros in front and behind, and the power of ten of the first; nothing for zero.
    fn digits(&self) -> (i64, impl Iterator<Item = u8>) {
        let all = || self.whole.iter().chain(self.fraction).copied();
        let length = self.whole.len() + self.fraction.len();
        let leading = all().take_while(|digit| *digit == b'0').count();
        let last =
            all().enumerate().filter(|(_, digit)| *digit != b'0').map(|(index, _)| index + 1).last().unwrap_or(0);
        let first = self.exponent.saturating_add(self.whole.len() as i64 - leading as i64);
        (first, all().skip(leading).take(if leading == length { 0 } else { last - leading }))
    }
}

impl PartialEq for Time<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Time<'_> {}

impl PartialOrd for Time<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Time<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let zero = |time: &Self| time.digits().1.next().is_none();
        let sign = |time: &Self| if zero(time) { 0 } else { 1 - 2 * i8::from(time.negative) };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign != Ordering::Equal || sign(self) == 0 {
            return by_sign;
        }
        let ((first, digits), (other_first, other_digits)) = (self.digits(), other.digits());
        let size = first.cmp(&other_first).then_with(|| digits.cmp(other_digits));
        if self.negative { size.reverse() } else { size }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Time<'_> {
        Time::parse(text).expect(text)
    }

    #[test]
    fn times_are_compared_digit_by_digit() {
        let ascending = [
            "-2",
            "-1.5",
            "-1e-3",
            "0",
            "0.0000000001",
            "1e-9",
            "1520879607.123456788",
            "1520879607.123456789",
            "1e300",
        ];
        for pair in ascending.windows(2) {
            assert!(time(pair[0]) < time(pair[1]), "{pair:?}");
        }
        let equal = ["1500", "1.5e3", "+001500.000", "15E+2", "150000e-2"];
        assert!(equal.iter().all(|text| time(text) == time("1500.0")));
        assert!(["0", "-0", "0.000", "0e99999999999999999999"].iter().all(|text| time(text) == time("0")));
        assert!(["NaN", "+Inf", "1e400", "x", ""].iter().all(|text| Time::parse(text).is_none()));
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_numbers(a in "-?[0-9]{1,3}(\\.[0-9]{0,3})?(e-?[0-9])?", b in "-?[0-9]{1,3}(\\.[0-9]{0,3})?(e-?[0-9])?") {
            let (x, y): (f64, f64) = (a.parse().expect("a number"), b.parse().expect("a number"));
            prop_assert_eq!(Some(time(&a).cmp(&time(&b))), x.partial_cmp(&y), "{} {}", a, b);
        }
    }
}
