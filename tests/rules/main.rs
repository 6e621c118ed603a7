//! `tailwater rules test` beside the real promtool: the same verdict and exit code, and the same words where something does
//! not hold.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

mod check;
#[path = "../support/server_process.rs"]
mod server_process;

/// Files of tests: all of `files` whose name ends in `.test.yml`.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/files");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of files")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(".test.yml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// What a command says of a file, run in its folder: what it prints, what it complains of, its exit code.
fn said(mut command: Command, file: &Path) -> (String, String, Option<i32>) {
    let folder = file.parent().expect("a folder");
    let Output { status, stdout, stderr } =
        command.arg(file.file_name().expect("a name")).current_dir(folder).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(stdout), text(stderr), status.code())
}

fn promtool(arguments: &[&str]) -> Command {
    let mut command = Command::new(server_process::script("prometheus"));
    command.args(["promtool", "test", "rules"]).args(arguments);
    command
}

fn tailwater(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    command.args(["rules", "test"]).args(arguments);
    command
}

#[test]
fn tests_of_rules_end_as_with_promtool() {
    for file in files() {
        let (expected, got) = (said(promtool(&[]), &file), said(tailwater(&[]), &file));
        let name = file.display();
        assert_eq!(got.2, expected.2, "{name}: {}\npromtool: {}", got.1, expected.1);
        // What is no test, or no rule, is told in our own words.
        if !name.to_string().contains("broken") {
            assert_eq!((got.0, got.1), (expected.0, expected.1), "{name}");
        }
        let fails = name.to_string().contains("failing") || name.to_string().contains("broken");
        assert_eq!(got.2, Some(i32::from(fails)), "{name}");
    }
}

#[test]
fn only_named_tests_are_run_as_with_promtool() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/files");
    let file = folder.join("failing.test.yml");
    for run in ["--run=holds", "--run=wrong", "--run=nothing"] {
        assert_eq!(said(tailwater(&[run]), &file), said(promtool(&[run]), &file), "{run}");
    }
    let arguments = ["--run=holds", "--run=wrong alert"];
    assert_eq!(said(tailwater(&arguments), &file), said(promtool(&arguments), &file));
}

#[test]
fn the_report_for_junit_is_promtools() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/files/failing.test.yml");
    let written = |command: &dyn Fn(&[&str]) -> Command, name: &str| {
        let path = folder.path().join(name);
        said(command(&[&format!("--junit={}", path.display())]), &file);
        let text = std::fs::read_to_string(path).expect("it is written");
        let (before, after) = text.split_once(" timestamp=\"").expect("a time");
        let (time, after) = after.split_once('"').expect("a time");
        assert_eq!(time.len(), "2026-11-24T00:00:00".len(), "{time}");
        format!("{before}{after}")
    };
    assert_eq!(written(&tailwater, "ours.xml"), written(&promtool, "theirs.xml"));
}

#[test]
fn fields_of_others_are_passed_over_where_that_is_said() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/files/broken.fields.test.yml");
    let flag = ["--ignore-unknown-fields"];
    let (expected, got) = (said(promtool(&flag), &file), said(tailwater(&flag), &file));
    assert_eq!(got, expected);
    assert_eq!(got.2, Some(0));
}
