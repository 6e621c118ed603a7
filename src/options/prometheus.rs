//! Durations and sizes as Prometheus's configuration writes them. They read alike and are not the same as
//! [`Duration`](super::Duration) and [`ByteSize`](super::ByteSize): here `10MB` are 10 times 1024 times 1024
//! bytes, and a duration has no fractions.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use super::prometheus_duration;

/// A length of time: `15s`, `1h30m`, `500ms`, `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrometheusDuration(pub Duration);

/// A number of bytes: `10MB` and `10MiB` are the same, `0` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrometheusSize(pub u64);

const SIZES: [(&str, u64); 13] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
    ("KB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("TB", 1 << 40),
    ("PB", 1 << 50),
    ("EB", 1 << 60),
];

impl PrometheusSize {
    /// Reads numbers with units, one behind the other: `1GB512MB`, `1.5MiB`. Only `0` needs no unit.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self(0));
        }
        let (mut rest, mut bytes) = (text, 0u64);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
            let factor = SIZES.iter().find(|(unit, _)| *unit == &rest[digits..end])?.1;
            let part = match rest[..digits].parse::<u64>() {
                Ok(whole) => whole.checked_mul(factor)?,
                Err(_) => {
                    let value = rest[..digits].parse::<f64>().ok()? * factor as f64;
                    (value < u64::MAX as f64).then_some(value as u64)?
                }
            };
            bytes = bytes.checked_add(part)?;
            rest = &rest[end..];
        }
        (!text.is_empty()).then_some(Self(bytes))
    }
}

impl fmt::Display for PrometheusDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&prometheus_duration::text(self.0))
    }
}

impl<'de> Deserialize<'de> for PrometheusDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| prometheus_duration::parse(text).ok().map(Self);
        let zero = || Self(Duration::ZERO);
        deserializer.deserialize_any(Visit(parse, zero, "a duration in Prometheus's words, such as 15s or 1h30m"))
    }
}

impl<'de> Deserialize<'de> for PrometheusSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visit(Self::parse, || Self(0), "a size in Prometheus's words, such as 10MB"))
    }
}

/// Text, or the number 0, which needs no unit.
struct Visit<T>(fn(&str) -> Option<T>, fn() -> T, &'static str);

impl<T> Visitor<'_> for Visit<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.2)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        if number == 0 { Ok((self.1)()) } else { Err(E::invalid_value(Unexpected::Unsigned(number), &self)) }
    }
}

impl schemars::JsonSchema for PrometheusDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PrometheusDuration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A length of time in Prometheus's words: `15s`, `1h30m`, `500ms`.",
            "oneOf": [{ "const": 0 }, { "type": "string", "pattern": r"^(0|([0-9]+(y|w|d|h|m|s|ms))+)$" }]
        })
    }
}

impl schemars::JsonSchema for PrometheusSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PrometheusSize".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of bytes in Prometheus's words: `10MB` is the same as `10MiB`.",
            "oneOf": [{ "const": 0 }, { "type": "string", "pattern": r"^(0|([0-9]+(\.[0-9]*)?([KMGTPE]i?)?B)+)$" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_base_two() {
        let read = |text| PrometheusSize::parse(text).map(|size| size.0);
        for (text, bytes) in
            [("0", 0), ("10MB", 10 << 20), ("10MiB", 10 << 20), ("1.5KB", 1536), ("1GB512MB", 1536 << 20), ("7B", 7)]
        {
            assert_eq!(read(text), Some(bytes), "{text}");
        }
        for bad in ["", "10", "10 MB", "1kB", "MB", "-1MB", "1XB", "99999EB"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_zero_needs_no_unit() {
        let duration = |text| serde_json::from_str::<PrometheusDuration>(text).ok().map(|read| read.0.as_secs());
        assert_eq!((duration("0"), duration("\"0\""), duration("\"1m30s\"")), (Some(0), Some(0), Some(90)));
        assert_eq!((duration("15"), duration("\"1.5s\""), duration("true")), (None, None, None));
        assert_eq!(serde_json::from_str::<PrometheusSize>("0").ok(), Some(PrometheusSize(0)));
        assert!(serde_json::from_str::<PrometheusSize>("10").is_err());
    }
}
