//! What every component may say about its place in the graph: `inputs` and `buffer`. They are taken out
//! before the component's own options are read.

use std::sync::Arc;
use std::time::Duration;

use super::codes;
use crate::delivery::disk::{self, DiskBuffer};
use crate::delivery::queue::WhenFull;
use crate::formats::yaml::{Entry, Node, Value};
use crate::options::{self, ByteSize, Percent, Problem, Spanned};
use crate::pipeline::graph;

/// The buffer before a sink, or before a transform that absorbs or holds.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Buffer {
    /// Most bytes held in memory before the component. Raise it where a destination pauses for longer than
    /// its sources can wait. Default: `16MiB`.
    pub memory: Option<Spanned<ByteSize>>,
    /// Size of the disk queue behind the memory, or `off`; for sinks, and for transforms that hold. What is on disk survives the
    /// process and counts as delivered towards its source. Default: `off`, but for sinks that say otherwise.
    pub disk: Option<Spanned<Disk>>,
    /// What happens when it is full: `block` lets the sources wait; `drop_oldest` drops and counts.
    /// Default: `block`.
    pub when_full: Option<Full>,
    /// When what was written to the disk queue is forced to stable storage: so long after it was accepted, up to
    /// `10s`, or `always`, which forces every write; within `1s` where a sender waits for the answer. With `2s` there are
    /// fewer writes to the disk, sources that wait for them wait longer, and a power cut costs as much of those that do
    /// not, such as scrapes. Default: `100ms`.
    pub fsync: Option<Spanned<Fsync>>,
    /// Share of the disk that stays free for others: below it the disk queue counts as full. Default: `10%`.
    pub min_free: Option<Percent>,
}

impl Buffer {
    /// The buffer of the plan: what is said, and for the rest the component's own defaults. What is wrong is
    /// added to `problems`.
    pub fn plan(self, kind: &str, defaults: graph::Buffer, problems: &mut Vec<Problem>) -> graph::Buffer {
        let mut bad = |code, span, message: &str, help: &str| {
            problems.push(Problem::new(code, span, message.to_owned()).help(help.to_owned()));
        };
        let mut buffer = defaults;
        if let Some(memory) = self.memory {
            buffer.memory = memory.value.0;
            if memory.value.0 == 0 {
                bad(codes::BAD_VALUE, memory.span, "a buffer of no bytes holds nothing", "write `memory: 16MiB`");
            }
        }
        if let Some(when_full) = self.when_full {
            buffer.when_full = when_full.into();
        }
        match self.disk.map(|disk| (disk.value, disk.span)) {
            None => {}
            Some((Disk::Off, _)) => buffer.disk = None,
            Some((Disk::Size(_), span)) if kind != "sink" && defaults.disk.is_none() => {
                let help = "leave `disk` out: give it to the sinks behind";
                bad(codes::DISK_NOT_HERE, span, "only a sink, or a transform that holds, can have a disk queue", help);
            }
            Some((Disk::Size(size), span)) => {
                if size < LEAST_DISK {
                    let help = "write a size that holds an outage, such as 2GiB";
                    bad(codes::DISK_TOO_SMALL, span, "a disk queue of less than 16MiB is of no use", help);
                }
                buffer.disk = Some(DiskBuffer { size: size.0, ..buffer.disk.unwrap_or_default() });
            }
        }
        if let Some(Spanned { value: fsync, span }) = self.fsync {
            if !(Duration::from_millis(1)..=Duration::from_secs(10)).contains(&fsync.wait()) && fsync != Fsync::Always {
                let help = "write `fsync: 100ms`, or `always`";
                bad(codes::BAD_FSYNC, span, "`fsync` is from 1ms to 10s, or `always`", help);
            }
            if let Some(disk) = &mut buffer.disk {
                disk.fsync = match fsync {
                    Fsync::Always => disk::Fsync::Always,
                    Fsync::Every(wait) => disk::Fsync::Every(wait.0),
                };
            }
        }
        if let (Some(disk), Some(min_free)) = (&mut buffer.disk, self.min_free) {
            disk.min_free = min_free.0;
        }
        buffer
    }
}

/// A smaller disk queue than this would hold less than memory does.
const LEAST_DISK: ByteSize = ByteSize(16 << 20);

/// When the disk is forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// With every write.
    Always,
    /// After so long.
    Every(options::Duration),
}

impl Fsync {
    const fn wait(self) -> Duration {
        match self {
            Self::Always => Duration::ZERO,
            Self::Every(wait) => wait.0,
        }
    }
}

impl<'de> serde::Deserialize<'de> for Fsync {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match (text.as_str(), options::Duration::parse(&text)) {
            ("always", _) => Ok(Self::Always),
            (_, Some(wait)) => Ok(Self::Every(wait)),
            _ => Err(serde::de::Error::custom(format!(
                "expected `always` or a duration such as 100ms, found the text `{text}`"
            ))),
        }
    }
}

impl schemars::JsonSchema for Fsync {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fsync".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let duration = generator.subschema_for::<options::Duration>();
        schemars::json_schema!({
            "description": "A duration such as `100ms`, or `always`.",
            "anyOf": [{ "const": "always" }, duration]
        })
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

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let size = generator.subschema_for::<ByteSize>();
        schemars::json_schema!({ "description": "`off`, or a size such as `2GiB`.", "anyOf": [{ "const": "off" }, size] })
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
