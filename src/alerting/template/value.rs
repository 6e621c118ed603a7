//! What templates compute with: the values of Go that are at hand in a template, each with the name of its Go type, which
//! error messages and `%T` show.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Zoned;

use super::functions::Function;
use crate::data::labels::LabelSet;

/// Deepest nesting of lists, maps and records that a template can build.
const MAX_NESTING: u8 = 64;

/// A value. A copy is cheap: whatever is large is shared.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing: `nil`, or what is not there.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A byte of a text: what `index` makes of one.
    Byte(u8),
    /// A number.
    Float(f64),
    /// A text.
    String(Arc<str>),
    /// A text that is HTML, and is not escaped where HTML is written.
    Html(Arc<str>),
    /// Values in order.
    List(List),
    /// Values by name.
    Map(Map),
    /// Values by the names that its type has.
    Record(Record),
    /// A time in a zone.
    Time(Arc<Zoned>),
    /// Nanoseconds between two times.
    Duration(i64),
    /// A native histogram, as Prometheus shows it.
    Histogram(Arc<str>),
}

/// Values in order.
#[derive(Clone, Debug)]
pub struct List {
    of: &'static ListType,
    items: Arc<[Value]>,
    nesting: u8,
}

/// What a list is.
#[derive(Debug)]
pub struct ListType {
    /// Its name in Go.
    pub name: &'static str,
    /// What it can be asked.
    pub methods: &'static [Function],
    /// How it is shown, where that is not `[a b]`.
    pub shown: Option<fn(&[Value]) -> String>,
}

/// What a map holds.
pub type Entries = BTreeMap<Arc<str>, Value>;

/// Values by name.
#[derive(Clone, Debug)]
pub struct Map {
    of: &'static MapType,
    entries: Arc<Entries>,
    nesting: u8,
}

/// What a map is.
#[derive(Debug)]
pub struct MapType {
    /// Its name in Go.
    pub name: &'static str,
    /// What it can be asked.
    pub methods: &'static [Function],
    /// Whether what is not there is an empty text, not nothing.
    pub of_texts: bool,
    /// How it is shown, where that is not `map[a:b]`.
    pub shown: Option<fn(&Entries) -> String>,
}

/// Values by the names that its type has.
#[derive(Clone, Debug)]
pub struct Record {
    of: &'static RecordType,
    fields: Arc<[Value]>,
    nesting: u8,
}

/// What a record is.
#[derive(Debug)]
pub struct RecordType {
    /// Its name in Go.
    pub name: &'static str,
    /// Names of its fields, in order.
    pub fields: &'static [&'static str],
    /// Their names in JSON. What Go's encoder would, `,omitempty` behind one leaves out what is empty.
    pub json: &'static [&'static str],
    /// What it can be asked.
    pub methods: &'static [Function],
}

/// Lists of anything.
pub static ANY_LIST: ListType = ListType { name: "[]interface {}", methods: &[], shown: None };

/// Lists of texts.
pub static STRINGS: ListType = ListType { name: "[]string", methods: &[], shown: None };

/// Maps of anything.
pub static ANY_MAP: MapType = MapType { name: "map[string]interface {}", methods: &[], of_texts: false, shown: None };

/// Maps of texts.
pub static STRING_MAP: MapType = MapType { name: "map[string]string", methods: &[], of_texts: true, shown: None };

impl Value {
    /// Labels as a map of texts.
    pub fn labels(labels: &LabelSet) -> Self {
        Self::Map(Map::of_labels(&STRING_MAP, labels))
    }

    /// A list of texts.
    pub fn strings<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(List::new(&STRINGS, texts.into_iter().map(|text| text.as_ref().into()).collect()))
    }

    /// The name of its type in Go.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::List(list) => list.of.name,
            Self::Map(map) => map.of.name,
            Self::Record(record) => record.of.name,
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Histogram(_) => "*histogram.FloatHistogram",
        }
    }

    /// Whether `if` takes it for true: anything but the zero of its type.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) | Self::Duration(number) => *number != 0,
            Self::Byte(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::String(text) | Self::Html(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Record(_) | Self::Time(_) | Self::Histogram(_) => true,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::Html(text) => Some(text),
            _ => None,
        }
    }

    /// What it can be asked.
    pub(super) fn methods(&self) -> &'static [Function] {
        match self {
            Self::List(list) => list.of.methods,
            Self::Map(map) => map.of.methods,
            Self::Record(record) => record.of.methods,
            Self::Time(_) => super::time::TIME_METHODS,
            Self::Duration(_) => super::time::DURATION_METHODS,
            _ => &[],
        }
    }

    /// How deep lists, maps and records are nested in it.
    fn nesting(&self) -> u8 {
        match self {
            Self::List(list) => list.nesting,
            Self::Map(map) => map.nesting,
            Self::Record(record) => record.nesting,
            _ => 0,
        }
    }

    /// Whether a template may build on it: what is nested without end can neither be shown nor dropped.
    pub(super) fn bounded(self) -> Result<Self, String> {
        if self.nesting() > MAX_NESTING {
            return Err(format!("lists and maps are nested deeper than {MAX_NESTING}"));
        }
        Ok(self)
    }
}

impl List {
    /// A list.
    pub fn new(of: &'static ListType, items: Vec<Value>) -> Self {
        let nesting = around(items.iter());
        Self { of, items: items.into(), nesting }
    }

    /// What it is.
    pub fn of(&self) -> &'static ListType {
        self.of
    }

    /// Its values.
    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Map {
    /// A map.
    pub fn new(of: &'static MapType, entries: Entries) -> Self {
        let nesting = around(entries.values());
        Self { of, entries: Arc::new(entries), nesting }
    }

    /// Labels as a map.
    pub fn of_labels(of: &'static MapType, labels: &LabelSet) -> Self {
        Self::new(of, labels.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// What it is.
    pub fn of(&self) -> &'static MapType {
        self.of
    }

    /// Its values by name.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// A value by name; what is not there is the zero of its type.
    pub fn get(&self, name: &str) -> Value {
        let zero = || if self.of.of_texts { "".into() } else { Value::Nil };
        self.entries.get(name).cloned().unwrap_or_else(zero)
    }
}

impl Record {
    /// A record; `fields` in the order of its type's.
    pub fn new(of: &'static RecordType, fields: Vec<Value>) -> Self {
        debug_assert_eq!(of.fields.len(), fields.len(), "{}", of.name);
        let nesting = around(fields.iter());
        Self { of, fields: fields.into(), nesting }
    }

    /// What it is.
    pub fn of(&self) -> &'static RecordType {
        self.of
    }

    /// A field, if its type has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let index = self.of.fields.iter().position(|known| *known == name)?;
        self.fields.get(index)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.of.fields.iter().copied().zip(&*self.fields)
    }
}

fn around<'v>(values: impl Iterator<Item = &'v Value>) -> u8 {
    values.map(Value::nesting).max().unwrap_or(0).saturating_add(1)
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Cow<'_, str>> for Value {
    fn from(text: Cow<'_, str>) -> Self {
        Self::String(text.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::List(List::new(&ANY_LIST, items))
    }
}
