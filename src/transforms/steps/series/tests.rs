//! Steps on metrics: each against examples, and what is kept of them against deciding every sample anew.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::data::metrics::{Family, STALE};
use crate::data::resource::ResourceValue;
use crate::data::series_table::{FamilyId, ListBuilder, SeriesList};
use crate::data::{MetricBuilder, MetricKind, Names, Signal};
use crate::transforms::steps::Options;

fn compiled(steps: Json) -> Vec<Guarded> {
    let options: Options = serde_json::from_value(json!({ "steps": steps })).expect("valid options");
    assert_eq!(options.problems_of(Signal::Metrics), []);
    options.compile_series(&Names::default()).expect("compiles")
}

fn worker(steps: Json, table: &Arc<SeriesTable>) -> Worker {
    Factory::new(compiled(steps), table.clone()).worker
}

/// A series as `name{a=x,b=y}`.
fn list(table: &Arc<SeriesTable>, series: &[&str]) -> Arc<SeriesList> {
    let mut builder = ListBuilder::default();
    for text in series {
        builder.labels(&set(text), FamilyId::default());
    }
    table.list_with_repeats(&builder).list
}

fn set(text: &str) -> LabelSet {
    let (name, rest) = text.split_once('{').unwrap_or((text, "}"));
    let labels = rest.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
    labels.chain([("__name__", name)]).collect()
}

fn shown(labels: &LabelSet) -> String {
    let rest: Vec<_> =
        labels.iter().filter(|(name, _)| *name != METRIC_NAME).map(|(n, v)| format!("{n}={v}")).collect();
    format!("{}{{{}}}", labels.get(METRIC_NAME), rest.join(","))
}

fn resource() -> Arc<Resource> {
    Arc::new(Resource::new([("team".into(), ResourceValue::from("shop")), ("replicas".into(), ResourceValue::Int(3))]))
}

fn batch(list: &Arc<SeriesList>, values: &[f64], resource: &Arc<Resource>) -> MetricBatch {
    let mut builder = MetricBuilder::new();
    builder.samples().values.extend(values);
    builder.build(resource.clone(), list.clone())
}

fn samples(batch: &MetricBatch, table: &SeriesTable) -> Vec<(String, u64)> {
    let table = table.read();
    let values = batch.columns();
    batch.iter().map(|s| (shown(&table.labels(s.series).to_set()), values.values[s.index].to_bits())).collect()
}

fn run(steps: Json, series: &[&str], values: &[f64]) -> (Vec<String>, Lost) {
    let table = SeriesTable::new(100);
    let mut worker = worker(steps, &table);
    let mut batch = batch(&list(&table, series), values, &resource());
    let (lost, _) = worker.apply(&mut batch);
    (samples(&batch, &table).into_iter().map(|(series, _)| series).collect(), lost)
}

#[test]
fn labels_and_names_are_set_renamed_and_deleted() {
    let steps = json!([
        { "set": "labels[\"team\"] = resource[\"team\"]" },
        { "set": "labels[\"n\"] = resource[\"replicas\"]", "if": "labels[\"a\"] == \"1\"" },
        { "rename": { "from": "labels[\"b\"]", "to": "labels[\"c\"]" } },
        { "delete": ["labels[\"a\"]", "labels[\"absent\"]"] },
        { "set": "name = \"shop_up\"", "if": "name == \"up\"" },
        { "set": "labels[\"old\"] = labels[\"absent\"]" }
    ]);
    let (left, lost) = run(steps, &["up{a=1,b=2}", "x{b=3,c=4}"], &[1.0, 2.0]);
    assert_eq!(left, ["shop_up{c=2,n=3,team=shop}", "x{c=3,team=shop}"]);
    assert_eq!(lost, Lost::default());
}

#[test]
fn conditions_on_values_are_asked_of_samples_and_never_of_markers() {
    let steps = json!([
        { "drop": "name startsWith \"go_\"" },
        { "keep": "value > 1", "if": "labels[\"a\"] == \"1\"" },
        { "set": "labels[\"kept\"] = \"yes\"" }
    ]);
    let series = ["go_x", "m{a=1}", "m{a=1,b=1}", "m{a=1,b=2}", "m{a=2}"];
    let (left, lost) = run(steps, &series, &[5.0, 2.0, 1.0, STALE, 0.0]);
    assert_eq!(left, ["m{a=1,kept=yes}", "m{a=1,b=2,kept=yes}", "m{a=2,kept=yes}"]);
    assert_eq!(lost, Lost { filtered: 2, ..Lost::default() });
}

#[test]
fn of_two_series_that_become_one_the_first_is_kept() {
    let table = SeriesTable::new(100);
    let mut worker = worker(json!([{ "delete": "labels[\"pod\"]" }]), &table);
    let list = list(&table, &["m{pod=a}", "m{pod=a}", "n{pod=a}", "m{pod=b}"]);
    let mut first = batch(&list, &[1.0, 2.0, 3.0, 4.0], &resource());
    let (lost, told) = worker.apply(&mut first);
    assert_eq!(samples(&first, &table).iter().map(|(s, _)| s.as_str()).collect::<Vec<_>>(), ["m{}", "m{}", "n{}"]);
    assert_eq!(lost, Lost { collided: 1, ..Lost::default() });
    assert!(told.is_some_and(|words| words.contains("1 series are refused") && words.contains("pod=\"b\"")));
    let (lost, told) = worker.apply(&mut batch(&list, &[1.0, 2.0, 3.0, 4.0], &resource()));
    assert_eq!((lost.collided, told), (1, None), "told once a list, counted each time");
}

#[test]
fn a_full_table_refuses_new_names_until_there_is_room() {
    let table = SeriesTable::new(3);
    let mut worker = worker(json!([{ "set": "labels[\"x\"] = \"1\"" }]), &table);
    let source = list(&table, &["a", "b"]);
    let mut first = batch(&source, &[1.0, 2.0], &resource());
    let (lost, told) = worker.apply(&mut first);
    assert_eq!(samples(&first, &table).iter().map(|(s, _)| s.as_str()).collect::<Vec<_>>(), ["a{x=1}"]);
    assert!(lost == Lost { found_full: 1, ..Lost::default() } && told.is_some_and(|t| t.contains("limit of 3")));
    table.set_limit(10);
    let mut second = batch(&source, &[1.0, 2.0], &resource());
    assert_eq!(worker.apply(&mut second), (Lost::default(), None));
    assert_eq!(samples(&second, &table).len(), 2);
}

#[test]
fn another_name_is_another_family_of_the_same_kind() {
    let table = SeriesTable::new(10);
    let kind = MetricKind::Histogram;
    let family = Family { name: "wait_seconds".into(), kind, help: "Waiting.".into(), unit: "seconds".into() };
    let mut builder = ListBuilder::default();
    builder.labels(&set("wait_seconds_bucket{le=1}"), table.family(&family));
    let source = table.list(&builder).list;
    let mut worker = worker(json!([{ "set": "name = \"shop_wait_seconds_bucket\"" }]), &table);
    let mut batch = batch(&source, &[1.0], &resource());
    worker.apply(&mut batch);
    let series = batch.series().refs()[0];
    assert_eq!(*table.read().family(series), Family { name: "shop_wait_seconds".into(), ..family });
}

#[test]
fn nothing_is_kept_of_lists_and_series_that_are_gone() {
    let table = SeriesTable::new(1000);
    let mut worker = worker(json!([{ "set": "labels[\"x\"] = \"1\"" }]), &table);
    let resource = resource();
    for round in 0..50 {
        let source = list(&table, &[&format!("m{{r={round}}}"), "n"]);
        worker.apply(&mut batch(&source, &[1.0, 2.0], &resource));
        assert_eq!(worker.lists.len(), 1);
    }
    // The last list's two series and what became of them, whose source is gone by now.
    assert_eq!(table.read().len(), 2);
    drop(worker);
    assert_eq!(table.read().len(), 0);
}

#[test]
fn a_list_that_was_seen_costs_no_look_at_its_series() {
    let table = SeriesTable::new(100);
    let mut worker = worker(json!([{ "set": "labels[\"x\"] = \"1\"" }, { "drop": "value < 0" }]), &table);
    let (source, resource) = (list(&table, &["a", "b", "c"]), resource());
    let mut first = batch(&source, &[1.0, -1.0, 2.0], &resource);
    worker.apply(&mut first);
    let derived = first.series().id();
    worker.steps.list.clear();
    let mut second = batch(&source, &[-1.0, 1.0, 2.0], &resource);
    assert_eq!(worker.apply(&mut second).0, Lost { filtered: 1, ..Lost::default() });
    assert_eq!(second.series().id(), derived, "the derived list is shared too");
    assert_eq!(samples(&second, &table)[0].0, "b{x=1}");
}

/// Lists of steps that between them have every kind of step and of condition.
fn some_steps(number: usize) -> Json {
    [
        json!([{ "drop": "labels[\"a\"] == \"1\" and value > 1" }, { "delete": "labels[\"a\"]" }]),
        json!([
            { "set": "labels[\"b\"] = \"9\"", "if": "labels[\"a\"] != \"2\"" },
            { "keep": "value >= 1 or labels[\"b\"] == nil" }
        ]),
        json!([
            { "rename": { "from": "labels[\"b\"]", "to": "labels[\"a\"]" }, "if": "name == \"m\"" },
            { "drop": "labels[\"a\"] == \"0\"" },
            { "keep": "value != 2", "if": "labels[\"a\"] == \"1\"" },
            { "set": "name = \"n\"", "if": "labels[\"a\"] == \"1\"" }
        ]),
        json!([{ "set": "labels[\"t\"] = resource[\"team\"]", "if": "resource[\"replicas\"] > 2 and name == \"m\"" }]),
    ][number]
        .clone()
}

/// What becomes of samples where every one is decided about anew.
fn naive(steps: &mut Steps, list: &[String], values: &[f64], resource: &Arc<Resource>) -> (Vec<(String, u64)>, Lost) {
    let (mut left, mut lost) = (Vec::new(), Lost::default());
    let mut owners: HashMap<String, &String> = HashMap::new();
    for (series, value) in list.iter().zip(values) {
        let mut labels = set(series);
        let open = match steps.judge(&mut labels, resource) {
            Fate::Dropped => {
                lost.filtered += 1;
                continue;
            }
            Fate::Kept { open, .. } => open,
        };
        if *owners.entry(shown(&labels)).or_insert(series) != series {
            lost.collided += 1;
        } else if open.is_some_and(|open| !is_stale(*value) && !open.holds(ValueRef::Double(*value))) {
            lost.filtered += 1;
        } else {
            left.push((shown(&labels), value.to_bits()));
        }
    }
    (left, lost)
}

fn one_series() -> impl Strategy<Value = String> {
    ("[mn]", 0..4u8, 0..3u8).prop_map(|(name, a, b)| match (a, b) {
        (0, 0) => name,
        (0, b) => format!("{name}{{b={b}}}"),
        (a, 0) => format!("{name}{{a={}}}", a - 1),
        (a, b) => format!("{name}{{a={},b={b}}}", a - 1),
    })
}

proptest! {
    /// Batches of few lists, some of them seen before, in a random order through two workers.
    #[test]
    fn what_is_kept_equals_what_is_decided_anew(
        number in 0..4usize,
        lists in proptest::collection::vec(proptest::collection::vec(one_series(), 1..12), 1..4),
        order in proptest::collection::vec((0..4usize, 0..2usize, proptest::bool::ANY), 1..12),
        values in proptest::collection::vec(prop_oneof![Just(STALE), Just(f64::NAN), -1.0..4.0f64, Just(2.0)], 12),
    ) {
        let table = SeriesTable::new(1000);
        let factory = Factory::new(compiled(some_steps(number)), table.clone());
        let mut workers = [factory.worker.fresh(), factory.worker.fresh()];
        let mut model = factory.worker.steps.clone();
        let resource = resource();
        let mut held: Vec<Option<Arc<SeriesList>>> = vec![None; lists.len()];
        for (which, by, keep) in order {
            let which = which % lists.len();
            let texts: Vec<&str> = lists[which].iter().map(String::as_str).collect();
            let source = held[which].take().unwrap_or_else(|| list(&table, &texts));
            let values = &values[..source.len()];
            let mut batch = batch(&source, values, &resource);
            let (lost, _) = workers[by].apply(&mut batch);
            let (expected, expected_lost) = naive(&mut model, &lists[which], values, &resource);
            prop_assert_eq!(samples(&batch, &table), expected);
            prop_assert_eq!(lost, expected_lost);
            held[which] = keep.then_some(source);
        }
    }
}
