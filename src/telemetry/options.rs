//! The root section `telemetry`: what the agent tells of itself beside its metrics and its status page.

use schemars::JsonSchema;

use super::{logging, own_traces};
use crate::options::section::{Section, Value};

/// The registry's entry: the root section `telemetry`.
pub const SECTION: Section = Section {
    name: "telemetry",
    summary: "The agent's own log, and traces of its own work.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?) as Value),
    default: || Box::new(Options::default()),
    problems: |section| {
        let otlp = section.downcast_ref::<Options>().and_then(|options| options.otlp.as_ref());
        otlp.map(own_traces::Options::problems).unwrap_or_default()
    },
    listeners: |_| Vec::new(),
    schema: |generator| Options::json_schema(generator),
};

/// The section `telemetry`.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The agent's own log.
    pub log: logging::Log,
    /// Where the agent sends traces of its own work, by OTLP over HTTP: the way of a share of all batches through the
    /// graph. Default: nowhere.
    pub otlp: Option<own_traces::Options>,
}
