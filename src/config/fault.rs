//! What a deserializer's visitor can complain of, kept apart until the place is known, and put into plain
//! words.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::codes;
use crate::options::{Code, suggest};

/// A complaint without a place.
#[derive(Debug)]
pub enum Fault {
    /// It has been told, with its place.
    Told,
    /// A value of another type than the option's.
    Type {
        /// What was found.
        found: String,
        /// What the option takes.
        expected: String,
    },
    /// A key that is not known here.
    Key {
        /// The key.
        key: String,
        /// The keys that are.
        known: &'static [&'static str],
    },
    /// A word that is not one of those the option takes.
    Word {
        /// The word.
        word: String,
        /// The words that are.
        known: &'static [&'static str],
    },
    /// A key is missing.
    Missing(&'static str),
    /// Anything else, in words.
    Words(String),
}

impl Fault {
    /// Its code, what is wrong and what to write instead.
    pub fn explain(self) -> (Code, String, Option<String>) {
        match self {
            Self::Told => (codes::BAD_VALUE, "this value cannot be read".into(), None),
            Self::Type { found, expected } => (codes::WRONG_TYPE, format!("expected {expected}, found {found}"), None),
            Self::Key { key, known } => {
                (codes::UNKNOWN_KEY, format!("unknown key `{key}`"), Some(instead(&key, known, "keys")))
            }
            Self::Word { word, known } => (
                codes::UNKNOWN_WORD,
                format!("`{word}` is not one of the words known here"),
                Some(instead(&word, known, "words")),
            ),
            Self::Missing(key) => (codes::MISSING_KEY, format!("the key `{key}` is missing"), None),
            Self::Words(words) => (codes::BAD_VALUE, words, None),
        }
    }
}

/// A suggestion: the nearest known word, or all of them.
pub fn instead(word: &str, known: &[&str], what: &str) -> String {
    match suggest::nearest(word, known.iter().copied()) {
        Some(near) => meant(near),
        None if known.is_empty() => format!("no {what} are known here: leave it out"),
        None => format!("{what} known here: {}", list(known)),
    }
}

/// The suggestion of one word.
pub fn meant(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// `a`, `b`, `c`.
pub fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told => f.write_str("told"),
            Self::Type { found, expected } => write!(f, "expected {expected}, found {found}"),
            Self::Key { key, .. } => write!(f, "unknown key `{key}`"),
            Self::Word { word, .. } => write!(f, "unknown word `{word}`"),
            Self::Missing(key) => write!(f, "the key `{key}` is missing"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(words: T) -> Self {
        Self::Words(words.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Type { found: describe(found), expected: humane(&expected.to_string()) }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::Type { found: format!("{length} of them"), expected: humane(&expected.to_string()) }
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::Word { word: word.into(), known }
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::Key { key: key.into(), known }
    }

    fn missing_field(key: &'static str) -> Self {
        Self::Missing(key)
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::Words(format!("`{key}` is given twice, under its two names"))
    }
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Str(text) if text.chars().count() > 60 => {
            format!("the text `{}…`", text.chars().take(60).collect::<String>())
        }
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a mapping".into(),
        other => other.to_string(),
    }
}

/// serde's names of types, in the words of configurations.
fn humane(expected: &str) -> String {
    let range = |from: i128, to: i128| format!("a whole number from {from} to {to}");
    match expected {
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "u64" | "usize" | "u128" => "a whole number, 0 or more".into(),
        "i8" => range(i8::MIN.into(), i8::MAX.into()),
        "i16" => range(i16::MIN.into(), i16::MAX.into()),
        "i32" => range(i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" | "i128" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "`true` or `false`".into(),
        "a string" | "string" => "text".into(),
        "path string" => "a path".into(),
        "a sequence" => "a list".into(),
        "a map" | "map" => "a mapping".into(),
        "a nonzero u64" | "a nonzero usize" | "a nonzero u32" => "a whole number, 1 or more".into(),
        _ if expected.starts_with("struct ") => "a mapping".into(),
        _ if expected.starts_with("enum ") => "one of its words".into(),
        _ => expected.into(),
    }
}
