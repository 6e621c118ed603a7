//! Services: a target for every port, by the service's name in the cluster's DNS.

use k8s_openapi::api::core::v1 as core;

use super::labels::{NAMESPACE, host_port, set, set_object};
use super::world::{Dependency, World};
use crate::data::target_group::ADDRESS;
use crate::data::{LabelSet, TargetGroup};
use crate::kubernetes::watch::Key;

/// What endpoints need of their service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Namespace, name, labels and annotations.
    pub labels: LabelSet,
    /// Of a service with addresses of two families: the first.
    pub primary_family: Option<Box<str>>,
}

impl Facts {
    /// Keeps them.
    pub fn keep(service: &core::Service) -> Self {
        let mut labels = LabelSet::new();
        labels.set(NAMESPACE, service.metadata.namespace.as_deref().unwrap_or_default());
        set_object(&mut labels, "service", &service.metadata);
        let spec = service.spec.as_ref();
        let policy = spec.and_then(|spec| spec.ip_family_policy.as_deref());
        let dual = matches!(policy, Some("PreferDualStack" | "RequireDualStack"));
        let first = spec.and_then(|spec| spec.ip_families.as_ref()).and_then(|families| families.first());
        Self { labels, primary_family: first.filter(|_| dual).map(|family| family.as_str().into()) }
    }
}

/// A service as a target.
#[derive(Clone, Debug)]
pub struct Service {
    key: Key,
    labels: LabelSet,
    targets: Vec<LabelSet>,
}

impl Service {
    /// Keeps what labels need.
    pub fn keep(service: &core::Service) -> Self {
        let meta = &service.metadata;
        let (namespace, name) =
            (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let spec = service.spec.clone().unwrap_or_default();
        let kind = spec.type_.as_deref().unwrap_or_default();
        let target = |port: &core::ServicePort| {
            let mut labels = LabelSet::new();
            labels.set(ADDRESS, &host_port(&format!("{name}.{namespace}.svc"), port.port));
            set(&mut labels, "service_port_name", port.name.as_deref().unwrap_or_default());
            set(&mut labels, "service_port_number", &port.port.to_string());
            set(&mut labels, "service_port_protocol", port.protocol.as_deref().unwrap_or_default());
            set(&mut labels, "service_type", kind);
            match kind {
                "ExternalName" => {
                    set(&mut labels, "service_external_name", spec.external_name.as_deref().unwrap_or_default());
                }
                _ => set(&mut labels, "service_cluster_ip", spec.cluster_ip.as_deref().unwrap_or_default()),
            }
            if kind == "LoadBalancer" {
                set(&mut labels, "service_loadbalancer_ip", &load_balancer(service));
            }
            labels
        };
        Self {
            key: (namespace.into(), name.into()),
            labels: Facts::keep(service).labels,
            targets: spec.ports.iter().flatten().map(target).collect(),
        }
    }

    /// What else its group depends on.
    pub fn dependencies(&self, world: &World) -> Vec<Dependency> {
        let namespace = Dependency::Namespace(self.key.0.clone());
        if world.attach.wants(&namespace) { vec![namespace] } else { Vec::new() }
    }

    /// Its targets.
    pub fn group(&self, world: &World) -> TargetGroup {
        let mut labels = self.labels.clone();
        labels.extend(world.namespaces.get(&self.key.0).into_iter().flat_map(LabelSet::iter));
        let source = format!("svc/{}/{}", self.key.0, self.key.1).into();
        TargetGroup { source, targets: self.targets.clone(), labels }
    }
}

/// The addresses that the load balancer was given, else the one that was asked for.
fn load_balancer(service: &core::Service) -> String {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let given = status.and_then(|balancer| balancer.ingress.as_ref()).into_iter().flatten();
    let given: Vec<&str> = given.filter_map(|ingress| ingress.ip.as_deref()).filter(|ip| !ip.is_empty()).collect();
    let asked = service.spec.as_ref().and_then(|spec| spec.load_balancer_ip.clone());
    if given.is_empty() { asked.unwrap_or_default() } else { given.join(",") }
}
