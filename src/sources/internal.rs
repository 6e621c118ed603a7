//! The source `internal`: the agent's own metrics as samples in the graph, without a scrape of itself.
//!
//! Like a scrape, a look is nearly always like the one before it: what names the series is compared as one
//! block of bytes, and while that stays the same, batches share their list. A series that is gone ends with a
//! staleness marker.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use prometheus::proto::{Metric, MetricFamily, MetricType};
use schemars::JsonSchema;
use tokio::time::{MissedTickBehavior, interval};

use crate::data::labels::METRIC_NAME;
use crate::data::metrics::{Family, STALE};
use crate::data::series_table::{FamilyId, ListBuilder, Resolved, SeriesList, SeriesRef};
use crate::data::{Batch, LabelSet, MetricBatch, MetricBuilder, MetricKind, Resource, SeriesTable, Signal, UnixMillis};
use crate::delivery::Message;
use crate::delivery::lost::CountLost;
use crate::formats::prometheus::number::push_canonical;
use crate::options::{Code, Duration, Problem, Spanned};
use crate::pipeline::component::{Plan, PrepareContext, Source};
use crate::pipeline::outlet::NotNow;
use crate::pipeline::{Descriptor, Outputs, PrepareError, SourceContext, SourcePlan, Task, TaskError};
use crate::telemetry::{ComponentMetrics, Telemetry};

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SourcePlan> = Descriptor {
    name: "internal",
    summary: "The agent's own metrics, those that `/metrics` of `health` exposes.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// A pace that makes no sense.
pub const BAD_INTERVAL: Code = Code("TW0560");

/// Options of the source `internal`. Every series carries the labels `job="tailwater"` and `instance`, the node's
/// name. Where the way on is full, the oldest samples are dropped and counted.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Time between two looks; at least `1s`. Default: `15s`.
    interval: Spanned<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { interval: Spanned::unknown(Duration(StdDuration::from_secs(15))) }
    }
}

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        let bad = self.interval.0 < StdDuration::from_secs(1);
        let problem = || {
            let words = "`interval` is below 1s: nothing of the agent changes that fast";
            Problem::new(BAD_INTERVAL, self.interval.span, words).help("write `interval: 15s`, or leave it out")
        };
        bad.then(problem).into_iter().collect()
    }
}

impl SourcePlan for Options {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Metrics)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        let look = Look {
            telemetry: cx.telemetry.clone(),
            table: cx.series.clone(),
            resource: Arc::new(cx.identify(&Resource::default())),
            instance: cx.identity.node.as_deref().unwrap_or("localhost").into(),
            names: Vec::new(),
            last: None,
        };
        Ok(Box::new(Internal { interval: self.interval.0, look }))
    }
}

struct Internal {
    interval: StdDuration,
    look: Look,
}

impl Source for Internal {
    fn start(self: Box<Self>, cx: SourceContext) -> Task {
        Box::pin(self.run(cx))
    }
}

impl Internal {
    async fn run(mut self: Box<Self>, mut cx: SourceContext) -> Result<(), TaskError> {
        let mut tick = interval(self.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let lost = Arc::new(CountLost(cx.metrics.clone()));
        while cx.shutdown.run_until_cancelled(tick.tick()).await.is_some() {
            for batch in self.look.look(UnixMillis::now(), &cx.metrics) {
                let records = batch.selection.count() as u64;
                let sent = cx.outlets[0].try_ack(lost.clone(), records, false);
                match sent.and_then(|ack| cx.outlets[0].offer(Message::new(Batch::Metrics(batch), ack))) {
                    // While a reload has the gate closed a look is missed, as a scrape would be.
                    Ok(()) | Err(NotNow::Closed) => {}
                    Err(NotNow::Gone(_)) => return Ok(()),
                }
            }
        }
        Ok(())
    }
}

/// Looks at the registry.
struct Look {
    telemetry: Arc<Telemetry>,
    table: Arc<SeriesTable>,
    resource: Arc<Resource>,
    instance: Box<str>,
    /// What names the series, of the look that goes on.
    names: Vec<u8>,
    last: Option<Last>,
}

/// What the last look found.
struct Last {
    names: Vec<u8>,
    list: Arc<SeriesList>,
    /// Places that found the series table full.
    refused: Vec<usize>,
}

impl Look {
    /// What the metrics are now, and the ends of the series that are gone.
    fn look(&mut self, now: UnixMillis, metrics: &ComponentMetrics) -> Vec<MetricBatch> {
        let families = self.telemetry.registry().gather();
        let mut values = Vec::new();
        self.names.clear();
        for family in &families {
            append(family.name().as_bytes(), &mut self.names);
            for metric in family.get_metric() {
                for label in metric.get_label() {
                    append(label.name().as_bytes(), &mut self.names);
                    append(label.value().as_bytes(), &mut self.names);
                }
                self.names.push(0xff);
                samples(family.get_field_type(), metric, |_, _, value| values.push(value));
            }
        }
        let (list, refused, gone) = match self.last.take() {
            Some(last) if last.names == self.names && last.refused.is_empty() => (last.list, last.refused, None),
            last => {
                let Resolved { list, refused, .. } = self.list(&families);
                let gone = last.and_then(|last| self.gone(&last.list, &list));
                (list, refused, gone)
            }
        };
        if !refused.is_empty() {
            metrics.records_refused.inc_by(refused.len() as u64);
            metrics.error(format!("{} series found the limit of active series reached", refused.len()));
        }
        let mut place = 0;
        values.retain(|_| {
            place += 1;
            refused.binary_search(&(place - 1)).is_err()
        });
        self.last = Some(Last { names: self.names.clone(), list: list.clone(), refused });
        let ended = gone.map(|list| self.batch(vec![STALE; list.len()], list, now));
        ended.into_iter().chain([self.batch(values, list, now)]).collect()
    }

    fn batch(&self, values: Vec<f64>, list: Arc<SeriesList>, now: UnixMillis) -> MetricBatch {
        let mut builder = MetricBuilder::new();
        builder.samples().time = now;
        builder.samples().values.extend(values);
        builder.build(self.resource.clone(), list)
    }

    /// The series of the list before that are not in this one.
    fn gone(&self, old: &SeriesList, new: &SeriesList) -> Option<Arc<SeriesList>> {
        let still: std::collections::HashSet<&SeriesRef> = new.refs().iter().collect();
        let mut builder = ListBuilder::default();
        old.refs().iter().filter(|series| !still.contains(series)).for_each(|series| builder.known(*series));
        (!builder.is_empty()).then(|| self.table.list(&builder).list)
    }

    fn list(&self, families: &[MetricFamily]) -> Resolved {
        let (mut builder, mut labels) = (ListBuilder::default(), LabelSet::new());
        for family in families {
            let kind = kind(family.get_field_type());
            let name = match kind {
                MetricKind::Counter => family.name().strip_suffix("_total").unwrap_or(family.name()),
                _ => family.name(),
            };
            let described = Family { name: name.into(), kind, help: family.help().into(), unit: "".into() };
            let id: FamilyId = self.table.family(&described);
            for metric in family.get_metric() {
                samples(family.get_field_type(), metric, |suffix, own, _| {
                    labels.clear();
                    labels.extend(metric.get_label().iter().map(|label| (label.name(), label.value())));
                    labels.set("job", "tailwater");
                    labels.set("instance", &self.instance);
                    labels.set(METRIC_NAME, &format!("{}{suffix}", family.name()));
                    if let Some((name, bound)) = own {
                        let mut text = Vec::new();
                        push_canonical(bound, &mut text);
                        labels.set(name, &String::from_utf8_lossy(&text));
                    }
                    builder.labels(&labels, id);
                });
            }
        }
        self.table.list(&builder)
    }
}

fn append(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

const fn kind(kind: MetricType) -> MetricKind {
    match kind {
        MetricType::COUNTER => MetricKind::Counter,
        MetricType::GAUGE => MetricKind::Gauge,
        MetricType::HISTOGRAM => MetricKind::Histogram,
        MetricType::SUMMARY => MetricKind::Summary,
        MetricType::UNTYPED => MetricKind::Unknown,
    }
}

/// The samples of a metric: suffix of the name, a label of its own, the value.
fn samples(kind: MetricType, metric: &Metric, mut each: impl FnMut(&str, Option<(&str, f64)>, f64)) {
    match kind {
        MetricType::COUNTER => each("", None, metric.get_counter().get_value()),
        MetricType::GAUGE => each("", None, metric.get_gauge().get_value()),
        // The registry knows no such kind.
        MetricType::UNTYPED => {}
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            for bucket in histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite()) {
                each("_bucket", Some(("le", bucket.upper_bound())), bucket.cumulative_count() as f64);
            }
            let count = histogram.get_sample_count() as f64;
            each("_bucket", Some(("le", f64::INFINITY)), count);
            each("_sum", None, histogram.get_sample_sum());
            each("_count", None, count);
        }
        MetricType::SUMMARY => {
            let summary = metric.get_summary();
            for quantile in summary.get_quantile() {
                each("", Some(("quantile", quantile.quantile())), quantile.value());
            }
            each("_sum", None, summary.sample_sum());
            each("_count", None, summary.sample_count() as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::metrics::is_stale;

    fn shown(batch: &MetricBatch, table: &SeriesTable) -> Vec<String> {
        let table = table.read();
        let value = |index: usize| {
            let value = batch.columns().values[index];
            if is_stale(value) { "stale".to_owned() } else { value.to_string() }
        };
        batch.iter().map(|sample| format!("{} {}", table.labels(sample.series), value(sample.index))).collect()
    }

    #[test]
    fn looks_share_a_list_until_a_series_comes_or_goes() {
        let telemetry = Arc::new(Telemetry::new());
        let table = SeriesTable::new(1000);
        let mut look = Look {
            telemetry: telemetry.clone(),
            table: table.clone(),
            resource: Arc::default(),
            instance: "n1".into(),
            names: Vec::new(),
            last: None,
        };
        let own = telemetry.component("source", "internal/x");
        own.records_in.inc_by(3);
        let first = look.look(UnixMillis(1), &own);
        let [first] = first.as_slice() else { panic!("one batch") };
        let line = "tailwater_records_in_total{component=\"internal/x\", instance=\"n1\", job=\"tailwater\", kind=\"source\"} 3";
        assert!(shown(first, &table).contains(&line.to_owned()), "{:?}", shown(first, &table));
        let series = first.series().refs()[0];
        assert_ne!(table.read().family(series).kind, MetricKind::Unknown);
        own.records_in.inc();
        let second = look.look(UnixMillis(2), &own);
        assert_eq!(second[0].series().id(), first.series().id());
        assert!(shown(&second[0], &table).contains(&line.replace("} 3", "} 4")));
        telemetry.component("sink", "console/c").records_out.inc();
        let third = look.look(UnixMillis(3), &own);
        assert_eq!(third.len(), 1, "nothing ended");
        assert!(third[0].series().len() > first.series().len());
        telemetry.remove("console/c");
        let fourth = look.look(UnixMillis(4), &own);
        let [ended, rest] = fourth.as_slice() else { panic!("series ended") };
        assert_eq!(ended.series().len(), third[0].series().len() - first.series().len());
        assert!(shown(ended, &table).iter().all(|line| line.contains("console/c") && line.ends_with(" stale")));
        assert_eq!(rest.series().len(), first.series().len());
    }
}
