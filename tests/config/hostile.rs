//! Whatever bytes a configuration consists of: it loads or it is refused, in bounded time and memory, and
//! never panics.

use std::path::Path;

use proptest::prelude::*;
use tailwater::config::{Errors, Plan, load_with};

use super::tables::{environment, tables};

fn load(bytes: &[u8]) -> Result<Plan, Errors> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input.yaml");
    std::fs::write(&path, bytes).expect("written");
    load_with(&[path], tables(), &environment)
}

fn codes(loaded: Result<Plan, Errors>) -> Vec<&'static str> {
    let errors = loaded.expect_err("it is refused");
    // Every place can be shown.
    assert!(!errors.to_string().is_empty() && errors.to_json().is_array());
    errors.0.iter().map(|located| located.problem.code.0).collect()
}

#[test]
fn limits_of_size_nesting_and_aliases() {
    assert_eq!(codes(load(&vec![b'#'; (4 << 20) + 1])), ["TW0001"]);
    assert_eq!(codes(load(b"\xff\xfe")), ["TW0001"]);
    let deep = format!("identity: {}", "[".repeat(100_000));
    assert!(matches!(codes(load(deep.as_bytes()))[..], ["TW0002" | "TW0004"]));
    let deep = format!("identity: {}{}", "{a: ".repeat(70), "}".repeat(70));
    assert!(matches!(codes(load(deep.as_bytes()))[..], ["TW0002" | "TW0004"]));
    // Each line stands for ten of the one before: 10^9 values in 500 bytes.
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..9 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
    }
    assert_eq!(codes(load(laughs.as_bytes())), ["TW0004"]);
    let mut fragments = String::from("fragments:\n  f0: [{ drop: 'true' }, { drop: 'true' }]\n");
    for n in 1..20 {
        fragments.push_str(&format!("  f{n}: [{{ use: f{0} }}, {{ use: f{0} }}]\n", n - 1));
    }
    fragments.push_str(
        "sources: { test_logs/a: {} }\ntransforms: { steps/a: { inputs: [test_logs/a], steps: [{ use: f19 }] } }",
    );
    assert!(codes(load(fragments.as_bytes())).iter().all(|code| *code == "TW0004"));
}

#[test]
fn paths_that_lead_nowhere() {
    let empty = tempfile::tempdir().expect("a folder");
    let read = |path: &Path| codes(load_with(&[path.to_owned()], tables(), &environment));
    assert_eq!(read(empty.path()), ["TW0006"]);
    assert_eq!(read(&empty.path().join("missing.yaml")), ["TW0001"]);
}

/// Each of these would be read until memory ends, or waited for for ever.
#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    for hostile in [Path::new("/dev/zero"), &pipe] {
        let refused = load_with(&[hostile.to_owned()], tables(), &environment);
        assert_eq!(codes(refused), ["TW0001"], "{}", hostile.display());
        let named = |key: &str| {
            let text = format!("identity: {{ cluster: c }}\nalerting: {{ inputs: [], {key} }}\n");
            load(text.as_bytes()).expect_err("it is refused").to_string()
        };
        for (code, key) in [
            ("TW1061", format!("rule_files: [{}]", hostile.display())),
            ("TW1062", format!("templates: [{}]", hostile.display())),
            ("TW0001", format!("alertmanager_config: {}", hostile.display())),
            ("TW0102", format!("external_url: '${{file:{}}}'", hostile.display())),
        ] {
            let words =
                if hostile.starts_with("/dev") { "it is larger than" } else { "it is a named pipe, not a file" };
            let said = named(&key);
            assert!(said.contains(code) && said.contains(words), "{key}: {said}");
        }
    }
}

/// Text that is nearly a configuration: its words in any order.
fn words() -> impl Strategy<Value = String> {
    let word = proptest::sample::select(vec![
        "sources",
        "transforms",
        "sinks",
        "test_logs/a",
        "steps/a",
        "blackhole/a",
        "elasticsearch/a",
        "inputs",
        "steps",
        "drop",
        "set",
        "use",
        "fragments",
        "tests",
        "name",
        "at",
        "input",
        "expect",
        "raw",
        ":",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        "\"",
        "|",
        ">",
        "&a ",
        "*a",
        "<<",
        "!x ",
        "${env:",
        "${file:/",
        "}",
        "%",
        "\t",
        "#",
        "~",
        "true",
        "1",
        "-1",
        ".inf",
        "ü",
        "\u{feff}",
        "\r\n",
        "---\n",
        "attributes[\"a\"]",
        "==",
    ]);
    proptest::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Err(errors) = load(&bytes) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn any_words(text in words()) {
        if let Err(errors) = load(text.as_bytes()) {
            prop_assert!(!errors.to_string().is_empty() && errors.to_json().is_array(), "{text:?}");
        }
    }

    /// A good configuration with one run of bytes replaced.
    #[test]
    fn any_slip(at in 0.0..1.0f64, len in 0usize..20, with in words()) {
        let good = include_str!("good/small.yaml");
        let start = good.floor_char_boundary((at * good.len() as f64) as usize);
        let end = good.ceil_char_boundary((start + len).min(good.len()));
        let text = format!("{}{with}{}", &good[..start], &good[end..]);
        if let Err(errors) = load(text.as_bytes()) {
            prop_assert!(!errors.to_string().is_empty() && errors.to_json().is_array(), "{text:?}");
        }
    }
}
