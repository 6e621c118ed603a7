//! Who this agent is: `identity: { cluster, node, role, external_labels }`.

use std::collections::BTreeMap;

/// Identity of the agent. It reaches every signal.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// Name of the cluster: `k8s.cluster.name` on logs and traces.
    pub cluster: Option<String>,
    /// Name of the node: `k8s.node.name` on logs and traces. Default: the environment's `NODE_NAME`, else
    /// the host's name.
    pub node: Option<String>,
    /// What the agent is deployed as. Default: `standalone`.
    pub role: Role,
    /// Labels of every series and, where they replace none, attributes of every resource.
    pub external_labels: BTreeMap<String, String>,
}

impl Identity {
    /// What of it is true of who sends to this agent: the cluster and the external labels, and the node where the
    /// agent is one of each node. A standalone agent takes from everywhere.
    pub fn of_senders(&self) -> Self {
        let on_its_node = matches!(self.role, Role::Node | Role::Sidecar);
        let node = self.node.clone().filter(|_| on_its_node);
        Self { node, ..self.clone() }
    }
}

/// What the agent is deployed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// One process for whatever it is told.
    #[default]
    Standalone,
    /// One on every node of a cluster.
    Node,
    /// One in every pod of a workload.
    Sidecar,
    /// One of a group behind Kafka.
    Aggregator,
}
