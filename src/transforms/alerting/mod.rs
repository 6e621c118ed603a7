//! `alerting`: samples feed the store of the rules, rules make alerts, and alerts go to people. What rules record and the
//! state of alerts, `ALERTS`, are its output `alerting.metrics`.
//!
//! Everything that lasts is in [`Running`], which outlives the component; how rules are evaluated, and how alerts are
//! dispatched, is the floor [`alerting`](crate::alerting)'s.

mod files;
mod options;
mod reader;
mod task;
mod unusual;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;

use self::files::Read;
use self::options::{Options, Telling};
use self::task::Alerting;
use crate::alerting::paging::Receivers;
use crate::alerting::placement;
use crate::alerting::remote::Remote;
use crate::alerting::route::Routing;
use crate::alerting::rule_file::RuleFile;
use crate::alerting::sending::{Speaker, is_address};
use crate::alerting::{Running, Settings};
use crate::data::names::Interest;
use crate::data::{LabelSet, Names, Resource, Signal};
use crate::notifiers::Receiver;
use crate::options::identity::Role;
use crate::options::{Code, Identity, Problem, Span, Spanned};
use crate::pipeline::component::{Plan, PrepareTransform, identify};
use crate::pipeline::{Descriptor, Outputs, PrepareError, PreparedTransform, TransformPlan};
use crate::promql::{self, Query};
use crate::series::Matcher;

/// The registry's entry. It is the one component that is called by its root key alone.
pub const DESCRIPTOR: Descriptor<dyn TransformPlan> = Descriptor {
    name: "alerting",
    summary: "Evaluates Prometheus's rules over metrics and tells people of alerts; what rules record and the state of \
              alerts are its output `alerting.metrics`.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// Two ways of alerts to people are written.
const TWO_WAYS: Code = Code("TW1063");
/// An option of rules makes no sense.
const BAD_RULES: Code = Code("TW1064");
/// Alerts need a cluster.
const NO_CLUSTER: Code = Code("TW1065");
/// A rule puts together what one node does not see.
const ACROSS_NODES: Code = Code("TW1066");

/// Bytes that all queries of rules may hold at a time: half of what the process has where nobody limits it, and at least as
/// much as the store that they read.
const QUERY_BYTES: u64 = 128 << 20;

/// Fewest groups that are evaluated at a time: with one, whoever takes long would have all others wait.
const FEWEST: usize = 2;

/// Most of them: each has a share of the memory, which more of them would make too small.
const MOST: usize = 4;

/// Groups that are evaluated at a time.
fn at_a_time(workers: usize) -> usize {
    workers.clamp(FEWEST, MOST)
}

/// Bytes that a query of a rule may hold where so many groups are evaluated at a time over a store of so many bytes.
fn query_bytes(store: u64, at_a_time: usize) -> u64 {
    QUERY_BYTES.max(store) / at_a_time as u64
}

/// The output.
const METRICS: &str = "metrics";

impl Options {
    /// The way of alerts to people, from wherever it is written.
    fn telling(&self) -> &Telling {
        self.own.alertmanager.as_ref().map_or(&self.shared, |given| &given.value.0)
    }

    /// The ways of alerts, where there are any.
    fn routing(&self) -> Result<Option<Routing>, Vec<Problem>> {
        let telling = self.telling();
        // An Alertmanager's configuration always has a route; alerts of the agent's own block may go to nobody.
        if self.alertmanager.is_none() && telling.receivers.is_empty() && telling.shared.route.is_none() {
            return Ok(None);
        }
        let names: Vec<&str> = telling.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        telling.shared.read(&names, telling.global.resolve_timeout.0).map(Some)
    }

    /// Receivers by name, ready to send.
    fn receivers(&self, speaker: &Speaker) -> Result<Receivers, PrepareError> {
        let telling = self.telling();
        let one = |receiver: &Spanned<Receiver>| {
            let notifiers = receiver.notifiers(&telling.global, speaker);
            let notifiers = notifiers.map_err(|error| PrepareError(error.to_string()))?;
            Ok((Arc::from(receiver.name.as_str()), notifiers))
        };
        telling.receivers.iter().map(one).collect()
    }

    /// Selectors of series that are kept although no rule reads them.
    fn selectors(&self) -> Result<Vec<Vec<Matcher>>, Problem> {
        let mut all = Vec::new();
        for selector in &self.store.selectors {
            let query = Query::parse(selector).map_err(|error| {
                let message = format!("`{selector}` is no selector: {error}");
                Problem::new(BAD_RULES, Span::UNKNOWN, message).help("write one such as {job=\"node\"}")
            })?;
            all.extend(query.selectors().map(|selector| selector.matchers.to_vec()));
        }
        Ok(all)
    }

    /// The rule files.
    fn read(&self) -> &Arc<Read> {
        self.rules.get(&self.rule_files)
    }

    fn settings(&self, identity: &Identity, at_a_time: usize) -> Settings {
        let external_labels: LabelSet = identity.external_labels.iter().collect();
        Settings {
            interval: self.evaluation_interval.0,
            query_offset: self.rule_query_offset.0,
            external_labels,
            external_url: self.external_url.clone(),
            missing_input: self.missing_input,
            hold_for: self.hold_for.0,
            limits: promql::Limits {
                interval: self.evaluation_interval.0,
                bytes: query_bytes(self.store.max_bytes.0, at_a_time),
                ..promql::Limits::default()
            },
            ..Settings::default()
        }
    }

    fn problems_of_telling(&self, problems: &mut Vec<Problem>) {
        let telling = self.telling();
        if let Some(given) = &self.alertmanager {
            let Telling { own, shared } = &self.shared;
            if !own.receivers.is_empty() || shared.route.is_some() {
                let message = "alerts have two ways to people: `alertmanager`, and `route` and `receivers` beside it";
                problems.push(Problem::new(TWO_WAYS, given.span, message).help("keep one of them"));
            }
        }
        problems.extend(telling.global.problems());
        for (place, receiver) in telling.receivers.iter().enumerate() {
            if telling.receivers[..place].iter().any(|other| other.name.value == receiver.name.value) {
                let message = format!("two receivers are called `{}`", receiver.name.value);
                problems.push(Problem::new(BAD_RULES, receiver.name.span, message).help("give each a name of its own"));
            }
        }
        // Routes may name a receiver that is left out.
        if !telling.receivers.is_in_part() {
            problems.extend(self.routing().err().into_iter().flatten());
        }
        match files::speaker(self, telling, &Identity::default()) {
            Ok(speaker) => {
                let of = |receiver: &Spanned<Receiver>| {
                    let found = receiver.problems(&telling.global, &speaker).into_iter();
                    found.map(|problem| problem.at_least(receiver.span)).collect::<Vec<_>>()
                };
                problems.extend(telling.receivers.iter().flat_map(of));
            }
            Err(wrong) => problems.extend(wrong),
        }
        if let Some(switch) = &self.dead_mans_switch {
            problems.extend(switch.problems(switch.span));
            if let Some(receiver) = &switch.receiver
                && !telling.receivers.is_in_part()
                && telling.receivers.iter().all(|known| known.name.value != receiver.value)
            {
                let message = format!("there is no receiver `{}`", receiver.value);
                problems.push(Problem::new(BAD_RULES, receiver.span, message).help("name one of `receivers`"));
            }
        }
    }
}

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.outbox.problems();
        if self.evaluation_interval.0.is_zero() {
            let problem = Problem::new(BAD_RULES, self.evaluation_interval.span, "`evaluation_interval` is no time");
            problems.push(problem.help("write a time such as 15s"));
        }
        problems.extend(self.selectors().err());
        if let Some(remote) = &self.remote {
            problems.extend(remote.shared.problems(remote.span));
            is_address("url", &remote.url.expose(), remote.url.span, &mut problems);
        }
        self.problems_of_telling(&mut problems);
        problems.extend(self.read().problems.iter().cloned());
        problems
    }

    fn unusual(&self) -> Vec<Problem> {
        unusual::unusual(self)
    }

    fn contents(&self) -> Option<String> {
        Some(unusual::contents(self))
    }

    fn files(&self) -> Vec<PathBuf> {
        let templates = self.telling().templates.iter();
        files::watched(self.rule_files.iter().chain(templates).map(|pattern| pattern.value.as_str()))
    }

    fn misplaced(&self, identity: &Identity) -> Vec<Problem> {
        let mut problems = Vec::new();
        if identity.cluster.as_ref().is_none_or(String::is_empty) {
            let message =
                "`alerting` needs the name of the cluster: without it, incidents of two clusters would be one";
            problems.push(Problem::new(NO_CLUSTER, Span::UNKNOWN, message).help("write `identity: { cluster: NAME }`"));
        }
        let of_one_node = matches!(identity.role, Role::Node | Role::Sidecar);
        if of_one_node && !self.allow_across_nodes {
            let Read { files, spans, .. } = &**self.read();
            problems.extend(files.iter().zip(spans).flat_map(|(file, span)| across_nodes(file, *span)));
        }
        problems
    }
}

/// The rules of a file that cannot be evaluated on one node.
fn across_nodes(file: &RuleFile, span: Span) -> Vec<Problem> {
    let problem = |across: placement::Across| {
        let message = format!(
            "the rule `{}` of the group `{}` ({}:{}) belongs on an aggregator: {}; an agent of one node sees that node alone",
            across.rule,
            across.group,
            file.path.display(),
            across.place,
            across.because.join("; ")
        );
        let help = "group by a label that names the node, such as `instance`; evaluate the rule on an aggregator; or write \
                    `allow_across_nodes: true` where the result of one node is what is meant";
        Problem::new(ACROSS_NODES, span, message).help(help)
    };
    placement::across_nodes(file).into_iter().map(problem).collect()
}

impl TransformPlan for Options {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        match signal {
            Signal::Metrics => Ok(Outputs::Named(vec![(METRICS.into(), Signal::Metrics)])),
            other => {
                Err(format!("rules read metrics, not {}; `log_metrics` and `span_metrics` make some", other.name()))
            }
        }
    }

    fn interest(&self, _: Signal, _: &Names, _: &Interest) -> Result<Interest, PrepareError> {
        Ok(Interest::default())
    }

    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        let common = cx.common;
        let words = |problems: Vec<Problem>| {
            PrepareError(problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; "))
        };
        let resource = Arc::new(identify(&common.identity, &Resource::default()));
        let make = || Running::new(&self.store, &common.series, resource, &common.telemetry);
        let at_a_time = at_a_time(common.workers);
        let running = common.lasting.get_or_try_make(make).map_err(|error| PrepareError(error.to_string()))?;
        let speaker = files::speaker(self, self.telling(), &common.identity).map_err(words)?;
        Ok(PreparedTransform::Task(Box::new(Alerting {
            running,
            read: match self.read() {
                read if read.problems.is_empty() => read.clone(),
                read => return Err(words(read.problems.clone())),
            },
            routing: self.routing().map_err(words)?,
            receivers: self.receivers(&speaker)?,
            settings: self.settings(&common.identity, at_a_time),
            selectors: self.selectors().map_err(|problem| words(vec![problem]))?,
            remote: self.remote.as_ref().map(|remote| Remote::new(remote)).transpose().map_err(PrepareError)?,
            options: self.clone(),
            telemetry: common.telemetry.clone(),
            data_dir: common.data_dir.clone(),
            at_a_time,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_hold_no_more_together_than_one_might_however_many_workers_there_are() {
        for workers in 1..=64 {
            let groups = at_a_time(workers);
            assert!((FEWEST..=MOST).contains(&groups));
            for (store, all) in [(64 << 20, QUERY_BYTES), (1 << 30, 1 << 30)] {
                let bytes = query_bytes(store, groups);
                assert!(bytes * groups as u64 <= all && bytes >= (32 << 20), "{workers} workers: {bytes}");
            }
        }
    }
}
