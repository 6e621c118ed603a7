//! Pods: a target for every port of every container, or one without a port for a container that has none.

use k8s_openapi::api::core::v1 as core;

use super::labels::{NAMESPACE, controller, host_port, set, set_object, set_some};
use super::world::{Dependency, Owner, World};
use crate::data::target_group::ADDRESS;
use crate::data::{LabelSet, TargetGroup};
use crate::kubernetes::watch::Key;

/// What is kept of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub key: Key,
    pub ip: Box<str>,
    pub node: Box<str>,
    pub containers: Vec<Container>,
    /// The ReplicaSet or Job that made it.
    pub owner: Option<Owner>,
    /// Its labels, but for those that other objects have a say in.
    labels: LabelSet,
}

/// What is kept of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    name: Box<str>,
    image: Box<str>,
    id: Box<str>,
    init: bool,
    pub ports: Vec<Port>,
}

/// A port of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub number: i32,
    name: Box<str>,
    pub protocol: Box<str>,
}

impl Pod {
    /// Keeps what labels need.
    pub fn keep(pod: core::Pod) -> Self {
        let (spec, status) = (pod.spec.unwrap_or_default(), pod.status.unwrap_or_default());
        let mut labels = LabelSet::new();
        set_some(&mut labels, "pod_ip", status.pod_ip.as_deref());
        set(&mut labels, "pod_ready", &ready(&status));
        set_some(&mut labels, "pod_phase", status.phase.as_deref());
        set_some(&mut labels, "pod_node_name", spec.node_name.as_deref());
        set_some(&mut labels, "pod_host_ip", status.host_ip.as_deref());
        set_some(&mut labels, "pod_uid", pod.metadata.uid.as_deref());
        set_object(&mut labels, "pod", &pod.metadata);
        let key: Key = (
            pod.metadata.namespace.as_deref().unwrap_or_default().into(),
            pod.metadata.name.as_deref().unwrap_or_default().into(),
        );
        let made_by = controller(&pod.metadata);
        if let Some(owner) = made_by {
            set(&mut labels, "pod_controller_kind", &owner.kind);
            set(&mut labels, "pod_controller_name", &owner.name);
        }
        let owner = made_by.and_then(|owner| {
            let key = (key.0.clone(), owner.name.as_str().into());
            match owner.kind.as_str() {
                "ReplicaSet" => Some(Owner::ReplicaSet(key)),
                "Job" => Some(Owner::Job(key)),
                _ => None,
            }
        });
        let main = containers(spec.containers, status.container_statuses.as_deref(), false);
        let init =
            containers(spec.init_containers.unwrap_or_default(), status.init_container_statuses.as_deref(), true);
        Self {
            key,
            ip: status.pod_ip.unwrap_or_default().into(),
            node: spec.node_name.unwrap_or_default().into(),
            containers: main.chain(init).collect(),
            owner,
            labels,
        }
    }

    /// The labels of the pod itself, with what its controllers add.
    pub fn labels(&self, world: &World) -> LabelSet {
        let mut labels = self.labels.clone();
        match &self.owner {
            Some(Owner::ReplicaSet(key)) => {
                set_some(&mut labels, "pod_deployment_name", world.replica_sets.get(key).map(|name| &**name));
            }
            Some(Owner::Job(key)) => {
                if world.attach.job {
                    set(&mut labels, "pod_job_name", &key.1);
                }
                set_some(&mut labels, "pod_cronjob_name", world.jobs.get(key).map(|name| &**name));
            }
            None => {}
        }
        labels
    }

    /// What else its group depends on.
    pub fn dependencies(&self, world: &World) -> Vec<Dependency> {
        let mut found = vec![Dependency::Node(self.node.clone()), Dependency::Namespace(self.key.0.clone())];
        found.extend(self.owner.clone().map(Dependency::Owner));
        found.retain(|dependency| world.attach.wants(dependency));
        found
    }

    /// Its targets: none before it has an address, or where its node was not selected.
    pub fn group(&self, world: &World) -> TargetGroup {
        let source = format!("pod/{}/{}", self.key.0, self.key.1).into();
        let node = world.nodes.get(&self.node);
        if self.ip.is_empty() || (world.attach.node && node.is_none()) {
            return TargetGroup { source, targets: Vec::new(), labels: LabelSet::new() };
        }
        let mut labels = self.labels(world);
        labels.set(NAMESPACE, &self.key.0);
        labels.extend(node.into_iter().flat_map(LabelSet::iter));
        labels.extend(world.namespaces.get(&self.key.0).into_iter().flat_map(LabelSet::iter));
        let targets = self.containers.iter().flat_map(|container| container.targets(&self.ip)).collect();
        TargetGroup { source, targets, labels }
    }

    /// Targets for the ports that are not among `covered`, as roles of endpoints add them.
    pub fn other_ports(&self, world: &World, covered: &[i32]) -> Vec<LabelSet> {
        if self.ip.is_empty() {
            return Vec::new();
        }
        let of = |container: &Container| {
            let ports = container.ports.iter().filter(|port| !covered.contains(&port.number));
            let target = |port: &Port| {
                let mut labels = self.labels(world);
                labels.set(ADDRESS, &host_port(&self.ip, port.number));
                container.set_port(&mut labels, port, &port.protocol);
                labels
            };
            ports.map(target).collect::<Vec<_>>()
        };
        self.containers.iter().flat_map(of).collect()
    }
}

impl Container {
    fn targets(&self, ip: &str) -> Vec<LabelSet> {
        let mut common = LabelSet::new();
        set(&mut common, "pod_container_name", &self.name);
        set(&mut common, "pod_container_id", &self.id);
        set(&mut common, "pod_container_image", &self.image);
        set(&mut common, "pod_container_init", if self.init { "true" } else { "false" });
        if self.ports.is_empty() {
            common.set(ADDRESS, ip);
            return vec![common];
        }
        let target = |port: &Port| {
            let mut labels = common.clone();
            labels.set(ADDRESS, &host_port(ip, port.number));
            set(&mut labels, "pod_container_port_number", &port.number.to_string());
            set(&mut labels, "pod_container_port_name", &port.name);
            set(&mut labels, "pod_container_port_protocol", &port.protocol);
            labels
        };
        self.ports.iter().map(target).collect()
    }

    /// The labels of a container and its port, as roles of endpoints have them: without the container's id.
    pub fn set_port(&self, labels: &mut LabelSet, port: &Port, protocol: &str) {
        set(labels, "pod_container_name", &self.name);
        set(labels, "pod_container_image", &self.image);
        set(labels, "pod_container_port_name", &port.name);
        set(labels, "pod_container_port_number", &port.number.to_string());
        set(labels, "pod_container_port_protocol", protocol);
        set(labels, "pod_container_init", if self.init { "true" } else { "false" });
    }
}

fn containers(
    specs: Vec<core::Container>,
    statuses: Option<&[core::ContainerStatus]>,
    init: bool,
) -> impl Iterator<Item = Container> {
    specs.into_iter().map(move |container| {
        let status = statuses.into_iter().flatten().find(|status| status.name == container.name);
        let port = |port: core::ContainerPort| Port {
            number: port.container_port,
            name: port.name.unwrap_or_default().into(),
            protocol: port.protocol.unwrap_or_default().into(),
        };
        Container {
            id: status.and_then(|status| status.container_id.as_deref()).unwrap_or_default().into(),
            name: container.name.into(),
            image: container.image.unwrap_or_default().into(),
            init,
            ports: container.ports.unwrap_or_default().into_iter().map(port).collect(),
        }
    })
}

fn ready(status: &core::PodStatus) -> String {
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    ready.map_or_else(|| "unknown".into(), |condition| condition.status.to_lowercase())
}
