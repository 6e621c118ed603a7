//! The parameters of a question, as Prometheus reads them.

use std::time::Duration;

use super::answer::Fault;
use crate::options::prometheus_duration;

/// The furthest time from 1970 that an evaluation may be at, in milliseconds: about 270,000 years.
const FURTHEST: f64 = 8.64e15;

/// How Prometheus writes the earliest and the latest time there are.
const EDGES: [(&str, i64); 2] =
    [("-292273086-05-16T16:47:06Z", i64::MIN), ("292277025-08-18T07:12:54.999999999Z", i64::MAX)];

/// Parameters in the order in which they count: those of the body before those of the address.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(query: &str, body: &[u8]) -> Self {
        let both = [body, query.as_bytes()].into_iter().flat_map(url::form_urlencoded::parse);
        Self(both.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The first value; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A time that must be there: milliseconds since 1970.
    pub(super) fn time(&self, name: &str) -> Result<i64, Fault> {
        time(self.get(name)).map_err(|problem| Fault::parameter(name, problem))
    }

    /// A time that may be there.
    pub(super) fn time_or(&self, name: &str, default: i64) -> Result<i64, Fault> {
        match self.get(name) {
            "" => Ok(default),
            text => time(text)
                .map_err(|problem| Fault::parameter(name, format!("invalid time value for '{name}': {problem}"))),
        }
    }

    /// Most results; all of them where nothing or 0 is said.
    pub(super) fn limit(&self) -> Result<usize, Fault> {
        let text = self.get("limit");
        if text.is_empty() {
            return Ok(usize::MAX);
        }
        match text.parse::<i64>() {
            Ok(0) => Ok(usize::MAX),
            Ok(limit) => usize::try_from(limit).map_err(|_| Fault::parameter("limit", "limit must be non-negative")),
            Err(_) => Err(Fault::parameter("limit", format!("strconv.Atoi: parsing {text:?}: invalid syntax"))),
        }
    }
}

fn time(text: &str) -> Result<i64, String> {
    let unclear = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "it is far smaller")]
        return if millis.abs() <= FURTHEST { Ok(millis as i64) } else { Err(unclear()) };
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(i64::MAX));
    }
    EDGES.iter().find(|(edge, _)| *edge == text).map(|(_, time)| *time).ok_or_else(unclear)
}

/// Seconds, or a duration as Prometheus writes it. What is negative is so in the first place of the pair.
pub(super) fn duration(text: &str) -> Result<(bool, Duration), String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let size = Duration::try_from_secs_f64(seconds.abs()).ok().filter(|size| size.as_nanos() < i64::MAX as u128);
        return size
            .map(|size| (seconds < 0.0, size))
            .ok_or_else(|| format!("cannot parse {text:?} to a valid duration. It overflows int64"));
    }
    prometheus_duration::parse(text)
        .map(|duration| (false, duration))
        .map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_counts_before_the_address() {
        let form = Form::read("a=1&b=x%20y&match[]=c", b"a=2&match%5B%5D=d");
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), ("2", "x y", ""));
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["d", "c"]);
    }

    #[test]
    fn times_are_read_as_prometheus_reads_them() {
        for (text, expected) in [
            ("0", 0),
            ("1435781451.781", 1_435_781_451_781),
            ("-1.5", -1500),
            ("1e3", 1_000_000),
            ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
            ("2015-07-01T22:10:51+02:00", 1_435_781_451_000),
            ("-292273086-05-16T16:47:06Z", i64::MIN),
        ] {
            assert_eq!(time(text), Ok(expected), "{text}");
        }
        for bad in ["", "NaN", "inf", "1e300", "yesterday", "2015-07-01"] {
            assert_eq!(time(bad), Err(format!("cannot parse {bad:?} to a valid timestamp")));
        }
        let form = Form::read("time=x&limit=-1&start=", b"");
        let fault = |message: &str| Err(Fault::bad_data(message));
        assert_eq!(
            form.time_or("time", 0),
            fault("invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp")
        );
        assert_eq!(form.time("start"), fault("invalid parameter \"start\": cannot parse \"\" to a valid timestamp"));
        assert_eq!(form.time_or("end", 7), Ok(7));
        assert_eq!(form.limit(), Err(Fault::parameter("limit", "limit must be non-negative")));
    }

    #[test]
    fn durations_are_seconds_or_have_units() {
        let seconds = Duration::from_secs_f64;
        for (text, expected) in [
            ("15", (false, seconds(15.0))),
            ("0.5", (false, seconds(0.5))),
            ("1m30s", (false, seconds(90.0))),
            ("-2", (true, seconds(2.0))),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        assert_eq!(duration("x"), Err("cannot parse \"x\" to a valid duration".into()));
        assert_eq!(duration("1e300"), Err("cannot parse \"1e300\" to a valid duration. It overflows int64".into()));
    }
}
