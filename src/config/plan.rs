//! The plan of the whole agent, made from a merged document. A plan that exists has been checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::de::Context;
use super::document::Document;
use super::error::{Errors, Located, Place};
use super::fragments::Fragments;
use super::ports::Ports;
use super::test_case::TestCase;
use super::topology::{self, Draft};
use super::wiring;
use super::{Tables, codes, dump, fault, unredacted};
use crate::formats::yaml::{Entry, Value};
use crate::options::{Duration, Identity, Problem, Span, Spanned, section, whole_file};
use crate::pipeline::graph::{Buffer, ComponentId, Graph, Role};
use crate::pipeline::{BuildError, Descriptor, component};

/// Everything that the configuration says, checked.
pub struct Plan {
    /// The pipeline.
    pub graph: Graph,
    /// Where durable files go.
    pub data_dir: PathBuf,
    /// Who this agent is. The node is always known.
    pub identity: Identity,
    /// How long an old path may drain at a reload and at the end.
    pub drain_timeout: std::time::Duration,
    /// The root sections that parts of the agent own.
    pub sections: Sections,
    /// The configuration's own tests.
    pub tests: Vec<TestCase>,
    /// Hash of everything but the tests.
    pub hash: u64,
    /// What is unusual, but no error.
    pub warnings: Errors,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    /// Files that secrets come from: to be read again when they change.
    pub secret_files: Vec<PathBuf>,
    /// Files that other values come from: the configuration is another when they change.
    pub value_files: Vec<PathBuf>,
    /// The configuration as written, merged, fragments inserted, with `***` for every secret.
    pub masked: serde_json::Value,
    /// Where each component was written.
    pub(super) places: BTreeMap<ComponentId, Place>,
    /// The same, before the places were looked up.
    pub(super) spans: BTreeMap<ComponentId, Span>,
}

impl Plan {
    /// Components that could not be prepared, told as what is wrong with the configuration is.
    pub fn refused(&self, errors: &[BuildError]) -> Errors {
        let locate = |error: &BuildError| {
            let message = format!("`{}` cannot be prepared: {}", error.component, error.reason);
            Located {
                problem: Problem::new(codes::REFUSED, Span::UNKNOWN, message),
                place: self.places.get(&error.component).cloned(),
            }
        };
        Errors(errors.iter().map(locate).collect())
    }
}

/// Root sections by name.
#[derive(Default)]
pub struct Sections(BTreeMap<&'static str, section::Value>);

impl Sections {
    /// A section, of the type that its owner gave it.
    pub fn get<T: 'static>(&self, name: &str) -> Option<&T> {
        self.0.get(name)?.downcast_ref()
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("files", &self.files).field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// What is found wrong or unusual on the way, without places looked up.
#[derive(Default)]
pub(super) struct Findings {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Makes a plan; the findings say whether it may be used.
pub(super) fn make(document: &Document, tables: Tables, context: &Context<'_>, findings: &mut Findings) -> Plan {
    let single = |key: &str| document.get(key).map(|entry| (&*entry.node, Some(entry.key_span)));
    let data_dir = single("data_dir").and_then(|(node, key)| context.typed::<PathBuf>(node, key));
    let identity = single("identity").and_then(|(node, key)| context.typed::<Identity>(node, key));
    let drain = single("drain_timeout").and_then(|(node, key)| context.typed::<Duration>(node, key));
    let sections = tables.sections.iter().filter_map(|section| {
        let value = match document.get(section.name) {
            None => (section.default)(),
            Some(entry) => context.read(&entry.node, Some(entry.key_span), |de| {
                (section.plan)(&mut <dyn erased_serde::Deserializer<'_>>::erase(de))
            })?,
        };
        Some((section, value))
    });
    let sections: Vec<_> = sections.collect();
    let mut ports = Ports::default();
    for (section, value) in &sections {
        let key = document.get(section.name).map_or(Span::UNKNOWN, |entry| entry.key_span);
        findings.problems.extend((section.problems)(&**value).into_iter().map(|problem| problem.at_least(key)));
        findings.problems.extend(ports.take(section.name, key, (section.listeners)(&**value)));
    }
    let sections = Sections(sections.into_iter().map(|(section, value)| (section.name, value)).collect());

    let mut expanded: [Vec<Entry>; 3] = Default::default();
    let mut fragments = Fragments::new(&document.fragments, &mut findings.problems);
    for (group, entries) in document.groups.iter().enumerate() {
        let expand = |entry: &Entry| Entry { node: fragments.expand(&entry.node), ..entry.clone() };
        expanded[group] = entries.iter().map(expand).collect();
    }
    let unused = fragments.unused();
    findings.warnings.extend(unused);

    let identity = identified(identity.unwrap_or_default(), context);
    let mut drafts = drafts(&expanded, tables, &identity, context, &mut findings.problems);
    if let Some(entry) = document.get(tables.alerting.name) {
        let descriptor = Some(tables.alerting);
        let problems = &mut findings.problems;
        drafts.push(draft("transform", entry, descriptor, Role::Transform, &identity, context, problems));
    }
    for (draft, role) in drafts.iter().filter_map(|draft| Some((draft, draft.role.as_ref()?))) {
        findings.problems.extend(ports.take(&draft.id.0, draft.span, role.plan().listeners()));
    }
    let beside = drafts.iter().filter_map(|draft| draft.role.as_ref()).flat_map(|role| role.plan().files());
    let beside: Vec<PathBuf> = beside.collect();
    // Where something else is wrong there may be what was meant as a source.
    if drafts.is_empty() && findings.problems.is_empty() {
        let problem =
            Problem::new(codes::NOTHING_TO_RUN, Span::UNKNOWN, "the configuration has no sources and no sinks");
        findings.problems.push(problem.help("write at least one of each, under `sources` and `sinks`"));
    }
    let spans = drafts.iter().map(|draft| (draft.id.clone(), draft.span)).collect();
    let tests = tests(document, &drafts, context, &mut findings.problems);
    let graph = topology::build(drafts, &mut findings.problems, &mut findings.warnings);
    findings.warnings.extend(unredacted::shown(&graph));
    if findings.problems.is_empty() {
        let wrong = |test: &TestCase| test.without_output(&graph).or_else(|| test.of_other_signal(&graph));
        findings.problems.extend(tests.iter().filter_map(wrong));
    }
    let tree = dump::Tree { document, expanded: &expanded };
    Plan {
        graph,
        data_dir: data_dir.unwrap_or_else(|| PathBuf::from(super::DATA_DIR)),
        identity,
        drain_timeout: drain.map_or(super::DRAIN_TIMEOUT, |drain| drain.0),
        sections,
        tests,
        hash: context.with_notes(|notes| tree.hash(notes)),
        warnings: Errors(Vec::new()),
        files: Vec::new(),
        secret_files: context.with_notes(|notes| notes.secret_files.iter().cloned().collect()),
        value_files: context.with_notes(|notes| notes.value_files.iter().cloned().chain(beside).collect()),
        masked: context.with_notes(|notes| tree.masked(notes)),
        places: BTreeMap::new(),
        spans,
    }
}

/// Reads the configuration's own tests.
fn tests(document: &Document, drafts: &[Draft], context: &Context<'_>, problems: &mut Vec<Problem>) -> Vec<TestCase> {
    let (transforms, others): (Vec<_>, Vec<_>) = drafts.iter().partition(|draft| draft.kind == "transform");
    let names = |drafts: Vec<&Draft>| drafts.iter().map(|draft| draft.id.0.clone()).collect::<Vec<_>>();
    let (transforms, others) = (names(transforms), names(others));
    let transforms: Vec<&str> = transforms.iter().map(|name| &**name).collect();
    let others: Vec<&str> = others.iter().map(|name| &**name).collect();
    let read = document.tests.iter().filter_map(|node| context.typed::<TestCase>(node, None));
    read.inspect(|test| problems.extend(test.problems(&transforms, &others))).collect()
}

fn identified(mut identity: Identity, context: &Context<'_>) -> Identity {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    let node = identity.node.filter(|node| !node.is_empty());
    identity.node = node.or_else(|| context.variable("NODE_NAME").filter(|name| !name.is_empty())).or_else(host);
    identity
}

/// Reads every component's own entry.
fn drafts(
    groups: &[Vec<Entry>; 3],
    tables: Tables,
    identity: &Identity,
    context: &Context<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (group, entries) in groups.iter().enumerate() {
        for entry in entries {
            if let Some(first) = drafts.iter().find(|draft| *draft.id.0 == *entry.key) {
                let message = format!("`{}` is a {} already; a name is used once", entry.key, first.kind);
                let problem = Problem::new(codes::NAME_TAKEN, entry.key_span, message);
                problems.push(problem.help("change the part behind the slash"));
                continue;
            }
            let draft = match group {
                0 => {
                    let descriptor = name("source", entry, tables.sources, problems);
                    draft("source", entry, descriptor, Role::Source, identity, context, problems)
                }
                1 => {
                    let descriptor = name("transform", entry, tables.transforms, problems);
                    draft("transform", entry, descriptor, Role::Transform, identity, context, problems)
                }
                _ => {
                    let descriptor = name("sink", entry, tables.sinks, problems);
                    draft("sink", entry, descriptor, Role::Sink, identity, context, problems)
                }
            };
            drafts.push(draft);
        }
    }
    drafts
}

/// Reads one component's entry. What is wrong in it does not keep others from being checked: the name
/// stays known.
fn draft<P: ?Sized + component::Plan>(
    kind: &'static str,
    entry: &Entry,
    descriptor: Option<&Descriptor<P>>,
    role: impl FnOnce(Arc<P>) -> Role,
    identity: &Identity,
    context: &Context<'_>,
    problems: &mut Vec<Problem>,
) -> Draft {
    let parts = wiring::take(&entry.node);
    let inputs = inputs(kind, entry, parts.inputs.as_ref(), context, problems);
    let wired: &[&str] = if kind == "source" { &[] } else { &["inputs", "buffer"] };
    let (plan, is_whole) = descriptor.map_or((None, false), |descriptor| {
        context.read_in_part(&parts.options, Some(entry.key_span), |de| {
            (descriptor.plan)(&mut <dyn erased_serde::Deserializer<'_>>::erase(de.beside(wired)))
        })
    });
    // What is wrong with one part hides nothing of what is wrong with others.
    if let (Some(plan), false) = (&plan, is_whole) {
        problems.extend(plan.problems().into_iter().map(|problem| problem.at_least(entry.key_span)));
    }
    let plan = plan.filter(|_| is_whole);
    // What its files say is looked at before they are read: one that changes between the two makes it another plan.
    let beside = plan.as_ref().map_or(0, |plan| contents(&plan.files()));
    if let Some(plan) = &plan {
        context.warn(plan.unusual().into_iter().map(|warning| warning.at_least(entry.key_span)));
        let wrong = plan.problems().into_iter().chain(plan.misplaced(identity));
        problems.extend(wrong.map(|problem| problem.at_least(entry.key_span)));
    }
    let role = plan.map(|plan| role(Arc::from(plan)));
    let defaults = match &role {
        Some(Role::Sink(plan)) => plan.default_buffer(),
        Some(Role::Transform(plan)) => plan.default_buffer(),
        _ => Buffer::default(),
    };
    let buffer = buffer(kind, parts.buffer.as_ref(), defaults, context, problems);
    Draft {
        id: ComponentId(entry.key.clone()),
        span: entry.key_span,
        kind,
        role,
        inputs,
        buffer,
        hash: context.with_notes(|notes| dump::hash(&entry.key, &entry.node, notes)) ^ beside,
    }
}

/// Largest file beside the configuration: that of a rule file.
const MOST_BESIDE: u64 = 64 << 20;

/// A hash of what files say; 0 for none.
fn contents(files: &[PathBuf]) -> u64 {
    let read = files.iter().filter_map(|path| whole_file::bytes(path, MOST_BESIDE).ok());
    read.fold(0, |hash, bytes| xxh3_64_with_seed(&bytes, hash))
}

/// Checks the shape of a component's name and finds its type; what is wrong with it is told.
fn name<'t, P: ?Sized>(
    kind: &str,
    entry: &Entry,
    table: &[&'t Descriptor<P>],
    problems: &mut Vec<Problem>,
) -> Option<&'t Descriptor<P>> {
    described(kind, entry, table).map_err(|problem| problems.push(problem)).ok()
}

fn described<'t, P: ?Sized>(
    kind: &str,
    entry: &Entry,
    table: &[&'t Descriptor<P>],
) -> Result<&'t Descriptor<P>, Problem> {
    let written = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let word = |part: &str| !part.is_empty() && part.chars().all(written);
    let types: Vec<&str> = table.iter().map(|descriptor| descriptor.name).collect();
    let (type_name, name) = entry.key.split_once('/').unwrap_or((&entry.key, ""));
    if !word(type_name) || !word(name) {
        let message = format!("`{}` is not a component's name: `type/name`, of a-z, 0-9, _ and -", entry.key);
        let known = if types.contains(&type_name) { type_name } else { types.first().copied().unwrap_or("type") };
        return Err(Problem::new(codes::BAD_NAME, entry.key_span, message).help(format!("for example `{known}/main`")));
    }
    table.iter().find(|descriptor| descriptor.name == type_name).copied().ok_or_else(|| {
        let message = format!("no {kind} is of type `{type_name}`");
        let help = fault::instead(type_name, &types, "types");
        Problem::new(codes::UNKNOWN_TYPE, entry.key_span, message).help(help)
    })
}

fn inputs(
    kind: &str,
    entry: &Entry,
    inputs: Option<&Entry>,
    context: &Context<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Spanned<String>> {
    let Some(inputs) = inputs else {
        // What is no mapping is told when its options are read.
        let mapping = entry.node.is_null() || matches!(entry.node.value, Value::Map(_));
        if kind != "source" && mapping {
            let message = format!("`{}` has no `inputs`: nothing would reach it", entry.key);
            let help = "write `inputs: [type/name]` with the name of a source or a transform";
            problems.push(Problem::new(codes::NO_INPUTS, entry.key_span, message).help(help));
        }
        return Vec::new();
    };
    if kind == "source" {
        let message = "unknown key `inputs`: a source has none";
        problems.push(Problem::new(codes::UNKNOWN_KEY, inputs.key_span, message).help("leave it out"));
        return Vec::new();
    }
    let read = context.typed::<Vec<Spanned<String>>>(&inputs.node, Some(inputs.key_span));
    if read.as_ref().is_some_and(Vec::is_empty) {
        let message = format!("the `inputs` of `{}` are empty: nothing would reach it", entry.key);
        let help = "name a source or a transform";
        problems.push(Problem::new(codes::NO_INPUTS, inputs.key_span, message).help(help));
    }
    read.unwrap_or_default()
}

fn buffer(
    kind: &str,
    buffer: Option<&Entry>,
    defaults: Buffer,
    context: &Context<'_>,
    problems: &mut Vec<Problem>,
) -> Buffer {
    let Some(entry) = buffer else { return defaults };
    if kind == "source" {
        let message = "unknown key `buffer`: a source has none";
        let help = "a buffer stands before a sink, or before a transform that absorbs or holds";
        problems.push(Problem::new(codes::UNKNOWN_KEY, entry.key_span, message).help(help));
        return defaults;
    }
    let read = context.typed::<wiring::Buffer>(&entry.node, Some(entry.key_span));
    read.map_or(defaults, |read| read.plan(kind, defaults, problems))
}
