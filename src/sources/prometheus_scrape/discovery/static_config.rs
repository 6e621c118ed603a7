//! `static_configs`: targets that are written down.

use std::collections::BTreeMap;

use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio_util::sync::CancellationToken;

use super::{ADDRESS, Discover, Publisher, TargetGroup};
use crate::data::LabelSet;
use crate::options::problem::Code;
use crate::options::{Problem, Spanned};

/// A target that is no address.
const BAD_TARGET: Code = Code("TW0750");

/// A label without a name.
const BAD_LABEL: Code = Code("TW0751");

/// Targets that are written down, with labels that they share.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticConfig {
    /// Hosts with their ports: `web-1:9100`. Scheme and path are options of the job.
    #[serde(default)]
    pub targets: Vec<Spanned<String>>,
    /// Labels of all these targets.
    #[serde(default)]
    pub labels: Spanned<BTreeMap<String, String>>,
}

impl StaticConfig {
    /// What is wrong beyond the shape. Of targets that are `relabelled` anything may become an address.
    pub fn problems(&self, relabelled: bool, problems: &mut Vec<Problem>) {
        for target in self.targets.iter().filter(|target| target.contains('/') && !relabelled) {
            let problem = Problem::new(BAD_TARGET, target.span, format!("`{}` is not a host and a port", target.value));
            problems.push(problem.help("write `host:port`; `scheme` and `metrics_path` are options of the job"));
        }
        if self.labels.contains_key("") {
            let problem = Problem::new(BAD_LABEL, self.labels.span, "a label has no name");
            problems.push(problem.help("give it one, or leave it out"));
        }
    }

    fn group(&self, index: usize) -> TargetGroup {
        TargetGroup {
            source: index.to_string().into(),
            targets: self.targets.iter().map(|target| [(ADDRESS, target.as_str())].into_iter().collect()).collect(),
            labels: self.labels.iter().map(|(name, value)| (name.as_str(), value)).collect::<LabelSet>(),
        }
    }
}

/// All `static_configs` of a job: one discovery.
pub struct Static(Vec<TargetGroup>);

impl Static {
    /// Prepares it.
    pub fn new(configs: &[StaticConfig]) -> Self {
        Self(configs.iter().enumerate().map(|(index, config)| config.group(index)).collect())
    }
}

impl Discover for Static {
    fn run(&self, found: Publisher, _: CancellationToken) -> BoxFuture<'_, ()> {
        found.replace(self.0.clone());
        ready(()).boxed()
    }
}
