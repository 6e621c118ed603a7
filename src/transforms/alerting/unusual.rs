//! What is unusual in a configuration of alerts, but no error, and what it holds: told by `validate`, and in the log at a start.

use super::files::{self, Read};
use super::options::Options;
use super::reader::is_beyond;
use crate::alerting::placement;
use crate::alerting::rule_file::{Kind, Rule, RuleFile};
use crate::options::{Code, Problem, Span};

/// There are no rules.
const NO_RULES: Code = Code("TW1067");
/// A rule reads further back than samples are kept.
const TOO_FAR_BACK: Code = Code("TW1068");
/// Links in pages lead nowhere.
const NO_LINKS: Code = Code("TW1069");

/// What is unusual.
pub(super) fn unusual(options: &Options) -> Vec<Problem> {
    let Read { files, spans, problems, empty } = &**options.read();
    let mut found = Vec::new();
    for pattern in empty {
        let message = format!("no rule file fits `{}`", pattern.value);
        let help = "write one, or leave the pattern out; relative ones begin at the working directory";
        found.push(Problem::new(NO_RULES, pattern.span, message).help(help));
    }
    if let (Some(first), true) = (spans.first(), rules(files).count() == 0 && problems.is_empty()) {
        let message = "no file of `rule_files` has a rule, so there is nothing to evaluate";
        found.push(Problem::new(NO_RULES, *first, message).help("write rules, or leave `rule_files` out"));
    }
    if options.remote.is_none() {
        found.extend(files.iter().zip(spans).flat_map(|(file, span)| too_far_back(options, file, *span)));
    }
    if options.external_url.is_empty() && !options.telling().receivers.is_empty() {
        let message = "`external_url` is missing: links in pages begin with it, and lead nowhere without it";
        let help = "write the address at which people reach this agent's `admin`, or whoever has its metrics";
        found.push(Problem::new(NO_LINKS, Span::UNKNOWN, message).help(help));
    }
    found.extend(options.telling().shared.warnings());
    found
}

fn too_far_back(options: &Options, file: &RuleFile, span: Span) -> Vec<Problem> {
    let retention = options.store.retention_for(files::reach(&options.read().files));
    let problem = |rule: &Rule| {
        let message = format!(
            "the rule `{}` ({}:{}) reads further back than samples are kept ({})",
            rule.name(),
            file.path.display(),
            rule.place,
            crate::options::Duration(retention)
        );
        let help = "raise `alerting.store.retention`, or name a server that has them in `alerting.remote`";
        Problem::new(TOO_FAR_BACK, span, message).help(help)
    };
    let rules = file.groups.iter().flat_map(|group| &group.rules);
    rules.filter(|rule| is_beyond(&rule.query, retention)).map(problem).collect()
}

/// What it holds, and where its rules can be evaluated.
pub(super) fn contents(options: &Options) -> String {
    let files = &options.read().files;
    let retention = options.store.retention_for(files::reach(files));
    let alerting = rules(files).filter(|rule| matches!(rule.kind, Kind::Alert(_))).count();
    let mut words = [
        counted(files.len(), "rule file"),
        counted(files.iter().map(|file| file.groups.len()).sum(), "group"),
        counted(alerting, "alerting rule"),
        counted(rules(files).count() - alerting, "recording rule"),
        counted(options.telling().receivers.len(), "receiver"),
    ]
    .join(", ");
    let across = rules(files).filter(|rule| !placement::because(rule).is_empty()).count();
    let elsewhere = rules(files).filter(|rule| is_beyond(&rule.query, retention)).count();
    if across > 0 {
        words += &format!("; on a node can run all but {across}, which need the series of all nodes");
    }
    if options.remote.is_some() && elsewhere > 0 {
        words += &format!("; `alerting.remote` evaluates {elsewhere}");
    }
    words
}

fn rules(files: &[RuleFile]) -> impl Iterator<Item = &Rule> {
    files.iter().flat_map(|file| &file.groups).flat_map(|group| &group.rules)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
