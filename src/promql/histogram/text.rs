//! Histograms as text: as results show them, `{count:3, sum:5, (1,2]:3}`, and as scripts of tests write them,
//! `{{schema:1 count:3 sum:5 buckets:[3]}}`.

use std::fmt::{self, Display, Formatter};

use super::walk::Bucket;
use super::{Buckets, FloatHistogram, ResetHint};
use crate::formats::go::Shortest;

impl Display for FloatHistogram {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", Shortest(self.count), Shortest(self.sum))?;
        let negative = self.negative.iter().rev().map(|(index, count)| self.negative_bucket(index, count));
        let zero = (!self.is_custom()).then(|| self.zero_bucket());
        let positive = self.positive.iter().map(|(index, count)| self.positive_bucket(index, count));
        for bucket in negative.chain(zero).chain(positive).filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl Display for Bucket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let left = if self.lower_inclusive { '[' } else { '(' };
        let right = if self.upper_inclusive { ']' } else { ')' };
        write!(f, "{left}{},{}{right}:{}", Shortest(self.lower), Shortest(self.upper), Shortest(self.count))
    }
}

/// A histogram as scripts of tests write it.
pub struct TestForm<'a>(pub &'a FloatHistogram);

impl Display for TestForm<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(histogram) = self;
        let mut parts = Vec::new();
        if histogram.schema != 0 {
            parts.push(format!("schema:{}", histogram.schema));
        }
        for (name, value) in [
            ("count", histogram.count),
            ("sum", histogram.sum),
            ("z_bucket", histogram.zero_count),
            ("z_bucket_w", histogram.zero_threshold),
        ] {
            if value != 0.0 {
                parts.push(format!("{name}:{}", Shortest(value)));
            }
        }
        if histogram.is_custom() {
            parts.push(format!("custom_values:{}", List(&histogram.custom_bounds)));
        }
        match histogram.reset_hint {
            ResetHint::Unknown => {}
            ResetHint::Yes => parts.push("counter_reset_hint:reset".into()),
            ResetHint::No => parts.push("counter_reset_hint:not_reset".into()),
            ResetHint::Gauge => parts.push("counter_reset_hint:gauge".into()),
        }
        for (prefix, buckets) in [("", &histogram.positive), ("n_", &histogram.negative)] {
            if let Some((first, counts)) = run(buckets) {
                if first != 0 {
                    parts.push(format!("{prefix}offset:{first}"));
                }
                parts.push(format!("{prefix}buckets:{}", List(&counts)));
            }
        }
        write!(f, "{{{{{}}}}}", parts.join(" "))
    }
}

/// Buckets as one run, from the first to the last that is not empty.
fn run(buckets: &Buckets) -> Option<(i32, Vec<f64>)> {
    let mut filled = buckets.iter().filter(|(_, count)| *count != 0.0).peekable();
    let first = filled.peek()?.0;
    let mut counts = Vec::new();
    for (index, count) in filled {
        // Histograms far apart at both ends are written by nobody; this bounds what one could make of it.
        let gap = (index.wrapping_sub(first) as usize).min(1 << 16);
        counts.resize(gap.max(counts.len()), 0.0);
        counts.push(count);
    }
    Some((first, counts))
}

struct List<'a>(&'a [f64]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (place, value) in self.0.iter().enumerate() {
            write!(f, "{}{}", if place == 0 { "" } else { " " }, Shortest(*value))?;
        }
        f.write_str("]")
    }
}
