//! Time intervals by which routes are muted or active: hours of a day, days of a week or a month, months and years in a
//! place on Earth. What they mean is Alertmanager's: a field that is there has to hold by one of its ranges, and all fields
//! have to hold.

mod options;
mod range;
mod written;

use jiff::tz::TimeZone;

pub use options::{IntervalOptions, TimeIntervalOptions, TimeRangeOptions, Words};

use crate::data::UnixMillis;
use crate::options::{Code, Problem, Spanned};

/// Two intervals of one name, or one without.
const BAD_NAME: Code = Code("TW1008");
/// No range.
const BAD_RANGE: Code = Code("TW1009");
/// No place that is known.
const BAD_LOCATION: Code = Code("TW1010");

/// Named intervals.
#[derive(Clone, Debug, Default)]
pub struct Intervals(Box<[Named]>);

#[derive(Clone, Debug)]
struct Named {
    name: Box<str>,
    any_of: Box<[Interval]>,
}

/// Which of the named intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalId(usize);

/// Both ends belong to it.
type Range = (i16, i16);

#[derive(Clone, Debug)]
struct Interval {
    /// Minutes of a day; the end does not belong to it.
    times: Option<Box<[Range]>>,
    /// From 0, Sunday.
    weekdays: Option<Box<[Range]>>,
    /// From 1; negative from the end of the month, whose last day is -1.
    days_of_month: Option<Box<[Range]>>,
    months: Option<Box<[Range]>>,
    years: Option<Box<[Range]>>,
    zone: TimeZone,
}

impl Intervals {
    /// Reads what was written; what is wrong is added to `problems`.
    pub fn read<'a>(
        written: impl IntoIterator<Item = &'a Spanned<TimeIntervalOptions>>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut named: Vec<Named> = Vec::new();
        for options in written {
            let name = &options.value.name;
            if name.is_empty() {
                problems.push(Problem::new(BAD_NAME, options.span, "a time interval has no name"));
            } else if named.iter().any(|known| *known.name == *name.value) {
                let message = format!("two time intervals are called `{}`", name.value);
                problems.push(Problem::new(BAD_NAME, name.span, message).help("give each a name of its own"));
            }
            let any_of = options.time_intervals.iter().map(|interval| range::read(interval, problems)).collect();
            named.push(Named { name: name.value.as_str().into(), any_of });
        }
        Self(named.into())
    }

    /// The interval of this name.
    pub fn find(&self, name: &str) -> Option<IntervalId> {
        self.0.iter().position(|named| &*named.name == name).map(IntervalId)
    }

    /// The name of an interval.
    pub fn name(&self, id: IntervalId) -> &str {
        &self.0[id.0].name
    }

    /// Names of those that are known.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|named| &*named.name)
    }

    /// Whether the time is in the interval.
    pub fn contain(&self, id: IntervalId, at: UnixMillis) -> bool {
        self.0[id.0].any_of.iter().any(|interval| interval.contains(at))
    }
}

impl Interval {
    fn contains(&self, at: UnixMillis) -> bool {
        // A time that no calendar has is in no interval.
        let Ok(at) = jiff::Timestamp::from_millisecond(at.0) else { return false };
        let at = at.to_zoned(self.zone.clone());
        let last = i16::from(at.days_in_month());
        let minute = i16::from(at.hour()) * 60 + i16::from(at.minute());
        let from_end = |day: i16| if day < 0 { last + day + 1 } else { day };
        let day = i16::from(at.day());
        let any = |ranges: &Option<Box<[Range]>>, fits: &dyn Fn(Range) -> bool| {
            ranges.as_ref().is_none_or(|ranges| ranges.iter().any(|range| fits(*range)))
        };
        let holds = |value: i16| move |(from, to): Range| (from..=to).contains(&value);
        any(&self.times, &|(from, to)| (from..to).contains(&minute))
            && any(&self.days_of_month, &|(from, to)| (from_end(from)..=from_end(to)).contains(&day))
            && any(&self.months, &holds(i16::from(at.month())))
            && any(&self.weekdays, &holds(i16::from(at.weekday().to_sunday_zero_offset())))
            && any(&self.years, &holds(at.year()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intervals(json: &str) -> (Intervals, Vec<Problem>) {
        let written: Vec<Spanned<TimeIntervalOptions>> = serde_json::from_str(json).expect("its shape");
        let mut problems = Vec::new();
        (Intervals::read(&written, &mut problems), problems)
    }

    fn holds(interval: &str, at: &str) -> bool {
        let (intervals, problems) = intervals(&format!(r#"[{{"name": "x", "time_intervals": [{interval}]}}]"#));
        assert_eq!(problems, [], "{interval}");
        let at: jiff::Timestamp = at.parse().expect("a time");
        intervals.contain(intervals.find("x").expect("it"), UnixMillis(at.as_millisecond()))
    }

    #[test]
    fn every_field_that_is_there_has_to_hold() {
        for (interval, at, expected) in [
            ("{}", "2026-05-05T12:00:00Z", true),
            (r#"{"times": [{"start_time": "09:00", "end_time": "17:00"}]}"#, "2026-05-05T09:00:00Z", true),
            (r#"{"times": [{"start_time": "09:00", "end_time": "17:00"}]}"#, "2026-05-05T16:59:59.999Z", true),
            (r#"{"times": [{"start_time": "09:00", "end_time": "17:00"}]}"#, "2026-05-05T17:00:00Z", false),
            (r#"{"times": [{"start_time": "17:00", "end_time": "24:00"}]}"#, "2026-05-05T23:59:00Z", true),
            (r#"{"times": []}"#, "2026-05-05T23:59:00Z", false),
            (r#"{"weekdays": ["Monday:Friday", "sunday"]}"#, "2026-11-29T00:00:00Z", true),
            (r#"{"weekdays": ["monday:friday"]}"#, "2026-11-28T00:00:00Z", false),
            (r#"{"days_of_month": ["1:5", "-3:-1"]}"#, "2026-02-26T00:00:00Z", true),
            (r#"{"days_of_month": ["1:5", "-3:-1"]}"#, "2026-02-25T00:00:00Z", false),
            (r#"{"days_of_month": [31]}"#, "2026-02-28T00:00:00Z", false),
            (r#"{"days_of_month": ["30:31"]}"#, "2026-02-28T00:00:00Z", false),
            (r#"{"months": ["january:3", "12"]}"#, "2026-03-31T00:00:00Z", true),
            (r#"{"months": ["january:march", "12"]}"#, "2026-04-01T00:00:00Z", false),
            (r#"{"years": ["2020:2026", 2030]}"#, "2030-04-01T00:00:00Z", true),
            (r#"{"years": ["2020:2026"]}"#, "2027-04-01T00:00:00Z", false),
            (r#"{"years": ["2026"], "months": ["may"]}"#, "2026-04-01T00:00:00Z", false),
        ] {
            assert_eq!(holds(interval, at), expected, "{interval} {at}");
        }
    }

    #[test]
    fn a_place_has_its_own_hours_in_summer_and_winter() {
        let berlin = r#"{"times": [{"start_time": "09:00", "end_time": "17:00"}], "location": "Europe/Berlin"}"#;
        for (at, expected) in [
            ("2026-07-01T06:59:00Z", false),
            ("2026-07-01T07:00:00Z", true),
            ("2026-12-01T07:00:00Z", false),
            ("2026-12-01T08:00:00Z", true),
        ] {
            assert_eq!(holds(berlin, at), expected, "{at}");
        }
        assert!(holds(r#"{"weekdays": ["monday"], "location": "Pacific/Auckland"}"#, "2026-11-29T12:00:00Z"));
    }

    #[test]
    fn what_is_no_interval_is_told() {
        for (interval, expected) in [
            (r#"{"times": [{"start_time": "9:00", "end_time": "17:00"}]}"#, "9:00"),
            (r#"{"times": [{"start_time": "17:00", "end_time": "17:00"}]}"#, "ends"),
            (r#"{"times": [{"start_time": "24:01", "end_time": "24:00"}]}"#, "24:01"),
            (r#"{"weekdays": ["moonday"]}"#, "moonday"),
            (r#"{"weekdays": ["friday:monday"]}"#, "before"),
            (r#"{"days_of_month": [0]}"#, "0"),
            (r#"{"days_of_month": [32]}"#, "32"),
            (r#"{"days_of_month": ["-3:5"]}"#, "negative"),
            (r#"{"days_of_month": ["20:-20"]}"#, "before"),
            (r#"{"months": ["1:13"]}"#, "13"),
            (r#"{"years": ["2027:2026"]}"#, "before"),
            (r#"{"years": ["1:2:3"]}"#, "1:2:3"),
            (r#"{"location": "Atlantis"}"#, "Atlantis"),
        ] {
            let (_, problems) = intervals(&format!(r#"[{{"name": "x", "time_intervals": [{interval}]}}]"#));
            assert!(problems.len() == 1 && problems[0].message.contains(expected), "{interval}: {problems:?}");
        }
        let (_, problems) = intervals(r#"[{"name": "x"}, {"name": "x"}, {"name": ""}]"#);
        assert_eq!(problems.len(), 2);
    }
}
