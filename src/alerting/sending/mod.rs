//! What kinds of receivers share: who speaks, where a page is posted and what an answer means, texts by template, and the
//! keys by which a receiver knows what it was told before.

mod credential;
mod endpoint;
mod facts;
mod fitted;
mod global;
mod identity;
mod nested;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod trouble;
mod verdict;

use std::sync::Arc;

pub use credential::Credential;
pub use endpoint::{Address, Endpoint, Post, Poster};
pub use facts::{Facts, labels_json, rfc3339};
pub use fitted::fitted;
pub use global::Global;
pub use identity::{Target, dedup_key, notification_id, notification_key};
pub use nested::Nested;
pub use text::{Text, default_templates, templates_with};
pub use trouble::{ADDRESS, LIMIT, NOT_HERE, REQUIRED, TEMPLATE, either, is_address, missing, not_here, templates};
pub use verdict::Fault;

use super::template::Templates;

/// Labels that tell replicas of one agent apart unless told: an alert is the same from each of them.
pub const REPLICA_LABELS: [&str; 2] = ["__replica__", "prometheus_replica"];

/// Who speaks to receivers: what is the same for all of them.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// The cluster, where it has a name.
    pub cluster: Option<Arc<str>>,
    /// Labels that tell replicas apart, and that are no part of an alert's identity.
    pub replica_labels: Arc<[String]>,
    /// Where a person can look at alerts; may be empty.
    pub external_url: Arc<str>,
    /// Templates by name, the defaults among them.
    pub templates: Arc<Templates>,
}
