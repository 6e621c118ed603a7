//! Durations as Prometheus writes them: `1h30m`, `15s`, `500ms`, units from the longest to the shortest, each
//! once; `0` needs none. A day has 24 hours, a week 7 days, a year 365 days.

use std::fmt::Write;
use std::time::Duration;

/// Units and their milliseconds, the longest first.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// A text that is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a duration such as 30s, 1m30s or 500ms")]
pub struct InvalidDuration;

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut units, mut millis) = (text, UNITS.iter(), 0u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| InvalidDuration)?;
        let unit = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let name = &rest[digits..digits + unit];
        let (_, each) = units.find(|(known, _)| *known == name).ok_or(InvalidDuration)?;
        millis = number.checked_mul(*each).and_then(|more| millis.checked_add(more)).ok_or(InvalidDuration)?;
        rest = &rest[digits + unit..];
    }
    // Prometheus counts in nanoseconds of 63 bits.
    (!text.is_empty() && millis <= i64::MAX as u64 / 1_000_000)
        .then(|| Duration::from_millis(millis))
        .ok_or(InvalidDuration)
}

/// Writes a duration, to the millisecond.
pub fn text(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, each) in UNITS {
        // Years and weeks only where nothing is left, so that what is written is easy to read.
        let whole = left.is_multiple_of(each) || !matches!(unit, "y" | "w");
        if left >= each && whole {
            let _ = write!(text, "{}{unit}", left / each);
            left %= each;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_reads() {
        for (text, millis) in
            [("0", 0), ("0s", 0), ("15s", 15_000), ("1h30m", 5_400_000), ("1m500ms", 60_500), ("1w", 604_800_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "1", "s", "1m1h", "1s1s", "-1s", "1.5h", "1 s", "99999999999y"] {
            assert_eq!(parse(bad), Err(InvalidDuration), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0u64..400 * 86_400_000) {
            let duration = Duration::from_millis(millis);
            proptest::prop_assert_eq!(parse(&text(duration)), Ok(duration));
        }
    }
}
