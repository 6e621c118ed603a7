//! What is written under `alerting`: rules and their samples, and the way of alerts to people, either in the agent's own
//! block or as an Alertmanager's file has it.

use std::path::PathBuf;
use std::time::Duration as StdDuration;

use schemars::JsonSchema;
use serde::Deserialize as _;

use super::files::ReadOnce;
use crate::alerting::MissingInput;
use crate::alerting::outbox::OutboxOptions;
use crate::alerting::remote::RemoteOptions;
use crate::alerting::route::RoutingOptions;
use crate::alerting::sending::{Global, REPLICA_LABELS};
use crate::notifiers::{Receiver, heartbeat};
use crate::options::{Duration, Each, Joined, Spanned, Verbatim};
use crate::series::StoreOptions;

/// All of it.
pub type Options = Joined<RulesOptions, Telling>;

/// The way of alerts to people, as Alertmanager names it.
pub type Telling = Joined<ReceiverOptions, RoutingOptions>;

/// Rules, and what they read.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Alerting")]
pub struct RulesOptions {
    /// Files of rules, as Prometheus reads them; patterns such as `/etc/tailwater/rules/*.yaml` are allowed. They are read
    /// again where one of them changes. Default: none.
    pub rule_files: Vec<Spanned<String>>,
    /// How often groups of rules are evaluated that do not say it themselves. Default: `1m`.
    pub evaluation_interval: Spanned<Duration>,
    /// How far before the time of an evaluation queries look, in groups that do not say it themselves. Raise it where
    /// samples arrive late. Default: `0s`.
    pub rule_query_offset: Duration,
    /// What becomes of an alert whose series is gone. Default: `hold`.
    pub missing_input: MissingInput,
    /// For how long an alert is held at most. Default: `1h`.
    pub hold_for: Duration,
    /// Whether rules of an agent of one node may put together what comes from several nodes. It sees its own node alone, so
    /// that a sum over all of them would be one over its own. Default: `false`.
    pub allow_across_nodes: bool,
    /// Address at which people reach this agent's pages, with which links in alerts begin; slashes at its end count for
    /// nothing. Default: none.
    #[serde(deserialize_with = "without_last_slashes")]
    pub external_url: String,
    /// Labels that tell replicas of an agent apart. They are no part of what identifies an alert, so that what two of them
    /// page is one incident. Default: `[__replica__, prometheus_replica]`.
    pub replica_labels: Vec<String>,
    /// The samples that rules and queries read.
    pub store: StoreOptions,
    /// Where rules are evaluated that read further back than `store.retention`. Without it they see what there is, which is
    /// told as a warning. Default: none.
    pub remote: Option<Spanned<RemoteOptions>>,
    /// How pages are sent.
    pub outbox: OutboxOptions,
    /// A signal that comes as long as rules are evaluated and alerts dispatched, for somebody who notices when it does not.
    /// Default: none.
    pub dead_mans_switch: Option<Spanned<heartbeat::Options>>,
    /// The way of alerts to people as an Alertmanager's configuration has it, instead of `route`, `receivers` and the
    /// others beside it. Secrets may be inline in it, which is a warning. Default: none.
    pub alertmanager: Option<Spanned<Verbatim<Telling>>>,
    /// A file with that configuration: it is read as if it were written under `alertmanager`. Default: none.
    pub alertmanager_config: Option<Spanned<PathBuf>>,
    /// The rule files, once they were read.
    #[serde(skip)]
    pub(super) rules: ReadOnce,
}

impl Default for RulesOptions {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration(StdDuration::from_secs(60 * minutes));
        Self {
            rule_files: Vec::new(),
            evaluation_interval: Spanned::unknown(minutes(1)),
            rule_query_offset: minutes(0),
            missing_input: MissingInput::default(),
            hold_for: minutes(60),
            allow_across_nodes: false,
            external_url: String::new(),
            replica_labels: REPLICA_LABELS.map(str::to_owned).to_vec(),
            store: StoreOptions::default(),
            remote: None,
            outbox: OutboxOptions::default(),
            dead_mans_switch: None,
            alertmanager: None,
            alertmanager_config: None,
            rules: ReadOnce::default(),
        }
    }
}

/// Receivers, and what they have in common.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Receivers")]
pub struct ReceiverOptions {
    /// What receivers take unless they say otherwise.
    pub global: Global,
    /// Whom alerts are told.
    pub receivers: Each<Spanned<Receiver>>,
    /// Files of templates, in which receivers' texts find what they name; patterns are allowed. Default: none.
    pub templates: Vec<Spanned<String>>,
}

/// As Prometheus and Alertmanager do with their external address: what is put together with it begins with a slash.
fn without_last_slashes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let mut address = String::deserialize(deserializer)?;
    address.truncate(address.trim_end_matches('/').len());
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_address_ends_without_slashes() {
        for (written, read) in [
            ("http://ext/p//", "http://ext/p"),
            ("http://ext/", "http://ext"),
            ("http://ext/p", "http://ext/p"),
            ("", ""),
        ] {
            let options: RulesOptions =
                serde_json::from_value(serde_json::json!({ "external_url": written })).expect("options");
            assert_eq!(options.external_url, read);
        }
    }
}
