//! Times and durations as Go writes and reads them: by layouts that show what `Mon Jan 2 15:04:05 -0700 MST 2006` would look
//! like.

mod layout;
mod methods;

pub(super) use layout::{format, parse};
pub(super) use methods::{DURATION_METHODS, TIME_METHODS, between, zero};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::format::{Style, float};

/// A time from milliseconds since 1970, in UTC; the first or last there is where it is beyond them.
pub fn of_millis(millis: i64) -> Zoned {
    let bound = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(millis).unwrap_or(bound).to_zoned(TimeZone::UTC)
}

/// A time from seconds since 1970, to the millisecond.
pub(super) fn of_seconds(seconds: f64) -> Result<Zoned, String> {
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".into());
    }
    let nanos = seconds * 1e9;
    if nanos > i64::MAX as f64 || nanos < i64::MIN as f64 {
        let seconds = float(seconds, Style::Shorter, None, false);
        return Err(format!("{seconds} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    Ok(of_millis(nanos as i64 / 1_000_000))
}

/// As Go prints a time.
pub(super) fn text(time: &Zoned) -> String {
    format(time, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// As Go prints a duration: `1h2m3.5s`, `1.5ms`, `0s`.
pub(super) fn duration_text(nanos: i64) -> String {
    let magnitude = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    let decimal = |unit: u64, name: &str| {
        let (whole, rest) = (magnitude / unit, magnitude % unit);
        let width = unit.ilog10() as usize;
        let fraction = format!("{rest:0width$}");
        let fraction = fraction.trim_end_matches('0');
        let point = if rest == 0 { "" } else { "." };
        format!("{sign}{whole}{point}{}{name}", if rest == 0 { "" } else { fraction })
    };
    match magnitude {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{magnitude}ns"),
        1_000..1_000_000 => decimal(1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(1_000_000, "ms"),
        _ => {
            let seconds = magnitude / 1_000_000_000;
            let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
            let rest = (seconds % 60) * 1_000_000_000 + magnitude % 1_000_000_000;
            let rest = duration_rest(rest);
            match (hours, minutes) {
                (0, 0) => format!("{sign}{rest}"),
                (0, _) => format!("{sign}{minutes}m{rest}"),
                _ => format!("{sign}{hours}h{minutes}m{rest}"),
            }
        }
    }
}

fn duration_rest(nanos: u64) -> String {
    let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if fraction == 0 {
        return format!("{seconds}s");
    }
    format!("{seconds}.{}s", format!("{fraction:09}").trim_end_matches('0'))
}
