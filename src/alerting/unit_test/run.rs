//! One test: its series are loaded step by step, as far as the step is; all groups are evaluated at each step; alerts are
//! compared on the way, expressions at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::elsewhere::Ticket;
use super::super::group::{Group, Shared, Surroundings as Around};
use super::super::missing_input::MissingInput;
use super::super::moment::{Clock, Moment, Steady};
use super::super::results::Batches;
use super::super::rule::{Phase, Settings};
use super::super::rule_file::RuleFile;
use super::Options;
use super::read::{AlertTest, ExpressionTest, Test, TestFile};
use super::shown::{self, Pair};
use super::store::TestStore;
use crate::data::labels::{LabelSet, Labels};
use crate::data::{SeriesTable, UnixNanos};
use crate::options::prometheus_duration;
use crate::promql::script::series_notation::{self, Item, Series};
use crate::promql::{Limits, Point, Query, Stop, Value, When};

/// What a test has around it.
pub(super) struct Surroundings<'a> {
    pub file: &'a TestFile,
    pub rule_files: &'a [PathBuf],
    /// Names of groups in the order in which they are evaluated.
    pub order: &'a [&'a str],
    pub options: &'a Options,
    pub shown_name: String,
}

/// A test that is being run.
struct Run<'a> {
    test: &'a Test,
    around: &'a Surroundings<'a>,
    settings: Settings,
    store: TestStore,
    groups: Vec<Shared>,
}

/// The evaluations of a test, which are all of its groups' one behind the other.
const ALL: Ticket = Ticket(0);

/// Rules of a test take no time.
struct NoTime;

impl Clock for NoTime {
    fn now(&self) -> Moment {
        Moment { wall: UnixNanos(0), running: Duration::ZERO }
    }
}

/// Runs a test. What does not hold is added to `failures`.
pub(super) fn run(test: &Test, around: &Surroundings<'_>, failures: &mut Vec<String>, notes: &mut Vec<String>) {
    if around.options.debug {
        notes.push(format!("DEBUG: Starting test {}", around.shown_name));
    }
    match Run::prepare(test, around) {
        Ok((mut run, series)) => run.run(&series, failures, notes),
        Err(why) => failures.extend(why),
    }
    if around.options.debug {
        notes.push(format!("DEBUG: Test {} finished", around.shown_name));
    }
}

/// Samples of the series in the order of their times.
struct Loading(BTreeMap<i64, Vec<(usize, Item)>>, Vec<LabelSet>);

impl<'a> Run<'a> {
    fn prepare(test: &'a Test, around: &'a Surroundings<'a>) -> Result<(Self, Loading), Vec<String>> {
        let loading = load(test, around)?;
        let settings = Settings {
            interval: test.interval.unwrap_or(around.file.evaluation_interval),
            external_labels: test.external_labels.clone(),
            external_url: test.external_url.clone(),
            missing_input: MissingInput::Prometheus,
            limits: Limits { interval: around.file.evaluation_interval, ..Limits::default() },
            ..Settings::default()
        };
        let mut groups = Vec::new();
        for path in around.rule_files {
            let file = RuleFile::read(path, super::reading(around.options))
                .map_err(|error| error.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
            let path = path.to_string_lossy();
            groups.extend(file.groups.iter().map(|group| Group::new(&path, group, &settings)));
        }
        // Groups that are not named are as early as the first one that is.
        groups.sort_by_key(|group| around.order.iter().position(|name| **name == *group.name).unwrap_or(0));
        // Nobody else evaluates them.
        let shared = |group: Group| Shared::new(Group { evaluation: Some(ALL), ..group });
        let groups = groups.into_iter().map(shared).collect();
        Ok((Self { test, around, settings, store: TestStore::default(), groups }, loading))
    }

    fn run(&mut self, loading: &Loading, failures: &mut Vec<String>, notes: &mut Vec<String>) {
        if let Some(nameless) = self.test.alerts.iter().find(|alert| alert.name.is_empty()) {
            let of =
                if self.test.name.is_empty() { String::new() } else { format!(" (in TestGroup {})", self.test.name) };
            failures.push(format!(
                "an item under alert_rule_test misses required attribute alertname at eval_time {}{of}",
                prometheus_duration::text(nameless.at)
            ));
            return;
        }
        let (start, end) = (self.test.start, self.end());
        let interval = self.around.file.evaluation_interval;
        let times: BTreeSet<Duration> = self.test.alerts.iter().map(|alert| alert.at).collect();
        let mut times = times.into_iter().peekable();
        let batches = Batches { table: SeriesTable::new(usize::MAX), resource: Arc::default() };
        let (mut step, mut samples) = (Duration::ZERO, loading.0.iter().peekable());
        while step <= end {
            let at = UnixNanos(start.0 + step.as_nanos() as u64);
            let until = (at.0 / 1_000_000) as i64;
            while let Some((time, loaded)) = samples.next_if(|(time, _)| **time <= until) {
                for (series, item) in loaded {
                    if let Err(error) = self.store.load(&loading.1[*series], *time, item) {
                        failures.push(format!("{}: {error}", shown::labels(&loading.1[*series])));
                        return;
                    }
                }
            }
            let broken = self.evaluate(at, &batches);
            if !broken.is_empty() {
                return failures.extend(broken);
            }
            while let Some(time) = times.next_if(|time| step <= *time && *time < step + interval) {
                self.compare_alerts(time, failures);
            }
            step += interval;
        }
        for test in &self.test.expressions {
            failures.extend(self.expression(test).err());
        }
        if self.around.options.debug {
            notes.extend(self.dump(end));
        }
    }

    /// The last time at which something is expected.
    fn end(&self) -> Duration {
        let alerts = self.test.alerts.iter().map(|alert| alert.at);
        alerts.chain(self.test.expressions.iter().map(|test| test.at)).max().unwrap_or_default()
    }

    /// Evaluates all groups. Returns which rules failed.
    fn evaluate(&mut self, at: UnixNanos, batches: &Batches) -> Vec<String> {
        let around = Around {
            clock: &NoTime,
            store: &self.store,
            settings: &self.settings,
            batches,
            recorded: &HashMap::new(),
            stop: &Stop::default(),
            settling: None,
        };
        let mut broken = Vec::new();
        for group in &self.groups {
            group.walk(ALL, (at, Steady(at.0 as i64)), &around);
            for rule in &group.hold().rules {
                if let Some(error) = &rule.outcome.error {
                    let time = shown::duration(Duration::from_nanos(at.0));
                    broken.push(format!("    rule: {}, time: {time}, err: {error}", rule.name()));
                }
            }
        }
        broken
    }

    fn compare_alerts(&self, at: Duration, failures: &mut Vec<String>) {
        for test in self.test.alerts.iter().filter(|test| test.at == at) {
            let mut got = self.firing(&test.name);
            let mut expected = test.expected.clone();
            expected.iter_mut().for_each(|(labels, _)| labels.set("alertname", &test.name));
            got.sort();
            expected.sort();
            if got != expected {
                failures.push(self.alerts_differ(test, &expected, &got));
            }
        }
    }

    fn firing(&self, name: &str) -> Vec<Pair> {
        let of_group = |group: &Shared| {
            let group = group.hold();
            let rules = group.rules.iter().filter(|rule| rule.name() == name);
            let alerts = rules.filter_map(|rule| rule.alerting.as_ref()).flat_map(|alerting| &alerting.alerts);
            let firing = alerts.filter(|(_, alert)| matches!(alert.phase, Phase::Firing { .. }));
            firing
                .map(|(labels, alert)| (Labels::of_encoded(labels).to_set(), alert.annotations.clone()))
                .collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of_group).collect()
    }

    fn alerts_differ(&self, test: &AlertTest, expected: &[Pair], got: &[Pair]) -> String {
        let name = if self.test.name.is_empty() { String::new() } else { format!("    name: {},\n", self.test.name) };
        let head = format!("{name}    alertname: {}, time: {}, ", test.name, prometheus_duration::text(test.at));
        if self.around.options.diff {
            let difference = shown::indented(&shown::difference(expected, got), "            ");
            return format!("{head}\n        diff: {difference}");
        }
        let shown = |pairs: &[Pair]| shown::indented(&shown::alerts(pairs), "            ");
        format!("{head}\n        exp:{}, \n        got:{}", shown(expected), shown(got))
    }

    fn expression(&self, test: &ExpressionTest) -> Result<(), String> {
        let place = format!("    expr: {:?}, time: {}", test.expr, prometheus_duration::text(test.at));
        let failed = |error: &dyn std::fmt::Display| format!("{place}, err: {error}");
        let time = (self.test.start.0 / 1_000_000) as i64 + test.at.as_millis() as i64;
        let query = Query::parse(&test.expr).map_err(|error| failed(&error))?;
        let result =
            query.evaluate(&self.store, When::Instant(time), &self.settings.limits).map_err(|error| failed(&error))?;
        let got: Vec<(LabelSet, Point)> = match result.value {
            Value::Vector(vector) => vector.into_iter().map(|sample| (sample.labels, sample.point)).collect(),
            Value::Scalar(value) => vec![(LabelSet::new(), Point::Float(value))],
            Value::String(_) | Value::Matrix(_) => return Err(failed(&"rule result is not a vector or scalar")),
        };
        let mut got: Vec<Compared> = got.iter().map(|(labels, point)| Compared::of(labels.clone(), point)).collect();
        let mut expected = Vec::new();
        for sample in &test.expected {
            let wrong = |error: &dyn std::fmt::Display| failed(&format_args!("labels {:?}: {error}", sample.labels));
            let labels = match sample.labels.trim() {
                "" => LabelSet::new(),
                labels => series_notation::metric(labels).map_err(|error| wrong(&error))?,
            };
            let mut compared = Compared { labels, value: sample.value, histogram: String::new() };
            if !sample.histogram.is_empty() {
                let values = series_notation::values(&sample.histogram).map_err(|error| wrong(&error))?;
                let [Item::Histogram { histogram, .. }] = &values[..] else {
                    return Err(wrong(&format_args!("expected one histogram, got {} values", values.len())));
                };
                compared.histogram = shown::histogram(histogram);
            }
            expected.push(compared);
        }
        got.sort_by(|a, b| a.labels.cmp(&b.labels));
        expected.sort_by(|a, b| a.labels.cmp(&b.labels));
        let is_fuzzy = self.around.file.fuzzy_compare;
        let same = got.len() == expected.len() && got.iter().zip(&expected).all(|(a, b)| a.is(b, is_fuzzy));
        let all = |samples: &[Compared]| match samples {
            [] => "nil".to_owned(),
            samples => samples.iter().map(Compared::shown).collect::<Vec<_>>().join(", "),
        };
        if same {
            Ok(())
        } else {
            Err(format!("{place},\n        exp: {}\n        got: {}", all(&expected), all(&got)))
        }
    }

    /// All samples, as promtool shows them.
    fn dump(&self, end: Duration) -> Option<String> {
        let back = Duration::from_secs(end.as_secs() + 1);
        let back = prometheus_duration::text(back);
        let query = Query::parse(&format!("{{__name__=~\".+\"}}[{back}]")).ok()?;
        let at = (self.test.start.0 / 1_000_000) as i64 + (end.as_secs() as i64 + 1) * 1000;
        let result = query.evaluate(&self.store, When::Instant(at), &self.settings.limits).ok()?;
        let Value::Matrix(matrix) = result.value else { return None };
        let mut text = format!("DEBUG: Dump of all data (input_series and rules) at {back}:");
        for series in matrix {
            text.push_str(&format!("\n{} =>", shown::labels(&series.labels)));
            for (time, point) in series.points {
                let value = match point {
                    Point::Float(value) => value.to_string(),
                    Point::Histogram(histogram) => shown::histogram(&histogram),
                };
                text.push_str(&format!("\n{value} @[{time}]"));
            }
        }
        Some(text)
    }
}

fn load(test: &Test, around: &Surroundings<'_>) -> Result<Loading, Vec<String>> {
    let interval = test.interval.unwrap_or(around.file.evaluation_interval).as_millis() as i64;
    let start = (test.start.0 / 1_000_000) as i64;
    // A series that is written twice has the values that are written last.
    let mut loaded: BTreeMap<LabelSet, Vec<Item>> = BTreeMap::new();
    for (series, values) in &test.input_series {
        let text = format!("{series} {values}");
        let Series { labels, values } =
            series_notation::series(&text).map_err(|error| vec![format!("input series {text:?}: {error}")])?;
        loaded.insert(labels, values);
    }
    let mut samples: BTreeMap<i64, Vec<(usize, Item)>> = BTreeMap::new();
    for (number, values) in loaded.values().enumerate() {
        for (step, item) in values.iter().enumerate().filter(|(_, item)| !matches!(item, Item::None)) {
            samples.entry(start + step as i64 * interval).or_default().push((number, item.clone()));
        }
    }
    Ok(Loading(samples, loaded.into_keys().collect()))
}

/// A sample as it is compared.
struct Compared {
    labels: LabelSet,
    value: f64,
    /// A histogram as tests write it; may be empty.
    histogram: String,
}

impl Compared {
    fn of(labels: LabelSet, point: &Point) -> Self {
        match point {
            Point::Float(value) => Self { labels, value: *value, histogram: String::new() },
            Point::Histogram(histogram) => Self { labels, value: 0.0, histogram: shown::histogram(histogram) },
        }
    }

    fn is(&self, other: &Self, is_fuzzy: bool) -> bool {
        let (a, b) = (self.value, other.value);
        let near = is_fuzzy && (a.next_down() == b || a.next_up() == b);
        self.labels == other.labels && self.histogram == other.histogram && (a == b || near)
    }

    fn shown(&self) -> String {
        let value = if self.histogram.is_empty() { shown::number(self.value) } else { self.histogram.clone() };
        format!("{} {value}", shown::labels(&self.labels))
    }
}
