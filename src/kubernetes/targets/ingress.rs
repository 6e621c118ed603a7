//! Ingresses: a target for every path of every rule, by the rule's host.

use k8s_openapi::api::networking::v1 as networking;

use super::labels::{NAMESPACE, set, set_object, set_some};
use super::world::{Dependency, World};
use crate::data::target_group::ADDRESS;
use crate::data::{LabelSet, TargetGroup};
use crate::kubernetes::watch::Key;

/// What is kept of an ingress.
#[derive(Clone, Debug)]
pub struct Ingress {
    key: Key,
    labels: LabelSet,
    targets: Vec<LabelSet>,
}

impl Ingress {
    /// Keeps what labels need.
    pub fn keep(ingress: networking::Ingress) -> Self {
        let spec = ingress.spec.unwrap_or_default();
        let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
        let mut labels = LabelSet::new();
        labels.set(NAMESPACE, namespace);
        set_some(&mut labels, "ingress_class_name", spec.ingress_class_name.as_deref());
        set_object(&mut labels, "ingress", &ingress.metadata);
        let secure: Vec<String> =
            spec.tls.into_iter().flatten().flat_map(|tls| tls.hosts.unwrap_or_default()).collect();
        let mut targets = Vec::new();
        for rule in spec.rules.unwrap_or_default() {
            let host = rule.host.unwrap_or_default();
            let scheme = if secure.iter().any(|pattern| matches(pattern, &host)) { "https" } else { "http" };
            let paths: Vec<String> = match rule.http {
                Some(http) => http.paths.into_iter().map(|path| path.path.unwrap_or_default()).collect(),
                None => vec![String::new()],
            };
            for path in paths {
                let mut target = LabelSet::new();
                target.set(ADDRESS, &host);
                set(&mut target, "ingress_scheme", scheme);
                set(&mut target, "ingress_host", &host);
                set(&mut target, "ingress_path", if path.is_empty() { "/" } else { &path });
                targets.push(target);
            }
        }
        let name = ingress.metadata.name.as_deref().unwrap_or_default();
        Self { key: (namespace.into(), name.into()), labels, targets }
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
        let source = format!("ingress/{}/{}", self.key.0, self.key.1).into();
        TargetGroup { source, targets: self.targets.clone(), labels }
    }
}

/// Whether a host is the pattern, or `*` stands for its first part.
fn matches(pattern: &str, host: &str) -> bool {
    let (mut parts, mut of_host) = (pattern.split('.'), host.split('.'));
    pattern == host || (parts.next() == Some("*") && of_host.next().is_some() && parts.eq(of_host))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_one_part() {
        assert!(matches("a.example", "a.example") && matches("*.example", "a.example"));
        assert!(matches("", "") && matches("*", "a"));
        for (pattern, host) in [("*.example", "a.b.example"), ("*.example", "example"), ("a.*", "a.b"), ("*.x", "a.y")]
        {
            assert!(!matches(pattern, host), "{pattern} {host}");
        }
    }
}
