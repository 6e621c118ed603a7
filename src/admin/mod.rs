//! Floor 8: the agent's own listeners: [`health`] for probes and scrapes, without credentials, and `admin`
//! for people and their tools: what the graph does, what is wrong, which configuration is in force,
//! `POST /-/reload`, and what the agent remembers ([`query`]).
//!
//! The agent's owner hands in what they show as [`Handles`]; nothing here knows how it is made.

mod alertmanager;
mod guard;
pub mod health;
mod page;
pub mod query;
mod server;
pub mod status;
pub mod targets;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;

use crate::alerting::paging::Dispatch;
use crate::alerting::{AlertStatus, GroupStatus};
use crate::data::MemoryBudget;
use crate::options::section::{Section, Value};
use crate::options::{Listen, Secret, Spanned};
use crate::telemetry::{AgentStatus, Rates, SeriesWatch, Telemetry};
pub use server::Listeners;
pub use status::Node;

/// The registry's entry: the root section `admin`.
pub const SECTION: Section = Section {
    name: "admin",
    summary: "The listener for people: status, configuration, reload.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?) as Value),
    default: || Box::new(Options::default()),
    problems: |_| Vec::new(),
    listeners: |section| {
        let listen = section.downcast_ref::<Options>().and_then(|options| options.listen.address());
        listen.map(Spanned::unknown).into_iter().collect()
    },
    schema: |generator| Written::json_schema(generator),
};

/// The section `admin`, checked: it is reachable from elsewhere only with a token.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(try_from = "Written")]
pub struct Options {
    pub(crate) listen: Listen,
    pub(crate) token: Option<Secret>,
    pub(crate) query: query::QueryOptions,
}

/// The section `admin`, as it is written.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename = "Admin")]
struct Written {
    /// Where to listen; `off` for not at all. Any address but loopback needs a `token`. Default:
    /// `127.0.0.1:7780`.
    listen: Listen,
    /// What clients must send as `Authorization: Bearer …`. Default: none is asked for on loopback.
    token: Option<Secret>,
    /// What a query of the API may take.
    query: query::QueryOptions,
}

impl Default for Written {
    fn default() -> Self {
        Self { listen: Listen::loopback(7780), token: None, query: query::QueryOptions::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        let Written { listen, token, query } = Written::default();
        Self { listen, token, query }
    }
}

/// The admin listener would be open to the network.
#[derive(Debug, thiserror::Error)]
#[error(
    "`admin.listen` is {0}, which other machines can reach, and there is no `token`: write \
     `token: \"${{file:/path}}\"`, or listen on 127.0.0.1"
)]
pub struct Exposed(Listen);

impl TryFrom<Written> for Options {
    type Error = Exposed;

    fn try_from(Written { listen, token, query }: Written) -> Result<Self, Exposed> {
        let usable = token.as_ref().is_some_and(|token| !token.expose().is_empty());
        if listen.is_exposed() && !usable { Err(Exposed(listen)) } else { Ok(Self { listen, token, query }) }
    }
}

/// What the listeners show and what they may ask for.
#[derive(Clone)]
pub struct Handles {
    /// What the components count and how they feel.
    pub telemetry: Arc<Telemetry>,
    /// How the agent as a whole is doing.
    pub agent: Arc<AgentStatus>,
    /// The memory that sources wait for.
    pub memory: Arc<MemoryBudget>,
    /// Rates of the components; the listeners keep them up to date.
    pub rates: Arc<Rates>,
    /// How full the series table is; the listeners have it look.
    pub series: Arc<SeriesWatch>,
    /// The graph, the configuration, a reload.
    pub control: Arc<dyn Control>,
}

/// What the agent's owner answers.
pub trait Control: Send + Sync {
    /// The components of the running graph, each behind its inputs.
    fn graph(&self) -> Arc<[Node]>;

    /// The node's name, as the identity in force has it.
    fn node(&self) -> String;

    /// The configuration in force as YAML, every secret masked.
    fn config(&self) -> String;

    /// The way of alerts to people, where the configuration has one.
    fn dispatch(&self) -> Option<Arc<Dispatch>> {
        None
    }

    /// Why alerts wait, where there is no such way yet though the configuration has one.
    fn alerts_wait(&self) -> Option<String> {
        None
    }

    /// How rules and the way of alerts do, where the configuration has `alerting`.
    fn alerting(&self) -> Option<status::Alerting> {
        None
    }

    /// The samples that queries are answered from, if the agent remembers any.
    fn samples(&self) -> Option<query::SharedSamples> {
        None
    }

    /// The groups of rules that are evaluated, and what they came to.
    fn rules(&self) -> Vec<GroupStatus> {
        Vec::new()
    }

    /// The alerts that are pending or fire.
    fn alerts(&self) -> Vec<AlertStatus> {
        Vec::new()
    }

    /// Reads the configuration again and puts it in force. An error is why it was rejected, in the words
    /// that `validate` would use; the one before is then still in force.
    fn reload(&self) -> BoxFuture<'static, Result<(), String>>;
}

#[cfg(test)]
mod tests;
