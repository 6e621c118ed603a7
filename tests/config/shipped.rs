//! What the project ships must work as it stands: it loads, it can be prepared, and its own tests pass.

use std::path::{Path, PathBuf};

use tailwater::app::check::check;
use tailwater::app::trial;
use tailwater::config::{Plan, load_with};
use tailwater::registry::TABLES;

use super::goldens::entries;

fn load(path: &Path) -> Plan {
    let nothing_set = |_: &str| None;
    let plan = load_with(&[path.to_owned()], TABLES, &nothing_set).and_then(|plan| check(&plan).map(|()| plan));
    let plan = plan.unwrap_or_else(|errors| panic!("{}:\n{errors}", path.display()));
    // Keys and rules are not on the machine that tests.
    let of_the_machine = ["TW0105", "TW1067"];
    let warned = plan.warnings.0.iter().any(|warning| !of_the_machine.contains(&warning.problem.code.0));
    assert!(!warned, "{}", plan.warnings.render("warning"));
    plan
}

#[test]
fn every_shipped_configuration_works_as_it_stands() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut paths = entries("config/examples");
    paths.push("config/tailwater.yaml".into());
    paths.push("deploy/kubernetes/base/tailwater.yaml".into());
    paths.push("deploy/kubernetes/otlp/tailwater.yaml".into());
    for path in paths {
        let plan = load(&path);
        for test in &plan.tests {
            let passed = runtime.block_on(trial::run(&plan, test));
            assert!(passed.is_ok(), "{}: {}: {passed:#?}", path.display(), test.name.value);
        }
        let shipped = path.starts_with("config");
        let text = std::fs::read_to_string(&path).expect("readable");
        let tested = !plan.tests.is_empty() || text.contains("tailwater rules test");
        assert!(!shipped || tested, "{} shows how it is tested", path.display());
        assert!(!shipped || text.starts_with("# yaml-language-server: $schema="), "{}", path.display());
    }
}

/// Configurations shown in prose: blocks of YAML that have sources and sinks.
#[test]
fn every_configuration_in_the_documentation_loads() {
    let mut pages: Vec<PathBuf> = entries("docs").into_iter().filter(|path| path.is_file()).collect();
    pages.push("README.md".into());
    let folder = tempfile::tempdir().expect("a folder");
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("readable");
        for (number, block) in blocks(&text).into_iter().enumerate() {
            let whole = |key: &str| block.lines().any(|line| line.starts_with(key));
            if whole("sources:") && whole("sinks:") {
                let name = page.display().to_string().replace('/', "_");
                let path = folder.path().join(format!("{name}.{number}.yaml"));
                std::fs::write(&path, block).expect("written");
                load(&path);
            }
        }
    }
}

/// The contents of the blocks fenced as YAML, without their common indentation.
fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match &mut open {
            None if line.trim_start().starts_with("```yaml") => open = Some((indent, String::new())),
            None => {}
            Some(_) if line.trim_start().starts_with("```") => found.extend(open.take().map(|(_, block)| block)),
            Some((indent, block)) => {
                block.push_str(line.get(*indent..).unwrap_or_default());
                block.push('\n');
            }
        }
    }
    found
}
