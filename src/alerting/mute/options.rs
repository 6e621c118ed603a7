//! Time intervals as they are written: Alertmanager's `time_intervals`, key for key.

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::options::Spanned;

/// A set of intervals under a name.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TimeInterval")]
pub struct TimeIntervalOptions {
    /// The name by which routes refer to it.
    pub name: Spanned<String>,
    /// Intervals, of which a time has to be in one. Default: none, so that no time is in it.
    #[serde(default)]
    pub time_intervals: Vec<Spanned<IntervalOptions>>,
}

/// An interval. A time is in it where every key that is written holds.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Interval")]
pub struct IntervalOptions {
    /// Times of the day. Default: all of it.
    pub times: Option<Vec<Spanned<TimeRangeOptions>>>,
    /// Days of the week or ranges of them, a week beginning on Sunday: `monday:friday`, `saturday`. Default: all.
    pub weekdays: Option<Vec<Spanned<Words>>>,
    /// Days of the month or ranges of them; negative ones count from its end: `1:5`, `-3:-1`. Default: all.
    pub days_of_month: Option<Vec<Spanned<Words>>>,
    /// Months or ranges of them, by name or number: `january:march`, `12`. Default: all.
    pub months: Option<Vec<Spanned<Words>>>,
    /// Years or ranges of them: `2026`, `2026:2028`. Default: all.
    pub years: Option<Vec<Spanned<Words>>>,
    /// The time zone, by its name in the IANA database, such as `Europe/Berlin`; `Local` for the machine's own. Default:
    /// `UTC`.
    pub location: Option<Spanned<String>>,
}

/// A range of the day. The end does not belong to it.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TimeRange")]
pub struct TimeRangeOptions {
    /// Its beginning: `09:00`.
    pub start_time: Spanned<String>,
    /// Its end: `17:00`; `24:00` for that of the day.
    pub end_time: Spanned<String>,
}

/// A range, or one value, with quotes or without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub String);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl Visitor<'_> for Visit {
            type Value = Words;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value or a range, such as 1 or 1:5")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
                Ok(Words(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Words, E> {
                Ok(Words(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Words, E> {
                Ok(Words(number.to_string()))
            }
        }

        deserializer.deserialize_any(Visit)
    }
}

impl JsonSchema for Words {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Words".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer"] })
    }
}
