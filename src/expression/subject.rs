//! What an expression can read: one table of fields a signal. A signal joins the language with a table
//! and an implementation of [`Record`](super::Record); nothing else knows signals.

use crate::data::Signal;

/// The fields of one signal.
#[derive(Debug)]
pub struct Subject {
    /// The signal.
    pub signal: Signal,
    /// Its fields beside the two maps.
    pub fields: &'static [FieldSpec],
    /// What the map of its attributes is called; the other map is always `resource`.
    pub attributes: &'static str,
    /// What an attribute holds; only [`Kind::Any`] may be an object, with keys of its own.
    pub attribute: Kind,
}

/// One field.
#[derive(Debug)]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// What [`Record::field`](super::Record::field) knows it by.
    pub id: FieldId,
    /// What it holds.
    pub kind: Kind,
    /// Whether `set` may change it.
    pub settable: bool,
}

/// A field within its signal's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldId(pub u8);

/// Types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// An integer or a double.
    Number,
    /// A boolean.
    Bool,
    /// A point in time; its literal is a text in RFC 3339.
    Time,
    /// A length of time in nanoseconds; its literal is a text such as `"250ms"`.
    Duration,
    /// One of a few words, which is a text too.
    Word(&'static Words),
    /// An id of so many bytes; its literal is a text in hexadecimal.
    Id(usize),
    /// Whatever a record brings.
    Any,
}

/// Words that a field may be, with the longer form that the proto has for them.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// What the longer form begins with.
    pub prefix: &'static str,
    /// The words, by the proto's numbers.
    pub words: &'static [&'static str],
}

impl Words {
    /// The word that is meant by either form.
    pub fn find(&self, text: &str) -> Option<&'static str> {
        let short = text.strip_prefix(self.prefix).unwrap_or(text);
        self.words.iter().find(|word| **word == short).copied()
    }
}

impl Kind {
    /// Whether a value of one type can ever equal one of the other.
    pub fn fits(self, other: Self) -> bool {
        let base = |kind: Self| if let Self::Word(_) = kind { Self::Text } else { kind };
        self == Self::Any || other == Self::Any || base(self) == base(other)
    }

    /// The type in words, as in "`severity_number` is a number".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Text | Self::Word(_) => "a text",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Time => "a time",
            Self::Duration => "a duration",
            Self::Id(_) => "an id",
            Self::Any => "anything",
        }
    }
}

impl Subject {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static FieldSpec> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Everything that a path may begin with.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name).chain([self.attributes, "resource"])
    }
}
