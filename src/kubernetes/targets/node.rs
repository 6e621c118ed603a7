//! Nodes: the kubelet of each.

use k8s_openapi::api::core::v1 as core;

use super::labels::{host_port, sanitize, set, set_object, set_some};
use crate::data::target_group::ADDRESS;
use crate::data::{LabelSet, TargetGroup};

/// Types of addresses, the best one to reach a node by first.
const BY_PREFERENCE: [&str; 6] = ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

/// The group of a node: without targets while it has no address.
pub fn group(node: &core::Node) -> TargetGroup {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let status = node.status.as_ref();
    let mut labels = LabelSet::new();
    set_some(&mut labels, "node_provider_id", node.spec.as_ref().and_then(|spec| spec.provider_id.as_deref()));
    for condition in status.and_then(|status| status.conditions.as_ref()).into_iter().flatten() {
        let kind = sanitize(&condition.type_.to_lowercase());
        set(&mut labels, &format!("node_condition_{kind}"), &condition.status.to_lowercase());
    }
    labels.extend(labels_of(node).iter());

    let addresses = status.and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let first = |kind: &str| addresses.iter().find(|address| address.type_ == kind);
    let target = BY_PREFERENCE.iter().find_map(|kind| first(kind)).map(|best| {
        let endpoints = status.and_then(|status| status.daemon_endpoints.as_ref());
        let kubelet = endpoints.and_then(|endpoints| endpoints.kubelet_endpoint.as_ref());
        let mut target = LabelSet::new();
        target.set(ADDRESS, &host_port(&best.address, kubelet.map_or(0, |endpoint| endpoint.port)));
        target.set("instance", name);
        // The first address of a type counts.
        for address in addresses.iter().rev() {
            set(&mut target, &format!("node_address_{}", sanitize(&address.type_)), &address.address);
        }
        target
    });
    TargetGroup { source: format!("node/{name}").into(), targets: target.into_iter().collect(), labels }
}

/// Name, labels and annotations, as they are attached to what runs on the node.
pub fn labels_of(node: &core::Node) -> LabelSet {
    let mut labels = LabelSet::new();
    set_object(&mut labels, "node", &node.metadata);
    labels
}
