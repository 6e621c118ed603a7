//! Whether a receiver looks for the pods of those who send to it: `kubernetes: { enabled: auto }`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Attributes of the Kubernetes pod that sent something, for its resource. How pods are learnt of is in the root section
/// `kubernetes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SendersPods {
    /// Whether resources get what is known of the pod of this node that sent them: `k8s.pod.name`, `k8s.pod.uid`,
    /// `k8s.namespace.name` and more, where they do not have it. `auto` means yes where `identity.role` is `node` and the
    /// agent can ask the API server: as a pod with a token of its service account, or by `kubernetes.kubeconfig_file`.
    /// Default: `auto`.
    pub enabled: Enabled,
    /// Whether a resource that names no pod is taken to be of the pod that its connection comes from. Turn it off where
    /// others, such as a collector in a pod of the node, pass on what they were sent without its resources naming their
    /// pods. Default: `true`.
    pub by_connection: bool,
}

impl Default for SendersPods {
    fn default() -> Self {
        Self { enabled: Enabled::Auto, by_connection: true }
    }
}

/// `auto`, `true` or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    /// Where it can work.
    Auto,
    /// In any case.
    Yes,
    /// Not at all.
    No,
}

impl<'de> Deserialize<'de> for Enabled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl Visitor<'_> for Visit {
            type Value = Enabled;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto`, `true` or `false`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Enabled, E> {
                match text {
                    "auto" => Ok(Enabled::Auto),
                    "true" => Ok(Enabled::Yes),
                    "false" => Ok(Enabled::No),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<Enabled, E> {
                Ok(if on { Enabled::Yes } else { Enabled::No })
            }
        }

        deserializer.deserialize_any(Visit)
    }
}

impl schemars::JsonSchema for Enabled {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Enabled".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "oneOf": [{ "const": "auto", "description": "Where it can work." }, { "type": "boolean" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_auto_yes_or_no() {
        let read = |text: &str| serde_json::from_str::<SendersPods>(text).map(|read| read.enabled).ok();
        assert_eq!(read("{}"), Some(Enabled::Auto));
        assert_eq!(read(r#"{ "enabled": "auto" }"#), Some(Enabled::Auto));
        assert_eq!(read(r#"{ "enabled": true, "by_connection": false }"#), Some(Enabled::Yes));
        assert_eq!(read(r#"{ "enabled": "false" }"#), Some(Enabled::No));
        assert_eq!(read(r#"{ "enabled": "maybe" }"#), None);
    }
}
