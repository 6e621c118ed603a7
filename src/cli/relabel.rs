//! `tailwater relabel`: what each rule does to a set of labels, for whoever asks where a target went.

use std::any::Any;
use std::fmt::Write;
use std::io::BufRead;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value as Json;

use super::run::Failed;
use crate::app::Rejected;
use crate::config::{self, OneFile};
use crate::data::LabelSet;
use crate::data::labels::METRIC_NAME;
use crate::formats::prometheus::names::is_legacy;
use crate::formats::prometheus::{Entry, Exposition, NameValidation, TextParser};
use crate::options::{PrometheusDuration, Spanned};
use crate::pipeline::graph::Role;
use crate::registry::TABLES;
use crate::relabel::{RelabelRule, Rules, Step, Trace, Verdict};
use crate::sources::prometheus_scrape::config::{Job, Options};

/// Which rules, and which labels.
#[derive(Debug, Args)]
pub struct RelabelArgs {
    /// A configuration whose job has the rules; may be given several times
    #[arg(long, short, value_name = "FILE|FOLDER", requires = "job", conflicts_with = "rules")]
    config: Vec<PathBuf>,
    /// The job, by its `job_name`
    #[arg(long, value_name = "NAME", requires = "config")]
    job: Option<String>,
    /// Apply `metric_relabel_configs` to series instead of `relabel_configs` to targets
    #[arg(long, requires = "job")]
    metrics: bool,
    /// A YAML file with a list of rules
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    rules: Option<PathBuf>,
    /// Sets of labels; without any, standard input has one a line
    labels: Vec<String>,
}

/// Rules, and the labels that are there before they are given.
struct Rulebook {
    written: Vec<Spanned<RelabelRule>>,
    rules: Rules,
    beside: LabelSet,
}

/// Applies the rules and tells what they did.
pub fn relabel(args: &RelabelArgs) -> Result<String, Failed> {
    let book = match &args.rules {
        Some(path) => from_file(path)?,
        None => from_job(args)?,
    };
    let mut out = String::new();
    let mut show = |text: &str| -> Result<(), Failed> {
        let mut labels = read(text).map_err(|why| Failed::Process(format!("`{text}` are no labels: {why}")))?;
        let absent: Vec<_> = book.beside.iter().filter(|(name, _)| !labels.has(name)).collect();
        labels.extend(absent);
        if !out.is_empty() {
            out.push('\n');
        }
        tell(&book.written, &labels, &book.rules.trace(&labels), &mut out);
        Ok(())
    };
    if !args.labels.is_empty() {
        args.labels.iter().try_for_each(|text| show(text))?;
        return Ok(out);
    }
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Failed::Process(format!("cannot read standard input: {error}")))?;
        if !line.trim().is_empty() {
            show(&line)?;
        }
    }
    Ok(out)
}

fn from_file(path: &std::path::Path) -> Result<Rulebook, Failed> {
    let wrong = |errors| Failed::from(Rejected::Config(errors));
    let file = OneFile::read(path).map_err(wrong)?;
    let written: Vec<Spanned<RelabelRule>> = file.typed().map_err(wrong)?;
    let rules = Rules::new(&written, NameValidation::Utf8).map_err(|problems| wrong(file.locate(problems)))?;
    Ok(Rulebook { written, rules, beside: LabelSet::new() })
}

fn from_job(args: &RelabelArgs) -> Result<Rulebook, Failed> {
    let plan = config::load(&args.config, TABLES).map_err(|errors| Failed::from(Rejected::Config(errors)))?;
    let wanted = args.job.as_deref().unwrap_or_default();
    let mut known = Vec::new();
    for component in &plan.graph.components {
        let Role::Source(source) = &component.role else { continue };
        let source: &dyn Any = &**source;
        let Some(options) = source.downcast_ref::<Options>() else { continue };
        // The configuration was accepted, so its jobs are right.
        for job in options.plan().map(|plan| plan.jobs).unwrap_or_default() {
            if job.name != wanted {
                known.push(format!("`{}`", job.name));
                continue;
            }
            let written = options.scrape_configs.iter().find(|written| written.value.own.own.job_name.value == wanted);
            let Some(written) = written.map(|written| &written.value.own.own) else { continue };
            return Ok(match args.metrics {
                true => Rulebook {
                    written: written.metric_relabel_configs.clone(),
                    rules: job.metric_relabel,
                    beside: LabelSet::new(),
                },
                false => Rulebook {
                    written: written.relabel_configs.clone(),
                    beside: of_every_target(&job),
                    rules: job.relabel,
                },
            });
        }
    }
    let jobs = if known.is_empty() { "it has none".into() } else { format!("its jobs: {}", known.join(", ")) };
    Err(Failed::Usage(format!("the configuration has no job `{wanted}`; {jobs}")))
}

/// Labels that every target of a job has before relabelling.
fn of_every_target(job: &Job) -> LabelSet {
    let mut labels: LabelSet = [
        ("job", job.name.clone()),
        ("__scheme__", job.scheme.clone()),
        ("__metrics_path__", job.metrics_path.clone()),
        ("__scrape_interval__", PrometheusDuration(job.interval).to_string()),
        ("__scrape_timeout__", PrometheusDuration(job.timeout).to_string()),
    ]
    .into_iter()
    .collect();
    for (name, values) in &job.params {
        labels.set(&format!("__param_{name}"), values.first().map_or("", String::as_str));
    }
    labels
}

/// Reads `{a="b"}`, `name{a="b"}` or a JSON object.
fn read(text: &str) -> Result<LabelSet, String> {
    let text = text.trim();
    if text.starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<Json>(text)
    {
        return from_json(value);
    }
    // The text format wants a name and a value.
    let unnamed = text.starts_with('{');
    let line = format!("{}{text} 0\n", if unnamed { "x" } else { "" });
    let mut parser = TextParser::new(line.as_bytes());
    let mut labels = LabelSet::new();
    match parser.next() {
        Ok(Some(Entry::Series(series))) => {
            let (raw, kind) = (series.raw.to_vec(), Default::default());
            TextParser::read_labels(&raw, kind, &mut labels).map_err(|fault| fault.to_string())?;
        }
        Ok(_) => return Err("write them as {name=\"value\"} or as a JSON object of texts".into()),
        Err(error) => return Err(error.to_string()),
    }
    if unnamed {
        labels.remove(METRIC_NAME);
    }
    Ok(labels)
}

fn from_json(value: Json) -> Result<LabelSet, String> {
    let Json::Object(object) = value else { return Err("it is JSON, and no object".into()) };
    let label = |(name, value)| match value {
        Json::String(value) => Ok((name, value)),
        // What it would be as a label is not for a guess: 1e3, 1000 and 1000.0 are one number and three values.
        Json::Number(_) => Err(format!("`{name}` is a number; values are texts: put it in quotes")),
        Json::Bool(word) => Err(format!("`{name}` is {word}; values are texts: put it in quotes")),
        Json::Null => Err(format!("`{name}` is null; leave out a label that is not there")),
        Json::Array(_) | Json::Object(_) => Err(format!("`{name}` is a list or an object; values are texts")),
    };
    object.into_iter().map(label).collect()
}

fn tell(written: &[Spanned<RelabelRule>], labels: &LabelSet, trace: &Trace, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}", shown(labels));
    for (index, (step, rule)) in trace.steps.iter().zip(written).enumerate() {
        let _ = writeln!(out, "{:3}  {}", index + 1, described(step, rule));
        if !step.sources.is_empty() {
            let _ = writeln!(out, "       looks at {:?}", step.input);
        }
        for change in &step.changes {
            let name = name(&change.name);
            let _ = match (&*change.before, &*change.after) {
                ("", after) => writeln!(out, "       + {name}={after:?}"),
                (before, "") => writeln!(out, "       - {name}={before:?}"),
                (before, after) => writeln!(out, "       ~ {name}={before:?} -> {after:?}"),
            };
        }
        let _ = match step.verdict {
            Verdict::Dropped => writeln!(out, "       dropped"),
            Verdict::Kept if step.changes.is_empty() => writeln!(out, "       nothing changes"),
            Verdict::Kept => Ok(()),
        };
    }
    let _ = match trace.verdict {
        Verdict::Kept => writeln!(out, "kept: {}", shown(&trace.labels)),
        Verdict::Dropped => writeln!(out, "dropped by rule {}", trace.steps.len()),
    };
}

/// A rule in one line, without what it has by default.
fn described(step: &Step, rule: &RelabelRule) -> String {
    let mut text = step.action.name().to_owned();
    if !step.sources.is_empty() {
        let _ = write!(text, " [{}]", step.sources.join(", "));
    }
    let parts = [("regex", &rule.regex), ("target_label", &rule.target_label), ("replacement", &rule.replacement)];
    for (key, value) in parts {
        if let Some(value) = value {
            let _ = write!(text, " {key} {:?}", value.value);
        }
    }
    if let Some(modulus) = &rule.modulus {
        let _ = write!(text, " modulus {}", modulus.value);
    }
    text
}

fn shown(labels: &LabelSet) -> String {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{}={value:?}", name(key))).collect();
    format!("{{{}}}", labels.join(", "))
}

fn name(name: &str) -> String {
    if is_legacy(name, false) { name.to_owned() } else { format!("{name:?}") }
}
