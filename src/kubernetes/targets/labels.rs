//! Names of labels: `__meta_kubernetes_<role>_…`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::data::LabelSet;

/// What every label begins with.
const META: &str = "__meta_kubernetes_";

/// The label of an object's namespace.
pub const NAMESPACE: &str = "__meta_kubernetes_namespace";

/// Sets `__meta_kubernetes_<name>`.
pub fn set(labels: &mut LabelSet, name: &str, value: &str) {
    labels.set(&format!("{META}{name}"), value);
}

/// Sets it where there is a value.
pub fn set_some(labels: &mut LabelSet, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        set(labels, name, value);
    }
}

/// Name, labels and annotations of an object.
pub fn set_object(labels: &mut LabelSet, role: &str, meta: &ObjectMeta) {
    set_some(labels, &format!("{role}_name"), meta.name.as_deref());
    set_metadata(labels, role, meta);
}

/// Labels and annotations of an object, each with another label that says that it is there.
pub fn set_metadata(labels: &mut LabelSet, role: &str, meta: &ObjectMeta) {
    for (kind, entries) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
        for (key, value) in entries.iter().flatten() {
            let key = sanitize(key);
            set(labels, &format!("{role}_{kind}_{key}"), value);
            set(labels, &format!("{role}_{kind}present_{key}"), "true");
        }
    }
}

/// Replaces what no name of a label may have by underscores.
pub fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Host and port, IPv6 in brackets.
pub fn host_port(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The controller among the owners of an object.
pub fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}
