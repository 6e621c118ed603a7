//! `tailwater convert`: from what another program is configured with to a configuration of this one, with a
//! report of everything that could not be carried over.

mod alerting;
mod jobs;
mod output;
mod remote_write;
mod secrets;
mod yaml;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::exit;
use super::run::Failed;
use crate::app::Rejected;
use crate::config::{self, OneFile};
use crate::formats::yaml::{Entry, Node, Value};
use crate::options::Span;
use crate::registry::TABLES;
use secrets::Secrets;
use yaml::Yaml;

/// What is converted.
#[derive(Debug, Subcommand)]
pub enum From {
    /// Convert a prometheus.yml
    ///
    /// `global`, `scrape_configs`, `remote_write`, `rule_files` and `alerting` are carried over, the rest is told on
    /// standard error with its line. Rule files stay where they are. The result is checked as `tailwater validate` does. Jobs that find targets by Kubernetes get
    /// `scope: cluster`, since Prometheus scrapes all of them; take it out where an agent runs on every node.
    #[command(after_help = "Examples:
  tailwater convert prometheus /etc/prometheus/prometheus.yml > tailwater.yaml
  tailwater convert prometheus prometheus.yml -o tailwater.yaml

Exit codes: 0 everything was carried over, 1 the result cannot be written or is there already, 3 the file or the result
is not valid, 5 something has no counterpart and was left out, and told")]
    Prometheus {
        /// The prometheus.yml
        file: PathBuf,
        /// Where the result is written. Secrets are written beside it, into the folder FILE.secrets, for their
        /// owner alone
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Overwrite files that are there
        #[arg(long, requires = "output")]
        force: bool,
    },
}

/// What came of it.
pub struct Converted {
    /// The configuration, unless it was written to a file.
    pub yaml: Option<String>,
    /// What is told.
    pub report: String,
    /// The exit code.
    pub exit: u8,
}

/// Something that has no counterpart, or another one than might be expected.
struct Note {
    line: usize,
    text: String,
    /// Whether something was left out.
    lost: bool,
}

/// Converts, checks and writes.
pub fn convert(from: &From) -> Result<Converted, Failed> {
    let From::Prometheus { file: path, output, force } = from;
    let rejected = |errors| Failed::from(Rejected::Config(errors));
    let file = OneFile::read(path).map_err(rejected)?;
    let folder = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    let secrets = Secrets::new(output.as_deref());
    let mut conversion = Conversion { file: &file, folder, secrets, notes: Vec::new() };
    let root = conversion.root();
    let yaml = format!("# Made by `tailwater convert prometheus {}`.\n{DATA_DIR}{}", path.display(), root.render());
    let Conversion { secrets, mut notes, .. } = conversion;
    if let Some(output) = output {
        output::check(output, &secrets.files(), *force).map_err(Failed::Process)?;
        secrets.write().and_then(|()| output::write(output, &yaml)).map_err(Failed::Process)?;
    }
    notes.sort_by_key(|note| note.line);
    let mut report = String::new();
    for note in &notes {
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{}:{}: {}", path.display(), note.line, note.text);
    }
    // Whoever reads that a variable has to be set will set it.
    let environment = |name: &str| secrets.variable(name).or_else(|| std::env::var(name).ok());
    let name = output.clone().unwrap_or_else(|| "converted.yaml".into());
    let lost = notes.iter().filter(|note| note.lost).count();
    let exit = match config::load_text(name, yaml.clone(), TABLES, &environment) {
        Err(errors) => {
            let _ = write!(report, "\nthe result is not valid yet:\n\n{}", errors.render("error"));
            exit::CONFIG
        }
        Ok(plan) => {
            let _ = write!(report, "{}", plan.warnings.render("warning"));
            if lost == 0 { exit::DONE } else { exit::PARTLY }
        }
    };
    let _ = match lost {
        0 if exit == exit::DONE => writeln!(report, "everything was carried over"),
        0 => Ok(()),
        1 => writeln!(report, "1 thing was left out; everything else was carried over"),
        lost => writeln!(report, "{lost} things were left out; everything else was carried over"),
    };
    Ok(Converted { yaml: output.is_none().then_some(yaml), report, exit })
}

/// A conversion under way.
struct Conversion<'a> {
    file: &'a OneFile,
    /// The folder that relative paths begin at.
    folder: PathBuf,
    secrets: Secrets,
    notes: Vec<Note>,
}

/// Where the result keeps its disk queues, with what to know of it: a first run is by hand and not by root.
const DATA_DIR: &str = "\
# Samples that wait for a receiver are kept here, below the folder that the agent is started in. For a service
# take the line out: then it is /var/lib/tailwater.
data_dir: ./tailwater-data
";

/// The source's name in the result.
const SOURCE: &str = "prometheus_scrape/main";

impl Conversion<'_> {
    /// Tells of something that is left out.
    fn lost(&mut self, at: Span, text: impl Into<String>) {
        self.notes.push(Note { line: self.file.line(at), text: text.into(), lost: true });
    }

    /// Tells of something that is carried over in another way.
    fn changed(&mut self, at: Span, text: impl Into<String>) {
        self.notes.push(Note { line: self.file.line(at), text: text.into(), lost: false });
    }

    fn root(&mut self) -> Yaml {
        let file = self.file;
        let Value::Map(entries) = &file.root().value else {
            self.lost(file.root().span, "this is no configuration of Prometheus: it is no mapping");
            return Yaml::Map(Vec::new());
        };
        let (mut identity, mut source, mut sinks) = (Vec::new(), Vec::new(), Vec::new());
        let mut rules = alerting::Rules::default();
        for entry in entries {
            match &*entry.key {
                "global" => {
                    let global = self.global(&entry.node, &mut identity, &mut rules);
                    source.extend(global.map(|global| ("global".into(), global)));
                }
                "rule_files" => rules.files = Some(entry),
                "alerting" => rules.alerting = Some(entry),
                "scrape_configs" => source.push(("scrape_configs".into(), self.jobs(&entry.node))),
                "remote_write" => sinks = self.sinks(&entry.node),
                key => {
                    let text = format!("`{key}` is left out: {}", elsewhere(key));
                    self.lost(entry.key_span, text);
                }
            }
        }
        let alerting = self.alerting(&rules, &mut identity);
        if alerting.is_some() {
            // Prometheus sends on what its rules record.
            sinks.iter_mut().for_each(|(_, sink)| also_results(sink));
        }
        let scrapes = source.iter().any(|(key, _)| key == "scrape_configs");
        let mut root = Vec::new();
        if !identity.is_empty() {
            root.push(("identity".into(), Yaml::Map(identity)));
        }
        if scrapes {
            root.push(("sources".into(), Yaml::Map(vec![(SOURCE.into(), Yaml::Map(source))])));
            root.extend(alerting.map(|alerting| ("alerting".into(), alerting)));
        } else {
            self.lost(file.root().span, "there are no `scrape_configs`, so there is nothing to send");
            sinks.clear();
        }
        if sinks.is_empty() {
            let text = "there is no `remote_write`, and what Prometheus stores itself has no counterpart: add a sink \
                        that the samples go to";
            self.lost(file.root().span, text);
        } else {
            root.push(("sinks".into(), Yaml::Map(sinks)));
        }
        Yaml::Map(root)
    }
}

/// Adds what rules came to to the inputs of a sink.
fn also_results(sink: &mut Yaml) {
    let Yaml::Map(entries) = sink else { return };
    let inputs = entries.iter_mut().find(|(key, _)| key == "inputs");
    if let Some((_, Yaml::List(inputs))) = inputs {
        inputs.push(Yaml::plain("alerting.metrics"));
    }
}

/// Why a root key of Prometheus has no counterpart.
fn elsewhere(key: &str) -> &'static str {
    match key {
        "storage" => "`alerting.store` says for how long rules and queries find samples",
        "tracing" => "`telemetry` says where this agent sends traces of its own",
        "otlp" => "OTLP is received by a source of its own, `otlp`",
        "remote_read" => "this agent answers queries from its own samples",
        "runtime" => "it is about Prometheus's own process",
        "scrape_config_files" => "write the jobs of these files into `scrape_configs` and convert again",
        _ => "Prometheus has no such key",
    }
}

/// The entries of a mapping; what is none has none.
fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

/// The text of a scalar.
fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) if !node.is_null() => Some(&scalar.text),
        _ => None,
    }
}

/// A name as components have it: lower case, digits, `_` and `-`.
fn component(name: &str) -> String {
    let letter = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' => c,
        _ => '-',
    };
    name.chars().map(letter).collect::<String>().trim_matches('-').to_owned()
}
