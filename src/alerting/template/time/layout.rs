//! Go's layouts of times: package `time`, functions `Format` and `Parse`.

use std::fmt::Write;

use jiff::Zoned;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use crate::alerting::template::format::quote;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A part of a layout that stands for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    MonthName { short: bool },
    Month { width: usize },
    WeekdayName { short: bool },
    Day { width: usize, blank: bool },
    YearDay { blank: bool },
    Hour,
    HourOfTwelve { width: usize },
    Minute { width: usize },
    Second { width: usize },
    Year { short: bool },
    Noon { upper: bool },
    Zone,
    Offset { z: bool, colon: bool, minutes: bool, seconds: bool },
    Fraction { digits: usize, trim: bool, sign: char },
}

/// What is written for what; of two that start alike, the longer first.
const PARTS: &[(&str, Part)] = &[
    ("January", Part::MonthName { short: false }),
    ("Jan", Part::MonthName { short: true }),
    ("Monday", Part::WeekdayName { short: false }),
    ("Mon", Part::WeekdayName { short: true }),
    ("MST", Part::Zone),
    ("002", Part::YearDay { blank: false }),
    ("01", Part::Month { width: 2 }),
    ("02", Part::Day { width: 2, blank: false }),
    ("03", Part::HourOfTwelve { width: 2 }),
    ("04", Part::Minute { width: 2 }),
    ("05", Part::Second { width: 2 }),
    ("06", Part::Year { short: true }),
    ("15", Part::Hour),
    ("1", Part::Month { width: 1 }),
    ("2006", Part::Year { short: false }),
    ("2", Part::Day { width: 1, blank: false }),
    ("__2", Part::YearDay { blank: true }),
    ("_2", Part::Day { width: 2, blank: true }),
    ("3", Part::HourOfTwelve { width: 1 }),
    ("4", Part::Minute { width: 1 }),
    ("5", Part::Second { width: 1 }),
    ("PM", Part::Noon { upper: true }),
    ("pm", Part::Noon { upper: false }),
    ("-07:00:00", Part::Offset { z: false, colon: true, minutes: true, seconds: true }),
    ("-070000", Part::Offset { z: false, colon: false, minutes: true, seconds: true }),
    ("-07:00", Part::Offset { z: false, colon: true, minutes: true, seconds: false }),
    ("-0700", Part::Offset { z: false, colon: false, minutes: true, seconds: false }),
    ("-07", Part::Offset { z: false, colon: false, minutes: false, seconds: false }),
    ("Z07:00:00", Part::Offset { z: true, colon: true, minutes: true, seconds: true }),
    ("Z070000", Part::Offset { z: true, colon: false, minutes: true, seconds: true }),
    ("Z07:00", Part::Offset { z: true, colon: true, minutes: true, seconds: false }),
    ("Z0700", Part::Offset { z: true, colon: false, minutes: true, seconds: false }),
    ("Z07", Part::Offset { z: true, colon: false, minutes: false, seconds: false }),
];

/// The next part of a layout: what stands before it, how it is written, and what follows.
fn split(layout: &str) -> Option<(&str, &str, Part, &str)> {
    for (at, _) in layout.char_indices() {
        let rest = &layout[at..];
        let Some((written, part)) = part(rest) else { continue };
        return Some((&layout[..at], written, part, &rest[written.len()..]));
    }
    None
}

fn part(rest: &str) -> Option<(&str, Part)> {
    if let Some(sign @ ('.' | ',')) = rest.chars().next() {
        let digit = rest[1..].chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
        let digits = rest[1..].chars().take_while(|next| *next == digit).count();
        // Digits that go on are no fraction.
        if rest[1 + digits..].starts_with(|next: char| next.is_ascii_digit()) {
            return None;
        }
        return Some((&rest[..1 + digits], Part::Fraction { digits, trim: digit == '9', sign }));
    }
    if rest.starts_with("_2006") {
        // The sign is a text, and the year follows.
        return None;
    }
    let (written, part) = PARTS.iter().find(|(written, _)| rest.starts_with(written))?;
    let name = matches!(part, Part::MonthName { short: true } | Part::WeekdayName { short: true });
    if name && rest[3..].starts_with(|next: char| next.is_ascii_lowercase()) {
        return None;
    }
    Some((written, *part))
}

/// Writes a time by a layout.
pub(in crate::alerting::template) fn format(time: &Zoned, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 10);
    let mut rest = layout;
    while let Some((before, _, part, after)) = split(rest) {
        out.push_str(before);
        write(time, part, &mut out);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn write(time: &Zoned, part: Part, out: &mut String) {
    let twelve = (time.hour() + 11) % 12 + 1;
    // Writing to a string cannot fail.
    let _ = match part {
        Part::MonthName { short } => {
            let name = MONTHS[(time.month() - 1) as usize];
            out.write_str(if short { &name[..3] } else { name })
        }
        Part::Month { width } => write!(out, "{:0width$}", time.month()),
        Part::WeekdayName { short } => {
            let name = WEEKDAYS[time.weekday().to_monday_zero_offset() as usize];
            out.write_str(if short { &name[..3] } else { name })
        }
        Part::Day { width, blank: true } => write!(out, "{:width$}", time.day()),
        Part::Day { width, blank: false } => write!(out, "{:0width$}", time.day()),
        Part::YearDay { blank: true } => write!(out, "{:3}", time.day_of_year()),
        Part::YearDay { blank: false } => write!(out, "{:03}", time.day_of_year()),
        Part::Hour => write!(out, "{:02}", time.hour()),
        Part::HourOfTwelve { width } => write!(out, "{twelve:0width$}"),
        Part::Minute { width } => write!(out, "{:0width$}", time.minute()),
        Part::Second { width } => write!(out, "{:0width$}", time.second()),
        Part::Year { short: true } => write!(out, "{:02}", time.year().rem_euclid(100)),
        Part::Year { short: false } if time.year() < 0 => write!(out, "-{:04}", -time.year()),
        Part::Year { short: false } => write!(out, "{:04}", time.year()),
        Part::Noon { upper } => out.write_str(match (time.hour() >= 12, upper) {
            (true, true) => "PM",
            (true, false) => "pm",
            (false, true) => "AM",
            (false, false) => "am",
        }),
        Part::Zone => match abbreviation(time) {
            Some(name) => out.write_str(&name),
            None => offset(time, false, true, false, out),
        },
        Part::Offset { z: true, .. } if time.offset().seconds() == 0 => out.write_str("Z"),
        Part::Offset { colon, minutes, seconds, .. } => offset(time, colon, minutes, seconds, out),
        Part::Fraction { digits, trim, sign } => {
            let text = format!("{:09}", time.subsec_nanosecond());
            // Nothing is finer than a nanosecond, however many digits a layout asks for.
            let text = text[..digits.min(9)].to_owned() + &"0".repeat(digits.saturating_sub(9));
            let text = if trim { text.trim_end_matches('0') } else { &text };
            match text {
                "" => Ok(()),
                text => write!(out, "{sign}{text}"),
            }
        }
    };
}

/// The name of a time's zone; an offset alone has none.
fn abbreviation(time: &Zoned) -> Option<String> {
    let zone = time.time_zone();
    let named = zone.iana_name().is_some() || *zone == TimeZone::UTC;
    named.then(|| zone.to_offset_info(time.timestamp()).abbreviation().to_owned())
}

fn offset(time: &Zoned, colon: bool, minutes: bool, seconds: bool, out: &mut String) -> std::fmt::Result {
    let offset = time.offset().seconds();
    let magnitude = offset.unsigned_abs();
    write!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, magnitude / 3600)?;
    let colon = if colon { ":" } else { "" };
    if minutes {
        write!(out, "{colon}{:02}", magnitude / 60 % 60)?;
    }
    if seconds {
        write!(out, "{colon}{:02}", magnitude % 60)?;
    }
    Ok(())
}

/// Reads a time by a layout; UTC where it says nothing of a zone.
pub(in crate::alerting::template) fn parse(layout: &str, text: &str) -> Result<Zoned, String> {
    let wrong = |why: String| format!("parsing time {} as {}: {why}", quote(text, false), quote(layout, false));
    let mut read = Read::default();
    let (mut rest, mut left) = (layout, text);
    while let Some((before, written, part, after)) = split(rest) {
        let cannot =
            |left: &str, what: &str| wrong(format!("cannot parse {} as {}", quote(left, false), quote(what, false)));
        left = prefix(left, before).ok_or_else(|| cannot(left, before))?;
        left = read.part(part, left, after).ok_or_else(|| cannot(left, written))?;
        rest = after;
    }
    left = prefix(left, rest)
        .ok_or_else(|| wrong(format!("cannot parse {} as {}", quote(left, false), quote(rest, false))))?;
    let outside = |what: &str| format!("parsing time {}: {what}", quote(text, false));
    if !left.is_empty() {
        return Err(outside(&format!("extra text: {}", quote(left, false))));
    }
    if let Some(part) = read.out_of_range() {
        return Err(outside(&format!("{part} out of range")));
    }
    read.time().ok_or_else(|| outside("day out of range"))
}

/// What follows `before`; blanks may be more than one.
fn prefix<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    let mut text = text;
    for letter in before.chars() {
        text = match letter {
            ' ' if text.is_empty() => text,
            ' ' => text.strip_prefix(' ').map(|rest| rest.trim_start_matches(' '))?,
            letter => text.strip_prefix(letter)?,
        };
    }
    Some(text)
}

/// What was read of a time.
#[derive(Default)]
struct Read {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
}

impl Read {
    /// Reads a part, and says what follows it.
    fn part<'t>(&mut self, part: Part, text: &'t str, after: &str) -> Option<&'t str> {
        let blank = || text.strip_prefix(' ').unwrap_or(text);
        let (number, rest): (i32, &str) = match part {
            Part::MonthName { short } => {
                let (index, rest) = named(text, &MONTHS, short)?;
                self.month = i8::try_from(index + 1).ok();
                return Some(rest);
            }
            Part::WeekdayName { short } => return named(text, &WEEKDAYS, short).map(|(_, rest)| rest),
            Part::Noon { .. } => {
                let word = text.get(..2)?;
                self.afternoon = Some(match word {
                    "PM" | "pm" => true,
                    "AM" | "am" => false,
                    _ => return None,
                });
                return Some(&text[2..]);
            }
            Part::Zone => {
                let name = text.bytes().take_while(u8::is_ascii_uppercase).count();
                // A name alone says nothing of an offset.
                return (3..=5).contains(&name).then(|| &text[name..]);
            }
            Part::Offset { z, colon, minutes, seconds } => {
                let (offset, rest) = read_offset(text, z, colon, minutes, seconds)?;
                self.offset = Some(offset);
                return Some(rest);
            }
            Part::Fraction { digits, trim, .. } => {
                let rest = match text.strip_prefix(['.', ',']) {
                    Some(rest) => rest,
                    None if trim => return Some(text),
                    None => return None,
                };
                let count = rest.bytes().take_while(u8::is_ascii_digit).count();
                if count == 0 || (!trim && count != digits) {
                    return None;
                }
                self.nanos = format!("{:0<9}", &rest[..count.min(9)]).parse().ok()?;
                return Some(&rest[count..]);
            }
            Part::Year { short: false } => digits(text, 4, 4)?,
            Part::Year { short: true } => digits(text, 2, 2)?,
            Part::Day { blank: true, .. } => digits(blank(), 1, 2)?,
            Part::YearDay { blank: true } => digits(text.trim_start_matches(' '), 1, 3)?,
            Part::YearDay { blank: false } => digits(text, 3, 3)?,
            Part::Hour => digits(text, 1, 2)?,
            Part::Month { width }
            | Part::Day { width, .. }
            | Part::HourOfTwelve { width }
            | Part::Minute { width }
            | Part::Second { width } => digits(text, width, 2)?,
        };
        let small = || i8::try_from(number).ok();
        match part {
            Part::Year { short: true } => {
                self.year = i16::try_from(number + if number >= 69 { 1900 } else { 2000 }).ok()?
            }
            Part::Year { .. } => self.year = i16::try_from(number).ok()?,
            Part::Month { .. } => self.month = small(),
            Part::Day { .. } => self.day = small(),
            Part::YearDay { .. } => self.year_day = i16::try_from(number).ok(),
            Part::Hour => self.hour = small()?,
            Part::HourOfTwelve { .. } => self.hour = small().filter(|hour| *hour <= 12)?,
            Part::Minute { .. } => self.minute = small()?,
            _ => {
                self.second = small()?;
                // A fraction may follow where the layout has none.
                let fraction =
                    rest.strip_prefix(['.', ',']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
                if let (Some(fraction), false) = (fraction, after.starts_with(['.', ','])) {
                    let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
                    self.nanos = format!("{:0<9}", &fraction[..count.min(9)]).parse().ok()?;
                    return Some(&fraction[count..]);
                }
            }
        }
        Some(rest)
    }

    /// What no time has.
    fn out_of_range(&self) -> Option<&'static str> {
        let parts = [
            ("month", self.month.unwrap_or(1), 1..=12),
            ("hour", self.hour, 0..=23),
            ("minute", self.minute, 0..=59),
            ("second", self.second, 0..=59),
        ];
        parts.into_iter().find(|(_, part, range)| !range.contains(part)).map(|(name, ..)| name)
    }

    fn time(&self) -> Option<Zoned> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let time = Time::new(hour, self.minute, self.second, self.nanos).ok()?;
        let date = match self.year_day {
            Some(day) => Date::new(self.year, 1, 1).ok()?.with().day_of_year(day).build().ok()?,
            None => Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?,
        };
        let zone = match self.offset.filter(|offset| *offset != 0) {
            Some(offset) => TimeZone::fixed(Offset::from_seconds(offset).ok()?),
            None => TimeZone::UTC,
        };
        DateTime::from_parts(date, time).to_zoned(zone).ok()
    }
}

/// A number of this many digits.
fn digits(text: &str, least: usize, most: usize) -> Option<(i32, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    (count >= least).then(|| text[..count].parse().ok()).flatten().map(|number| (number, &text[count..]))
}

/// One of some names, or its first three letters, in letters of any size.
fn named<'t>(text: &'t str, names: &[&str], short: bool) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if short { &name[..3] } else { name };
        let found = text.get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name));
        found.then(|| (index, &text[name.len()..]))
    })
}

fn read_offset(text: &str, z: bool, colon: bool, minutes: bool, seconds: bool) -> Option<(i32, &str)> {
    if let (true, Some(rest)) = (z, text.strip_prefix('Z')) {
        return Some((0, rest));
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (mut offset, mut rest) = digits(&text[1..], 2, 2).map(|(hours, rest)| (hours * 3600, rest))?;
    for (wanted, each) in [(minutes, 60), (seconds, 1)] {
        if wanted {
            let part = if colon { rest.strip_prefix(':')? } else { rest };
            let (number, after) = digits(part, 2, 2)?;
            offset += number * each;
            rest = after;
        }
    }
    Some((sign * offset, rest))
}
