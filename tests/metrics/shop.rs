//! An application under scrape that knows what it said: its metrics move with every scrape, by a seed, and each
//! exposition is kept as labels and values, in which nothing that is under test had a hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

use crate::exposition_target::{Exposition, ExpositionTarget};
use crate::prometheus_server::{Labels, Samples};

/// What one scrape was told: each series and the bits of its value.
pub type Turn = BTreeMap<Labels, u64>;

/// The samples of series as bits, oldest first.
type Kept = BTreeMap<Labels, Vec<(i64, u64)>>;

/// The series that tells the number of the scrape, by which a stored sample finds the scrape that it is from.
pub const TURN: &str = "shop_turn";

/// A target with such an application behind it.
pub struct Shop {
    target: ExpositionTarget,
    told: Arc<Mutex<Vec<Turn>>>,
}

impl Shop {
    /// Some `series` series, some of which come and go.
    pub async fn open(seed: u64, series: usize) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let target = ExpositionTarget::start().await;
        let (mut random, kept) = (Rng::with_seed(seed), told.clone());
        let mut counters = vec![0_u64; series];
        target.expose_by("/metrics", move |_| {
            let mut told = lock(&kept);
            let (text, turn) = expose(told.len(), &mut counters, &mut random);
            told.push(turn);
            Exposition::text(text)
        });
        Self { target, told }
    }

    /// `instance` of its series.
    pub fn instance(&self) -> String {
        self.target.address().to_string()
    }

    /// What each scrape was told so far.
    pub fn told(&self) -> Vec<Turn> {
        lock(&self.told).clone()
    }

    /// What must be stored of it, given what is: the samples of each scrape whose number is there, at the time of
    /// that number, and none of any other. `job` is the scrape job's name.
    fn expected(&self, stored: &Samples, job: &str) -> (Vec<usize>, Kept) {
        let told = self.told();
        let own = |labels: &Labels| {
            let mut labels = labels.clone();
            labels.insert("job".into(), job.into());
            labels.insert("instance".into(), self.instance());
            labels
        };
        let numbers = stored.get(&own(&Labels::from([("__name__".into(), TURN.into())])));
        let (mut turns, mut expected) = (Vec::new(), Kept::new());
        for (millis, number) in numbers.into_iter().flatten() {
            let number: usize = number.parse().expect("the number of a scrape");
            turns.push(number);
            for (labels, bits) in &told[number] {
                expected.entry(own(labels)).or_default().push((*millis, *bits));
            }
        }
        (turns, expected)
    }

    /// Fails unless what is stored of it is, to the sample, what it told in the scrapes that are stored; returns the
    /// numbers of those, in the order of their times.
    pub fn assert_stored(&self, stored: &Samples, job: &str) -> Vec<usize> {
        let (turns, expected) = self.expected(stored, job);
        assert!(turns.is_sorted(), "scrapes changed places: {turns:?}");
        let stored = own_series(stored, &self.instance());
        for (labels, samples) in &expected {
            assert_eq!(stored.get(labels), Some(samples), "stored, and told, of {labels:?}");
        }
        let invented: Vec<_> = stored.keys().filter(|labels| !expected.contains_key(*labels)).collect();
        assert!(invented.is_empty(), "stored, and never told: {invented:?}");
        turns
    }
}

impl Shop {
    /// Fails where scrapes of this range are not among the stored ones, unless it is said of as many that they failed:
    /// on a machine under load a scrape may take too long.
    pub fn assert_none_missing(&self, range: std::ops::Range<usize>, turns: &[usize], stored: &Samples) {
        let missing: Vec<_> = range.filter(|turn| !turns.contains(turn)).collect();
        let up =
            stored.iter().filter(|(labels, _)| labels["__name__"] == "up" && labels["instance"] == self.instance());
        let failed = up.flat_map(|(_, samples)| samples).filter(|(_, value)| value == "0").count();
        assert!(missing.len() <= failed, "not stored: {missing:?}; {failed} scrapes are said to have failed");
    }
}

/// The series of an instance that its application exposed, values as bits.
fn own_series(stored: &Samples, instance: &str) -> Kept {
    let own = stored.iter().filter(|(labels, _)| {
        labels.get("instance").is_some_and(|own| own == instance) && labels["__name__"].starts_with("shop_")
    });
    own.map(|(labels, samples)| (labels.clone(), samples.iter().map(|(at, value)| (*at, bits_of(value))).collect()))
        .collect()
}

/// The bits of a value in Prometheus's words; of all NaNs the same.
pub fn bits_of(value: &str) -> u64 {
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("not a number: {value}"));
    plain_bits(value)
}

fn plain_bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const PATHS: [&str; 6] = ["/", "/quo\"ted", "/back\\slash", "/new\nline", "/grüße", "{curly},=\"\""];
const VALUES: [f64; 9] =
    [0.0, -17.25, 1e-300, 5e-324, f64::MAX, 9_007_199_254_740_994.0, 0.1 + 0.2, f64::INFINITY, f64::NEG_INFINITY];

/// Moves everything by one step: the text, and what it says.
fn expose(number: usize, counters: &mut [u64], random: &mut Rng) -> (String, Turn) {
    let mut text = format!("# TYPE {TURN} gauge\n{TURN} {number}\n");
    let mut turn = Turn::new();
    turn.insert(Labels::from([("__name__".into(), TURN.into())]), plain_bits(number as f64));
    text.push_str(
        "# HELP shop_requests_total Requests, \\\\ and\\n of every kind.\n# TYPE shop_requests_total counter\n",
    );
    for (series, value) in counters.iter_mut().enumerate() {
        *value += random.u64(..1000);
        // One in ten comes and goes.
        if series % 10 == 9 && random.bool() {
            continue;
        }
        let path = PATHS[series % PATHS.len()];
        let labels = [("path", path.to_owned()), ("series", series.to_string())];
        push(&mut text, &mut turn, "shop_requests_total", &labels, *value as f64);
    }
    text.push_str("# TYPE shop_value gauge\n");
    for place in 0..VALUES.len() {
        let labels = [("place", place.to_string())];
        push(&mut text, &mut turn, "shop_value", &labels, VALUES[(place + number) % VALUES.len()]);
    }
    push(&mut text, &mut turn, "shop_nothing", &[], f64::NAN);
    (text, turn)
}

fn push(text: &mut String, turn: &mut Turn, name: &str, labels: &[(&str, String)], value: f64) {
    let mut all = Labels::from([("__name__".into(), name.into())]);
    let mut pairs = String::new();
    for (name, value) in labels {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let comma = if pairs.is_empty() { "" } else { "," };
        write!(pairs, "{comma}{name}=\"{escaped}\"").expect("a string takes everything");
        all.insert((*name).into(), value.clone());
    }
    let word =
        if value.is_infinite() { format!("{}Inf", if value > 0.0 { '+' } else { '-' }) } else { value.to_string() };
    let braces = if pairs.is_empty() { String::new() } else { format!("{{{pairs}}}") };
    writeln!(text, "{name}{braces} {word}").expect("a string takes everything");
    turn.insert(all, plain_bits(value));
}
