//! Quantiles and fractions of classic histograms: series of one metric that count what is at most `le`.

use std::cmp::Ordering;

use super::notes::Forced;
use crate::formats::prometheus::number;

/// Differences between the counts of neighbours up to this part of them come from rounding.
const TOLERANCE: f64 = 1e-12;

/// Reads the value of a label `le`; nothing where it is no bound.
pub fn parse_bound(label: &str) -> Option<f64> {
    number::parse(label.as_bytes()).filter(|bound| !bound.is_nan())
}

/// The buckets of a classic histogram at one time, each with all that is below its bound.
#[derive(Clone, Debug, Default)]
pub struct Classic {
    bounds: Vec<f64>,
    counts: Vec<f64>,
    is_monotonic: bool,
}

impl Classic {
    /// No buckets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the buckets and keeps the memory.
    pub fn clear(&mut self) {
        self.bounds.clear();
        self.counts.clear();
        self.is_monotonic = false;
    }

    /// Adds a bucket; fastest in the order of their bounds.
    pub fn push(&mut self, bound: f64, count: f64) {
        self.is_monotonic = false;
        match self.bounds.last() {
            Some(last) if *last >= bound => {
                let place = self.bounds.partition_point(|known| *known < bound);
                if self.bounds.get(place) == Some(&bound) {
                    self.counts[place] += count;
                } else {
                    self.bounds.insert(place, bound);
                    self.counts.insert(place, count);
                }
            }
            _ => {
                self.bounds.push(bound);
                self.counts.push(count);
            }
        }
    }

    /// Whether there are no buckets.
    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// The quantile `q`, evenly spread within a bucket; and where counts went down, which they then no longer do. In the last
    /// bucket it is that one's lower bound, in the first one the lower bound is zero where the upper is above it.
    pub fn quantile(&mut self, q: f64) -> (f64, Option<Forced>) {
        if q.is_nan() {
            return (f64::NAN, None);
        }
        if q < 0.0 {
            return (f64::NEG_INFINITY, None);
        }
        if q > 1.0 {
            return (f64::INFINITY, None);
        }
        if self.bounds.last() != Some(&f64::INFINITY) {
            return (f64::NAN, None);
        }
        let forced = self.make_monotonic();
        let (bounds, counts) = (&self.bounds[..], &self.counts[..]);
        let last = bounds.len() - 1;
        let observations = counts[last];
        if last == 0 || observations == 0.0 {
            return (f64::NAN, forced);
        }
        let mut rank = q * observations;
        // Counts that are no numbers reach no rank.
        let below = |count: &f64| count.partial_cmp(&rank).is_none_or(Ordering::is_lt);
        let at = counts[..last].partition_point(below);
        let quantile = if at == last {
            bounds[last - 1]
        } else if at == 0 && bounds[0] <= 0.0 {
            bounds[0]
        } else {
            let (mut lower, mut count) = (0.0, counts[at]);
            if at > 0 {
                lower = bounds[at - 1];
                count -= counts[at - 1];
                rank -= counts[at - 1];
            }
            lower + (bounds[at] - lower) * (rank / count)
        };
        (quantile, forced)
    }

    /// The fraction of observations between two values.
    pub fn fraction(&self, lower: f64, upper: f64) -> f64 {
        if self.bounds.last() != Some(&f64::INFINITY) {
            return f64::NAN;
        }
        let all = self.counts[self.counts.len() - 1];
        if all == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }
        if lower >= upper {
            return 0.0;
        }
        let at = |rank: f64| if rank > all { all } else { rank };
        (at(self.rank(upper, all)) - at(self.rank(lower, all))) / all
    }

    /// Observations below a value.
    fn rank(&self, value: f64, all: f64) -> f64 {
        let mut from = if self.bounds[0] <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
        let mut rank = 0.0;
        for (&to, &count) in self.bounds.iter().zip(&self.counts) {
            if from >= value {
                return rank;
            }
            if to > value {
                // What has no beginning has no middle.
                let part = || rank + (count - rank) * (value - from) / (to - from);
                return if from == f64::NEG_INFINITY { count } else { part() };
            }
            (rank, from) = (count, to);
        }
        all
    }

    /// Raises counts to those before them: a bucket holds all that lower ones do.
    fn make_monotonic(&mut self) -> Option<Forced> {
        if std::mem::replace(&mut self.is_monotonic, true) {
            return None;
        }
        let mut forced: Option<Forced> = None;
        let (first, rest) = self.counts.split_first_mut()?;
        let mut before = *first;
        for (count, &bound) in rest.iter_mut().zip(&self.bounds[1..]) {
            let now = *count;
            if now == before {
                continue;
            }
            if nearly(before, now) {
                *count = before;
            } else if now < before {
                *count = before;
                let forced = forced.get_or_insert(Forced { lowest: bound, highest: bound, most: 0.0 });
                forced.highest = forced.highest.max(bound);
                forced.most = forced.most.max(before - now);
            } else {
                before = now;
            }
        }
        forced
    }
}

/// Whether two numbers are the same but for rounding.
fn nearly(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classic(buckets: &[(f64, f64)]) -> Classic {
        let mut classic = Classic::new();
        buckets.iter().for_each(|(bound, count)| classic.push(*bound, *count));
        classic
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn quantiles_are_interpolated_in_their_bucket() {
        let mut buckets = classic(&[(INF, 10.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0)]);
        for (q, value) in [(0.0, 0.0), (0.1, 0.5), (0.3, 1.5), (0.5, 2.5), (0.8, 4.0), (0.9, 4.0), (1.0, 4.0)] {
            let (quantile, forced) = buckets.quantile(q);
            assert!((quantile - value).abs() < 1e-12, "{q}: {quantile}");
            assert_eq!(forced, None);
        }
        assert_eq!((buckets.quantile(-1.0).0, buckets.quantile(2.0).0), (-INF, INF));
        assert_eq!(classic(&[(-1.0, 3.0), (INF, 4.0)]).quantile(0.1).0, -1.0);
        for none in [&[][..], &[(1.0, 1.0)], &[(INF, 1.0)], &[(1.0, 0.0), (INF, 0.0)]] {
            assert!(classic(none).quantile(0.5).0.is_nan());
        }
    }

    #[test]
    fn counts_that_go_down_are_raised_once_and_told() {
        let mut buckets = classic(&[(1.0, 5.0), (2.0, 3.0), (4.0, 4.0), (8.0, 9.0), (INF, 9.0 - 1e-12)]);
        let forced = Forced { lowest: 2.0, highest: 4.0, most: 2.0 };
        let (quantile, told) = buckets.quantile(0.5);
        assert_eq!((quantile, told), (0.9, Some(forced)));
        assert_eq!(buckets.quantile(0.5), (0.9, None));
        // Buckets of one bound are one.
        assert_eq!(classic(&[(1.0, 1.0), (INF, 2.0), (1.0, 1.0), (INF, 2.0)]).quantile(0.5).0, 1.0);
    }

    #[test]
    fn fractions_are_interpolated_as_quantiles_are() {
        let buckets = classic(&[(1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (INF, 10.0)]);
        let near = |lower, upper, value: f64| {
            let fraction = buckets.fraction(lower, upper);
            assert!((fraction - value).abs() < 1e-12, "{lower} to {upper}: {fraction}");
        };
        near(-INF, INF, 1.0);
        near(-INF, 0.5, 0.1);
        near(1.5, 3.0, 0.3);
        near(4.0, 5.0, 0.0);
        near(3.0, 3.0, 0.0);
        assert!(buckets.fraction(f64::NAN, 1.0).is_nan());
        assert!(classic(&[(1.0, 1.0)]).fraction(0.0, 1.0).is_nan());
    }

    #[test]
    fn bounds_are_numbers() {
        assert_eq!(parse_bound("+Inf"), Some(INF));
        assert_eq!(parse_bound("0.25"), Some(0.25));
        assert_eq!((parse_bound(""), parse_bound("NaN"), parse_bound("1 s")), (None, None, None));
    }
}
