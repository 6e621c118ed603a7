//! Names of metrics and labels: which are allowed, and how those that are not are spelled for whoever knows
//! only the old alphabet. <https://prometheus.io/docs/instrumenting/escaping_schemes/>

use std::fmt::Write;

use crate::data::LabelSet;
use crate::data::labels::METRIC_NAME;

/// Which names are allowed (`metric_name_validation_scheme`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum NameValidation {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// Letters, digits and underscores of ASCII, not beginning with a digit; in a metric's name colons too.
    Legacy,
}

/// How names beyond the old alphabet are spelled (`metric_name_escaping_scheme`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub enum Escaping {
    /// As they are.
    #[default]
    #[serde(rename = "allow-utf-8")]
    AllowUtf8,
    /// An underscore for every other character.
    #[serde(rename = "underscores")]
    Underscores,
    /// `_dot_` for a dot, two underscores for any other character and for an underscore.
    #[serde(rename = "dots")]
    Dots,
    /// `U__` in front, each other character as its code point in hexadecimal digits between underscores.
    #[serde(rename = "values")]
    Values,
}

/// A name that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid name for a metric or a label")]
pub struct InvalidName(pub Box<str>);

impl NameValidation {
    /// Whether a metric may have this name.
    pub fn metric(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_legacy(name, true),
        }
    }

    /// Whether a label may have this name.
    pub fn label(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_legacy(name, false),
        }
    }

    /// Checks all names of a series, its metric's included. A series without a metric's name is refused.
    pub fn check(self, labels: &LabelSet) -> Result<(), InvalidName> {
        let metric = labels.get(METRIC_NAME);
        if !self.metric(metric) {
            return Err(InvalidName(metric.into()));
        }
        let mut names = labels.iter().map(|(name, _)| name);
        names.find(|name| !self.label(name)).map_or(Ok(()), |name| Err(InvalidName(name.into())))
    }
}

/// Whether a name is of the old alphabet.
pub fn is_legacy(name: &str, colons: bool) -> bool {
    !name.is_empty()
        && name.chars().enumerate().all(|(at, character)| legacy(character, at) && (colons || character != ':'))
}

fn legacy(character: char, at: usize) -> bool {
    character.is_ascii_alphabetic() || matches!(character, '_' | ':') || (at > 0 && character.is_ascii_digit())
}

impl Escaping {
    /// The word in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// The scheme of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values].into_iter().find(|known| known.name() == name)
    }

    /// Appends a name as this scheme spells it.
    pub fn escape(self, name: &str, out: &mut String) {
        let keep = match self {
            Self::AllowUtf8 => true,
            Self::Underscores | Self::Values => name.is_empty() || is_legacy(name, true),
            // Spells the underscores of every name.
            Self::Dots => name.is_empty(),
        };
        if keep {
            return out.push_str(name);
        }
        if self == Self::Values {
            out.push_str("U__");
        }
        for (at, character) in name.chars().enumerate() {
            match (self, character) {
                (Self::Dots | Self::Values, '_') => out.push_str("__"),
                (Self::Dots, '.') => out.push_str("_dot_"),
                _ if legacy(character, at) => out.push(character),
                (Self::Dots, _) => out.push_str("__"),
                (Self::Values, _) => {
                    let _ = write!(out, "_{:x}_", u32::from(character));
                }
                _ => out.push('_'),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_the_schemes_say() {
        let escaped = |scheme: Escaping, name| {
            let mut out = String::new();
            scheme.escape(name, &mut out);
            out
        };
        let cases = [
            ("plain_name", "plain_name", "plain__name", "plain_name"),
            ("http.status:sum", "http_status:sum", "http_dot_status:sum", "U__http_2e_status:sum"),
            ("9 é_x", "____x", "________x", "U___39__20__e9___x"),
            ("", "", "", ""),
        ];
        for (name, underscores, dots, values) in cases {
            assert_eq!(escaped(Escaping::AllowUtf8, name), name);
            assert_eq!(escaped(Escaping::Dots, name), dots);
            assert_eq!(escaped(Escaping::Values, name), values);
            assert_eq!(escaped(Escaping::Underscores, name), underscores);
        }
        for scheme in [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values] {
            assert_eq!(Escaping::from_name(scheme.name()), Some(scheme));
            assert_eq!(serde_json::json!(scheme), scheme.name());
        }
    }

    #[test]
    fn series_are_checked_by_the_scheme() {
        let check = |validation: NameValidation, labels: &[(&str, &str)]| {
            let set = labels.iter().copied().collect::<LabelSet>();
            validation.check(&set).map_err(|InvalidName(name)| name.to_string())
        };
        let (utf8, legacy) = (NameValidation::Utf8, NameValidation::Legacy);
        assert_eq!(check(legacy, &[("__name__", "a:b_9"), ("l_1", "é")]), Ok(()));
        assert_eq!(check(legacy, &[("__name__", "a.b")]), Err("a.b".into()));
        assert_eq!(check(legacy, &[("__name__", "a"), ("b:c", "x")]), Err("b:c".into()));
        assert_eq!(check(legacy, &[("__name__", "a"), ("9", "x")]), Err("9".into()));
        assert_eq!(check(utf8, &[("__name__", "a.b"), ("é 9", "x")]), Ok(()));
        assert_eq!(check(utf8, &[("l", "x")]), Err(String::new()));
        assert_eq!(check(utf8, &[("__name__", "a"), ("", "x")]), Err(String::new()));
    }
}
