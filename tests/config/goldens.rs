//! The goldens: each configuration is loaded and prepared, and what is told is compared, character by
//! character.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use tailwater::app::check::check;
use tailwater::app::trial;
use tailwater::config::{Errors, Plan, load_with};

use super::tables::{environment, tables};

/// What `validate` prints about a configuration, and the plan if it is valid.
pub fn judge(path: &Path) -> (String, Option<Plan>) {
    let loaded = load_with(&[path.to_owned()], tables(), &environment);
    let judged = loaded.and_then(|plan| check(&plan).map(|()| plan));
    match judged {
        Ok(plan) => (plan.warnings.render("warning"), Some(plan)),
        Err(errors) => (Errors::render(&errors, "error"), None),
    }
}

/// Paths of a folder, sorted.
pub fn entries(folder: &str) -> Vec<PathBuf> {
    let read = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut paths: Vec<_> = read.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds goldens");
    paths
}

#[test]
fn good_configurations_load_without_a_word_and_pass_their_own_tests() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut refused = String::new();
    for path in entries("tests/config/good") {
        let (told, plan) = judge(&path);
        if !told.is_empty() || plan.is_none() {
            writeln!(refused, "{}:\n{told}", path.display()).expect("memory");
        }
        for test in plan.iter().flat_map(|plan| &plan.tests) {
            if let Err(failure) = runtime.block_on(trial::run(plan.as_ref().expect("it has tests"), test)) {
                writeln!(refused, "{}: {}: {failure:#?}", path.display(), test.name.value).expect("memory");
            }
        }
    }
    assert!(refused.is_empty(), "\n{refused}");
}

#[test]
fn bad_configurations_are_refused_in_these_words() {
    let update = std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some();
    let mut wrong = String::new();
    for folder in entries("tests/config/bad") {
        let (file, of_files, expected) = (folder.join("input.yaml"), folder.join("input"), folder.join("expected.txt"));
        let (told, _) = judge(if of_files.is_dir() { &of_files } else { &file });
        assert!(!told.is_empty(), "{}: nothing is told", folder.display());
        if update {
            std::fs::write(&expected, &told).expect("written");
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        if told != wanted {
            writeln!(wrong, "{}:\n--- expected\n{wanted}\n--- got\n{told}", folder.display()).expect("memory");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}\nset TAILWATER_UPDATE_GOLDENS=1 to write what is got");
}
