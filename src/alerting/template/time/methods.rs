//! What times and durations can be asked in a template.

use std::sync::Arc;

use jiff::{SignedDuration, Zoned};

use super::{duration_text, format, text};
use crate::alerting::template::functions::{Function, Type};
use crate::alerting::template::value::Value;

use Type::{Duration, String as Text, Time};

/// By name.
pub(in crate::alerting::template) const TIME_METHODS: &[Function] = &[
    Function::new("Format", &[Text], |_, arguments| {
        let layout = arguments[1].as_str().unwrap_or_default();
        of(&arguments[0]).map(|time| format(time, layout).into())
    }),
    Function::new("String", &[], |_, arguments| of(&arguments[0]).map(|time| text(time).into())),
    Function::new("Unix", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.timestamp().as_second()))),
    Function::new("UnixMilli", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.timestamp().as_millisecond()))),
    Function::new("UnixMicro", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.timestamp().as_microsecond()))),
    Function::new("UnixNano", &[], |_, arguments| {
        let nanos = of(&arguments[0])?.timestamp().as_nanosecond();
        Ok(Value::Int(nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64))
    }),
    Function::new("UTC", &[], |_, arguments| {
        let utc = of(&arguments[0])?.with_time_zone(jiff::tz::TimeZone::UTC);
        Ok(Value::Time(Arc::new(utc)))
    }),
    Function::new("Year", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.year().into()))),
    Function::new("Month", &[], |_, a| of(&a[0]).map(|time| format(time, "January").into())),
    Function::new("Day", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.day().into()))),
    Function::new("Hour", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.hour().into()))),
    Function::new("Minute", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.minute().into()))),
    Function::new("Second", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.second().into()))),
    Function::new("Nanosecond", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.subsec_nanosecond().into()))),
    Function::new("Weekday", &[], |_, a| of(&a[0]).map(|time| format(time, "Monday").into())),
    Function::new("YearDay", &[], |_, a| of(&a[0]).map(|time| Value::Int(time.day_of_year().into()))),
    Function::new("IsZero", &[], |_, a| of(&a[0]).map(|time| Value::Bool(time.timestamp() == zero().timestamp()))),
    Function::new("Add", &[Duration], |_, arguments| {
        let later = of(&arguments[0])?.checked_add(SignedDuration::from_nanos(nanos(&arguments[1])));
        later.map(|time| Value::Time(Arc::new(time))).map_err(|error| error.to_string())
    }),
    Function::new("Sub", &[Time], |_, arguments| Ok(Value::Duration(between(of(&arguments[1])?, of(&arguments[0])?)))),
    Function::new("After", &[Time], |_, a| Ok(Value::Bool(of(&a[0])?.timestamp() > of(&a[1])?.timestamp()))),
    Function::new("Before", &[Time], |_, a| Ok(Value::Bool(of(&a[0])?.timestamp() < of(&a[1])?.timestamp()))),
    Function::new("Equal", &[Time], |_, a| Ok(Value::Bool(of(&a[0])?.timestamp() == of(&a[1])?.timestamp()))),
];

/// By name.
pub(in crate::alerting::template) const DURATION_METHODS: &[Function] = &[
    Function::new("String", &[], |_, arguments| Ok(duration_text(nanos(&arguments[0])).into())),
    Function::new("Hours", &[], |_, arguments| Ok(Value::Float(nanos(&arguments[0]) as f64 / 3.6e12))),
    Function::new("Minutes", &[], |_, arguments| Ok(Value::Float(nanos(&arguments[0]) as f64 / 6e10))),
    Function::new("Seconds", &[], |_, arguments| Ok(Value::Float(nanos(&arguments[0]) as f64 / 1e9))),
    Function::new("Milliseconds", &[], |_, arguments| Ok(Value::Int(nanos(&arguments[0]) / 1_000_000))),
    Function::new("Microseconds", &[], |_, arguments| Ok(Value::Int(nanos(&arguments[0]) / 1_000))),
    Function::new("Nanoseconds", &[], |_, arguments| Ok(Value::Int(nanos(&arguments[0])))),
    Function::new("Abs", &[], |_, arguments| Ok(Value::Duration(nanos(&arguments[0]).saturating_abs()))),
    Function::new("Truncate", &[Duration], |_, arguments| {
        let (nanos, unit) = (nanos(&arguments[0]), nanos(&arguments[1]));
        Ok(Value::Duration(if unit <= 0 { nanos } else { nanos - nanos % unit }))
    }),
    Function::new("Round", &[Duration], |_, arguments| {
        let (nanos, unit) = (nanos(&arguments[0]), nanos(&arguments[1]));
        if unit <= 0 {
            return Ok(Value::Duration(nanos));
        }
        // Halves go away from zero.
        let rest = nanos % unit;
        let up = i128::from(rest.unsigned_abs()) * 2 >= i128::from(unit);
        let whole = nanos - rest;
        Ok(Value::Duration(match (up, nanos < 0) {
            (false, _) => whole,
            (true, false) => whole.saturating_add(unit),
            (true, true) => whole.saturating_sub(unit),
        }))
    }),
];

/// Go's time of nothing: the year 1.
pub(in crate::alerting::template) fn zero() -> Zoned {
    super::of_millis(-62_135_596_800_000)
}

/// Nanoseconds from one time to another, as far as Go counts them.
pub(in crate::alerting::template) fn between(from: &Zoned, to: &Zoned) -> i64 {
    let nanos = to.timestamp().as_nanosecond() - from.timestamp().as_nanosecond();
    nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

fn of(value: &Value) -> Result<&Zoned, String> {
    match value {
        Value::Time(time) => Ok(time),
        other => Err(format!("{} is no time", other.type_name())),
    }
}

fn nanos(value: &Value) -> i64 {
    match value {
        Value::Duration(nanos) | Value::Int(nanos) => *nanos,
        _ => 0,
    }
}
