//! Which of an agent's many copies scrapes a job's targets.

use schemars::JsonSchema;

use crate::options::problem::Code;
use crate::options::{Problem, Role, Span};

/// A job that every node would run, with targets that are not the node's.
const TOO_WIDE: Code = Code("TW0735");

/// A shard that cannot be.
const BAD_SHARD: Code = Code("TW0736");

/// Which targets of a job this agent scrapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those that run on this node.
    Node,
    /// Its share: each target is one shard's.
    Shard,
    /// All of them.
    Cluster,
}

impl Scope {
    /// As configurations write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Shard => "shard",
            Self::Cluster => "cluster",
        }
    }

    /// What is wrong with a job of this scope in an agent of this role; `span` is where the scope is written,
    /// or else the job.
    pub(super) fn misplaced(self, job: &str, explicit: bool, span: Span, role: Role) -> Option<Problem> {
        if role != Role::Node || self == Self::Node {
            return None;
        }
        let message = format!(
            "the job `{job}` has the scope `{}`{}: with `identity.role: node` every node would scrape its targets",
            self.name(),
            if explicit { "" } else { " by its kind of discovery" },
        );
        let help = "write `scope: node` if every node has such a target of its own, or move the job to an agent with \
                    `identity.role: standalone` or `aggregator`";
        Some(Problem::new(TOO_WIDE, span, message).help(help))
    }
}

/// `shard: { index, count }`: which share of the jobs with `scope: shard` is this agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShardOptions {
    /// The number of this agent, from 0: `${env:SHARD_INDEX}`.
    pub index: u32,
    /// The number of agents that share the targets.
    pub count: u32,
}

/// A share of targets, checked: the index is below the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Checks what is written.
    pub(super) fn new(written: ShardOptions, span: Span) -> Result<Self, Problem> {
        let ShardOptions { index, count } = written;
        if index < count {
            return Ok(Self { index, count });
        }
        let message = format!("shard {index} of {count} does not exist");
        Err(Problem::new(BAD_SHARD, span, message).help("`index` counts from 0 and is below `count`"))
    }

    /// Whether a target with this hash is this agent's.
    pub fn takes(self, hash: u64) -> bool {
        hash % u64::from(self.count) == u64::from(self.index)
    }

    /// What is wrong with a job with `scope: shard` where no shard is given.
    pub(super) fn missing(job: &str, span: Span) -> Problem {
        let message =
            format!("the job `{job}` is shared between agents, and no `shard` says which share is this one's");
        let help = "write `shard: { index: \"${env:SHARD_INDEX}\", count: 3 }` beside `scrape_configs`";
        Problem::new(BAD_SHARD, span, message).help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_one_shards() {
        let shards: Vec<_> = (0..3).map(|index| Shard::new(ShardOptions { index, count: 3 }, Span::UNKNOWN)).collect();
        for hash in 0..100 {
            let takers = shards.iter().filter(|shard| shard.as_ref().is_ok_and(|shard| shard.takes(hash)));
            assert_eq!(takers.count(), 1);
        }
        assert!(Shard::new(ShardOptions { index: 3, count: 3 }, Span::UNKNOWN).is_err());
        assert!(Shard::new(ShardOptions { index: 0, count: 0 }, Span::UNKNOWN).is_err());
    }

    #[test]
    fn only_what_runs_on_the_node_belongs_into_an_agent_on_every_node() {
        let refused = |scope: Scope, role| scope.misplaced("j", false, Span::UNKNOWN, role).is_some();
        assert!(refused(Scope::Cluster, Role::Node) && refused(Scope::Shard, Role::Node));
        assert!(!refused(Scope::Node, Role::Node));
        for role in [Role::Standalone, Role::Sidecar, Role::Aggregator] {
            assert!(!refused(Scope::Cluster, role) && !refused(Scope::Node, role), "{role:?}");
        }
    }
}
