//! Sizes, durations and shares as configurations write them: a number and a unit.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number of bytes: `16MiB`, `2GB`, or a plain number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// A length of time: `500ms`, `30s`, `1h30m`, `2d`. A year (`y`) has 365 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub std::time::Duration);

/// A share: `10%`, from `0%` to `100%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(pub u8);

const SIZE_UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

const TIME_UNITS: [(&str, u64); 8] = [
    ("ms", 1_000_000),
    ("us", 1_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
    ("y", 31_536_000_000_000_000),
];

impl ByteSize {
    /// Reads `16MiB`, `1.5GiB`, `512`, `10 kB`.
    pub fn parse(text: &str) -> Option<Self> {
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..split], text[split..].trim());
        let factor = if unit.is_empty() { 1 } else { SIZE_UNITS.iter().find(|(u, _)| *u == unit)?.1 };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Self);
        }
        let value = number.parse::<f64>().ok()? * factor as f64;
        (value.is_finite() && value < u64::MAX as f64 && factor > 1).then_some(Self(value as u64))
    }
}

impl Duration {
    /// Reads one or more numbers with units, largest first: `1h30m`. A number needs a unit, but for `0`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self(std::time::Duration::ZERO));
        }
        let (mut rest, mut nanos, mut last) = (text, 0u64, u64::MAX);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
            let factor = TIME_UNITS.iter().find(|(unit, _)| *unit == &rest[digits..end])?.1;
            if factor >= last {
                return None;
            }
            last = factor;
            let part = match rest[..digits].parse::<u64>() {
                Ok(whole) => whole.checked_mul(factor)?,
                Err(_) => (rest[..digits].parse::<f64>().ok()? * factor as f64) as u64,
            };
            nanos = nanos.checked_add(part)?;
            rest = &rest[end..];
        }
        (!text.is_empty()).then(|| Self(std::time::Duration::from_nanos(nanos)))
    }
}

impl Percent {
    /// Reads `10%`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?.trim_end();
        number.parse().ok().filter(|percent| *percent <= 100).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |&&(_, factor): &&(&str, u64)| self.0 >= factor && self.0.is_multiple_of(factor);
        match SIZE_UNITS[..4].iter().rev().find(fits) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut nanos = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        if nanos == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in [
            ("d", TIME_UNITS[5].1),
            ("h", TIME_UNITS[4].1),
            ("m", TIME_UNITS[3].1),
            ("s", TIME_UNITS[2].1),
            ("ms", TIME_UNITS[0].1),
            ("us", TIME_UNITS[1].1),
        ] {
            if nanos >= factor {
                write!(f, "{}{unit}", nanos / factor)?;
                nanos %= factor;
            }
        }
        Ok(())
    }
}

struct Visit<T>(fn(&str) -> Option<T>, fn(u64) -> Option<T>, &'static str);

impl<T> Visitor<'_> for Visit<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.2)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        (self.1)(number).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let value = u64::try_from(number).ok().and_then(self.1);
        value.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visit(Self::parse, |bytes| Some(Self(bytes)), "a size such as 16MiB, 2GB or 512"))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let zero = |n: u64| (n == 0).then_some(Self(std::time::Duration::ZERO));
        deserializer.deserialize_any(Visit(Self::parse, zero, "a duration with a unit, such as 500ms, 30s or 1h30m"))
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visit(Self::parse, |_| None, "a share from 0% to 100%"))
    }
}

impl schemars::JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A share: `10%`.",
            "type": "string",
            "pattern": r"^(100|[0-9]{1,2}) ?%$"
        })
    }
}

impl schemars::JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of bytes: `16MiB`, `2GB`, or a plain number.",
            "oneOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$" }]
        })
    }
}

impl schemars::JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A length of time: `500ms`, `30s`, `1h30m`.",
            "oneOf": [{ "const": 0 }, { "type": "string", "pattern": r"^(0|([0-9]+(\.[0-9]+)?(ms|us|s|m|h|d|w|y))+)$" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let bytes = |text| ByteSize::parse(text).map(|size| size.0);
        assert_eq!(bytes("16MiB"), Some(16 << 20));
        assert_eq!(bytes("1.5GiB"), Some(3 << 29));
        assert_eq!(bytes("10 kB"), Some(10_000));
        assert_eq!(bytes("512"), Some(512));
        for bad in ["", "MiB", "1 XB", "-1", "1.5", "99999999999999999999", "9999999999TiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
        assert_eq!(ByteSize(16 << 20).to_string(), "16MiB");
    }

    #[test]
    fn shares() {
        assert_eq!(Percent::parse("10%"), Some(Percent(10)));
        assert_eq!(Percent::parse("100 %"), Some(Percent(100)));
        for bad in ["", "10", "%", "101%", "-1%", "1.5%"] {
            assert_eq!(Percent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        let millis = |text| Duration::parse(text).map(|duration| duration.0.as_millis());
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("0.5s"), Some(500));
        assert_eq!(millis("0"), Some(0));
        assert_eq!(millis("1y2w3d"), Some((365 + 14 + 3) * 86_400_000));
        for bad in ["", "5", "m", "5 s", "30m1h", "1h1h"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
        assert_eq!(Duration::parse("90s").expect("valid").to_string(), "1m30s");
    }
}
