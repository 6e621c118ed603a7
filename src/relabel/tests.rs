//! What rules make of labels, by action; what Prometheus refuses and takes.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn set(labels: &[(&str, &str)]) -> LabelSet {
    labels.iter().copied().collect()
}

fn rules(written: serde_json::Value) -> Rules {
    try_rules(written, NameValidation::Utf8).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn try_rules(written: serde_json::Value, names: NameValidation) -> Result<Rules, Vec<Problem>> {
    let written: Vec<Spanned<RelabelRule>> = serde_json::from_value(written).expect("rules");
    Rules::new(&written, names)
}

/// What rules make of the labels; `None` if they drop them.
fn apply(written: serde_json::Value, labels: &[(&str, &str)]) -> Option<LabelSet> {
    let rules = rules(written);
    let mut set = set(labels);
    let verdict = rules.apply(&mut set, &mut Scratch::default());
    (verdict == Verdict::Kept).then_some(set)
}

#[test]
fn replace() {
    let before = [("a", "foo"), ("b", "bar"), ("c", "baz")];
    for (rule, after) in [
        // A matching regular expression sets the target; groups are put in.
        (
            json!({ "source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}" }),
            Some(("d", "choo-choo")),
        ),
        // The joined values, with the default separator and another.
        (json!({ "source_labels": ["a", "b"], "target_label": "d" }), Some(("d", "foo;bar"))),
        (
            json!({ "source_labels": ["b", "none", "c"], "separator": "/", "target_label": "d" }),
            Some(("d", "bar//baz")),
        ),
        (json!({ "source_labels": ["b", "c"], "separator": "", "target_label": "d" }), Some(("d", "barbaz"))),
        // It is anchored.
        (json!({ "source_labels": ["a"], "regex": "o", "target_label": "d", "replacement": "x" }), None),
        // Without source labels the constant is set.
        (json!({ "target_label": "d", "replacement": "fixed" }), Some(("d", "fixed"))),
        (json!({ "target_label": "d", "regex": ".+", "replacement": "fixed" }), None),
        // An empty result removes the label.
        (json!({ "source_labels": ["none"], "target_label": "c" }), Some(("c", ""))),
        (json!({ "target_label": "c", "replacement": "" }), Some(("c", ""))),
        // The target is a template too; one that becomes no name changes nothing.
        (
            json!({ "source_labels": ["a"], "regex": "(f)(.*)", "target_label": "${1}_$2", "replacement": "x" }),
            Some(("f_oo", "x")),
        ),
        (json!({ "source_labels": ["a"], "regex": "(f).*", "target_label": "$2", "replacement": "x" }), None),
        (
            json!({ "source_labels": ["a"], "regex": "(?P<first>f).*", "target_label": "d", "replacement": "${first}$$" }),
            Some(("d", "f$")),
        ),
        (
            json!({ "source_labels": ["a"], "regex": "foo|bar", "target_label": "d", "replacement": "$0-$1" }),
            Some(("d", "foo-")),
        ),
        (json!({ "source_labels": ["a"], "regex": "(foo|bar)", "target_label": "d" }), Some(("d", "foo"))),
    ] {
        let mut expected = set(&before);
        if let Some((name, value)) = after {
            expected.set(name, value);
        }
        assert_eq!(apply(json!([rule]), &before), Some(expected), "{rule}");
    }
}

#[test]
fn under_the_older_rule_for_names_a_target_that_groups_make_must_fit_it() {
    let written = json!([{ "source_labels": ["a"], "target_label": "$1", "replacement": "x" }]);
    for (names, value, changed) in [
        (NameValidation::Utf8, "b.c", true),
        (NameValidation::Legacy, "b.c", false),
        (NameValidation::Legacy, "b_c", true),
    ] {
        let rules = try_rules(written.clone(), names).expect("valid");
        let mut labels = set(&[("a", value)]);
        assert_eq!(rules.apply(&mut labels, &mut Scratch::default()), Verdict::Kept);
        assert_eq!(labels.has(value), changed, "{names:?} {value}");
    }
}

#[test]
fn keep_and_drop() {
    let labels = [("job", "node"), ("port", "9100"), ("multi", "a\nb")];
    for (rule, kept) in [
        (json!({ "source_labels": ["job"], "regex": "node|api", "action": "keep" }), true),
        (json!({ "source_labels": ["job"], "regex": "nod", "action": "keep" }), false),
        (json!({ "source_labels": ["none"], "regex": "", "action": "keep" }), true),
        (json!({ "source_labels": ["none"], "regex": ".+", "action": "keep" }), false),
        (json!({ "source_labels": ["job"], "regex": "n.*", "action": "drop" }), false),
        (json!({ "source_labels": ["job", "port"], "regex": "node;9100", "action": "DROP" }), false),
        (json!({ "source_labels": ["multi"], "regex": "a.b", "action": "keep" }), true),
        (json!({ "source_labels": ["job"], "target_label": "job", "action": "keepequal" }), true),
        (json!({ "source_labels": ["job"], "target_label": "port", "action": "keepequal" }), false),
        (json!({ "source_labels": ["job"], "target_label": "job", "action": "dropequal" }), false),
        (json!({ "source_labels": ["job"], "target_label": "none", "action": "dropequal" }), true),
    ] {
        assert_eq!(apply(json!([rule]), &labels).is_some(), kept, "{rule}");
    }
}

#[test]
fn hashmod_gives_the_part_that_prometheus_gives() {
    // From `printf foo | md5sum`: its last sixteen digits as one number, modulo the parts.
    for (value, modulus, part) in [("foo", 8, "0"), ("foo", 1000, "696"), ("192.0.2.1:9100", 3, "2")] {
        let rule =
            json!([{ "source_labels": ["a"], "modulus": modulus, "target_label": "__tmp", "action": "hashmod" }]);
        let labels = apply(rule, &[("a", value)]).expect("kept");
        assert_eq!(labels.get("__tmp"), part, "{value} {modulus}");
    }
}

#[test]
fn actions_on_names() {
    let labels = [("__meta_zone", "eu"), ("__meta_rack", "7"), ("job", "node")];
    let map = json!([{ "action": "labelmap", "regex": "__meta_(.+)" }]);
    let expected = set(&[("__meta_zone", "eu"), ("__meta_rack", "7"), ("job", "node"), ("zone", "eu"), ("rack", "7")]);
    assert_eq!(apply(map, &labels), Some(expected));
    let map = json!([{ "action": "labelmap", "regex": "__meta_(.+)", "replacement": "k8s_$1" }]);
    assert_eq!(apply(map, &labels).expect("kept").get("k8s_zone"), "eu");
    // What a label was before the rule is what is copied, also where the rule sets it.
    let swap = json!([{ "action": "labelmap", "regex": "a|b", "replacement": "b" }]);
    assert_eq!(apply(swap, &[("a", "1"), ("b", "2")]), Some(set(&[("a", "1"), ("b", "2")])));
    let drop = json!([{ "action": "labeldrop", "regex": "__meta_.*" }]);
    assert_eq!(apply(drop, &labels), Some(set(&[("job", "node")])));
    let keep = json!([{ "action": "labelkeep", "regex": "job|__meta_rack" }]);
    assert_eq!(apply(keep, &labels), Some(set(&[("__meta_rack", "7"), ("job", "node")])));
}

#[test]
fn case_is_mapped_one_character_for_one() {
    let labels = [("a", "İstanbul STRASSE Σß")];
    let rule = |action: &str| json!([{ "source_labels": ["a"], "target_label": "b", "action": action }]);
    assert_eq!(apply(rule("lowercase"), &labels).expect("kept").get("b"), "istanbul strasse σß");
    assert_eq!(apply(rule("uppercase"), &labels).expect("kept").get("b"), "İSTANBUL STRASSE Σß");
}

#[test]
fn rules_follow_each_other_until_one_drops() {
    let written = json!([
        { "source_labels": ["__address__"], "regex": "([^:]+)(?::\\d+)?", "target_label": "host" },
        { "source_labels": ["host"], "regex": "db-.*", "action": "drop" },
        { "action": "labeldrop", "regex": "__.*" }
    ]);
    assert_eq!(apply(written.clone(), &[("__address__", "web-1:80")]), Some(set(&[("host", "web-1")])));
    assert_eq!(apply(written.clone(), &[("__address__", "db-1")]), None);
    let trace = rules(written).trace(&set(&[("__address__", "db-1")]));
    assert_eq!((trace.verdict, trace.steps.len()), (Verdict::Dropped, 2));
    assert_eq!(trace.labels, set(&[("__address__", "db-1"), ("host", "db-1")]));
    let change = Change { name: "host".into(), before: String::new(), after: "db-1".into() };
    assert_eq!(trace.steps[0].changes, [change]);
    assert_eq!((trace.steps[1].action, &*trace.steps[1].input), (Action::Drop, "db-1"));
}

#[test]
fn what_prometheus_refuses_is_refused() {
    let legacy = NameValidation::Legacy;
    for (rule, names, code) in [
        (json!({ "action": "hashmod", "target_label": "a" }), NameValidation::Utf8, "TW0721"),
        (json!({ "action": "hashmod", "target_label": "a", "modulus": 0 }), NameValidation::Utf8, "TW0721"),
        (json!({ "action": "hashmod", "modulus": 1 }), NameValidation::Utf8, "TW0721"),
        (json!({}), NameValidation::Utf8, "TW0721"),
        (json!({ "action": "lowercase" }), NameValidation::Utf8, "TW0721"),
        (json!({ "action": "keep", "regex": "(" }), NameValidation::Utf8, "TW0722"),
        (json!({ "action": "keep", "regex": "a{2000000000}" }), NameValidation::Utf8, "TW0722"),
        (json!({ "target_label": "a.b" }), legacy, "TW0723"),
        (json!({ "target_label": "a.$1" }), legacy, "TW0723"),
        (json!({ "target_label": "9a" }), legacy, "TW0723"),
        (json!({ "target_label": "a$" }), legacy, "TW0723"),
        (json!({ "target_label": "${1" }), legacy, "TW0723"),
        (json!({ "action": "uppercase", "target_label": "$1" }), legacy, "TW0723"),
        (json!({ "action": "labelmap", "replacement": "a.$1" }), legacy, "TW0723"),
        (json!({ "action": "labelmap", "replacement": "" }), NameValidation::Utf8, "TW0723"),
        (json!({ "source_labels": [""], "target_label": "a" }), NameValidation::Utf8, "TW0723"),
        (json!({ "action": "lowercase", "target_label": "a", "replacement": "x" }), NameValidation::Utf8, "TW0724"),
        (json!({ "action": "keepequal", "target_label": "a", "regex": "x" }), NameValidation::Utf8, "TW0724"),
        (json!({ "action": "dropequal", "target_label": "a", "separator": "," }), NameValidation::Utf8, "TW0724"),
        (json!({ "action": "labeldrop", "regex": "a", "source_labels": ["b"] }), NameValidation::Utf8, "TW0724"),
        (json!({ "action": "labelkeep", "regex": "a", "target_label": "b" }), NameValidation::Utf8, "TW0724"),
    ] {
        let problems = try_rules(json!([rule]), names).err().unwrap_or_default();
        assert_eq!(problems.iter().map(|problem| problem.code.0).collect::<Vec<_>>(), [code], "{rule}");
        assert!(problems.iter().all(|problem| problem.help.is_some()), "{rule}");
    }
}

#[test]
fn what_prometheus_takes_is_taken() {
    for (rule, names) in [
        (json!({ "target_label": "a.b" }), NameValidation::Utf8),
        (json!({ "target_label": "a_${1}_$2b" }), NameValidation::Legacy),
        (json!({ "target_label": "$1" }), NameValidation::Legacy),
        (json!({ "action": "labelmap", "regex": "x_(.+)" }), NameValidation::Legacy),
        (json!({ "action": "labelmap", "replacement": "k8s_$1" }), NameValidation::Legacy),
        (
            json!({ "action": "keepequal", "target_label": "a", "regex": "(.*)", "separator": ";", "replacement": "$1" }),
            NameValidation::Legacy,
        ),
        (json!({ "action": "keep", "target_label": "unused", "modulus": 3 }), NameValidation::Legacy),
        (json!({ "action": null, "regex": null, "target_label": "a" }), NameValidation::Legacy),
    ] {
        assert!(try_rules(json!([rule]), names).is_ok(), "{rule}");
    }
    let unknown = serde_json::from_value::<RelabelRule>(json!({ "action": "keeep" }));
    assert!(unknown.is_err_and(|error| error.to_string().contains("`keepequal`")));
    assert!(serde_json::from_value::<RelabelRule>(json!({ "source_label": ["a"] })).is_err());
}

proptest! {
    #[test]
    fn a_scratch_that_serves_many_rules_says_what_a_fresh_one_says(
        values in proptest::collection::vec("[a-c]{0,3}", 1..6),
    ) {
        let all = [
            rules(json!([{ "source_labels": ["x"], "regex": "(a)(b?).*", "target_label": "y", "replacement": "$2$1" }])),
            rules(json!([{ "action": "labelmap", "regex": "(x)|(y)", "replacement": "z$1$2" }, { "source_labels": ["x"], "regex": "c.*", "action": "drop" }])),
        ];
        let mut shared = Scratch::default();
        for (index, value) in values.iter().enumerate() {
            let rules = &all[index % 2];
            let (mut one, mut other) = (set(&[("x", value)]), set(&[("x", value)]));
            prop_assert_eq!(rules.apply(&mut one, &mut shared), rules.apply(&mut other, &mut Scratch::default()));
            prop_assert_eq!(&one, &other);
            let trace = rules.trace(&set(&[("x", value)]));
            prop_assert_eq!(&trace.labels, &one);
        }
    }
}

#[test]
fn rules_that_change_nothing_allocate_nothing() {
    let rules = rules(json!([
        { "source_labels": ["job"], "regex": "node|api", "action": "keep" },
        { "source_labels": ["job", "port"], "regex": "(n.*);(\\d+)", "target_label": "job_port", "replacement": "$1-$2" },
        { "action": "labelmap", "regex": "j(ob)", "replacement": "l$1" },
        { "source_labels": ["port"], "modulus": 3, "target_label": "part", "action": "hashmod" },
        { "source_labels": ["job"], "target_label": "job", "action": "lowercase" },
        { "action": "labeldrop", "regex": "__.*" }
    ]));
    let mut labels = set(&[("job", "node"), ("port", "9100")]);
    let mut scratch = Scratch::default();
    assert_eq!(rules.apply(&mut labels, &mut scratch), Verdict::Kept);
    let after = labels.clone();
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            assert_eq!(rules.apply(&mut labels, &mut scratch), Verdict::Kept);
        }
    });
    assert_eq!((counted.count_total, labels), (0, after));
}
