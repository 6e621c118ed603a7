//! From the words of an interval to its ranges.

use jiff::tz::TimeZone;

use super::{BAD_LOCATION, BAD_RANGE, Interval, IntervalOptions, Range, TimeRangeOptions, Words};
use crate::options::{Problem, Spanned};

pub(super) const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Shortest month.
const SHORTEST: i16 = 28;

/// Reads an interval; what is wrong is added to `problems`.
pub(super) fn read(written: &Spanned<IntervalOptions>, problems: &mut Vec<Problem>) -> Interval {
    let interval = &written.value;
    let zone = interval.location.as_ref().map_or(Ok(TimeZone::UTC), zone);
    Interval {
        times: all(interval.times.as_deref(), time_range, problems),
        weekdays: all(interval.weekdays.as_deref(), weekdays, problems),
        days_of_month: all(interval.days_of_month.as_deref(), days_of_month, problems),
        months: all(interval.months.as_deref(), months, problems),
        years: all(interval.years.as_deref(), years, problems),
        zone: zone.unwrap_or_else(|problem| {
            problems.push(problem);
            TimeZone::UTC
        }),
    }
}

fn all<T>(
    written: Option<&[Spanned<T>]>,
    read: fn(&T) -> Result<Range, String>,
    problems: &mut Vec<Problem>,
) -> Option<Box<[Range]>> {
    let mut keep = |range: &Spanned<T>| match read(&range.value) {
        Ok(range) => Some(range),
        Err(message) => {
            problems.push(Problem::new(BAD_RANGE, range.span, message));
            None
        }
    };
    written.map(|ranges| ranges.iter().filter_map(&mut keep).collect())
}

fn zone(name: &Spanned<String>) -> Result<TimeZone, Problem> {
    match &*name.value {
        "" | "UTC" => Ok(TimeZone::UTC),
        "Local" => Ok(TimeZone::system()),
        known => TimeZone::get(known).map_err(|_| {
            let message = format!("`{known}` is no time zone that this machine knows");
            let help =
                "write a name of the IANA database, such as Europe/Berlin; a container needs the package `tzdata`";
            Problem::new(BAD_LOCATION, name.span, message).help(help)
        }),
    }
}

fn time_range(written: &TimeRangeOptions) -> Result<Range, String> {
    let (from, to) = (minute(&written.start_time)?, minute(&written.end_time)?);
    if from < to {
        return Ok((from, to));
    }
    Err(format!("the range ends at {} and so before it begins; write two for one over midnight", &*written.end_time))
}

/// Minute of the day of `09:00`.
fn minute(text: &str) -> Result<i16, String> {
    let wrong = || format!("`{text}` is no time of the day; write it with two digits each, such as 09:00 or 24:00");
    let [h1, h2, b':', m1, m2] = text.as_bytes() else { return Err(wrong()) };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i16::from(byte - b'0'));
    let two = |a, b| Some(digit(a)? * 10 + digit(b)?);
    let (hour, minute) = two(h1, h2).zip(two(m1, m2)).ok_or_else(wrong)?;
    if (hour < 24 && minute < 60) || (hour, minute) == (24, 0) { Ok(hour * 60 + minute) } else { Err(wrong()) }
}

fn weekdays(words: &Words) -> Result<Range, String> {
    let day = |word: &str| {
        let known = WEEKDAYS.iter().position(|day| *day == word).map(|day| day as i16);
        known.ok_or_else(|| format!("`{word}` is no day of the week; write `monday` or `monday:friday`"))
    };
    ordered(words, both(words, day)?)
}

fn days_of_month(words: &Words) -> Result<Range, String> {
    let day = |word: &str| match word.parse() {
        Ok(day @ (-31..=-1 | 1..=31)) => Ok(day),
        _ => Err(format!("`{word}` is no day of a month; write 1 to 31, or -31 to -1 from its end")),
    };
    let (from, to) = both(words, day)?;
    if from < 0 && to > 0 {
        return Err(format!("`{}` begins from the end of the month: its last day has to be negative too", words.0));
    }
    let in_shortest = |day: i16| if day < 0 { SHORTEST + day } else { day };
    ordered(words, (in_shortest(from), in_shortest(to))).map(|_| (from, to))
}

fn months(words: &Words) -> Result<Range, String> {
    let month = |word: &str| {
        let named = MONTHS.iter().position(|month| *month == word).map(|month| month as i16 + 1);
        let known = named.or_else(|| word.parse().ok().filter(|month| (1..=12).contains(month)));
        known.ok_or_else(|| format!("`{word}` is no month; write `january` or 1, or a range `january:march`"))
    };
    ordered(words, both(words, month)?)
}

fn years(words: &Words) -> Result<Range, String> {
    let year = |word: &str| word.parse().map_err(|_| format!("`{word}` is no year; write 2026, or a range 2026:2028"));
    ordered(words, both(words, year)?)
}

fn both(words: &Words, one: impl Fn(&str) -> Result<i16, String>) -> Result<Range, String> {
    let text = words.0.to_lowercase();
    match text.split_once(':') {
        Some((_, to)) if to.contains(':') => {
            Err(format!("`{text}` is no range; write its first and its last, as in a:b"))
        }
        Some((from, to)) => Ok((one(from)?, one(to)?)),
        None => one(&text).map(|only| (only, only)),
    }
}

fn ordered(words: &Words, (from, to): Range) -> Result<Range, String> {
    if from <= to { Ok((from, to)) } else { Err(format!("`{}` ends before it begins", words.0)) }
}
