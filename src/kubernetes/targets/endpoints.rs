//! Endpoints and EndpointSlices: a target for every address and port, and one for every further port of the pods
//! behind them.
//!
//! The two objects say the same in different words; what differs is in [`Endpoint::labels`].

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;

use super::labels::{NAMESPACE, host_port, sanitize, set, set_object, set_some};
use super::world::{Dependency, World};
use crate::data::target_group::ADDRESS;
use crate::data::{LabelSet, TargetGroup};
use crate::kubernetes::watch::Key;

/// The label of an EndpointSlice that names its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is kept of Endpoints or of an EndpointSlice.
#[derive(Clone, Debug)]
pub struct Endpoints {
    source: Box<str>,
    /// The object's own labels.
    labels: LabelSet,
    namespace: Box<str>,
    /// The service that they belong to.
    service: Option<Key>,
    /// Of an EndpointSlice: the family of its addresses.
    family: Option<Box<str>>,
    /// In the order in which they become targets.
    endpoints: Vec<Endpoint>,
}

/// An address with a port.
#[derive(Clone, Debug)]
struct Endpoint {
    /// All labels that the object itself gives.
    labels: LabelSet,
    port: Option<i32>,
    /// What the role calls the protocol of the container's port: that of the endpoint, or the container's.
    protocol: Option<Box<str>>,
    pod: Option<Key>,
    node: Option<Box<str>>,
}

impl Endpoints {
    /// Keeps what labels need of Endpoints. With `node`, only what is on that node, or may be: an address without
    /// a node that a pod stands behind.
    pub fn keep(endpoints: core::Endpoints, node: Option<&str>) -> Option<Self> {
        let (namespace, name) = names(&endpoints.metadata);
        let mut labels = LabelSet::new();
        labels.set(NAMESPACE, &namespace);
        set_object(&mut labels, "endpoints", &endpoints.metadata);
        let mut kept = Vec::new();
        for subset in endpoints.subsets.into_iter().flatten() {
            for port in subset.ports.iter().flatten() {
                for (addresses, ready) in [(&subset.addresses, "true"), (&subset.not_ready_addresses, "false")] {
                    for address in addresses.iter().flatten() {
                        let target = address.target_ref.as_ref();
                        let of_node = named(target, "Node").map(|node| node.1);
                        let on = address.node_name.as_deref().map(Into::into).or(of_node);
                        if is_elsewhere(node, on.as_deref(), target) {
                            continue;
                        }
                        let mut labels = LabelSet::new();
                        labels.set(ADDRESS, &host_port(&address.ip, port.port));
                        set(&mut labels, "endpoint_port_name", port.name.as_deref().unwrap_or_default());
                        set(&mut labels, "endpoint_port_protocol", port.protocol.as_deref().unwrap_or_default());
                        set(&mut labels, "endpoint_ready", ready);
                        set_target(&mut labels, "endpoint_address_target", target);
                        set_some(&mut labels, "endpoint_node_name", address.node_name.as_deref());
                        set_some(&mut labels, "endpoint_hostname", address.hostname.as_deref());
                        kept.push(Endpoint {
                            labels,
                            port: Some(port.port),
                            protocol: Some(port.protocol.as_deref().unwrap_or_default().into()),
                            pod: named(target, "Pod"),
                            node: on,
                        });
                    }
                }
            }
        }
        let source = format!("endpoints/{namespace}/{name}").into();
        let service = Some((namespace.clone(), name));
        Self { source, labels, namespace, service, family: None, endpoints: kept }.unless_elsewhere(node)
    }

    /// Keeps what labels need of an EndpointSlice, with `node` as above.
    pub fn keep_slice(slice: discovery::EndpointSlice, node: Option<&str>) -> Option<Self> {
        let (namespace, name) = names(&slice.metadata);
        let mut labels = LabelSet::new();
        labels.set(NAMESPACE, &namespace);
        set(&mut labels, "endpointslice_address_type", &slice.address_type);
        set_object(&mut labels, "endpointslice", &slice.metadata);
        let mut kept = Vec::new();
        for endpoint in &slice.endpoints {
            let target = endpoint.target_ref.as_ref();
            let of_node = named(target, "Node").map(|node| node.1);
            let on: Option<Box<str>> = of_node.or_else(|| endpoint.node_name.as_deref().map(Into::into));
            if is_elsewhere(node, on.as_deref(), target) {
                continue;
            }
            for port in slice.ports.iter().flatten() {
                for address in &endpoint.addresses {
                    kept.push(Endpoint {
                        labels: slice_labels(address, endpoint, port),
                        port: port.port,
                        protocol: None,
                        pod: named(target, "Pod"),
                        node: on.clone(),
                    });
                }
            }
        }
        let of = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
        let service = of.map(|service| (namespace.clone(), service.as_str().into()));
        let source = format!("endpointslice/{namespace}/{name}").into();
        let family = Some(slice.address_type.into());
        Self { source, labels, namespace, service, family, endpoints: kept }.unless_elsewhere(node)
    }

    fn unless_elsewhere(self, node: Option<&str>) -> Option<Self> {
        (node.is_none() || !self.endpoints.is_empty()).then_some(self)
    }

    /// What else its group depends on.
    pub fn dependencies(&self, world: &World) -> Vec<Dependency> {
        let mut found = vec![Dependency::Namespace(self.namespace.clone())];
        found.extend(self.service.clone().map(Dependency::Service));
        for endpoint in &self.endpoints {
            found.extend(endpoint.pod.clone().map(Dependency::Pod));
            found.extend(endpoint.node.clone().map(Dependency::Node));
        }
        found.retain(|dependency| world.attach.wants(dependency));
        found.sort();
        found.dedup();
        found
    }

    /// Its targets.
    pub fn group(&self, world: &World) -> TargetGroup {
        let mut labels = self.labels.clone();
        let service = self.service.as_ref().and_then(|key| world.services.get(key));
        labels.extend(service.into_iter().flat_map(|service| service.labels.iter()));
        labels.extend(world.namespaces.get(&self.namespace).into_iter().flat_map(LabelSet::iter));
        let source = self.source.clone();
        // The slice of a service's second family would double its targets.
        let primary = service.and_then(|service| service.primary_family.as_ref());
        if let (Some(family), Some(primary)) = (&self.family, primary)
            && family != primary
        {
            return TargetGroup { source, targets: Vec::new(), labels };
        }
        let mut targets = Vec::new();
        // The pods behind the endpoints, with the ports of each that are targets already.
        let mut pods: Vec<(&Key, Vec<i32>)> = Vec::new();
        for endpoint in &self.endpoints {
            let pod = endpoint.pod.as_ref().filter(|key| world.pods.contains_key(key));
            if endpoint.node.is_none() && pod.is_none() && world.only_local {
                continue;
            }
            targets.push(endpoint.target(world));
            let Some(key) = pod else { continue };
            match pods.iter_mut().find(|(known, _)| *known == key) {
                Some((_, ports)) => ports.extend(endpoint.port),
                None => pods.push((key, endpoint.port.into_iter().collect())),
            }
        }
        for (key, covered) in pods {
            targets.extend(world.pods.get(key).into_iter().flat_map(|pod| pod.other_ports(world, &covered)));
        }
        TargetGroup { source, targets, labels }
    }
}

impl Endpoint {
    fn target(&self, world: &World) -> LabelSet {
        let mut labels = self.labels.clone();
        let node = self.node.as_ref().and_then(|node| world.nodes.get(node));
        labels.extend(node.into_iter().flat_map(LabelSet::iter));
        let Some(pod) = self.pod.as_ref().and_then(|key| world.pods.get(key)) else { return labels };
        labels.extend(pod.labels(world).iter());
        for container in &pod.containers {
            if let Some(port) = container.ports.iter().find(|port| Some(port.number) == self.port) {
                let protocol = self.protocol.as_deref().unwrap_or(&port.protocol);
                container.set_port(&mut labels, port, protocol);
            }
        }
        labels
    }
}

fn slice_labels(address: &str, endpoint: &discovery::Endpoint, port: &discovery::EndpointPort) -> LabelSet {
    let mut labels = LabelSet::new();
    let number = port.port.map(|port| port.to_string());
    labels.set(ADDRESS, &port.port.map_or_else(|| address.to_owned(), |port| host_port(address, port)));
    let conditions = endpoint.conditions.as_ref();
    let condition = |pick: fn(&discovery::EndpointConditions) -> Option<bool>| {
        conditions.and_then(pick).map(|holds| if holds { "true" } else { "false" })
    };
    for (name, value) in [
        ("port_name", port.name.as_deref()),
        ("port_protocol", port.protocol.as_deref()),
        ("port", number.as_deref()),
        ("port_app_protocol", port.app_protocol.as_deref()),
        ("endpoint_conditions_ready", condition(|conditions| conditions.ready)),
        ("endpoint_conditions_serving", condition(|conditions| conditions.serving)),
        ("endpoint_conditions_terminating", condition(|conditions| conditions.terminating)),
        ("endpoint_hostname", endpoint.hostname.as_deref()),
        ("endpoint_node_name", endpoint.node_name.as_deref()),
        ("endpoint_zone", endpoint.zone.as_deref()),
    ] {
        set_some(&mut labels, &format!("endpointslice_{name}"), value);
    }
    set_target(&mut labels, "endpointslice_address_target", endpoint.target_ref.as_ref());
    for (key, value) in endpoint.deprecated_topology.iter().flatten() {
        let key = sanitize(key);
        set(&mut labels, &format!("endpointslice_endpoint_topology_{key}"), value);
        set(&mut labels, &format!("endpointslice_endpoint_topology_present_{key}"), "true");
    }
    labels
}

fn set_target(labels: &mut LabelSet, prefix: &str, target: Option<&core::ObjectReference>) {
    set_some(labels, &format!("{prefix}_kind"), target.and_then(|target| target.kind.as_deref()));
    set_some(labels, &format!("{prefix}_name"), target.and_then(|target| target.name.as_deref()));
}

/// The object that a target refers to, if it is of this kind.
fn named(target: Option<&core::ObjectReference>, kind: &str) -> Option<Key> {
    let target = target.filter(|target| target.kind.as_deref() == Some(kind))?;
    Some((target.namespace.as_deref().unwrap_or_default().into(), target.name.as_deref()?.into()))
}

/// Whether an endpoint is on another node than this one.
fn is_elsewhere(this: Option<&str>, on: Option<&str>, target: Option<&core::ObjectReference>) -> bool {
    match (this, on) {
        (None, _) => false,
        (Some(this), Some(on)) => this != on,
        // Whether the pod is here is known when it is looked for among those of this node.
        (Some(_), None) => named(target, "Pod").is_none(),
    }
}

fn names(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Key {
    (meta.namespace.as_deref().unwrap_or_default().into(), meta.name.as_deref().unwrap_or_default().into())
}
