//! Rule files that hold, and what is said of those that do not.

use std::path::Path;
use std::time::Duration;

use super::*;

fn read(text: &str) -> Result<RuleFile, RuleFileError> {
    RuleFile::parse(Path::new("r.yml"), text, Reading::default())
}

fn said(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.into(), value: value.into() }
}

#[test]
fn a_file_is_read_with_everything_that_it_says() {
    let text = r#"
groups:
  - name: shop
    interval: 1m30s
    query_offset: 10s
    limit: 0x10
    labels: {team: shop, severity: none}
    rules:
      - record: job:orders:rate5m
        expr: sum by (job) (rate(orders_total[5m]))
        labels: {unit: 7, gone: }
      - alert: NoOrders
        expr: |
          job:orders:rate5m < 1
        for: 5m
        keep_firing_for: 90s
        labels:
          severity: page
        annotations:
          summary: "{{ $labels.job }} sells nothing"
"#;
    let file = read(text).expect("a rule file");
    assert_eq!((file.rules(), file.warnings.len()), (2, 0));
    let group = &file.groups[0];
    assert_eq!((&*group.name, group.limit), ("shop", 16));
    assert_eq!(group.interval, Some(Duration::from_secs(90)));
    assert_eq!(group.query_offset, Some(Duration::from_secs(10)));
    let [record, alert] = &*group.rules else { panic!("{group:?}") };
    assert_eq!(record.query.text(), "sum by (job) (rate(orders_total[5m]))");
    assert!(matches!(&record.kind, Kind::Record { name } if &**name == "job:orders:rate5m"));
    assert_eq!(
        record.labels,
        [label("gone", ""), label("severity", "none"), label("team", "shop"), label("unit", "7")]
    );
    assert_eq!(alert.place, Place { line: 12, column: 9 });
    assert_eq!(alert.labels, [label("severity", "page"), label("team", "shop")]);
    let Kind::Alert(rule) = &alert.kind else { panic!("{alert:?}") };
    assert_eq!((rule.for_, rule.keep_firing_for), (Duration::from_secs(300), Duration::from_secs(90)));
    assert_eq!(rule.annotations, [label("summary", "{{ $labels.job }} sells nothing")]);
}

#[test]
fn a_file_may_say_nothing() {
    for nothing in [
        "",
        "# only this\n",
        "groups:\n",
        "groups: []\n",
        "{}",
        "groups: [{name: a}]",
        "groups: [{name: a, rules: }]",
        "groups: [~, {name: a, rules: [~, ]}]",
    ] {
        assert_eq!(read(nothing).expect(nothing).rules(), 0, "{nothing}");
    }
}

#[test]
fn only_the_first_document_is_read() {
    for rest in ["groups: [{name: a}]", "a: b: c", "- {"] {
        let file = read(&format!("groups: []\n---\n{rest}\n")).expect(rest);
        assert_eq!(file.warnings.len(), 1, "{rest}");
        assert_eq!(file.warnings[0].place, Some(Place { line: 2, column: 1 }));
    }
}

#[test]
fn what_is_wrong_is_told_with_place_and_rule() {
    let one = |rule: &str| format!("groups:\n- name: g\n  rules:\n  - {rule}\n");
    let table = [
        ("grups: []", "r.yml:1:1: unknown key `grups`"),
        ("groups: {a: b}", "r.yml: 1:9: `groups` takes a list"),
        ("[]", "r.yml: 1:1: a rule file is a mapping"),
        ("groups:\n- name: g\n  intervall: 5m", "r.yml: 3:3: unknown key `intervall` in a group"),
        ("groups:\n- name: g\n  interval: 5 m", "r.yml: 3:13: `interval`: \"5 m\" is no duration"),
        ("groups:\n- name: g\n  limit: many", "r.yml: 3:10: `limit`: \"many\" is no whole number"),
        ("groups:\n- name: g\n  limit: \"5\"", "r.yml: 3:10: `limit`: \"5\" is no whole number"),
        ("groups:\n- rules: []", "r.yml: 2:3: the group has no name"),
        ("groups:\n- name: g\n- name: g", "r.yml: 3:9: group \"g\" is twice"),
        ("groups:\n- name: g\n  labels: {__name__: x}", "r.yml: 3:12: a rule cannot set the label `__name__`"),
        (&one("{expr: 1}"), "r.yml: 4:5: group \"g\", rule 1, \"\": a rule needs `record` or `alert`"),
        (
            &one("{record: a, alert: b, expr: 1}"),
            "r.yml: 4:14: group \"g\", rule 1, \"b\": a rule has `record` or `alert`, not both",
        ),
        (&one("{record: a}"), "r.yml: 4:5: group \"g\", rule 1, \"a\": the rule has no `expr`"),
        (
            &one("{record: a, expr: 1, for: 1m}"),
            "r.yml: 4:26: group \"g\", rule 1, \"a\": a recording rule has no `for`",
        ),
        (
            "groups:\n- name: g\n  rules:\n  - alert: a\n    expr: |\n      sum(\n        rate(x[5m])\n        +\n      )\n",
            "group \"g\", rule 1, \"a\": `expr` is no query: 4:1: parse error: unexpected \")\"",
        ),
        (&one("{record: a, expr: 1, keep_firing_for: 1m}"), "a recording rule has no `keep_firing_for`"),
        (&one("{record: a, expr: 1, annotations: {b: c}}"), "a recording rule has no `annotations`"),
        (&one("{record: 'a{b=\"c\"}', expr: 1}"), "has braces; does it belong into `expr`?"),
        (
            &one("{alert: a, expr: 1, labels: {'': c}}"),
            "r.yml: 4:34: group \"g\", rule 1, \"a\": the name of a label is empty",
        ),
        (&one("{alert: a, expr: 1, annotations: {'': c}}"), "the name of an annotation is empty"),
        (&one("{alert: a, expr: [1]}"), "r.yml: 4:22: `expr` takes a text, found a list"),
        (
            &one("{alert: a, expr: 1, labels: {x: '{{ $v }}'}}"),
            "r.yml: 4:37: group \"g\", rule 1, \"a\": label \"x\": template: __alert_a:1: undefined variable \"$v\"",
        ),
        (
            &one("{alert: a, expr: 1, annotations: {x: '{{ nope }}'}}"),
            "annotation \"x\": template: __alert_a:1: function \"nope\" not defined",
        ),
        (&one("{alert: a, alert: b, expr: 1}"), "`alert` is written twice"),
        ("groups:\n- name: 'g", "this is not YAML"),
    ];
    for (text, expected) in table {
        let said = said(text);
        assert!(
            said.replace(": ", ":").contains(&expected.replace(": ", ":")),
            "{text}\n  says {said}\n  not {expected}"
        );
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = "groups:\n- name: g\n  rules:\n  - {expr: 1}\n  - {record: a, for: 1m}\n- name: g\n";
    assert_eq!(said(text).lines().count(), 4);
}

#[test]
fn unknown_keys_can_be_passed_over() {
    let text = "groups:\n- {name: g, partial_response_strategy: abort, rules: [{record: a, expr: '1', note: x}]}\n";
    let reading = Reading { ignore_unknown_keys: true };
    assert_eq!(RuleFile::parse(Path::new("r.yml"), text, reading).expect("passes").rules(), 1);
    assert_eq!(said(text).lines().count(), 2);
}

#[test]
fn what_a_recording_rule_and_a_group_have_is_no_template_at_load() {
    let text = "groups:\n- name: g\n  labels: {a: '{{'}\n  rules: [{record: x, expr: '1', labels: {b: '{{'}}, {alert: y, expr: '1'}]\n";
    assert_eq!(read(text).expect("a rule file").rules(), 2);
}

#[test]
fn rules_that_write_the_same_are_warned_of_once() {
    let text = "groups:\n- name: g\n  labels: {a: b}\n  rules:\n".to_owned()
        + &"  - {record: x, expr: '1'}\n".repeat(3)
        + "  - {record: x, expr: '1', labels: {a: c}}\n- name: h\n  rules: [{alert: x, expr: '1', labels: {a: b}}]\n";
    let file = read(&text).expect("a rule file");
    assert_eq!(file.duplicates(), [("x", &[label("a", "b")][..])]);
    assert_eq!(file.warnings.len(), 1);
    assert!(file.warnings[0].to_string().contains(r#"x{a="b"}"#), "{}", file.warnings[0]);
}

#[test]
fn globs_name_files_in_any_part_of_the_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for name in ["a/1.yml", "a/2.yml", "b/1.yml", "b/1.yaml", "c{d}/1.yml"] {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, "").expect("a file");
    }
    let found = |glob: &str| -> Vec<String> {
        let found = find(&root.join(glob)).expect("a glob");
        found.iter().map(|path| path.strip_prefix(root).expect("under it").display().to_string()).collect()
    };
    assert_eq!(found("*/1.yml"), ["a/1.yml", "b/1.yml", "c{d}/1.yml"]);
    assert_eq!(found("[ab]/*.y?l"), ["a/1.yml", "a/2.yml", "b/1.yml"]);
    assert_eq!(found("b/1.yaml"), ["b/1.yaml"]);
    assert_eq!(found("c{d}/*"), ["c{d}/1.yml"]);
    assert_eq!(found("c{d,e}*/*"), [""; 0]);
    assert_eq!(found("none.yml"), [""; 0]);
    assert!(find(Path::new("/[")).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "(groups:|- |name: a|\n|  |rules:|expr: 1|\\{|\\}|\\[|\\]|&a|\\*a|'|\"|---|.){0,40}") {
        let _ = read(&text);
    }
}
