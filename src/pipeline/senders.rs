//! What a receiver knows of those who send to it: what of the agent's identity is true of them, and the pod of this node
//! that they are. It reaches resources where it replaces nothing.

use std::net::IpAddr;
use std::sync::Arc;

use crate::data::TraceBatch;
use crate::formats::otlp::resource::{self, ResourceAttributes};
use crate::kubernetes::Pods;
use crate::kubernetes::pods::Follower;
use crate::options::identity::Role;
use crate::options::senders::Enabled;
use crate::options::{Identity, SendersPods};
use crate::telemetry::ComponentMetrics;

/// Bytes that are added to the resources of one request: many small ones would become many times what they are. Those behind
/// stay as they are.
const MOST_ADDED: usize = 16 << 20;

/// What is known of senders. Where they are, is the address that a request came from directly
/// ([`direct_sender`](crate::net::http_server::direct_sender)).
pub struct Senders {
    identity: Identity,
    attributes: ResourceAttributes,
    pods: Option<(Arc<Pods>, Follower)>,
    by_connection: bool,
}

impl Senders {
    /// Begins to learn of pods, where `options` want them. Must be called within a Tokio runtime.
    pub fn start(identity: &Identity, options: SendersPods, pods: &Arc<Pods>) -> Self {
        let wanted = match options.enabled {
            Enabled::Auto => identity.role == Role::Node && pods.can_be_asked(),
            Enabled::Yes => true,
            Enabled::No => false,
        };
        let identity = identity.of_senders();
        let attributes = ResourceAttributes::of_identity(&identity);
        let pods = wanted.then(|| (pods.clone(), pods.follow()));
        Self { identity, attributes, pods, by_connection: options.by_connection }
    }

    /// What of the agent's identity is true of them.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Waits for what is known of pods, a moment at the most and only when the agent has just begun to learn of them.
    pub async fn ready(&self) {
        if let Some((pods, _)) = &self.pods {
            pods.ready().await;
        }
    }

    /// Adds to the resources of spans what is known of who sent them. Spans stay the bytes that they are.
    pub fn add(&self, batch: &mut TraceBatch, from: Option<IpAddr>) {
        if self.pods.is_some() || !self.attributes.is_empty() {
            let mut complete = self.completing(from);
            resource::extend(batch, |resource, more| {
                complete(resource, more);
                self.attributes.missing(resource, more);
            });
        }
    }

    /// What appends to its second argument what is known of the pod that sent a `Resource` of one request.
    pub fn completing(&self, from: Option<IpAddr>) -> impl FnMut(&[u8], &mut Vec<u8>) {
        let from = from.filter(|_| self.by_connection);
        let mut room = MOST_ADDED;
        move |resource, more| {
            if let Some((pods, _)) = &self.pods
                && room > 0
            {
                let before = more.len();
                pods.complete(resource, from, more);
                room = room.saturating_sub(more.len() - before);
            }
        }
    }

    /// Says in a component's status what is wrong with learning of pods; never ends.
    pub async fn tell(&self, metrics: &ComponentMetrics) {
        if let Some((pods, _)) = &self.pods {
            let mut trouble = pods.trouble();
            loop {
                let words = trouble.borrow_and_update().clone();
                if let Some(words) = words {
                    metrics.error(format!("senders are not known by their pods: {words}"));
                }
                if trouble.changed().await.is_err() {
                    break;
                }
            }
        }
        std::future::pending().await
    }
}
