//! The pages about codes, metrics and the command line.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::CommandFactory;
use prometheus::core::Desc;
use tailwater::cli::Cli;
use tailwater::cli::explain::codes;
use tailwater::config::load;
use tailwater::data::MemoryBudget;
use tailwater::net::span_exporter::Counters;
use tailwater::pipeline::{Common, prepare};
use tailwater::registry::TABLES;
use tailwater::telemetry::{AgentStatus, SeriesWatch, Telemetry};

const MADE: &str = "Made by `cargo test --test reference`; do not edit it by hand.";

/// Every code with its meaning.
pub fn error_codes() -> String {
    let mut page = format!(
        "# Error codes\n\n{MADE} `tailwater explain TW0305` says the\n\
         same. A code never gets another meaning.\n\n\
         `TW00` files and YAML · `TW01` references and secrets · `TW02` keys and values · `TW03` names and inputs · `TW04`\n\
         expressions and transforms · `TW05` options of sources · `TW06` options of sinks · `TW07` tests, HTTP, relabelling\n\
         and scraping · `TW08` warnings and buffers · `TW09` parts that cannot be prepared · `TW10` alerts\n"
    );
    for code in codes() {
        write!(page, "\n## {}: {}\n\n{}\n", code.code, code.title, code.text).expect("memory");
    }
    page
}

/// Every metric that an agent with one component of each kind exposes.
pub fn metrics() -> String {
    let plan =
        load(&["tests/reference/every_component.yaml".into()], TABLES).unwrap_or_else(|errors| panic!("{errors}"));
    let names = |id: &str| plan.graph.components.iter().any(|component| component.id.type_name() == id);
    let kinds = TABLES.sources.iter().map(|kind| kind.name).chain(TABLES.transforms.iter().map(|kind| kind.name));
    let missing: Vec<_> = kinds.chain(TABLES.sinks.iter().map(|kind| kind.name)).filter(|kind| !names(kind)).collect();
    assert!(missing.is_empty(), "{missing:?} belong into tests/reference/every_component.yaml");
    let telemetry = std::sync::Arc::new(Telemetry::new());
    let memory = std::sync::Arc::new(MemoryBudget::new(1 << 20));
    let status = AgentStatus::register(&telemetry, memory.clone()).expect("a fresh registry");
    status.accepted("0");
    let series = tailwater::data::SeriesTable::new(1);
    SeriesWatch::register(&telemetry, series.clone()).expect("a fresh registry");
    Counters::register(telemetry.registry()).expect("a fresh registry");
    let common = Common {
        series,
        telemetry: telemetry.clone(),
        names: Default::default(),
        memory,
        data_dir: plan.data_dir.as_path().into(),
        identity: plan.identity.clone().into(),
        pods: tailwater::kubernetes::Pods::register(&telemetry).expect("a fresh registry"),
        lasting: Default::default(),
        workers: 1,
    };
    assert!(prepare(plan.graph, &common).is_ok(), "every component can be prepared");
    let mut page = format!(
        "# Metrics\n\n{MADE} `GET /metrics` of the listener `health`\n\
         exposes them in the Prometheus text format. Metrics of components have the labels `component`, the name in the configuration, and `kind`.\n\n\
         | metric | type | labels | what it says |\n|---|---|---|---|\n"
    );
    let mut rows = BTreeMap::new();
    let mut row = |name: &str, kind: &str, labels: Vec<&str>, help: &str| {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        rows.insert(name.to_owned(), format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", ")));
    };
    for family in telemetry.registry().gather() {
        let labels = family.get_metric().first().map(|metric| metric.get_label()).unwrap_or_default();
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        row(family.name(), &kind, labels.iter().map(|label| label.name()).collect(), family.help());
    }
    for described in without_values(&telemetry) {
        let kind = if described.fq_name.ends_with("_total") { "counter" } else { "gauge" };
        let fixed = described.const_label_pairs.iter().map(|label| label.name());
        let labels = fixed.chain(described.variable_labels.iter().map(String::as_str)).collect();
        row(&described.fq_name, kind, labels, &described.help);
    }
    rows.values().for_each(|row| page.push_str(row));
    page
}

/// Metrics whose labels nobody knows before something happens.
fn without_values(telemetry: &Telemetry) -> Vec<Desc> {
    let table = tailwater::data::SeriesTable::new(1);
    let rules = tailwater::alerting::Rules::new(table.clone(), Default::default()).expect("metrics");
    let store = tailwater::series::Store::new(&Default::default(), table).expect("metrics");
    [
        rules.metrics().described(),
        tailwater::alerting::paging::described().expect("a fresh registry"),
        store.counters().described(),
        tailwater::sinks::elasticsearch::described(),
        telemetry.described(),
    ]
    .concat()
}

/// Names of metrics in the sources, which the page must have: one that has no value in a test is easily forgotten.
pub fn named_in_sources() -> Vec<String> {
    fn walk(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                // Whatever stands between two quotes: some of it is no literal, and no name either.
                let literals = text.split('"');
                let is_name = |name: &&str| {
                    name.starts_with("tailwater_") && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
                };
                found.extend(literals.filter(is_name).map(str::to_owned));
            }
        }
    }
    let mut found = Vec::new();
    walk("src".as_ref(), &mut found);
    found.sort();
    found.dedup();
    found
}

/// The help of the binary and of every verb.
pub fn command_line() -> String {
    let mut page = format!("# Command line\n\n{MADE} `tailwater help VERB` says the same.\n");
    let mut root = Cli::command().term_width(100);
    root.build();
    write!(page, "\n```\n{}```\n", tidy(&root.clone().render_long_help().to_string())).expect("memory");
    for verb in root.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let name = verb.get_name().to_owned();
        write!(page, "\n## tailwater {name}\n\n{}", help(verb)).expect("memory");
        for what in verb.get_subcommands().filter(|what| what.get_name() != "help") {
            write!(page, "\n### tailwater {name} {}\n\n{}", what.get_name(), help(what)).expect("memory");
        }
    }
    page
}

fn help(verb: &clap::Command) -> String {
    format!("```\n{}```\n", tidy(&verb.clone().term_width(100).render_long_help().to_string()))
}

/// Without blanks at the ends of lines.
fn tidy(help: &str) -> String {
    help.trim_end().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
