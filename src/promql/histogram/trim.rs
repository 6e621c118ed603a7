//! The operators `</` and `>/`: what is left of a histogram below or above a value. A bucket that the value cuts is split as
//! if its observations were spread evenly, and the sum is estimated anew.

use super::FloatHistogram;
use super::walk::Bucket;

/// Which side is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Below,
    Above,
}

/// What is kept of a bucket: how much, and the middle of where it is.
struct Kept {
    count: f64,
    middle: f64,
}

const NOTHING: Kept = Kept { count: 0.0, middle: 0.0 };

impl FloatHistogram {
    /// Keeps what is below a value: `</`.
    pub fn trim_above(&mut self, value: f64) {
        self.trim(value, Keep::Below);
    }

    /// Keeps what is above a value: `>/`.
    pub fn trim_below(&mut self, value: f64) {
        self.trim(value, Keep::Above);
    }

    fn trim(&mut self, value: f64, keep: Keep) {
        let custom = self.is_custom();
        let (mut count, mut sum, mut trimmed) = (0.0, 0.0, false);
        let mut add = |before: f64, kept: Kept| {
            count += kept.count;
            sum += kept.middle * kept.count;
            trimmed |= before != kept.count;
            kept.count
        };
        let has = |counts: &[f64]| counts.iter().any(|count| *count != 0.0);
        let (has_positive, has_negative) = (has(self.positive.counts()), has(self.negative.counts()));
        for place in 0..self.positive.len() {
            let (index, before) = (self.positive.indexes()[place], self.positive.counts()[place]);
            if before != 0.0 {
                let kept = self.positive_bucket(index, before).kept(value, keep, custom);
                self.positive.counts_mut()[place] = add(before, kept);
            }
        }
        for place in 0..self.negative.len() {
            let (index, before) = (self.negative.indexes()[place], self.negative.counts()[place]);
            if before != 0.0 {
                let kept = self.negative_bucket(index, before).kept(value, keep, custom);
                self.negative.counts_mut()[place] = add(before, kept);
            }
        }
        if self.zero_count > 0.0 {
            let mut zero = self.zero_bucket();
            match (has_negative, has_positive) {
                (true, false) => zero.upper = 0.0,
                (false, true) => zero.lower = 0.0,
                _ => {}
            }
            self.zero_count = add(self.zero_count, zero.kept_of_zero(value, keep));
        }
        if trimmed {
            (self.count, self.sum) = (count, sum);
            self.compact();
        }
    }
}

impl Bucket {
    fn kept(&self, value: f64, keep: Keep, custom: bool) -> Kept {
        let (all, cut) = match keep {
            Keep::Below => (self.upper <= value, self.lower < value),
            Keep::Above => (self.lower >= value, self.upper > value),
        };
        if all {
            return Kept { count: self.count, middle: middle(self.lower, self.upper, custom) };
        }
        if !cut {
            return NOTHING;
        }
        if self.lower == f64::NEG_INFINITY {
            return self.kept_without_beginning(value, keep);
        }
        if self.upper == f64::INFINITY {
            return self.kept_without_end(value, keep);
        }
        let below = self.count * self.fraction_below(value, custom);
        match keep {
            Keep::Below => Kept { count: below, middle: middle(self.lower, value, custom) },
            Keep::Above => Kept { count: self.count - below, middle: middle(value, self.upper, custom) },
        }
    }

    /// Of the first custom bucket, which begins at zero if it ends above it. Below zero nothing tells where its observations
    /// are, and none can be told apart.
    fn kept_without_beginning(&self, value: f64, keep: Keep) -> Kept {
        let ends = self.upper.is_finite();
        match keep {
            Keep::Below if value > 0.0 && self.upper > 0.0 && ends => {
                Kept { count: self.count * value / self.upper, middle: value / 2.0 }
            }
            Keep::Below if self.upper <= 0.0 => Kept { count: self.count, middle: value },
            Keep::Above if value >= 0.0 && self.upper > value && ends => {
                Kept { count: self.count * (1.0 - value / self.upper), middle: (value + self.upper) / 2.0 }
            }
            // Nothing is below -Inf.
            Keep::Above if value <= self.lower => Kept { count: self.count, middle: 0.0 },
            _ => NOTHING,
        }
    }

    /// Of the last bucket, of whose observations it is only known that they are above its lower bound.
    fn kept_without_end(&self, value: f64, keep: Keep) -> Kept {
        if keep == Keep::Above && value >= self.lower { Kept { count: self.count, middle: value } } else { NOTHING }
    }

    fn kept_of_zero(&self, value: f64, keep: Keep) -> Kept {
        let (lower, upper) = (self.lower, self.upper);
        let all = Kept { count: self.count, middle: (lower + upper) / 2.0 };
        let part = |from: f64, to: f64| Kept {
            count: self.count * ((to - from) / (upper - lower)),
            middle: (from + to) / 2.0,
        };
        match keep {
            Keep::Below if value <= lower => NOTHING,
            Keep::Below if value >= upper => all,
            Keep::Below => part(lower, value),
            Keep::Above if value <= lower => all,
            Keep::Above if value >= upper => NOTHING,
            Keep::Above => part(value, upper),
        }
    }
}

/// The middle of what is kept: the arithmetic one under custom bounds, else the geometric one.
fn middle(lower: f64, upper: f64, custom: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) => {
            if upper > 0.0 {
                upper / 2.0
            } else {
                upper
            }
        }
        (false, true) => lower,
        (false, false) if custom => (lower + upper) / 2.0,
        (false, false) => (lower * upper).abs().sqrt().copysign(lower + upper),
    }
}
