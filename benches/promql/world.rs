//! A store with half an hour of counters, gauges and classic histograms, and rules over it, for benches and for the test that
//! counts allocations. The clock is one that is set.

#![allow(dead_code, reason = "each of them uses what it measures")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tailwater::alerting::rule_file::{Reading, RuleFile};
use tailwater::alerting::{Begun, Clock, Evaluated, Moment, Rules, Settings};
use tailwater::data::series_table::{FamilyId, ListBuilder, SeriesList};
use tailwater::data::{LabelSet, MetricBuilder, SeriesTable, UnixMillis, UnixNanos};
use tailwater::options::ByteSize;
use tailwater::promql::{Evaluation, Limits, Matrix, Query, Stop, When};
use tailwater::series::{Store, StoreOptions};

/// Seconds between two scrapes.
pub const INTERVAL: u64 = 15;

/// When the first scrape is, in seconds since 1970.
const BEGIN: u64 = 1_795_392_000;

/// Upper bounds of the buckets of a histogram.
const BOUNDS: [&str; 10] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

/// A store, and what is scraped into it.
pub struct World {
    /// The store.
    pub store: Store,
    list: Arc<SeriesList>,
    /// Values, and whether they only go up.
    values: Vec<(f64, bool)>,
    /// Seconds since 1970.
    now: u64,
    random: fastrand::Rng,
}

impl World {
    /// So many series of each of four metrics, scraped so many times.
    pub fn new(series: usize, scrapes: usize) -> Self {
        let table = SeriesTable::new(1 << 20);
        let options = StoreOptions { max_bytes: ByteSize(1 << 30), ..StoreOptions::default() };
        let store = Store::new(&options, table.clone()).expect("a store");
        store.set_selection(&[Vec::new()], Duration::from_secs(24 * 3600));
        let (mut builder, mut values) = (ListBuilder::default(), Vec::new());
        let mut add = |labels: &[(&str, &str)], is_counter| {
            builder.labels(&labels.iter().copied().collect::<LabelSet>(), FamilyId::default());
            values.push((0.0, is_counter));
        };
        for number in 0..series {
            let (l, group) = (number.to_string(), (number % 10).to_string());
            add(&[("__name__", "a_total"), ("group", &group), ("l", &l)], true);
            add(&[("__name__", "b"), ("group", &group), ("l", &l)], false);
            add(&[("__name__", "c"), ("group", &group), ("l", &l)], false);
            let (l, bound) = ((number / BOUNDS.len()).to_string(), BOUNDS[number % BOUNDS.len()]);
            add(&[("__name__", "h_bucket"), ("l", &l), ("le", bound)], true);
        }
        let list = table.list(&builder).list;
        let mut world = Self { store, list, values, now: BEGIN, random: fastrand::Rng::with_seed(7) };
        (0..scrapes).for_each(|_| world.scrape());
        world
    }

    /// Takes the next scrape.
    pub fn scrape(&mut self) {
        self.now += INTERVAL;
        let mut builder = MetricBuilder::new();
        let (random, time) = (&mut self.random, UnixMillis(self.now as i64 * 1000));
        builder.samples().time = time;
        builder.samples().values.extend(self.values.iter_mut().map(|(value, is_counter)| {
            *value = if *is_counter {
                *value + f64::from(random.u8(..100))
            } else {
                f64::from(random.u32(..1_000_000)) / 1e3
            };
            *value
        }));
        let taken = self.store.append(&builder.build(Arc::default(), self.list.clone()), time);
        assert_eq!(taken.kept as usize, self.values.len());
    }

    /// The query at the last scrape.
    pub fn at(&self, query: &Query) -> Evaluation {
        query.evaluate(&self.store, When::Instant(self.now as i64 * 1000), &Limits::default()).expect("a result")
    }

    /// The query at the last so many scrapes.
    pub fn ask(&self, query: &Query, steps: u64) -> Matrix {
        let (end, step) = (self.now as i64 * 1000, INTERVAL as i64 * 1000);
        let start = end - (steps as i64 - 1) * step;
        query.evaluate_range(&self.store, (start, end, step), &Limits::default()).expect("a result").0
    }
}

/// Rules of one group over such a store, evaluated after each scrape.
pub struct Ruled {
    /// What they read.
    pub world: World,
    rules: Rules,
}

struct Stopped(Moment);

impl Clock for Stopped {
    fn now(&self) -> Moment {
        self.0
    }
}

impl Ruled {
    /// Rules of a file, over a world.
    pub fn new(world: World, text: &str) -> Self {
        let file = RuleFile::parse(Path::new("rules.yaml"), text, Reading::default()).expect("rules");
        let rules = Rules::new(SeriesTable::new(1 << 20), Arc::default()).expect("metrics");
        let settings = Settings { interval: Duration::from_secs(INTERVAL), ..Settings::default() };
        rules.load(settings, &[file], moment(world.now));
        Self { world, rules }
    }

    /// Takes a scrape and evaluates what is due then.
    pub fn turn(&mut self) -> Evaluated {
        self.world.scrape();
        self.evaluate()
    }

    /// Evaluates what is due.
    pub fn evaluate(&mut self) -> Evaluated {
        let (clock, store) = (Stopped(moment(self.world.now)), &self.world.store);
        let begun = self.rules.begin(&clock, store).expect("a slot of the group");
        let Begun::Evaluation(evaluation) = begun else { panic!("nobody else is asked") };
        self.rules.evaluate(evaluation, &clock, store, &Stop::default())
    }

    /// Number of alerts that are pending or fire.
    pub fn alerts(&self) -> usize {
        self.rules.alerts().len()
    }
}

fn moment(seconds: u64) -> Moment {
    Moment { wall: UnixNanos(seconds * 1_000_000_000), running: Duration::from_secs(seconds - BEGIN) }
}
