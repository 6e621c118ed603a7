//! From the labels that a target exposes to the labels that a series keeps: the target's own labels, metric
//! relabelling, and the limits of the job. Done once in a series' life.

use std::sync::Arc;

use super::config::{Limits, SampleLimitMode};
use super::gathered::ScrapeError;
use crate::data::labels::METRIC_NAME;
use crate::data::{Histogram, LabelSet, SeriesTable};
use crate::formats::prometheus::NameValidation;
use crate::relabel::{Rules, Scratch, Verdict};

/// What a job and its target say about series.
#[derive(Debug)]
pub(super) struct SeriesRules {
    /// Where series are kept.
    pub table: Arc<SeriesTable>,
    /// The target's labels.
    pub target: LabelSet,
    /// Whether an exposed label wins over one of the target.
    pub honor_labels: bool,
    /// Whether an exposed time is the sample's.
    pub honor_timestamps: bool,
    /// Whether series with a time of their own end with a staleness marker too.
    pub track_timestamps_staleness: bool,
    /// `metric_relabel_configs`.
    pub relabel: Rules,
    /// Labels of every series that has none of the same name, added last.
    pub external: Arc<LabelSet>,
    /// What names may consist of.
    pub names: NameValidation,
    /// The limits.
    pub limits: Limits,
}

/// The coarsest schema of a native histogram.
const COARSEST: i32 = -4;

impl Limits {
    /// Makes a native histogram as coarse as the job's limits want it.
    pub(super) fn fit(&self, histogram: &mut Histogram) -> Result<(), ScrapeError> {
        if self.min_bucket_factor > 1.0 && histogram.schema > COARSEST {
            let schema = -self.min_bucket_factor.log2().log2().floor();
            histogram.coarsen((schema as i32).clamp(COARSEST, 8));
        }
        while self.buckets > 0 && histogram.buckets() > self.buckets {
            if histogram.schema <= COARSEST {
                return Err(ScrapeError::Buckets(self.buckets));
            }
            histogram.coarsen(histogram.schema - 1);
        }
        Ok(())
    }
}

/// Memory for one series at a time.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The labels: first as exposed, in the end as kept.
    pub labels: LabelSet,
    scratch: Scratch,
    conflicts: Vec<(String, String)>,
}

impl SeriesRules {
    /// Whether samples with a time of their own are treated differently.
    pub fn times_matter(&self) -> bool {
        self.honor_timestamps && !self.track_timestamps_staleness
    }

    /// Makes the exposed labels in `work` the labels of a series; whether the rules keep it. `raw` is the series as it
    /// stands in the exposition.
    ///
    /// # Errors
    /// Where what remains is not a series, or is beyond a limit.
    pub fn name(&self, work: &mut Work, raw: &[u8]) -> Result<Verdict, ScrapeError> {
        self.add_target(work, raw);
        if self.relabel.apply(&mut work.labels, &mut work.scratch) == Verdict::Dropped || work.labels.is_empty() {
            return Ok(Verdict::Dropped);
        }
        self.check(&work.labels)?;
        for (name, value) in self.external.iter() {
            if !work.labels.has(name) {
                work.labels.set(name, value);
            }
        }
        Ok(Verdict::Kept)
    }

    /// As Prometheus: with `honor_labels` an exposed label stays, else it makes way and is called `exported_…`.
    fn add_target(&self, work: &mut Work, raw: &[u8]) {
        let Work { labels, conflicts, .. } = work;
        for (name, value) in self.target.iter() {
            let exposed = labels.get(name);
            if exposed.is_empty() && self.honor_labels && stands_empty(raw, name) {
                // Honoured: the series has no such label. A Pushgateway says so of `instance`.
            } else if exposed.is_empty() {
                labels.set(name, value);
            } else if !self.honor_labels {
                conflicts.push((name.to_owned(), exposed.to_owned()));
                labels.set(name, value);
            }
        }
        // Shorter names first, so that the outcome does not depend on their order.
        conflicts.sort_by_key(|(name, _)| name.len());
        for (mut name, value) in conflicts.drain(..) {
            while labels.has(&name) {
                name.insert_str(0, "exported_");
            }
            labels.set(&name, &value);
        }
    }

    fn check(&self, labels: &LabelSet) -> Result<(), ScrapeError> {
        let metric = labels.get(METRIC_NAME);
        if metric.is_empty() {
            return Err(ScrapeError::NoName);
        }
        let valid = self.names.metric(metric) && labels.iter().all(|(name, _)| self.names.label(name));
        if !valid {
            return Err(ScrapeError::InvalidName(format!("{labels:?}")));
        }
        let Limits { labels: most, label_name_length, label_value_length, .. } = self.limits;
        if most > 0 && labels.len() > most {
            return Err(ScrapeError::Labels { metric: metric.into(), limit: most, found: labels.len() });
        }
        for (name, value) in labels.iter() {
            if label_name_length > 0 && name.len() > label_name_length {
                return Err(ScrapeError::LabelName { name: name.into(), limit: label_name_length });
            }
            if label_value_length > 0 && value.len() > label_value_length {
                return Err(ScrapeError::LabelValue {
                    name: name.into(),
                    limit: label_value_length,
                    found: value.len(),
                });
            }
        }
        Ok(())
    }

    /// Fails a scrape with more samples than its limit, where the limit means that.
    pub fn check_sample_limit(&self, kept: usize) -> Result<(), ScrapeError> {
        let Limits { samples, samples_mode, .. } = self.limits;
        if samples > 0 && kept > samples && samples_mode == SampleLimitMode::TargetDown {
            return Err(ScrapeError::Samples(samples));
        }
        Ok(())
    }

    /// Whether one more series, which is new, is beyond a limit under which known series win.
    pub fn refuses_new(&self, kept: usize) -> bool {
        let Limits { samples, samples_mode, .. } = self.limits;
        samples > 0 && kept >= samples && samples_mode == SampleLimitMode::KnownSeriesWin
    }
}

/// Whether a text exposition says `name=""` of a series. Within a value the quotes would be escaped.
fn stands_empty(raw: &[u8], name: &str) -> bool {
    memchr::memmem::find_iter(raw, b"=\"\"").any(|at| {
        let before = raw[..at].strip_suffix(name.as_bytes());
        before.and_then(<[u8]>::last).is_some_and(|byte| matches!(byte, b'{' | b',' | b' ' | b'\t'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(target: &[(&str, &str)], honor_labels: bool) -> SeriesRules {
        SeriesRules {
            table: SeriesTable::new(10),
            target: target.iter().copied().collect(),
            honor_labels,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            relabel: Rules::default(),
            external: Arc::default(),
            names: NameValidation::Utf8,
            limits: Limits::default(),
        }
    }

    fn named(rules: &SeriesRules, exposed: &[(&str, &str)]) -> Result<LabelSet, String> {
        let mut work = Work { labels: exposed.iter().copied().collect(), ..Work::default() };
        rules.name(&mut work, b"").map(|_| work.labels).map_err(|error| error.to_string())
    }

    #[test]
    fn an_exposed_label_makes_way_or_is_honoured() {
        let exposed = [("__name__", "x"), ("job", "a"), ("exported_job", "b"), ("exported_exported_job", "c")];
        let labels = named(&rules(&[("job", "t")], false), &exposed).expect("a series");
        let expected = [
            ("__name__", "x"),
            ("exported_exported_exported_job", "a"),
            ("exported_exported_job", "c"),
            ("exported_job", "b"),
            ("job", "t"),
        ];
        assert_eq!(labels.iter().collect::<Vec<_>>(), expected);
        let labels = named(&rules(&[("job", "t"), ("instance", "i")], true), &exposed[..2]).expect("a series");
        assert_eq!((labels.get("job"), labels.get("instance")), ("a", "i"));
    }

    #[test]
    fn a_label_that_is_said_to_be_empty_is_honoured() {
        let rules = rules(&[("instance", "i"), ("job", "t")], true);
        let mut work = Work { labels: [("__name__", "x")].into_iter().collect(), ..Work::default() };
        let kept = rules.name(&mut work, b"x{a=\"\\\"job=\\\"\\\"\",instance=\"\"}").expect("a series");
        assert_eq!(kept, Verdict::Kept);
        assert_eq!(work.labels.iter().collect::<Vec<_>>(), [("__name__", "x"), ("job", "t")]);
    }

    #[test]
    fn limits_say_what_is_beyond_them() {
        let mut rules = rules(&[], false);
        rules.limits.labels = 2;
        assert!(
            named(&rules, &[("__name__", "x"), ("a", "1"), ("b", "1")])
                .expect_err("refused")
                .contains("`label_limit` of 2")
        );
        rules.limits = Limits { label_name_length: 8, label_value_length: 3, ..Limits::default() };
        assert!(
            named(&rules, &[("__name__", "x"), ("ninechars", "1")])
                .expect_err("refused")
                .contains("label_name_length_limit")
        );
        assert!(
            named(&rules, &[("__name__", "x"), ("a", "four")])
                .expect_err("refused")
                .contains("label_value_length_limit")
        );
        assert!(named(&rules, &[("a", "1")]).expect_err("refused").contains("name"));
    }
}
