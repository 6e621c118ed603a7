//! One point of a metric: the samples of one metric at one time.

use std::collections::HashSet;

use super::super::super::number;
use super::Broken;
use super::family::Metric;
use super::line::Sample;
use super::rule::Rule;
use super::time::Time;
use crate::data::MetricKind;

/// The point that is being read.
pub(super) struct Point<'a> {
    pub metric: Metric,
    pub time: Option<Time<'a>>,
    kind: MetricKind,
    /// Where its first sample begins in the body.
    at: usize,
    /// Suffix and own label of the samples so far.
    seen: HashSet<(String, String)>,
    /// The last bucket: its bound and its value.
    bucket: Option<(f64, f64)>,
    has_negative_bucket: bool,
    count: Option<f64>,
    sum: Option<f64>,
    has_total: bool,
}

impl<'a> Point<'a> {
    /// A point that begins at `at`.
    pub fn new(kind: MetricKind, metric: Metric, time: Option<Time<'a>>, at: usize) -> Self {
        Self {
            metric,
            time,
            kind,
            at,
            seen: HashSet::new(),
            bucket: None,
            has_negative_bucket: false,
            count: None,
            sum: None,
            has_total: false,
        }
    }

    /// Takes a sample; places are in its line.
    pub fn sample(&mut self, family: &str, suffix: &str, sample: Sample<'_>) -> Result<(), Broken> {
        let label = |wanted: &str| {
            let found = sample.labels.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| &**value)
        };
        let required = |wanted: &str| label(wanted).ok_or_else(|| (0, Rule::NoLabel(wanted.to_owned())));
        let broken = |rule| Err((sample.value_at, rule));
        let value = sample.value;
        if sample.exemplar.is_some() && !matches!((self.kind, suffix), (MetricKind::Counter, "_total") | (_, "_bucket"))
        {
            return Err((sample.exemplar.map_or(0, |exemplar| exemplar.at), Rule::ForeignExemplar));
        }
        let mut own = "";
        match (self.kind, suffix) {
            (MetricKind::Counter, "_total") => {
                self.has_total = true;
                counts(value).or_else(broken)?;
            }
            (_, "_created") if !value.is_finite() => return broken(Rule::Timestamp),
            (_, "_created") => {}
            (MetricKind::Summary, "") => {
                own = required("quantile")?;
                if !number::parse(own.as_bytes()).is_some_and(|quantile| (0.0..=1.0).contains(&quantile)) {
                    return Err((0, Rule::Quantile));
                }
                if value < 0.0 {
                    return broken(Rule::Negative);
                }
            }
            (_, "_bucket") => {
                own = required("le")?;
                self.bucket(own, &sample)?;
            }
            (_, "_count" | "_gcount") => {
                whole(value).or_else(broken)?;
                self.count = Some(value);
            }
            (_, "_sum") => {
                counts(value).or_else(broken)?;
                self.sum = Some(value);
            }
            (_, "_gsum") => {
                if value.is_nan() {
                    return broken(Rule::NotANumber);
                }
                self.sum = Some(value);
            }
            (MetricKind::Info, _) if value != 1.0 => return broken(Rule::Info),
            (MetricKind::StateSet, _) => {
                own = required(family)?;
                if value != 0.0 && value != 1.0 {
                    return broken(Rule::State);
                }
            }
            _ => {}
        }
        let foreign = match (self.kind, suffix) {
            (MetricKind::Summary, "_count" | "_sum" | "_created") => Some("quantile"),
            (MetricKind::Histogram | MetricKind::GaugeHistogram, suffix) if suffix != "_bucket" => Some("le"),
            _ => None,
        };
        if let Some(foreign) = foreign
            && label(foreign).is_some()
        {
            return Err((0, Rule::ForeignLabel(foreign)));
        }
        // Two spellings of one number are one quantile.
        let own = match number::parse(own.as_bytes()) {
            Some(quantile) if self.kind == MetricKind::Summary => quantile.to_string(),
            _ => own.to_owned(),
        };
        if self.seen.insert((suffix.to_owned(), own)) { Ok(()) } else { Err((0, Rule::Duplicate)) }
    }

    fn bucket(&mut self, le: &str, sample: &Sample<'_>) -> Result<(), Broken> {
        let bound = number::parse(le.as_bytes()).filter(|bound| !bound.is_nan());
        let bound = bound.filter(|bound| *bound != f64::INFINITY || le == "+Inf").ok_or((0, Rule::Bound))?;
        whole(sample.value).map_err(|rule| (sample.value_at, rule))?;
        if let Some((before, value)) = self.bucket {
            if bound == before {
                return Err((0, Rule::Duplicate));
            }
            if bound < before {
                return Err((0, Rule::BucketOrder));
            }
            if sample.value < value {
                return Err((sample.value_at, Rule::Cumulative));
            }
        }
        if let Some(exemplar) = &sample.exemplar
            && !matches!(exemplar.value.partial_cmp(&bound), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal))
        {
            return Err((exemplar.at, Rule::OutsideBucket));
        }
        self.has_negative_bucket |= bound < 0.0;
        self.bucket = Some((bound, sample.value));
        Ok(())
    }

    /// Checks what the point as a whole must hold to.
    pub fn end(&self) -> Result<(), Broken> {
        let (count, sum) = match self.kind {
            MetricKind::Counter if !self.has_total => return Err((self.at, Rule::NoTotal)),
            MetricKind::Histogram => ("_count", "_sum"),
            MetricKind::GaugeHistogram => ("_gcount", "_gsum"),
            _ => return Ok(()),
        };
        let broken = match (self.bucket, self.count, self.sum) {
            (None, ..) => Some(Rule::NoInfinity),
            (Some((bound, _)), ..) if bound != f64::INFINITY => Some(Rule::NoInfinity),
            (Some((_, all)), Some(counted), _) if all != counted => Some(Rule::CountDiffers(count)),
            (_, Some(_), None) | (_, None, Some(_)) => Some(Rule::Alone(count, sum)),
            (.., Some(_)) if self.kind == MetricKind::Histogram && self.has_negative_bucket => {
                Some(Rule::SumOfNegative)
            }
            (.., Some(sum)) if sum < 0.0 && !self.has_negative_bucket => Some(Rule::NegativeSum),
            _ => None,
        };
        broken.map_or(Ok(()), |rule| Err((self.at, rule)))
    }
}

/// A value that counts: not NaN, not negative.
fn counts(value: f64) -> Result<(), Rule> {
    if value.is_nan() {
        return Err(Rule::NotANumber);
    }
    if value < 0.0 { Err(Rule::Negative) } else { Ok(()) }
}

/// A value that counts things one by one.
fn whole(value: f64) -> Result<(), Rule> {
    counts(value)?;
    if value.is_finite() && value.fract() == 0.0 { Ok(()) } else { Err(Rule::Fraction) }
}
