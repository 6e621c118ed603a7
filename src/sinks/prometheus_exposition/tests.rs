//! What is held and how it is written, read back by the strict reader of OpenMetrics.

use axum::body::to_bytes;
use axum::http::HeaderValue;

use super::*;
use crate::data::metrics::{Exemplar, Family, STALE};
use crate::data::series_table::{FamilyId, ListBuilder, SeriesTable};
use crate::data::{LabelSet, MetricBatch, MetricBuilder, MetricKind, UnixMillis};

fn family(name: &str, kind: MetricKind, help: &str) -> Family {
    Family { name: name.into(), kind, help: help.into(), unit: "".into() }
}

/// Name, labels, family and value of a sample.
type One<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a Family>, f64);

/// A batch of these.
fn batch(table: &Arc<SeriesTable>, time: i64, samples: &[One<'_>]) -> MetricBatch {
    let mut list = ListBuilder::default();
    let mut builder = MetricBuilder::new();
    for (name, labels, family, value) in samples {
        let set: LabelSet = labels.iter().copied().chain([("__name__", *name)]).collect();
        list.labels(&set, family.map_or(FamilyId::default(), |family| table.family(family)));
        builder.samples().values.push(*value);
    }
    builder.samples().time = UnixMillis(time);
    builder.build(Arc::default(), table.list(&list).list)
}

fn held(table: &Arc<SeriesTable>, limit: usize) -> Held {
    Held::new(table.clone(), StdDuration::from_secs(300), limit)
}

async fn scrape(held: Held, accept: &'static str, timestamps: bool) -> (String, String) {
    let shown = Shown { held: Arc::new(Mutex::new(held)), timestamps };
    let headers = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
    let response = metrics(State(shown), headers).await;
    let content_type = response.headers()[CONTENT_TYPE].to_str().expect("text").to_owned();
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (content_type, String::from_utf8(body.to_vec()).expect("UTF-8"))
}

#[tokio::test]
async fn families_stand_together_and_buckets_in_order() {
    let table = SeriesTable::new(100);
    let mut held = held(&table, 100);
    let wait = family("wait_seconds", MetricKind::Histogram, "Waiting.");
    let orders = family("orders", MetricKind::Counter, "Orders.");
    let mut samples: Vec<One<'_>> = vec![
        ("wait_seconds_count", &[("pod", "a")], Some(&wait), 3.0),
        ("wait_seconds_bucket", &[("pod", "a"), ("le", "+Inf")], Some(&wait), 3.0),
        ("orders_total", &[("status", "paid")], Some(&orders), 7.0),
        ("wait_seconds_bucket", &[("pod", "a"), ("le", "10.0")], Some(&wait), 2.0),
        ("up", &[], None, 1.0),
        ("wait_seconds_sum", &[("pod", "a")], Some(&wait), 12.5),
        ("wait_seconds_bucket", &[("pod", "a"), ("le", "5.0")], Some(&wait), 1.0),
    ];
    held.take(&batch(&table, 1000, &samples));
    // The other half of a family comes from another target.
    samples = vec![("orders_total", &[("status", "open")], None, 2.0)];
    held.take(&batch(&table, 1000, &samples));
    let (content_type, text) = scrape(held, "application/openmetrics-text;version=1.0.0", false).await;
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores");
    let expected = "\
# TYPE orders counter
# HELP orders Orders.
orders_total{status=\"open\"} 2.0
orders_total{status=\"paid\"} 7.0
# TYPE up unknown
up 1.0
# TYPE wait_seconds histogram
# HELP wait_seconds Waiting.
wait_seconds_bucket{le=\"5.0\",pod=\"a\"} 1.0
wait_seconds_bucket{le=\"10.0\",pod=\"a\"} 2.0
wait_seconds_bucket{le=\"+Inf\",pod=\"a\"} 3.0
wait_seconds_sum{pod=\"a\"} 12.5
wait_seconds_count{pod=\"a\"} 3.0
# EOF
";
    assert_eq!(text, expected);
    assert!(crate::formats::prometheus::openmetrics::strict::check(text.as_bytes()).is_ok(), "as OpenMetrics wants it");
}

#[tokio::test(start_paused = true)]
async fn markers_and_silence_end_series_and_old_samples_change_nothing() {
    let table = SeriesTable::new(100);
    let mut held = held(&table, 2);
    assert_eq!(held.take(&batch(&table, 1000, &[("a", &[], None, 1.0), ("b", &[], None, 2.0)])).held, 2);
    assert_eq!(held.take(&batch(&table, 1000, &[("c", &[], None, 3.0)])).beyond, 1, "the limit");
    held.take(&batch(&table, 2000, &[("a", &[], None, STALE), ("b", &[], None, 4.0)]));
    held.take(&batch(&table, 1500, &[("b", &[], None, 9.0)]));
    assert_eq!(held.len(), 1);
    let snapshot = held.snapshot();
    let write = |snapshot: &super::held::Snapshot, timestamps| {
        let (protocol, escaping) = negotiate(None);
        let mut out = Vec::new();
        snapshot.write(Exposer::new(protocol, escaping).expect("text"), timestamps, &mut out);
        String::from_utf8(out).expect("UTF-8")
    };
    assert_eq!(write(&snapshot, false), "b 4\n");
    assert_eq!(write(&snapshot, true), "b 4 2000\n");
    drop(snapshot);
    tokio::time::advance(StdDuration::from_secs(299)).await;
    assert_eq!(write(&held.snapshot(), false), "b 4\n");
    tokio::time::advance(StdDuration::from_secs(2)).await;
    assert_eq!(write(&held.snapshot(), false), "");
    assert_eq!(table.read().len(), 0, "nothing keeps the series");
}

#[tokio::test]
async fn the_last_exemplar_goes_along() {
    let table = SeriesTable::new(100);
    let mut held = held(&table, 10);
    let orders = family("orders", MetricKind::Counter, "");
    let first = batch(&table, 1000, &[("orders_total", &[], Some(&orders), 1.0)]);
    let mut builder = MetricBuilder::new();
    let samples = builder.samples();
    samples.values.push(1.0);
    [("trace_id", "ab")].into_iter().collect::<LabelSet>().encode(&mut samples.text);
    let labels = 0..samples.text.len() as u32;
    samples.exemplars.push(Exemplar { sample: 0, labels: labels.clone(), line: 0..4, value: 0.5, time: None });
    // What is nothing but a line is for pages.
    samples.exemplars.push(Exemplar { sample: 0, labels: 0..0, line: labels, value: 0.7, time: None });
    held.take(&builder.build(Arc::default(), first.series().clone()));
    held.take(&batch(&table, 2000, &[("orders_total", &[], Some(&orders), 2.0)]));
    let (_, text) = scrape(held, "application/openmetrics-text;version=1.0.0", false).await;
    assert!(text.contains("orders_total 2.0 # {trace_id=\"ab\"} 0.5\n"), "{text}");
}

#[test]
fn a_sample_older_than_what_is_shown_counts_as_dropped() {
    let table = SeriesTable::new(100);
    let mut held = held(&table, 100);
    let one = |time, value| batch(&table, time, &[("a", &[], None, value)]);
    assert_eq!(held.take(&one(2000, 2.0)), held::Taken { held: 1, ..Default::default() });
    assert_eq!(held.take(&one(1000, 1.0)), held::Taken { older: 1, ..Default::default() });
}
