//! The root section `series`, and a watch over the series table: how full it is, and who fills it when it is
//! full.

use std::collections::HashMap;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge};
use schemars::JsonSchema;
use tokio::time::Instant;

use super::Telemetry;
use crate::data::labels::METRIC_NAME;
use crate::data::series_table::{DEFAULT_LIMIT, SeriesTable};
use crate::options::section::{Section, Value};

/// The registry's entry: the root section `series`.
pub const SECTION: Section = Section {
    name: "series",
    summary: "How many metric series the agent keeps.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?) as Value),
    default: || Box::new(Options::default()),
    problems: |_| Vec::new(),
    listeners: |_| Vec::new(),
    schema: |generator| Options::json_schema(generator),
};

/// The section `series`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename = "Series")]
pub struct Options {
    /// Most active series of all sources and transforms together; a new one beyond it is refused and counted,
    /// and the status page names the jobs and metrics that have most. One takes about 300 bytes. Default:
    /// `500000`.
    pub limit: NonZeroUsize,
}

impl Default for Options {
    fn default() -> Self {
        Self { limit: NonZeroUsize::new(DEFAULT_LIMIT).unwrap_or(NonZeroUsize::MIN) }
    }
}

/// Time between two looks for those who fill the table.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// So many jobs and metrics are named.
const NAMED: usize = 5;

/// Watches the series table.
#[derive(Debug)]
pub struct SeriesWatch {
    table: Arc<SeriesTable>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    refused: u64,
    looked: Option<Instant>,
    full: Option<String>,
}

/// How full the table is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SeriesStatus {
    /// Series that are active.
    pub active: usize,
    /// Most that may be.
    pub limit: usize,
    /// Bytes of memory that the table holds.
    pub bytes: usize,
    /// New series that were refused since the start, each time they were brought.
    pub refused: u64,
    /// Who has most of them, while new ones are being refused.
    pub full: Option<String>,
}

impl SeriesWatch {
    /// A watch over `table`, its metrics registered.
    ///
    /// # Errors
    /// When the registry has them already.
    pub fn register(telemetry: &Telemetry, table: Arc<SeriesTable>) -> Result<Arc<Self>, prometheus::Error> {
        telemetry.registry().register(Box::new(Gauges::new(table.clone())?))?;
        let state = State { refused: table.refused(), looked: None, full: None };
        Ok(Arc::new(Self { table, state: Mutex::new(state) }))
    }

    /// Looks whether series were refused since the last look and, at most once a minute, by whom the table is
    /// filled. Its owner calls it about once a second where blocking is allowed: a look at many series takes a
    /// while.
    pub fn look(&self) {
        let refused = self.table.refused();
        let news = {
            let mut state = self.lock();
            let due = state.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY);
            if !due {
                return;
            }
            let news = refused > state.refused;
            if !news {
                state.full = None;
                return;
            }
            state.looked = Some(Instant::now());
            refused - std::mem::replace(&mut state.refused, refused)
        };
        let words = self.offenders();
        tracing::warn!(refused = news, "new metric series are refused: {words}");
        self.lock().full = Some(words);
    }

    /// How full the table is now.
    pub fn status(&self) -> SeriesStatus {
        let (active, bytes) = {
            let table = self.table.read();
            (table.len(), table.bytes())
        };
        let full = self.lock().full.clone();
        SeriesStatus { active, limit: self.table.limit(), bytes, refused: self.table.refused(), full }
    }

    /// Who has most series, in words.
    fn offenders(&self) -> String {
        let (mut jobs, mut metrics) = (HashMap::new(), HashMap::new());
        let table = self.table.read();
        for labels in table.iter() {
            let (mut job, mut metric) = ("", "");
            for (name, value) in labels.iter() {
                match name {
                    METRIC_NAME => metric = value,
                    "job" => {
                        job = value;
                        break;
                    }
                    // Names come in order.
                    name if name > "job" => break,
                    _ => {}
                }
            }
            *jobs.entry(job).or_insert(0_usize) += 1;
            *metrics.entry(metric).or_insert(0_usize) += 1;
        }
        let mut words =
            format!("the limit of {} active series is reached (`series.limit`); most are of", self.table.limit());
        list("job", jobs, &mut words);
        words.push_str(" and of");
        list("metric", metrics, &mut words);
        words
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list(what: &str, counted: HashMap<&str, usize>, words: &mut String) {
    let mut counted: Vec<_> = counted.into_iter().collect();
    counted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    for (index, (name, count)) in counted.iter().take(NAMED).enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing into memory does not fail.
        let _ = write!(words, "{comma} {what} {name:?} ({count})");
    }
}

/// The table's metrics, looked at when somebody asks.
struct Gauges {
    table: Arc<SeriesTable>,
    active: IntGauge,
    limit: IntGauge,
    bytes: IntGauge,
    refused: IntCounter,
}

impl Gauges {
    fn new(table: Arc<SeriesTable>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            table,
            active: IntGauge::new("tailwater_series", "Active metric series.")?,
            limit: IntGauge::new("tailwater_series_limit", "Most active metric series that are kept.")?,
            bytes: IntGauge::new("tailwater_series_bytes", "Memory that the table of metric series holds.")?,
            refused: IntCounter::new(
                "tailwater_series_refused_total",
                "New metric series that the limit of active series refused, each time they were brought.",
            )?,
        })
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        [self.active.desc(), self.limit.desc(), self.bytes.desc(), self.refused.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        {
            let table = self.table.read();
            self.active.set(whole(table.len()));
            self.bytes.set(whole(table.bytes()));
        }
        self.limit.set(whole(self.table.limit()));
        self.refused.inc_by(self.table.refused().saturating_sub(self.refused.get()));
        [self.active.collect(), self.limit.collect(), self.bytes.collect(), self.refused.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::series_table::{FamilyId, ListBuilder};

    #[tokio::test(start_paused = true)]
    async fn who_fills_the_table_is_named_once_a_minute_until_it_is_over() {
        let table = SeriesTable::new(3);
        let telemetry = Telemetry::new();
        let watch = SeriesWatch::register(&telemetry, table.clone()).expect("registers");
        let mut builder = ListBuilder::default();
        for (name, job, number) in [("up", "web", "0"), ("big", "web", "1"), ("big", "db", "2"), ("big", "db", "3")] {
            let labels = [("__name__", name), ("job", job), ("a", number)].into_iter().collect();
            builder.labels(&labels, FamilyId::default());
        }
        watch.look();
        assert_eq!(watch.status().full, None);
        let resolved = table.list(&builder);
        watch.look();
        let full = "the limit of 3 active series is reached (`series.limit`); most are of job \"web\" (2), job \"db\" (1) \
                    and of metric \"big\" (2), metric \"up\" (1)";
        assert_eq!(watch.status().full.as_deref(), Some(full));
        assert_eq!((watch.status().active, watch.status().refused), (3, 1));
        let text = telemetry.expose().expect("encodes");
        assert!(text.contains("tailwater_series 3\n") && text.contains("tailwater_series_refused_total 1\n"), "{text}");
        drop(resolved);
        watch.look();
        assert!(watch.status().full.is_some(), "it is told for a minute");
        tokio::time::advance(LOOK_EVERY).await;
        watch.look();
        assert_eq!(watch.status().full, None);
    }

    #[test]
    fn a_limit_is_above_zero() {
        let read = |text| serde_json::from_str::<Options>(text).ok().map(|options| options.limit.get());
        assert_eq!(
            (read("{}"), read(r#"{ "limit": 7 }"#), read(r#"{ "limit": 0 }"#)),
            (Some(DEFAULT_LIMIT), Some(7), None)
        );
    }
}
