//! Time intervals as an Alertmanager's configuration has them.

use std::fmt::{Display, Formatter, Result};

use super::range::{MONTHS, WEEKDAYS};
use super::{Interval, Intervals, Range};

/// The section `time_intervals`, where there are any.
impl Display for Intervals {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (index, named) in self.0.iter().enumerate() {
            let name = serde_json::Value::from(&*named.name);
            writeln!(f, "{}- name: {name}", if index == 0 { "time_intervals:\n" } else { "" })?;
            writeln!(f, "  time_intervals:{}", if named.any_of.is_empty() { " []" } else { "" })?;
            named.any_of.iter().try_for_each(|interval| writeln!(f, "  - {}", Flow(interval)))?;
        }
        Ok(())
    }
}

/// An interval in one line.
struct Flow<'a>(&'a Interval);

impl Display for Flow<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Interval { times, weekdays, days_of_month, months, years, zone } = self.0;
        let time = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let times = times.iter().map(|all| {
            let one = |(from, to): &Range| format!("{{start_time: \"{}\", end_time: \"{}\"}}", time(*from), time(*to));
            format!("times: [{}]", all.iter().map(one).collect::<Vec<_>>().join(", "))
        });
        let number = |number: i16| number.to_string();
        let weekday = |day: i16| WEEKDAYS[usize::try_from(day).unwrap_or_default() % WEEKDAYS.len()].to_owned();
        let month = |month: i16| MONTHS[usize::try_from(month - 1).unwrap_or_default() % MONTHS.len()].to_owned();
        let ranges = |name: &str, all: &Option<Box<[Range]>>, word: &dyn Fn(i16) -> String| {
            let one = |(from, to): &Range| {
                let (from, to) = (word(*from), word(*to));
                if from == to { format!("\"{from}\"") } else { format!("\"{from}:{to}\"") }
            };
            let all = all.as_ref()?;
            Some(format!("{name}: [{}]", all.iter().map(one).collect::<Vec<_>>().join(", ")))
        };
        let fields = [
            ranges("weekdays", weekdays, &weekday),
            ranges("days_of_month", days_of_month, &number),
            ranges("months", months, &month),
            ranges("years", years, &number),
            (*zone != jiff::tz::TimeZone::UTC)
                .then(|| format!("location: \"{}\"", zone.iana_name().unwrap_or("Local"))),
        ];
        let all: Vec<String> = times.chain(fields.into_iter().flatten()).collect();
        write!(f, "{{{}}}", all.join(", "))
    }
}
