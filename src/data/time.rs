//! Points in time as the signals carry them: nanoseconds since the Unix epoch.

use std::time::{Duration, SystemTime};

/// Nanoseconds since 1970-01-01T00:00:00Z. Zero means *no time given*, as in OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(pub u64);

/// Milliseconds since 1970-01-01T00:00:00Z: Prometheus's time, before that moment negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The wall clock now.
    pub fn now() -> Self {
        UnixNanos::now().into()
    }

    /// This time moved on by `by`, not beyond the last one that there is.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }
}

/// A duration in whole milliseconds, as [`UnixMillis`] counts them: the longest that there is where it is longer.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl From<UnixNanos> for UnixMillis {
    fn from(time: UnixNanos) -> Self {
        Self((time.0 / 1_000_000) as i64)
    }
}

/// Length of [`UnixNanos::write_rfc3339`]'s output: `2026-11-23T01:02:03.123456789Z`.
pub const RFC3339_LEN: usize = 30;

const DAY_SECONDS: u64 = 86_400;

impl UnixNanos {
    /// No time given.
    pub const NONE: Self = Self(0);

    /// The wall clock now.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Whether a time was given.
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// This time moved back by `by`, not beyond the epoch.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time elapsed from `earlier` to this, zero where the clock went back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Reads an RFC 3339 date-time with up to nine fractional digits and `Z` or a numeric offset, as
    /// container runtimes write them. `None` for anything else, and for years before 1970 or after 2553.
    pub fn parse_rfc3339(text: &[u8]) -> Option<Self> {
        let head: &[u8; 19] = text.first_chunk()?;
        let two = |at: usize| -> Option<u64> {
            let (tens, ones) = (head[at].wrapping_sub(b'0'), head[at + 1].wrapping_sub(b'0'));
            (tens < 10 && ones < 10).then(|| u64::from(tens) * 10 + u64::from(ones))
        };
        let separators = head[4] == b'-'
            && head[7] == b'-'
            && matches!(head[10], b'T' | b't' | b' ')
            && head[13] == b':'
            && head[16] == b':';
        let (year, month, day) = (two(0)? * 100 + two(2)?, two(5)?, two(8)?);
        let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
        let valid = separators
            && (1970..=2553).contains(&year)
            && (1..=12).contains(&month)
            && day >= 1
            && day <= days_in_month(year, month)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !valid {
            return None;
        }
        let mut rest = &text[19..];
        let mut nanos = 0u64;
        if let Some(fraction) = rest.strip_prefix(b".") {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            for &digit in &fraction[..digits] {
                nanos = nanos * 10 + u64::from(digit - b'0');
            }
            for _ in digits..9 {
                nanos *= 10;
            }
            rest = &fraction[digits..];
        }
        let local = days_from_epoch(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
        let seconds = match rest {
            b"Z" | b"z" => local,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let digits = [h1, h2, m1, m2].map(|b| b.wrapping_sub(b'0'));
                if digits.iter().any(|&d| d > 9) {
                    return None;
                }
                let [h1, h2, m1, m2] = digits.map(u64::from);
                let (hours, minutes) = (h1 * 10 + h2, m1 * 10 + m2);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let offset = hours * 3600 + minutes * 60;
                if *sign == b'+' { local.checked_sub(offset)? } else { local + offset }
            }
            _ => return None,
        };
        seconds.checked_mul(1_000_000_000)?.checked_add(nanos).map(Self)
    }

    /// Appends the time as RFC 3339 in UTC with nine fractional digits: always [`RFC3339_LEN`] bytes. Many
    /// times are written faster by one [`TimeText`].
    pub fn write_rfc3339(self, out: &mut Vec<u8>) {
        out.extend_from_slice(TimeText::default().of(self));
    }
}

/// Times as RFC 3339, in UTC with nine fractional digits. Keeps the minute of the last time: the next of a
/// log nearly always falls into the same.
#[derive(Clone, Copy, Debug)]
pub struct TimeText {
    minute: u64,
    text: [u8; RFC3339_LEN],
}

impl Default for TimeText {
    fn default() -> Self {
        Self { minute: 0, text: *b"1970-01-01T00:00:00.000000000Z" }
    }
}

impl TimeText {
    /// The text of `time`.
    #[inline]
    pub fn of(&mut self, time: UnixNanos) -> &[u8; RFC3339_LEN] {
        let (seconds, nanos) = (time.seconds(), time.0 % 1_000_000_000);
        let minute = seconds / 60;
        if minute != self.minute {
            self.set_minute(minute);
        }
        self.put(17, seconds % 60);
        let nanos = nanos as u32;
        let (first, rest) = (nanos / 100_000, nanos % 100_000);
        self.put(20, u64::from(first / 100));
        self.put(22, u64::from(first % 100));
        self.put(24, u64::from(rest / 1000));
        self.put(26, u64::from(rest / 10 % 100));
        self.text[28] = b'0' + (rest % 10) as u8;
        &self.text
    }

    fn set_minute(&mut self, minute: u64) {
        self.minute = minute;
        let (days, of_day) = (minute / 1440, minute % 1440);
        let (year, month, day) = date_from_days(days);
        self.put(0, year / 100);
        self.put(2, year % 100);
        self.put(5, month);
        self.put(8, day);
        self.put(11, of_day / 60);
        self.put(14, of_day % 60);
    }

    /// Writes two digits.
    #[inline]
    fn put(&mut self, at: usize, value: u64) {
        self.text[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
    }
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

impl From<SystemTime> for UnixNanos {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar. The year is taken to begin in
/// March, so that the leap day is its last (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_runtimes_write() {
        let nanos = |text: &str| UnixNanos::parse_rfc3339(text.as_bytes()).map(|t| t.0);
        assert_eq!(nanos("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(nanos("2026-11-23T00:00:00.000000001Z"), Some(1_795_392_000_000_000_001));
        assert_eq!(nanos("2026-11-23T02:00:00.5+02:00"), Some(1_795_392_000_500_000_000));
        assert_eq!(nanos("2024-02-29T12:00:00Z"), Some(1_709_208_000_000_000_000));
        for bad in [
            "",
            "2026-11-23",
            "2026-02-29T00:00:00Z",
            "2026-11-23T00:00:00",
            "2026-11-23T00:00:00.Z",
            "x026-11-23T00:00:00Z",
        ] {
            assert_eq!(nanos(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_minute_that_is_remembered_is_the_right_one() {
        let mut writer = TimeText::default();
        for nanos in [0, 59_999_999_999, 60_000_000_000, 1_795_392_000_123_456_789, 1_795_392_059_000_000_001, 1] {
            let expected = jiff::Timestamp::from_nanosecond(i128::from(nanos)).expect("in range");
            assert_eq!(writer.of(UnixNanos(nanos)), expected.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string().as_bytes());
        }
    }

    proptest::proptest! {
        #[test]
        fn written_times_read_back(nanos in 0u64..18_000_000_000_000_000_000) {
            let mut text = Vec::new();
            UnixNanos(nanos).write_rfc3339(&mut text);
            proptest::prop_assert_eq!(text.len(), RFC3339_LEN);
            proptest::prop_assert_eq!(UnixNanos::parse_rfc3339(&text), Some(UnixNanos(nanos)));
        }
    }
}
