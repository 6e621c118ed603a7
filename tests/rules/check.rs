//! `tailwater rules check` beside the real promtool: the same verdict, exit code and numbers for every file, the same rules
//! named as wrong, and the same words about rules that are there twice.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::server_process;

/// What a command says.
#[derive(Debug)]
struct Said {
    out: String,
    wrong: String,
    code: Option<i32>,
}

impl Said {
    /// The rules that are named as wrong: `group "g", rule 1, "a"`, sorted, each once.
    fn rules(&self) -> Vec<&str> {
        let mut rules: Vec<&str> = self.wrong.lines().filter_map(rule_of).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// What is said of rules that are there twice.
    fn duplicates(&self) -> &str {
        let start = self.wrong.find("lint error").unwrap_or(self.wrong.len());
        let told = &self.wrong[start..];
        told.find("  FAILED:").map_or(told, |end| &told[..end])
    }
}

fn rule_of(line: &str) -> Option<&str> {
    let rule = &line[line.find("group \"")?..];
    let number = rule.find(", rule ")?;
    let name = number + rule[number..].find("\"")?;
    let end = name + rule[name..].find("\": ")? + 1;
    Some(&rule[..end])
}

fn run(mut command: Command, arguments: &[&str], folder: &Path, input: Option<&str>) -> Said {
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Whoever has files to read may end without reading this.
    let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { out: text(output.stdout), wrong: text(output.stderr), code: output.status.code() }
}

/// Both of them, `promtool` first.
fn both(arguments: &[&str], folder: &Path, input: Option<&str>) -> [Said; 2] {
    let mut promtool = Command::new(server_process::script("prometheus"));
    promtool.args(["promtool", "check", "rules"]);
    let mut tailwater = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    tailwater.args(["rules", "check"]);
    [run(promtool, arguments, folder, input), run(tailwater, arguments, folder, input)]
}

fn same(name: &str, [expected, got]: &[Said; 2]) {
    let told = || format!("{name}\npromtool {expected:#?}\nhere {got:#?}");
    assert_eq!(got.code, expected.code, "{}", told());
    assert_eq!(got.out, expected.out, "{}", told());
    assert_eq!(got.wrong.contains("  FAILED:\n"), expected.wrong.contains("  FAILED:\n"), "{}", told());
    assert_eq!(got.rules(), expected.rules(), "{}", told());
    assert_eq!(got.duplicates(), expected.duplicates(), "{}", told());
}

/// Files, and whether they are right.
fn files() -> Vec<(&'static str, bool, String)> {
    let groups = |groups: &str| format!("groups:\n{groups}");
    let rules = |rules: &str| groups(&format!("- name: g\n  rules:\n{rules}"));
    vec![
        ("empty", true, String::new()),
        ("comment", true, "# nothing\n".into()),
        ("no_groups", true, "groups:\n".into()),
        ("no_rules", true, groups("- name: g\n")),
        (
            "record",
            true,
            rules("  - {record: 'job:x:rate5m', expr: 'rate(x[5m])', labels: {a: b, c: 1, d: true, e: }}\n"),
        ),
        ("utf8_names", true, rules("  - {record: 'größe x', expr: '{\"größe y\"}', labels: {'ein label': b}}\n")),
        (
            "alert",
            true,
            rules(
                "  - alert: Down\n    expr: up == 0\n    for: 1m30s\n    keep_firing_for: 2m\n    labels: {severity: page}\n    \
                 annotations:\n      summary: '{{ $labels.job }} {{ $value | humanize }} {{ query \"up\" | first | value }}'\n",
            ),
        ),
        (
            "group_keys",
            true,
            groups("- {name: g, interval: 1m, query_offset: 30s, limit: 5, labels: {a: b}, rules: []}\n"),
        ),
        (
            "limits",
            true,
            groups("- {name: a, limit: 0x10}\n- {name: b, limit: 1.5}\n- {name: c, limit: -1}\n- {name: d, limit: }\n"),
        ),
        (
            "anchors",
            true,
            rules("  - &a {record: x, expr: &e 'up'}\n  - {record: y, expr: *e}\n  - {<<: *a, record: z}\n"),
        ),
        ("block_texts", true, rules("  - record: x\n    expr: |\n      sum(\n        up # all\n      )\n")),
        ("two_documents", true, rules("  - {record: x, expr: '1'}\n") + "---\ngroups: nothing\n"),
        ("group_label_no_template", true, groups("- name: g\n  labels: {a: '{{'}\n  rules: [{alert: A, expr: '1'}]\n")),
        ("record_no_template", true, rules("  - {record: x, expr: '1', labels: {a: '{{'}}\n")),
        ("unicode_escape", true, rules("  - {alert: \"\\u00e4\", expr: \"up{a=\\\"\\\\x41\\\"}\"}\n")),
        ("zero_for", true, rules("  - {record: x, expr: '1', for: 0s}\n")),
        ("syntax", false, "groups: [\n".into()),
        ("tab", false, "groups:\n\t- name: g\n".into()),
        ("unknown_root", false, "groups: []\nrules: []\n".into()),
        ("unknown_in_group", false, groups("- {name: g, intervall: 1m}\n")),
        ("unknown_in_rule", false, rules("  - {alert: x, expr: '1', fur: 1m}\n")),
        ("double_key", false, rules("  - {alert: x, alert: y, expr: '1'}\n")),
        ("root_list", false, "- groups\n".into()),
        ("groups_map", false, "groups: {a: b}\n".into()),
        ("rule_text", false, rules("  - up\n")),
        ("null_rule", true, rules("  -\n")),
        ("no_group_name", false, groups("- rules: []\n")),
        ("two_of_a_name", false, groups("- name: g\n- name: g\n")),
        ("neither", false, rules("  - {expr: '1'}\n")),
        ("both_kinds", false, rules("  - {record: x, alert: y, expr: '1'}\n")),
        ("no_expr", false, rules("  - {record: x}\n")),
        (
            "bad_expr",
            false,
            rules("  - {record: x, expr: 'sum('}\n  - {alert: y, expr: 'up{'}\n  - {alert: z, expr: up}\n"),
        ),
        ("type_error", false, rules("  - {record: x, expr: 'rate(up)'}\n")),
        ("record_for", false, rules("  - {record: x, expr: '1', for: 1m}\n")),
        ("record_keep", false, rules("  - {record: x, expr: '1', keep_firing_for: 1m}\n")),
        ("record_annotations", false, rules("  - {record: x, expr: '1', annotations: {a: b}}\n")),
        ("record_braces", false, rules("  - {record: 'x{a=\"b\"}', expr: '1'}\n")),
        ("label_name", false, rules("  - {alert: x, expr: '1', labels: {__name__: y}}\n")),
        ("label_empty", false, rules("  - {alert: x, expr: '1', labels: {'': y}}\n")),
        ("annotation_empty", false, rules("  - {alert: x, expr: '1', annotations: {'': y}}\n")),
        ("group_label_name", false, groups("- name: g\n  labels: {__name__: x}\n")),
        ("bad_interval", false, groups("- {name: g, interval: 1 m}\n")),
        ("bad_for", false, rules("  - {alert: x, expr: '1', for: soon}\n")),
        ("empty_for", false, rules("  - {alert: x, expr: '1', for: ''}\n")),
        ("bad_limit", false, groups("- {name: g, limit: many}\n")),
        ("quoted_limit", false, groups("- {name: g, limit: '5'}\n")),
        ("label_list", false, rules("  - {alert: x, expr: '1', labels: {a: [b]}}\n")),
        (
            "bad_template",
            false,
            rules("  - {alert: x, expr: '1', annotations: {a: '{{ $nope }}', b: '{{ nope }}', c: '{{ if }}'}}\n"),
        ),
        ("bad_label_template", false, rules("  - {alert: x, expr: '1', labels: {a: '{{ .Labels.x'}}\n")),
        (
            "several",
            false,
            rules("  - {expr: '1'}\n  - {record: x, for: 1m}\n  - {alert: y, expr: ')'}\n") + "- name: g\n",
        ),
    ]
}

#[test]
fn files_are_right_and_wrong_as_with_promtool() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, right, text) in files() {
        let file = format!("{name}.yml");
        std::fs::write(folder.path().join(&file), &text).expect("written");
        let said = both(&[&file], folder.path(), None);
        assert_eq!(said[0].code, Some(i32::from(!right)), "{name}: {:#?}", said[0]);
        same(name, &said);
    }
    let mut all: Vec<String> = files().iter().map(|(name, ..)| format!("{name}.yml")).collect();
    all.sort();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    same("all of them", &both(&all, folder.path(), None));
}

#[test]
fn rules_that_are_there_twice_are_told_as_by_promtool() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "groups:\n- name: g\n  labels: {team: a}\n  rules:\n".to_owned()
        + &"  - {record: x, expr: '1'}\n".repeat(3)
        + &"  - {alert: B, expr: '1', labels: {z: '1', y: '2'}}\n".repeat(2)
        + "  - {alert: B, expr: '1', labels: {z: '1'}}\n  - {record: x, expr: '1', labels: {team: b}}\n";
    std::fs::write(folder.path().join("twice.yml"), text).expect("written");
    std::fs::write(folder.path().join("wrong.yml"), "groups: 1\n").expect("written");
    for (flags, code) in [
        (&[][..], 0),
        (&["--lint=none"], 0),
        (&["--lint=all"], 0),
        (&["--lint=all,what"], 0),
        (&["--lint-fatal"], 3),
        (&["--lint-fatal", "--lint=none"], 0),
    ] {
        let said = both(&[flags, &["twice.yml"]].concat(), folder.path(), None);
        assert_eq!(said[0].code, Some(code), "{flags:?}: {:#?}", said[0]);
        same(&format!("{flags:?}"), &said);
    }
    same("fatal and wrong", &both(&["--lint-fatal", "twice.yml", "wrong.yml"], folder.path(), None));
}

#[test]
fn standard_input_and_unknown_keys_are_read_as_by_promtool() {
    let folder = tempfile::tempdir().expect("a folder");
    let unknown = "groups:\n- {name: g, note: x, rules: [{record: x, expr: '1', owner: me}]}\nextra: 1\n";
    std::fs::write(folder.path().join("unknown.yml"), unknown).expect("written");
    for flags in [&[][..], &["--ignore-unknown-fields"]] {
        same(&format!("{flags:?}"), &both(&[flags, &["unknown.yml"]].concat(), folder.path(), None));
        same(&format!("standard input {flags:?}"), &both(flags, folder.path(), Some(unknown)));
    }
    let twice = "groups: [{name: g, rules: [{record: x, expr: '1'}, {record: x, expr: '2'}]}]\n";
    same("twice", &both(&[], folder.path(), Some(twice)));
    same("nothing", &both(&[], folder.path(), Some("")));
}
