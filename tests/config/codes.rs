//! Codes of errors: each has one meaning, an explanation, and a golden that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tailwater::cli::explain;

use super::goldens::entries;

/// Codes of the text: `TW` and four digits.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("TW").filter_map(|(at, _)| {
        let code = text.get(at..at + 6)?;
        code[2..].bytes().all(|byte| byte.is_ascii_digit()).then_some(code)
    })
}

fn sources(folder: PathBuf, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(&folder).expect("a folder of the source") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            // What tests expect is no use of a code.
            let end = text.find("#[cfg(test)]").unwrap_or(text.len());
            found.push((path, text[..end].to_owned()));
        }
    }
}

#[test]
fn every_code_of_the_source_is_explained_and_made_in_one_place() {
    let mut files = Vec::new();
    sources("src".into(), &mut files);
    files.retain(|(path, _)| {
        !path.ends_with("tests.rs") && path.parent().is_none_or(|folder| !folder.ends_with("cli/explain"))
    });
    let mut made: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, text) in &files {
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for code in codes(line) {
                made.entry(code).or_default().push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    let twice: Vec<_> = made.iter().filter(|(_, places)| places.len() > 1).collect();
    let commands = |path: &str| path.contains("/cli/");
    let twice: Vec<_> = twice.into_iter().filter(|(_, places)| !places.iter().any(|place| commands(place))).collect();
    assert!(twice.is_empty(), "a code has one meaning: {twice:#?}");
    let explained: BTreeSet<&str> = explain::codes().map(|known| known.code).collect();
    let made: BTreeSet<&str> = made.into_keys().collect();
    assert_eq!(made, explained, "`cli::explain` and the source differ");
}

#[test]
fn every_code_has_a_golden() {
    let shown: String = entries("tests/config/bad")
        .iter()
        .map(|folder| std::fs::read_to_string(folder.join("expected.txt")).unwrap_or_default())
        .collect();
    // Of paths that cannot be read no golden can be kept; `hostile` and `tests/cli` make them.
    let elsewhere = ["TW0001", "TW0006"];
    // The tests beside routes and receivers show what is wrong with theirs.
    let receivers = ["TW1041", "TW1042", "TW1043", "TW1044", "TW1045"];
    let routes: Vec<String> = (1001..=1013).map(|number| format!("TW{number}")).collect();
    let elsewhere: Vec<&str> =
        elsewhere.into_iter().chain(receivers).chain(routes.iter().map(String::as_str)).collect();
    let missing = explain::codes().filter(|known| !shown.contains(&format!("[{}]", known.code)));
    let missing: Vec<_> = missing.map(|known| known.code).filter(|code| !elsewhere.contains(code)).collect();
    assert!(missing.is_empty(), "no folder in tests/config/bad shows {missing:?}");
}
