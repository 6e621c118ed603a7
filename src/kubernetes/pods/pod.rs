//! What is kept of a pod: by what it is found, and the attributes of whoever sends from it, encoded once.
//!
//! Names are those of OpenTelemetry's semantic conventions (1.37, "Kubernetes"). Only what the pod itself says for certain
//! becomes an attribute.

use std::net::IpAddr;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::formats::otlp::resource::ResourceAttributes;

/// The UID that the kubelet knows a static pod by, on the object that mirrors it in the API.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The label by which a Deployment tells its ReplicaSets apart; it ends their names.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// A pod.
#[derive(Debug)]
pub struct Pod {
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub node: Box<str>,
    /// Its UID; of a static pod also that of its mirror.
    pub uids: Box<[Box<str>]>,
    /// Addresses that are its own now. None where it shares those of the node, or has ended and given them back.
    pub ips: Box<[IpAddr]>,
    pub containers: Box<[Container]>,
    /// What is true of all that it sends.
    pub attributes: ResourceAttributes,
}

/// A container that runs, or the one before it that ended.
#[derive(Debug)]
pub struct Container {
    /// As the runtime knows it, without `containerd://`.
    pub id: Box<str>,
    /// What is true of what it sends.
    pub attributes: ResourceAttributes,
}

impl Pod {
    /// Keeps what senders are found by, and these labels as attributes.
    pub fn keep(pod: &core::Pod, labels: &[Box<str>]) -> Self {
        let (none, metadata) = (core::PodStatus::default(), &pod.metadata);
        let status = pod.status.as_ref().unwrap_or(&none);
        let spec = pod.spec.as_ref();
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let shares_the_node_s = spec.is_some_and(|spec| spec.host_network == Some(true));
        let ips = if ended || shares_the_node_s { Box::default() } else { ips(status) };
        let mirror = metadata.annotations.as_ref().and_then(|annotations| annotations.get(MIRROR));
        Self {
            namespace: text(&metadata.namespace),
            name: text(&metadata.name),
            node: spec.map(|spec| text(&spec.node_name)).unwrap_or_default(),
            uids: metadata.uid.iter().chain(mirror).map(|uid| uid.as_str().into()).collect(),
            ips,
            containers: containers(status).collect(),
            attributes: attributes(pod, labels),
        }
    }

    /// Bytes of memory that it takes, its places in the table among them.
    pub fn bytes(&self) -> usize {
        /// What a place in a map takes beside its key.
        const PLACE: usize = 64;
        let names = 2 * (self.namespace.len() + self.name.len()) + self.node.len();
        let uids: usize = self.uids.iter().map(|uid| 2 * uid.len() + PLACE).sum();
        let container = |one: &Container| size_of::<Container>() + 2 * one.id.len() + PLACE + one.attributes.bytes();
        let containers: usize = self.containers.iter().map(container).sum();
        size_of::<Self>() + names + uids + self.ips.len() * (PLACE + 32) + containers + self.attributes.bytes() + PLACE
    }

    /// Its container of this id.
    pub fn container(&self, id: &str) -> Option<&Container> {
        self.containers.iter().find(|container| *container.id == *id)
    }
}

fn ips(status: &core::PodStatus) -> Box<[IpAddr]> {
    let all = status.pod_ips.iter().flatten().map(|one| one.ip.as_str()).chain(status.pod_ip.as_deref());
    let mut ips: Vec<IpAddr> = all.filter_map(|ip| ip.parse().ok()).map(|ip: IpAddr| ip.to_canonical()).collect();
    ips.sort_unstable();
    ips.dedup();
    ips.into()
}

/// The id of a container that ended.
fn ended(state: &Option<core::ContainerState>) -> Option<&str> {
    state.as_ref()?.terminated.as_ref()?.container_id.as_deref()
}

fn containers(status: &core::PodStatus) -> impl Iterator<Item = Container> {
    let kinds = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    kinds.into_iter().flatten().flatten().flat_map(|status| {
        let mut ids: Vec<_> = [status.container_id.as_deref(), ended(&status.state), ended(&status.last_state)]
            .into_iter()
            .flatten()
            .map(without_runtime)
            .filter(|id| !id.is_empty())
            .collect();
        ids.dedup();
        let attributes = ResourceAttributes::new([("k8s.container.name", status.name.as_str())]);
        ids.into_iter().map(move |id| Container { id: id.into(), attributes: attributes.clone() })
    })
}

/// The id in `containerd://4e0b…`.
pub fn without_runtime(id: &str) -> &str {
    id.split_once("://").map_or(id, |(_, id)| id)
}

fn attributes(pod: &core::Pod, labels: &[Box<str>]) -> ResourceAttributes {
    let metadata = &pod.metadata;
    let own = [
        ("k8s.namespace.name", metadata.namespace.clone()),
        ("k8s.pod.name", metadata.name.clone()),
        ("k8s.pod.uid", metadata.uid.clone()),
        ("k8s.node.name", pod.spec.as_ref().and_then(|spec| spec.node_name.clone())),
        ("k8s.pod.start_time", pod.status.as_ref().and_then(|status| Some(status.start_time.as_ref()?.0.to_string()))),
    ];
    let mut all: Vec<(String, String)> =
        own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    all.extend(owners(metadata).into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    let values = metadata.labels.as_ref();
    let label = |name: &str| Some((format!("k8s.pod.label.{name}"), values?.get(name)?.clone()));
    all.extend(labels.iter().filter_map(|name| label(name)));
    ResourceAttributes::new(all.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// Who made the pod. A Deployment stands behind a ReplicaSet whose name is the Deployment's and the hash of the pod's
/// template; behind a Job nothing is certain.
fn owners(metadata: &ObjectMeta) -> Vec<(&'static str, &str)> {
    let controls = |owner: &&OwnerReference| owner.controller == Some(true);
    let Some(owner) = metadata.owner_references.iter().flatten().find(controls) else { return Vec::new() };
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    let name = owner.name.as_str();
    let key = match (group, owner.kind.as_str()) {
        ("apps", "ReplicaSet") => "k8s.replicaset.name",
        ("apps", "StatefulSet") => "k8s.statefulset.name",
        ("apps", "DaemonSet") => "k8s.daemonset.name",
        ("batch", "Job") => "k8s.job.name",
        ("", "ReplicationController") => "k8s.replicationcontroller.name",
        _ => return Vec::new(),
    };
    let hash = metadata.labels.as_ref().and_then(|labels| labels.get(TEMPLATE_HASH));
    let deployment = hash
        .filter(|hash| key == "k8s.replicaset.name" && !hash.is_empty())
        .and_then(|hash| name.strip_suffix(hash.as_str())?.strip_suffix('-'))
        .filter(|name| !name.is_empty());
    [(key, name)].into_iter().chain(deployment.map(|name| ("k8s.deployment.name", name))).collect()
}
