//! Options of the source: Prometheus's `global` and `scrape_configs` key for key, and what this agent adds.
//!
//! [`Options`] is what is written; [`ScrapePlan`] is what it means, which exists only if nothing is wrong.

mod global;
mod job;
mod scope;
mod scrape_config;
mod unsupported;

use std::collections::BTreeMap;

use schemars::JsonSchema;

pub use global::{Global, GlobalConfig};
pub use job::{Discovery, Job, Limits};
pub use scope::{Scope, Shard, ShardOptions};
pub use scrape_config::{JobConfig, SampleLimitMode, Scheme, ScrapeConfig};
pub use unsupported::{Unsupported, UnsupportedGlobal};

use crate::data::LabelSet;
use crate::options::problem::Code;
use crate::options::{Identity, Problem, Span, Spanned, Verbatim};
use crate::pipeline::component::Plan;

/// Two jobs of one name.
const NAME_TAKEN: Code = Code("TW0732");

/// Options of the source `prometheus_scrape`.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Prometheus's `global`, as far as it is about scraping: what jobs that do not say otherwise take.
    #[serde(default)]
    pub global: GlobalConfig,
    /// Prometheus's `scrape_configs` as they are: jobs, each with the way in which its targets are found and how
    /// they are scraped.
    pub scrape_configs: Verbatim<Vec<Spanned<ScrapeConfig>>>,
    /// Which share of the targets is this agent's, of jobs with `scope: shard`.
    #[serde(default)]
    #[schemars(with = "Option<ShardOptions>")]
    pub shard: Option<Spanned<ShardOptions>>,
}

/// What the options mean, checked.
#[derive(Clone, Debug)]
pub struct ScrapePlan {
    /// The jobs, each with a name of its own.
    pub jobs: Vec<Job>,
    /// Which share is this agent's; there is one where a job has `scope: shard`.
    pub shard: Option<Shard>,
    /// Labels of every series that has none of the same name.
    pub external_labels: LabelSet,
}

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        self.plan().err().unwrap_or_default()
    }

    fn misplaced(&self, identity: &Identity) -> Vec<Problem> {
        let Ok(plan) = self.plan() else { return Vec::new() };
        let place = |job: &Job| job.scope.misplaced(&job.name, job.scope_place.1, job.scope_place.0, identity.role);
        plan.jobs.iter().filter_map(place).collect()
    }
}

impl Options {
    /// What the options mean, or everything that is wrong with them.
    pub fn plan(&self) -> Result<ScrapePlan, Vec<Problem>> {
        let mut problems = self.global.shared.problems();
        let external_labels = self.global.own.external(&mut problems);
        let pace = self.global.own.pace().map_err(|problem| problems.push(problem)).ok();
        let shard = self
            .shard
            .as_ref()
            .and_then(|written| Shard::new(written.value, written.span).map_err(|problem| problems.push(problem)).ok());
        // Where `global` is wrong, what jobs take from it would be told once more for each.
        let shard_told = shard.is_none() && self.shard.is_some();
        let mut jobs = Vec::new();
        if let (Some(pace), false) = (pace, shard_told) {
            let defaults = job::Defaults { global: &self.global, pace, shard };
            for written in &self.scrape_configs.0 {
                match job::check(written, &defaults) {
                    Ok(job) => jobs.push(job),
                    Err(wrong) => problems.extend(wrong),
                }
            }
        }
        self.names(&mut problems);
        if problems.is_empty() {
            Ok(ScrapePlan { jobs, shard, external_labels })
        } else {
            // What is wrong in `global` is found again with every job.
            let mut told: Vec<Problem> = Vec::new();
            problems.retain(|problem| {
                let fresh = !told.contains(problem);
                told.push(problem.clone());
                fresh
            });
            Err(problems)
        }
    }

    fn names(&self, problems: &mut Vec<Problem>) {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for written in &self.scrape_configs.0 {
            let name = &written.value.own.own.job_name;
            if seen.insert(&name.value, name.span).is_some() {
                let message = format!("two jobs are called `{}`", name.value);
                problems.push(Problem::new(NAME_TAKEN, name.span, message).help("give each job a name of its own"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
