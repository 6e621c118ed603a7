//! PromQL through the binary: own scripts that hold, scripts that do not and how that is told, and the scripts with which
//! Prometheus tests itself, where its published module has them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Published scripts that do not hold yet, and why. One that holds has no place here.
const NOT_YET: &[(&str, &str)] = &[];

fn test(scripts: &[PathBuf]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tailwater"))
        .args(["promql", "test"])
        .args(scripts)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The scripts of a folder, by name.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("read").path());
    let mut scripts: Vec<_> = entries.filter(|path| path.extension().is_some_and(|is| is == "test")).collect();
    scripts.sort();
    assert!(!scripts.is_empty(), "{} has scripts", folder.display());
    scripts
}

#[test]
fn own_scripts_hold() {
    let ran = test(&scripts(Path::new("tests/promql/holds")));
    assert_eq!(ran.status.code(), Some(0), "{}{}", text(&ran.stdout), text(&ran.stderr));
    assert!(text(&ran.stdout).lines().last().is_some_and(|last| last.ends_with(", 0 failed")), "{}", text(&ran.stdout));
}

#[test]
fn what_does_not_hold_is_told_with_line_and_values() {
    for script in scripts(Path::new("tests/promql/differs")) {
        let ran = test(std::slice::from_ref(&script));
        assert_eq!(ran.status.code(), Some(4), "{}: {}", script.display(), text(&ran.stderr));
        let golden = script.with_extension("told");
        if std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some() {
            std::fs::write(&golden, &ran.stdout).expect("written");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(text(&ran.stdout), expected, "{}", golden.display());
    }
}

#[test]
fn published_scripts_hold() {
    let prepared = Command::new("tests/servers/prometheus/module").output().expect("bash is there");
    assert!(prepared.status.success(), "{}", text(&prepared.stderr));
    let folder = Path::new(text(&prepared.stdout).trim()).join("promql/promqltest/testdata");
    let scripts = scripts(&folder);
    let ran = test(&scripts);
    let told = text(&ran.stdout);
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let mut wrong = Vec::new();
    for script in &scripts {
        let holds = told.lines().any(|line| line.starts_with(&format!("ok      {}:", script.display())));
        let listed = NOT_YET.iter().find(|(listed, _)| *listed == name(script));
        match (holds, listed) {
            (false, None) => wrong.push(format!("{} does not hold", name(script))),
            (true, Some(_)) => wrong.push(format!("{} holds: take it off the list", name(script))),
            _ => {}
        }
    }
    let unknown = NOT_YET.iter().filter(|(listed, _)| !scripts.iter().any(|script| name(script) == *listed));
    wrong.extend(unknown.map(|(listed, _)| format!("{listed} is listed and does not exist")));
    assert!(wrong.is_empty(), "{wrong:#?}\n{told}{}", text(&ran.stderr));
}
