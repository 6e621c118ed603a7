//! The root section `kubernetes`.

use std::path::PathBuf;

use schemars::JsonSchema;

use crate::options::section::{Section, Value};

/// The registry's entry: the root section `kubernetes`.
pub const SECTION: Section = Section {
    name: "kubernetes",
    summary: "How the agent learns of the pods of its node, for whatever asks which of them a sender is.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?) as Value),
    default: || Box::new(Options::default()),
    problems: |_| Vec::new(),
    listeners: |_| Vec::new(),
    schema: |generator| Options::json_schema(generator),
};

/// The section `kubernetes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename = "Kubernetes")]
pub struct Options {
    /// A kubeconfig, whose current context says how the API server is reached. Default: the cluster that the agent is a
    /// pod of, by its service account, which must be allowed to list and watch pods (`deploy/kubernetes/otlp`).
    pub(crate) kubeconfig_file: Option<PathBuf>,
    /// Labels of pods that become attributes `k8s.pod.label.<name>`, each by its whole name, such as
    /// `app.kubernetes.io/version`. Default: none.
    pub(crate) pod_labels: Vec<Box<str>>,
}
