//! `global`: what jobs that do not say otherwise take.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;

use super::unsupported::UnsupportedGlobal;
use crate::data::LabelSet;
use crate::formats::prometheus::{Escaping, NameValidation, ScrapeProtocol};
use crate::options::problem::Code;
use crate::options::{Joined, Problem, PrometheusDuration, PrometheusSize, Span, Spanned};

/// A scrape that would last longer than the time until the next.
pub(super) const TIMEOUT_TOO_LONG: Code = Code("TW0733");

/// An external label that cannot be.
const BAD_EXTERNAL_LABEL: Code = Code("TW0739");

/// Time between two scrapes, as in Prometheus.
const INTERVAL: Duration = Duration::from_secs(60);

/// Time for one scrape, as in Prometheus.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Prometheus's `global`.
pub type GlobalConfig = Joined<Global, UnsupportedGlobal>;

/// Defaults of all jobs, in Prometheus's words.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Global {
    /// Time between two scrapes of a target. Default: `1m`.
    pub scrape_interval: Spanned<PrometheusDuration>,
    /// Time for one scrape; at most the interval. Default: `10s`, or the interval where that is shorter.
    pub scrape_timeout: Spanned<PrometheusDuration>,
    /// Formats that targets are asked for, best first. Default: OpenMetrics 1.0.0 and 0.0.1, then
    /// Prometheus's text format 1.0.0 and 0.0.4; protobuf before them where native histograms are scraped.
    #[schemars(with = "Option<Vec<ScrapeProtocol>>")]
    pub scrape_protocols: Option<Spanned<Vec<ScrapeProtocol>>>,
    /// Labels of every series of this source that has none of the same name. `identity.external_labels`, which
    /// every signal gets, is the better place.
    #[schemars(with = "BTreeMap<String, String>")]
    pub external_labels: BTreeMap<String, Spanned<String>>,
    /// Most bytes of an exposition without its compression; each scrape may take so much memory. Default: `0`, which
    /// is 64 MiB.
    pub body_size_limit: PrometheusSize,
    /// Most samples of a scrape, after relabelling. Default: `0`, no limit.
    pub sample_limit: usize,
    /// Most targets of a job, after relabelling. Default: `0`, no limit.
    pub target_limit: usize,
    /// Most labels of a series, after relabelling. Default: `0`, no limit.
    pub label_limit: usize,
    /// Longest name of a label in bytes, after relabelling. Default: `0`, no limit.
    pub label_name_length_limit: usize,
    /// Longest value of a label in bytes, after relabelling. Default: `0`, no limit.
    pub label_value_length_limit: usize,
    /// Most targets that rules dropped and that are still shown, of each job. Default: `0`, no limit.
    pub keep_dropped_targets: usize,
    /// Which names metrics and labels may have: any (`utf8`), or letters, digits and `_` (`legacy`). Default:
    /// `utf8`.
    pub metric_name_validation_scheme: Option<NameValidation>,
    /// How targets are asked to spell other names. Default: `allow-utf-8`, or `underscores` under `legacy`.
    #[schemars(with = "Option<Escaping>")]
    pub metric_name_escaping_scheme: Option<Spanned<Escaping>>,
    /// Whether native histograms are scraped. Default: `false`.
    pub scrape_native_histograms: bool,
    /// Whether classic histograms become native ones with their buckets. Default: `false`.
    pub convert_classic_histograms_to_nhcb: bool,
    /// Whether the classic buckets of a native histogram are scraped, too. Default: `false`.
    pub always_scrape_classic_histograms: bool,
    /// The name of `always_scrape_classic_histograms` before Prometheus 3.
    pub scrape_classic_histograms: bool,
    /// Whether a scrape is accompanied by `scrape_timeout_seconds`, `scrape_sample_limit` and
    /// `scrape_body_size_bytes`. Default: `false`.
    pub extra_scrape_metrics: bool,
}

/// How long a scrape may last and how often there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub interval: Duration,
    pub timeout: Duration,
}

impl Pace {
    /// What is written, filled up with what holds otherwise; `whose` says whose pace it is.
    pub fn new(
        interval: &Spanned<PrometheusDuration>,
        timeout: &Spanned<PrometheusDuration>,
        otherwise: Self,
        whose: &str,
    ) -> Result<Self, Problem> {
        let or = |written: PrometheusDuration, other| if written.0.is_zero() { other } else { written.0 };
        let every = or(interval.value, otherwise.interval);
        if timeout.value.0 > every {
            let message = format!(
                "the scrape timeout of {whose}, {}, is longer than its interval, {}",
                timeout.value,
                PrometheusDuration(every)
            );
            let help = "make it at most the interval, or leave it out";
            return Err(Problem::new(TIMEOUT_TOO_LONG, timeout.span, message).help(help));
        }
        Ok(Self { interval: every, timeout: or(timeout.value, otherwise.timeout.min(every)) })
    }
}

impl Global {
    pub(super) fn names(&self) -> NameValidation {
        self.metric_name_validation_scheme.unwrap_or_default()
    }

    pub(super) fn pace(&self) -> Result<Pace, Problem> {
        let otherwise = Pace { interval: INTERVAL, timeout: TIMEOUT };
        Pace::new(&self.scrape_interval, &self.scrape_timeout, otherwise, "`global`")
    }

    /// The external labels, checked.
    pub(super) fn external(&self, problems: &mut Vec<Problem>) -> LabelSet {
        let mut labels = LabelSet::new();
        for (name, value) in &self.external_labels {
            if let Err(problem) = external_label(name, &value.value, value.span, self.names()) {
                problems.push(problem);
            }
            labels.set(name, &value.value.replace("$$", "$"));
        }
        labels
    }
}

fn external_label(name: &str, value: &str, span: Span, names: NameValidation) -> Result<(), Problem> {
    if !names.label(name) {
        let message = format!("`{name}` is no name of a label");
        let help = "under `metric_name_validation_scheme: legacy` use letters, digits and `_`";
        return Err(Problem::new(BAD_EXTERNAL_LABEL, span, message).help(help));
    }
    // Prometheus puts variables of its environment in; left as they are they would end up in every series.
    let rest = value.replace("$$", "");
    if let Some((_, variable)) = rest.split_once('$') {
        let word = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let variable = variable.trim_start_matches('{');
        let name = &variable[..variable.find(|c| !word(c)).unwrap_or(variable.len())];
        let message = format!("Prometheus would put the variable `{name}` of its environment in here");
        let help = format!("write `${{env:{name}}}`; for a dollar write `$$`");
        return Err(Problem::new(BAD_EXTERNAL_LABEL, span, message).help(help));
    }
    Ok(())
}
