//! The agent's own log: structured lines on stderr, as text or JSON. What repeats is limited, so that a
//! failing disk or server cannot fill the node's: beyond a few in an interval a line is only counted, and
//! the next one that is printed says how many were.
//!
//! Nothing here may carry the content of records: events name components, files, offsets and counts.

use std::fmt;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::ser::{SerializeMap, Serializer};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, reload};

use super::repeats::Repeats;
use crate::data::UnixNanos;

/// What the agent's own log shows, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least important lines that are shown. Default: `info`.
    pub level: Level,
    /// What a line looks like. Default: `text`.
    pub format: Format,
}

/// How important a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The agent cannot do something that it was told to do.
    Error,
    /// Something is wrong outside, and the agent copes.
    Warn,
    /// Starts, stops, reloads, recoveries.
    #[default]
    Info,
    /// What helps to find a fault in a configuration.
    Debug,
    /// What helps to find a fault in the agent.
    Trace,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Time, level, message, then fields.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Changes the log of a running agent.
#[derive(Clone, Debug)]
pub struct LogHandle {
    levels: reload::Handle<Targets, Registry>,
    format: std::sync::Arc<Mutex<Format>>,
}

/// The process has a subscriber already.
#[derive(Debug, thiserror::Error)]
#[error("the log was set up twice")]
pub struct AlreadySet;

/// Sets the process's log up; once.
pub fn init(log: Log) -> Result<LogHandle, AlreadySet> {
    let (levels, handle) = reload::Layer::new(targets(log.level));
    let format = std::sync::Arc::new(Mutex::new(log.format));
    let lines = Lines { format: format.clone(), repeats: Mutex::default() };
    let print = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .event_format(lines)
        .with_filter(levels);
    tracing::subscriber::set_global_default(Registry::default().with(print)).map_err(|_| AlreadySet)?;
    Ok(LogHandle { levels: handle, format })
}

impl LogHandle {
    /// Applies other options from now on.
    pub fn apply(&self, log: Log) {
        *self.format.lock().unwrap_or_else(PoisonError::into_inner) = log.format;
        // It fails only when the subscriber is gone, which a global one never is.
        let _ = self.levels.reload(targets(log.level));
    }
}

/// The agent's own lines at `level`; those of libraries only where something is wrong.
fn targets(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // What the client of Kubernetes cannot do its callers tell, with the component that wants it.
    let kubernetes = if level >= LevelFilter::DEBUG { LevelFilter::WARN } else { LevelFilter::OFF };
    let all = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("tailwater", level);
    all.with_target("kube_client", kubernetes).with_target("kube_runtime", kubernetes)
}

/// Formats an event, unless it is one repetition too many.
struct Lines {
    format: std::sync::Arc<Mutex<Format>>,
    repeats: Mutex<Repeats>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let suppressed = {
            let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
            let now = std::time::Instant::now();
            match repeats.admit(event.metadata().name(), &fields.identity(), now) {
                Some(suppressed) => suppressed,
                None => return Ok(()),
            }
        };
        let line = Line { time: UnixNanos::now(), level: *event.metadata().level(), fields, suppressed };
        match *self.format.lock().unwrap_or_else(PoisonError::into_inner) {
            Format::Text => line.text(&mut writer),
            Format::Json => writeln!(writer, "{}", line.json().map_err(|_| fmt::Error)?),
        }
    }
}

/// One line to be printed.
struct Line {
    time: UnixNanos,
    level: tracing::Level,
    fields: Fields,
    suppressed: u64,
}

/// An event's message and its other fields in their order.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, FieldValue)>,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum FieldValue {
    Text(String),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
}

impl Line {
    fn text(&self, out: &mut Writer<'_>) -> fmt::Result {
        let level = self.level.as_str();
        let colour = match self.level {
            tracing::Level::ERROR => "31",
            tracing::Level::WARN => "33",
            _ => "2",
        };
        let time = rfc3339(self.time);
        if out.has_ansi_escapes() {
            write!(out, "\x1b[2m{time}\x1b[0m \x1b[{colour}m{level:>5}\x1b[0m ")?;
        } else {
            write!(out, "{time} {level:>5} ")?;
        }
        write!(out, "{}", Printable(&self.fields.message))?;
        for (name, value) in &self.fields.others {
            match value {
                // Below the line.
                FieldValue::Text(text) if is_report(name, text) => {}
                FieldValue::Text(text) if text.contains([' ', '"', '=']) || text.is_empty() => {
                    write!(out, " {name}={text:?}")?;
                }
                FieldValue::Text(text) => write!(out, " {name}={}", Printable(text))?,
                FieldValue::Int(n) => write!(out, " {name}={n}")?,
                FieldValue::Unsigned(n) => write!(out, " {name}={n}")?,
                FieldValue::Float(n) => write!(out, " {name}={n}")?,
                FieldValue::Bool(b) => write!(out, " {name}={b}")?,
            }
        }
        if self.suppressed > 0 {
            write!(out, " suppressed={}", self.suppressed)?;
        }
        writeln!(out)?;
        for (name, value) in &self.fields.others {
            if let FieldValue::Text(text) = value
                && is_report(name, text)
            {
                // Indented, so that none of its lines looks like a line of the log.
                text.lines().try_for_each(|line| writeln!(out, "    {}", Printable(line)))?;
            }
        }
        Ok(())
    }

    fn json(&self) -> Result<String, serde_json::Error> {
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut out);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &rfc3339(self.time))?;
        map.serialize_entry("level", &self.level.as_str().to_ascii_lowercase())?;
        map.serialize_entry("message", &self.fields.message)?;
        for (name, value) in &self.fields.others {
            map.serialize_entry(name, value)?;
        }
        if self.suppressed > 0 {
            map.serialize_entry("suppressed", &self.suppressed)?;
        }
        map.end()?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

/// Whether a field is for people and has several lines, as what is wrong with a configuration has.
fn is_report(name: &str, text: &str) -> bool {
    name == "reason" && text.contains('\n')
}

fn rfc3339(time: UnixNanos) -> String {
    let mut text = Vec::new();
    time.write_rfc3339(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Text on one line, whatever a server put into its error.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            match part.chars().next_back().filter(|last| last.is_control()) {
                Some(control) => {
                    write!(f, "{}{}", &part[..part.len() - control.len_utf8()], control.escape_default())?;
                }
                None => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

impl Fields {
    /// What makes two lines the same: the message, the component and the reason, not counts or durations. A
    /// configuration's hash counts too, so that every reload that changed something is told.
    fn identity(&self) -> String {
        let mut identity = self.message.clone();
        for (name, value) in &self.others {
            if let (FieldValue::Text(text), "component" | "reason" | "hash") = (value, *name) {
                identity.push('\0');
                identity.push_str(text);
            }
        }
        identity
    }

    fn push(&mut self, field: &Field, value: FieldValue) {
        match value {
            FieldValue::Text(text) if field.name() == "message" => self.message = text,
            value => self.others.push((field.name(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, FieldValue::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, FieldValue::Text(value.to_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.push(field, FieldValue::Text(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, FieldValue::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, FieldValue::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, FieldValue::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, FieldValue::Bool(value));
    }
}

#[cfg(test)]
mod tests;
