//! A job, checked: everything that is needed to find its targets and to scrape them, defaults filled in.

use std::collections::BTreeMap;
use std::time::Duration;

use super::global::{GlobalConfig, Pace};
use super::scope::{Scope, Shard};
use super::scrape_config::{JobConfig, SampleLimitMode, ScrapeConfig};
use super::unsupported::NOT_SUPPORTED;
use crate::formats::prometheus::negotiate::{DEFAULT_PROTOCOLS, PROTO_FIRST_PROTOCOLS};
use crate::formats::prometheus::{Escaping, Histograms, NameValidation, ScrapeProtocol};
use crate::options::problem::Code;
use crate::options::{HttpClientOptions, Problem, Span, Spanned};
use crate::relabel::{RelabelRule, Rules};
use crate::sources::prometheus_scrape::discovery::dns::DnsSdConfig;
use crate::sources::prometheus_scrape::discovery::file::FileSdConfig;
use crate::sources::prometheus_scrape::discovery::http::{self, HttpSdConfig};
use crate::sources::prometheus_scrape::discovery::kubernetes::{self, KubernetesSdConfig};
use crate::sources::prometheus_scrape::discovery::static_config::StaticConfig;

/// A job without a name.
const NO_NAME: Code = Code("TW0734");

/// A list of formats that cannot be.
const BAD_PROTOCOLS: Code = Code("TW0737");

/// Names that are asked for and refused.
const BAD_ESCAPING: Code = Code("TW0738");

/// One entry of `scrape_configs` with the defaults of `global`.
#[derive(Clone, Debug)]
pub struct Job {
    /// `job_name`.
    pub name: String,
    /// Which targets this agent scrapes.
    pub scope: Scope,
    /// Where the scope is written, or else the job, and whether it is written.
    pub(super) scope_place: (Span, bool),
    /// How targets are found.
    pub discoveries: Vec<Discovery>,
    /// Time between two scrapes of a target.
    pub interval: Duration,
    /// Time for one scrape; at most the interval.
    pub timeout: Duration,
    /// Formats that are asked for, best first.
    pub protocols: Vec<ScrapeProtocol>,
    /// What an answer is that does not say it.
    pub fallback: Option<ScrapeProtocol>,
    /// Which names are allowed.
    pub names: NameValidation,
    /// How targets are asked to spell other names.
    pub escaping: Escaping,
    /// `http` or `https`.
    pub scheme: String,
    /// The path of the exposition.
    pub metrics_path: String,
    /// Parameters of the query.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether an exposed label wins over one of the target.
    pub honor_labels: bool,
    /// Whether an exposed time is the sample's.
    pub honor_timestamps: bool,
    /// Whether series with a time of their own end with a staleness marker too.
    pub track_timestamps_staleness: bool,
    /// Whether gzip is offered.
    pub compression: bool,
    /// Which histograms of a protobuf exposition are read.
    pub histograms: Histograms,
    /// Whether a scrape is accompanied by further series about itself.
    pub extra_scrape_metrics: bool,
    /// Most bytes of a body without its compression; 0 is no limit of the job's.
    pub body_size_limit: usize,
    /// Most targets; beyond them every scrape of the job fails. 0 is none.
    pub target_limit: usize,
    /// Dropped targets that are shown; 0 is all.
    pub keep_dropped_targets: usize,
    /// Limits of a scrape.
    pub limits: Limits,
    /// Rules for targets.
    pub relabel: Rules,
    /// Rules for series.
    pub metric_relabel: Rules,
    /// How targets are spoken to.
    pub client: HttpClientOptions,
}

/// Limits of a scrape; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Most samples of a scrape, after relabelling.
    pub samples: usize,
    /// What becomes of more.
    pub samples_mode: SampleLimitMode,
    /// Most labels of a series.
    pub labels: usize,
    /// Longest name of a label, in bytes.
    pub label_name_length: usize,
    /// Longest value of a label, in bytes.
    pub label_value_length: usize,
    /// Most buckets of a native histogram.
    pub buckets: usize,
    /// Least factor from one bucket of a native histogram to the next.
    pub min_bucket_factor: f64,
}

/// One way in which a job finds targets.
#[derive(Clone, Debug)]
pub enum Discovery {
    /// All `static_configs`.
    Static(Vec<StaticConfig>),
    /// An entry of `file_sd_configs`.
    File(FileSdConfig),
    /// An entry of `http_sd_configs`.
    Http(Box<HttpSdConfig>),
    /// An entry of `dns_sd_configs`.
    Dns(DnsSdConfig),
    /// An entry of `kubernetes_sd_configs`.
    Kubernetes(Box<KubernetesSdConfig>),
}

impl Discovery {
    /// The key of its kind in a job.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Static(_) => "static_configs",
            Self::File(_) => "file_sd_configs",
            Self::Http(_) => "http_sd_configs",
            Self::Dns(_) => "dns_sd_configs",
            Self::Kubernetes(_) => "kubernetes_sd_configs",
        }
    }

    /// The scope of a job that finds its targets by this alone.
    fn scope(&self) -> Scope {
        match self {
            Self::Kubernetes(config) if kubernetes::is_of_nodes(&config.role) => Scope::Node,
            Self::Static(_) | Self::File(_) | Self::Http(_) | Self::Dns(_) | Self::Kubernetes(_) => Scope::Cluster,
        }
    }
}

/// What a job is checked with.
pub(super) struct Defaults<'a> {
    pub global: &'a GlobalConfig,
    pub pace: Pace,
    pub shard: Option<Shard>,
}

/// Checks one job; everything that is wrong is told.
pub(super) fn check(written: &Spanned<ScrapeConfig>, defaults: &Defaults<'_>) -> Result<Job, Vec<Problem>> {
    let (config, client) = (&written.value.own.own, &written.value.own.shared);
    let mut check = Check { config, defaults, problems: written.value.shared.problems() };
    check.problems.extend(client.problems(written.span));
    let job = check.job(client);
    if check.problems.is_empty() { Ok(job) } else { Err(check.problems) }
}

struct Check<'a> {
    config: &'a JobConfig,
    defaults: &'a Defaults<'a>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn job(&mut self, client: &HttpClientOptions) -> Job {
        let (config, global) = (self.config, &self.defaults.global.own);
        let name = &config.job_name;
        if name.is_empty() {
            let problem = Problem::new(NO_NAME, name.span, "the name of a job is empty");
            self.problems.push(problem.help("give it one: it becomes the label `job`"));
        }
        let whose = format!("the job `{}`", name.value);
        let pace = Pace::new(&config.scrape_interval, &config.scrape_timeout, self.defaults.pace, &whose);
        let pace = pace.unwrap_or_else(|problem| {
            self.problems.push(problem);
            self.defaults.pace
        });
        if config.convert_classic_histograms_to_nhcb.unwrap_or(global.convert_classic_histograms_to_nhcb) {
            let message = "`convert_classic_histograms_to_nhcb` exists in Prometheus and is not supported here";
            let problem = Problem::new(NOT_SUPPORTED, name.span, message);
            self.problems.push(problem.help("leave it out: classic histograms are scraped as they are exposed"));
        }
        let names = config.metric_name_validation_scheme.unwrap_or_else(|| global.names());
        let native = config.scrape_native_histograms.unwrap_or(global.scrape_native_histograms);
        let classic = config
            .always_scrape_classic_histograms
            .or(config.scrape_classic_histograms)
            .unwrap_or(global.always_scrape_classic_histograms || global.scrape_classic_histograms);
        let or = |written: usize, other: usize| if written == 0 { other } else { written };
        let body = or(bytes(config.body_size_limit.0), bytes(global.body_size_limit.0));
        let discoveries = self.discoveries();
        let (scope, scope_place) = self.scope(&discoveries);
        Job {
            name: name.value.clone(),
            scope,
            scope_place,
            discoveries,
            interval: pace.interval,
            timeout: pace.timeout,
            protocols: self.protocols(native),
            fallback: config.fallback_scrape_protocol,
            names,
            escaping: self.escaping(names),
            scheme: config.scheme.name().into(),
            metrics_path: config.metrics_path.clone(),
            params: config.params.clone(),
            honor_labels: config.honor_labels,
            honor_timestamps: config.honor_timestamps,
            track_timestamps_staleness: config.track_timestamps_staleness,
            compression: config.enable_compression,
            histograms: Histograms { native, classic_too: classic },
            extra_scrape_metrics: config.extra_scrape_metrics.unwrap_or(global.extra_scrape_metrics),
            body_size_limit: body,
            target_limit: or(config.target_limit, global.target_limit),
            keep_dropped_targets: or(config.keep_dropped_targets, global.keep_dropped_targets),
            limits: Limits {
                samples: or(config.sample_limit, global.sample_limit),
                samples_mode: config.sample_limit_mode,
                labels: or(config.label_limit, global.label_limit),
                label_name_length: or(config.label_name_length_limit, global.label_name_length_limit),
                label_value_length: or(config.label_value_length_limit, global.label_value_length_limit),
                buckets: config.native_histogram_bucket_limit,
                min_bucket_factor: config.native_histogram_min_bucket_factor,
            },
            relabel: self.rules(&config.relabel_configs, names),
            metric_relabel: self.rules(&config.metric_relabel_configs, names),
            client: client.clone(),
        }
    }

    fn rules(&mut self, written: &[Spanned<RelabelRule>], names: NameValidation) -> Rules {
        Rules::new(written, names).unwrap_or_else(|problems| {
            self.problems.extend(problems);
            Rules::default()
        })
    }

    fn discoveries(&mut self) -> Vec<Discovery> {
        let (config, problems) = (self.config, &mut self.problems);
        // A target that is no address may become one by a rule, as in blackbox jobs.
        let relabelled = !config.relabel_configs.is_empty();
        config.static_configs.iter().for_each(|entry| entry.problems(relabelled, problems));
        config.file_sd_configs.iter().for_each(|entry| entry.problems(problems));
        config.http_sd_configs.iter().for_each(|entry| http::problems(entry, problems));
        config.dns_sd_configs.iter().for_each(|entry| entry.problems(problems));
        config.kubernetes_sd_configs.iter().for_each(|entry| kubernetes::problems(entry, problems));
        let written = Some(config.static_configs.clone()).filter(|configs| !configs.is_empty());
        let mut found: Vec<Discovery> = written.map(Discovery::Static).into_iter().collect();
        found.extend(config.file_sd_configs.iter().cloned().map(Discovery::File));
        found.extend(config.http_sd_configs.iter().cloned().map(Box::new).map(Discovery::Http));
        found.extend(config.dns_sd_configs.iter().cloned().map(Discovery::Dns));
        found.extend(config.kubernetes_sd_configs.iter().cloned().map(Box::new).map(Discovery::Kubernetes));
        found
    }

    /// The scope that is written, or else the widest of what the discoveries have by themselves.
    fn scope(&mut self, discoveries: &[Discovery]) -> (Scope, (Span, bool)) {
        let name = &self.config.job_name;
        let (scope, place) = match &self.config.scope {
            Some(scope) => (scope.value, (scope.span, true)),
            None => {
                let widest = discoveries.iter().map(Discovery::scope).max();
                (widest.unwrap_or(Scope::Node), (name.span, false))
            }
        };
        if scope == Scope::Shard && self.defaults.shard.is_none() {
            self.problems.push(Shard::missing(name, place.0));
        }
        (scope, place)
    }

    fn protocols(&mut self, native: bool) -> Vec<ScrapeProtocol> {
        let written = self.config.scrape_protocols.as_ref().or(self.defaults.global.own.scrape_protocols.as_ref());
        let Some(written) = written else {
            return if native { PROTO_FIRST_PROTOCOLS } else { DEFAULT_PROTOCOLS }.to_vec();
        };
        let double = (1..written.len()).find(|&index| written[..index].contains(&written[index]));
        let message = match double {
            Some(_) => "a format is named twice",
            None if written.is_empty() => "no format is named",
            None => return written.value.clone(),
        };
        let help = "name each format once, the best first, or leave the key out";
        let problem = Problem::new(BAD_PROTOCOLS, written.span, message).help(help);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        Vec::new()
    }

    /// As in Prometheus: the job's own; else, if the job does not name a scheme for names, that of `global`;
    /// else the one that fits the scheme.
    fn escaping(&mut self, names: NameValidation) -> Escaping {
        let global = &self.defaults.global.own;
        let fitting = |names| match names {
            NameValidation::Utf8 => Escaping::AllowUtf8,
            NameValidation::Legacy => Escaping::Underscores,
        };
        let own = self.config.metric_name_escaping_scheme.as_ref();
        let inherited =
            global.metric_name_escaping_scheme.as_ref().filter(|_| self.config.metric_name_validation_scheme.is_none());
        let Some(written) = own.or(inherited) else { return fitting(names) };
        if written.value == Escaping::AllowUtf8 && names == NameValidation::Legacy {
            let message = "names in UTF-8 are asked for, and `metric_name_validation_scheme: legacy` refuses them";
            let help = "write `underscores`, `dots` or `values`, or allow the names with `utf8`";
            self.problems.push(Problem::new(BAD_ESCAPING, written.span, message).help(help));
        }
        written.value
    }
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
