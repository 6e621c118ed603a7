//! What every component may say about its place in the graph: `inputs` and `buffer`. They are taken out
//! before the component's own options are read.

use std::sync::Arc;

use super::raw::{Entry, Node, Value};
use crate::delivery::queue::WhenFull;
use crate::options::{ByteSize, Spanned};

/// The buffer before a sink, or before a transform that absorbs or holds.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Buffer {
    /// Most bytes held in memory before the component. Raise it where a destination pauses for longer than
    /// its sources can wait. Default: `16MiB`.
    pub memory: Spanned<ByteSize>,
    /// Size of the disk queue behind the memory, or `off`. Default: `off`. In this version nothing else is
    /// available.
    pub disk: Spanned<Disk>,
    /// What happens when it is full: `block` lets the sources wait; `drop_oldest` drops and counts.
    /// Default: `block`.
    pub when_full: Full,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { memory: Spanned::unknown(ByteSize(16 << 20)), disk: Spanned::unknown(Disk::Off), when_full: Full::Block }
    }
}

/// What a full buffer does.
#[derive(Clone, Copy, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Full {
    /// The sources wait.
    Block,
    /// The oldest messages are dropped and counted.
    DropOldest,
}

impl From<Full> for WhenFull {
    fn from(full: Full) -> Self {
        match full {
            Full::Block => Self::Block,
            Full::DropOldest => Self::DropOldest,
        }
    }
}

/// A disk queue, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// None.
    Off,
    /// Of this many bytes.
    Size(ByteSize),
}

impl<'de> serde::Deserialize<'de> for Disk {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match (text.as_str(), ByteSize::parse(&text)) {
            ("off", _) => Ok(Self::Off),
            (_, Some(size)) => Ok(Self::Size(size)),
            _ => {
                Err(serde::de::Error::custom(format!("expected `off` or a size such as 1GiB, found the text `{text}`")))
            }
        }
    }
}

impl schemars::JsonSchema for Disk {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Disk".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": "off" })
    }
}

/// A component's entry, taken apart.
pub struct Parts {
    /// `inputs`.
    pub inputs: Option<Entry>,
    /// `buffer`.
    pub buffer: Option<Entry>,
    /// Everything else.
    pub options: Arc<Node>,
}

/// Takes `inputs` and `buffer` out of a component's mapping.
pub fn take(node: &Arc<Node>) -> Parts {
    let Value::Map(entries) = &node.value else {
        return Parts { inputs: None, buffer: None, options: node.clone() };
    };
    let find = |key: &str| entries.iter().find(|entry| &*entry.key == key).cloned();
    let own = entries.iter().filter(|entry| !matches!(&*entry.key, "inputs" | "buffer")).cloned();
    let options = Node { span: node.span, value: Value::Map(own.collect()) };
    Parts { inputs: find("inputs"), buffer: find("buffer"), options: Arc::new(options) }
}
