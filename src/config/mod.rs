//! Floor 8: from YAML to a checked plan, with every error at its place.
//!
//! `formats::yaml` reads YAML into a tree of nodes that know where they were written; `document` merges the files;
//! `fragments` inserts what `use:` names; `de` gives every node to the option type it belongs to;
//! `topology` makes the graph. The components and sections there are come in as [`Tables`].

mod codes;
mod de;
mod document;
mod dump;
mod error;
mod fault;
mod fragments;
mod include;
mod interpolate;
mod key_files;
mod mask;
mod one_file;
mod plan;
mod ports;
mod receivers;
mod scalar;
mod schema;
mod test_case;
mod topology;
mod unredacted;
pub mod watch;
mod wiring;

use std::path::PathBuf;
use std::time::Duration;

pub use error::{Errors, Located, Place};
pub use one_file::OneFile;
pub use plan::{Plan, Sections};
pub use schema::schema;
pub use test_case::{Expected, Record, SpanFields, TestCase};

use crate::options::Section;
use crate::pipeline::{Descriptor, SinkPlan, SourcePlan, TransformPlan};

/// Where durable files go unless the configuration says otherwise.
pub const DATA_DIR: &str = "/var/lib/tailwater";

/// How long an old path may drain unless the configuration says otherwise.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// What a configuration may name.
#[derive(Clone, Copy)]
pub struct Tables {
    /// Kinds of sources.
    pub sources: &'static [&'static Descriptor<dyn SourcePlan>],
    /// Kinds of transforms.
    pub transforms: &'static [&'static Descriptor<dyn TransformPlan>],
    /// Kinds of sinks.
    pub sinks: &'static [&'static Descriptor<dyn SinkPlan>],
    /// The one component that is called by its root key alone, `alerting`, and reads metrics.
    pub alerting: &'static Descriptor<dyn TransformPlan>,
    /// Root sections.
    pub sections: &'static [&'static Section],
}

/// Reads files and folders into a plan, or says everything that is wrong with them.
pub fn load(paths: &[PathBuf], tables: Tables) -> Result<Plan, Errors> {
    load_with(paths, tables, &|name| std::env::var(name).ok())
}

/// [`load`], with variables from elsewhere than the process's environment.
pub fn load_with(
    paths: &[PathBuf],
    tables: Tables,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, Errors> {
    let mut findings = plan::Findings::default();
    let files = document::read(paths, &mut findings.problems);
    load_files(files, findings, tables, environment)
}

/// [`load_with`], of a text that is in no file yet; `name` stands for the file in what is told.
pub fn load_text(
    name: PathBuf,
    text: String,
    tables: Tables,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, Errors> {
    let files = vec![error::SourceFile { path: name, text }];
    load_files(files, plan::Findings::default(), tables, environment)
}

fn load_files(
    mut files: Vec<error::SourceFile>,
    mut findings: plan::Findings,
    tables: Tables,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, Errors> {
    let sections: Vec<&'static str> = tables.sections.iter().map(|section| section.name).collect();
    let mut document = document::merge(&files, &sections, &mut findings.problems);
    let own_files = files.len();
    let included = include::alertmanager(&mut document, &mut files, &mut findings.problems);
    let context = de::Context::new(environment);
    // A file that cannot be read or parsed makes everything else look wrong: it is told alone.
    let broken = |problem: &crate::options::Problem| {
        matches!(
            problem.code,
            codes::UNREADABLE
                | codes::SYNTAX
                | codes::DUPLICATE_KEY
                | codes::TOO_LARGE
                | codes::UNSUPPORTED_YAML
                | codes::NO_FILES
        )
    };
    if findings.problems.iter().any(broken) {
        return Err(Errors::locate(findings.problems, &files, &context.into_notes()));
    }
    if let Some(alerting) = document.get(tables.alerting.name) {
        key_files::missing(&alerting.node, &mut findings.warnings);
    }
    let mut plan = plan::make(&document, tables, &context, &mut findings);
    let mut notes = context.into_notes();
    findings.problems.append(&mut notes.problems);
    findings.warnings.append(&mut notes.warnings);
    if !findings.problems.is_empty() {
        return Err(Errors::locate(findings.problems, &files, &notes));
    }
    let look_up = |span| error::look_up(span, &files, &notes);
    plan.places = plan.spans.iter().filter_map(|(id, span)| Some((id.clone(), look_up(*span)?))).collect();
    plan.tests.iter_mut().for_each(|test| test.place = look_up(test.name.span));
    plan.warnings = Errors::locate(findings.warnings, &files, &notes);
    plan.files = files.into_iter().take(own_files).map(|file| file.path).collect();
    plan.value_files.extend(included);
    Ok(plan)
}
