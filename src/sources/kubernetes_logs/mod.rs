//! The source `kubernetes_logs`: the logs of a node's containers, as the kubelet keeps them.
//!
//! Who wrote a log is read from its path, `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log`
//! (kubernetes/design-proposals-archive, node/kubelet-cri-logging.md): nothing is asked, so the identity is
//! there from the first record on.

mod pods;

use std::path::PathBuf;

use schemars::JsonSchema;

use crate::data::Signal;
use crate::options::problem::Code;
use crate::options::{ByteSize, Duration, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareContext, Source};
use crate::pipeline::{Descriptor, Outputs, PrepareError, SourcePlan};
use crate::tail::{Format, Settings, Start, Tail};
use pods::{Own, Pods, names};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SourcePlan> = Descriptor {
    name: "kubernetes_logs",
    summary: "Tails the logs of the node's containers, with namespace, pod and container of each.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// A pattern of names that is none.
const BAD_NAME: Code = Code("TW0512");

/// Options of the source `kubernetes_logs`.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The folder in which the kubelet keeps the logs of pods. Default: `/var/log/pods`.
    path: PathBuf,
    /// Only these namespaces; patterns such as `team-*` are allowed. Default: all.
    namespaces: Vec<Spanned<String>>,
    /// Not these namespaces; patterns are allowed. Default: none.
    exclude_namespaces: Vec<Spanned<String>>,
    /// Not these pods; patterns are allowed. Default: none.
    exclude_pods: Vec<Spanned<String>>,
    /// Not these containers; patterns are allowed. Default: none.
    exclude_containers: Vec<Spanned<String>>,
    /// Whether the agent's own pod is left out, so that it does not tail what it says about tailing. The pod
    /// is known by `POD_UID`, or by `POD_NAME` and `POD_NAMESPACE`, from the environment (the downward API),
    /// else by the host name. Default: `true`.
    exclude_own_pod: bool,
    /// On a node on which no agent ran before: how far back to begin in containers that are older than the
    /// agent. `0` begins at their ends. Newer containers are always read from their beginning. Default: `10m`.
    look_back: Duration,
    /// Most bytes of a record, joined from what the runtime split. A longer one is cut into several, at the
    /// same places whenever it is read. Between `1KiB` and `16MiB`. Default: `1MiB`.
    max_record_size: Spanned<ByteSize>,
    /// Most bytes of deleted files that are kept open because they are not read to their end, while a
    /// destination is slow. Beyond, the oldest are given up and what was not read is counted as lost.
    /// Raise it where the disk has room and destinations may be gone for long. Default: `1GiB`.
    held_files: ByteSize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/var/log/pods"),
            namespaces: Vec::new(),
            exclude_namespaces: Vec::new(),
            exclude_pods: Vec::new(),
            exclude_containers: Vec::new(),
            exclude_own_pod: true,
            look_back: Duration(std::time::Duration::from_secs(600)),
            max_record_size: Spanned::unknown(ByteSize(1 << 20)),
            held_files: ByteSize(1 << 30),
        }
    }
}

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        let lists = [&self.namespaces, &self.exclude_namespaces, &self.exclude_pods, &self.exclude_containers];
        let bad = lists.into_iter().flatten().filter_map(|name| {
            let error = names(std::slice::from_ref(name)).err()?;
            Some(Problem::new(BAD_NAME, name.span, format!("`{}` is no pattern of names: {error}", name.value)))
        });
        bad.chain(crate::tail::run::record_size_problem(&self.max_record_size)).collect()
    }
}

impl SourcePlan for Options {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Logs)
    }

    fn replayable(&self) -> bool {
        true
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        let set = |patterns: &[Spanned<String>]| names(patterns).map_err(PrepareError);
        let pods = Pods::new(
            self.path.clone(),
            (!self.namespaces.is_empty()).then(|| set(&self.namespaces)).transpose()?,
            [set(&self.exclude_namespaces)?, set(&self.exclude_pods)?, set(&self.exclude_containers)?],
            self.exclude_own_pod.then(Own::from_environment),
        );
        let settings = Settings {
            format: Format::Container,
            most_record: self.max_record_size.0 as usize,
            held_files: self.held_files.0,
            start: match self.look_back.0 {
                std::time::Duration::ZERO => Start::End,
                back => Start::Back(back),
            },
        };
        Ok(Box::new(Tail { discover: Box::new(pods), settings, prepared: cx.clone() }))
    }
}
