//! Whatever a target exposes after whatever it exposed before, what comes out is what the last exposition
//! says, and series end exactly when they are not exposed any more.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::data::metrics::{SampleValue, is_stale};
use crate::data::{MetricBatch, MetricKind};
use crate::formats::prometheus::{NameValidation, TextParser};
use crate::relabel::Rules;
use crate::sources::prometheus_scrape::config::{Limits, SampleLimitMode};

struct Scraped {
    rules: SeriesRules,
    prediction: Prediction,
    anew: Anew,
    time: i64,
}

impl Scraped {
    fn new(limit: usize) -> Self {
        let table = SeriesTable::new(limit);
        let prediction = Prediction::none(&table);
        let rules = SeriesRules {
            table,
            target: [("job", "j")].into_iter().collect(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            relabel: Rules::default(),
            external: Arc::default(),
            names: NameValidation::Utf8,
            limits: Limits::default(),
        };
        Self { rules, prediction, anew: Anew::default(), time: 1000 }
    }

    fn read(&mut self, text: &str) -> Result<(Samples, Vec<String>, Counts), String> {
        self.time += 1000;
        let parser = || TextParser::new(text.as_bytes());
        let gathered = self
            .prediction
            .read(parser, &self.rules, UnixMillis(self.time), &mut self.anew)
            .map_err(|error| error.to_string())?;
        let counts = Counts { scraped: gathered.scraped, added: gathered.added, refused: gathered.refused };
        let ended = gathered.ended.clone();
        let ended = ended.iter().flat_map(|list| list.refs().to_vec());
        let ended = ended.map(|series| self.rules.table.read().labels(series).to_string()).collect();
        Ok((samples(gathered.into_batch(Default::default())), ended, counts))
    }
}

impl Scraped {
    /// What comes of an exposition, in its order, and how many samples are left out.
    fn in_order(&mut self, text: &str) -> (Vec<(String, i64, f64)>, usize) {
        self.time += 1000;
        let parser = || TextParser::new(text.as_bytes());
        let gathered = self.prediction.read(parser, &self.rules, UnixMillis(self.time), &mut self.anew).expect("valid");
        let left_out = gathered.left_out();
        let batch = gathered.into_batch(Default::default());
        let table = self.rules.table.read();
        let shown = batch.iter().flat_map(MetricBatch::iter).map(|sample| {
            let SampleValue::Float(value) = sample.value else { panic!("text has no native histograms") };
            (table.labels(sample.series).metric_name().to_owned(), sample.time.0, value)
        });
        (shown.collect(), left_out)
    }
}

fn samples_of(wanted: &[(&str, i64, f64)]) -> Vec<(String, i64, f64)> {
    wanted.iter().map(|(name, time, value)| ((*name).to_owned(), *time, *value)).collect()
}

#[test]
fn samples_of_one_series_with_times_of_their_own_are_all_taken() {
    let mut target = Scraped::new(100);
    let (samples, left_out) = target.in_order("a 1 1000\na 2 2000\nb 1\na 3 2000\na 4 1500\na 5 2500\nb 2\n");
    let expected = [("a", 1000, 1.0), ("a", 2000, 2.0), ("b", 2000, 1.0), ("a", 2500, 5.0)];
    assert_eq!((samples, left_out), (samples_of(&expected), 3));
    assert_eq!(target.rules.table.read().len(), 2);
    let list = target.prediction.list().id();
    // The next exposition of the same lines shares the list, and what was sent before is not sent again.
    let (samples, left_out) = target.in_order("a 2 2000\na 5 2500\nb 3\na 6 2600\na 7 2700\na 8 2800\nb 4\n");
    let expected = [("b", 3000, 3.0), ("a", 2600, 6.0), ("a", 2700, 7.0), ("a", 2800, 8.0)];
    assert_eq!((samples, left_out), (samples_of(&expected), 3));
    assert_eq!(target.prediction.list().id(), list);
    // As one of its own it goes on.
    assert_eq!(target.in_order("a 9 9000\n").0, samples_of(&[("a", 9000, 9.0)]));
}

#[test]
fn a_sample_that_stood_twice_counts_once_it_has_a_time_of_its_own() {
    let mut target = Scraped::new(100);
    assert_eq!(target.in_order("a 1\na 2\n"), (samples_of(&[("a", 2000, 1.0)]), 1));
    assert_eq!(target.in_order("a 1\na 2 3500\n"), (samples_of(&[("a", 3000, 1.0), ("a", 3500, 2.0)]), 0));
    assert_eq!(target.in_order("a 1 5000\na 2\n"), (samples_of(&[("a", 5000, 1.0)]), 1));
    target.rules.honor_timestamps = false;
    assert_eq!(target.in_order("a 1 7000\na 2 8000\n"), (samples_of(&[("a", 5000, 1.0)]), 1));
}

#[test]
fn a_clock_that_is_set_back_silences_no_series_that_stands_several_times() {
    let mut target = Scraped::new(100);
    target.time = 99_000;
    assert_eq!(target.in_order("a 1\na 2 100500\n").0.len(), 2);
    target.time = 49_000;
    assert_eq!(target.in_order("a 1\na 2 50500\n").0, samples_of(&[("a", 50_000, 1.0), ("a", 50_500, 2.0)]));
}

type Samples = BTreeMap<String, (i64, f64)>;

#[derive(Debug, PartialEq)]
struct Counts {
    scraped: usize,
    added: usize,
    refused: usize,
}

fn samples(batch: Option<MetricBatch>) -> Samples {
    let Some(batch) = batch else { return Samples::new() };
    let table = batch.series().table().clone();
    let series = table.read();
    let value = |value| match value {
        SampleValue::Float(value) => value,
        SampleValue::Histogram(_) => panic!("text has no native histograms"),
    };
    batch.iter().map(|s| (series.labels(s.series).to_string(), (s.time.0, value(s.value)))).collect()
}

#[test]
fn a_scrape_like_the_last_one_shares_its_list() {
    let mut target = Scraped::new(100);
    let text = |value| format!("# HELP a words\n# TYPE a counter\na{{x=\"1\"}} {value}\na{{x=\"2\"}} 7\n");
    let (first, ended, counts) = target.read(&text(1)).expect("valid");
    assert_eq!(counts, Counts { scraped: 2, added: 2, refused: 0 });
    assert_eq!(first["a{job=\"j\", x=\"1\"}"], (2000, 1.0));
    assert!(ended.is_empty());
    let list = target.prediction.list().id();
    let (second, _, counts) = target.read(&text(2)).expect("valid");
    assert_eq!((second["a{job=\"j\", x=\"1\"}"], counts.added), ((3000, 2.0), 0));
    assert_eq!(target.prediction.list().id(), list);
    let series = target.prediction.list().refs()[0];
    let table = target.rules.table.read();
    assert_eq!((&*table.family(series).help, table.family(series).kind), ("words", MetricKind::Counter));
}

#[test]
fn new_help_reaches_series_that_are_known() {
    let mut target = Scraped::new(100);
    target.read("# HELP a old\na 1\nb 1\n").expect("valid");
    target.read("# HELP a new\na 1\nb 1\n").expect("valid");
    let series = target.prediction.list().refs();
    let table = target.rules.table.read();
    assert_eq!((&*table.family(series[0]).help, &*table.family(series[1]).help), ("new", ""));
}

#[test]
fn a_series_with_a_time_of_its_own_ends_without_a_marker() {
    let mut target = Scraped::new(100);
    let (samples, ..) = target.read("a 1 500\nb 1\n").expect("valid");
    assert_eq!((samples["a{job=\"j\"}"], samples["b{job=\"j\"}"]), ((500, 1.0), (2000, 1.0)));
    let (_, ended, _) = target.read("c 1\n").expect("valid");
    assert_eq!(ended, ["b{job=\"j\"}"]);
}

#[test]
fn an_exposition_that_breaks_off_changes_nothing() {
    let mut target = Scraped::new(100);
    target.read("a 1\nb 1\n").expect("valid");
    let error = target.read("a 2\nb{ 1\n").expect_err("broken");
    assert!(error.starts_with("2:"), "{error}");
    let (samples, ended, counts) = target.read("a 3\nb 3\n").expect("valid");
    assert_eq!((samples.len(), ended.len(), counts.added), (2, 0, 0));
}

#[test]
fn a_label_that_moves_within_its_series_ends_nothing() {
    let mut target = Scraped::new(100);
    target.read("a{x=\"1\",y=\"2\"} 1\n").expect("valid");
    let (samples, ended, counts) = target.read("a{y=\"2\",x=\"1\"} 2\n").expect("valid");
    assert_eq!((samples.len(), ended.len(), counts.added), (1, 0, 1));
}

#[test]
fn a_full_table_refuses_new_series_and_takes_them_once_there_is_room() {
    let mut target = Scraped::new(2);
    let (samples, _, counts) = target.read("a 1\nb 1\nc 1\n").expect("valid");
    assert_eq!((samples.len(), counts.refused, counts.added), (2, 1, 2));
    target.rules.table.set_limit(3);
    let found = (0..20).find(|_| target.read("a 1\nb 1\nc 1\n").expect("valid").0.len() == 3);
    assert!(found.is_some(), "c is brought again");
}

/// An exposition that differs each time is read anew each time, without asking about what was refused before.
#[test]
fn what_was_refused_is_brought_again_although_the_exposition_changes() {
    let mut target = Scraped::new(2);
    target.read("a 1\nb 1\nc 1\n").expect("valid");
    let table = target.rules.table.clone();
    let mut changing = |scrape: usize| target.read(&format!("# {scrape}\na 1\nb 1\nc 1\n")).expect("valid").0.len();
    assert!((0..15).all(|scrape| changing(scrape) == 2));
    table.set_limit(3);
    assert!((15..30).any(|scrape| changing(scrape) == 3), "c is brought again");
}

#[test]
fn known_series_win_over_new_ones_where_the_job_says_so() {
    let mut target = Scraped::new(100);
    target.rules.limits = Limits { samples: 2, samples_mode: SampleLimitMode::KnownSeriesWin, ..Limits::default() };
    target.read("b 1\nc 1\n").expect("valid");
    let (samples, _, counts) = target.read("a 1\nb 2\nc 2\n").expect("valid");
    assert_eq!(samples.keys().collect::<Vec<_>>(), ["b{job=\"j\"}", "c{job=\"j\"}"]);
    assert_eq!(counts.refused, 1);
    let mut target = Scraped::new(100);
    target.rules.limits = Limits { samples: 2, ..Limits::default() };
    assert!(target.read("a 1\nb 2\nc 2\n").expect_err("too many").contains("`sample_limit` of 2"));
}

/// While the old series are still held nothing new has room; the next scrape brings it.
#[test]
fn a_target_whose_series_all_change_is_dark_for_one_scrape() {
    let mut target = Scraped::new(100);
    target.rules.limits = Limits { samples: 2, samples_mode: SampleLimitMode::KnownSeriesWin, ..Limits::default() };
    let mut samples = |text: &str| target.read(text).expect("valid").0.len();
    assert_eq!(samples("a 1\nb 1\n"), 2);
    assert_eq!((samples("c 1\nd 1\n"), samples("c 1\nd 1\n")), (0, 2));
}

#[test]
fn a_scrape_like_the_last_one_allocates_nothing_for_a_sample() {
    let mut target = Scraped::new(10_000);
    let text = |value: usize| -> String {
        (0..5000).map(|series| format!("requests_total{{path=\"/{series}\"}} {}\n", series * value)).collect()
    };
    let (first, second, third) = (text(1), text(2), text(3));
    let mut read = |text: &str| {
        let parser = || TextParser::new(text.as_bytes());
        let gathered = target.prediction.read(parser, &target.rules, UnixMillis(1), &mut target.anew).expect("valid");
        gathered.into_batch(Default::default()).expect("samples").selection.count()
    };
    // The first reading finds the series, the second makes room for as many values.
    assert_eq!((read(&first), read(&second)), (5000, 5000));
    let mut samples = 0;
    let info = allocation_counter::measure(|| samples = read(&third));
    assert_eq!(samples, 5000);
    assert!(info.count_total < 20, "{} allocations for {samples} samples", info.count_total);
}

proptest! {
    #[test]
    fn what_comes_out_is_what_is_exposed(
        expositions in proptest::collection::vec(proptest::collection::vec((0u8..12, 0u8..4), 0..12), 1..6),
    ) {
        let mut target = Scraped::new(1000);
        let mut before = Samples::new();
        for lines in expositions {
            let mut text = String::new();
            let mut expected = Samples::new();
            let time = target.time + 1000;
            for (series, value) in &lines {
                match series {
                    10 => text.push_str("# HELP a some words\n"),
                    11 => text.push_str(&format!("# TYPE a gauge\n# a comment {value}\n")),
                    _ => {
                        text.push_str(&format!("a{{x=\"{series}\"}} {value}\n"));
                        // Of two samples of one series the first counts.
                        expected.entry(format!("a{{job=\"j\", x=\"{series}\"}}")).or_insert((time, f64::from(*value)));
                    }
                }
            }
            let (samples, mut ended, _) = target.read(&text).expect("valid");
            prop_assert_eq!(&samples, &expected);
            prop_assert!(samples.values().all(|(_, value)| !is_stale(*value)));
            ended.sort();
            let gone: Vec<_> = before.keys().filter(|series| !expected.contains_key(*series)).cloned().collect();
            prop_assert_eq!(ended, gone);
            prop_assert_eq!(target.rules.table.read().len(), expected.len());
            before = expected;
        }
    }

    #[test]
    fn samples_with_times_of_their_own_are_taken_in_order(
        expositions in proptest::collection::vec(
            proptest::collection::vec((0u8..3, proptest::option::of(0i64..8)), 0..9), 1..5,
        ),
    ) {
        let mut target = Scraped::new(1000);
        // How far series have come that stood several times in the exposition before.
        let mut before: BTreeMap<String, i64> = BTreeMap::new();
        for lines in expositions {
            let now = target.time + 1000;
            let mut text = String::new();
            let mut columns: Vec<(String, i64, f64)> = Vec::new();
            for (value, (series, time)) in lines.iter().enumerate() {
                let (name, value) = (format!("s{series}"), value as f64);
                let own = time.map(|time| now - 4 + time);
                text.push_str(&format!("{name} {value}{}\n", own.map(|time| format!(" {time}")).unwrap_or_default()));
                if own.is_some() || columns.iter().all(|(known, ..)| *known != name) {
                    columns.push((name, own.unwrap_or(now), value));
                }
            }
            let times = |name: &str| columns.iter().filter(|(known, ..)| known == name).count();
            before.retain(|name, _| times(name) > 1);
            let mut expected = columns.clone();
            expected.retain(|(name, time, _)| {
                let late = times(name) > 1 && before.get(name).is_some_and(|last| time <= last);
                if times(name) > 1 && !late {
                    before.insert(name.clone(), *time);
                }
                !late
            });
            let left_out = lines.len() - expected.len();
            prop_assert_eq!(target.in_order(&text), (expected, left_out));
        }
    }
}
