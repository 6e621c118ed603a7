//! An entry of `scrape_configs`: one job, as Prometheus writes it, and what this agent adds.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::scope::Scope;
use super::unsupported::Unsupported;
use crate::formats::prometheus::{Escaping, NameValidation, ScrapeProtocol};
use crate::options::{HttpClientOptions, Joined, PrometheusDuration, PrometheusSize, Spanned};
use crate::relabel::RelabelRule;
use crate::sources::prometheus_scrape::discovery::dns::DnsSdConfig;
use crate::sources::prometheus_scrape::discovery::file::FileSdConfig;
use crate::sources::prometheus_scrape::discovery::http::HttpSdConfig;
use crate::sources::prometheus_scrape::discovery::kubernetes::KubernetesSdConfig;
use crate::sources::prometheus_scrape::discovery::static_config::StaticConfig;

/// An entry of `scrape_configs`, with the keys of HTTP clients.
pub type ScrapeConfig = Joined<Joined<JobConfig, HttpClientOptions>, Unsupported>;

/// A job in Prometheus's words. The keys of HTTP clients, such as `basic_auth` and `tls_config`, stand beside
/// these.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobConfig {
    /// The name of the job, and the label `job` of its targets. Unique in the source.
    pub job_name: Spanned<String>,
    /// Which targets this agent scrapes: those on its `node`, its `shard` or, with `cluster`, all of them. Default:
    /// `node` where the job finds targets by the Kubernetes roles `pod`, `node`, `endpoints` and `endpointslice`
    /// alone, else `cluster`, which an agent with `identity.role: node` refuses. No key of Prometheus.
    #[serde(default)]
    #[schemars(with = "Option<Scope>")]
    pub scope: Option<Spanned<Scope>>,
    /// What becomes of more samples than `sample_limit`: `target_down`, as in Prometheus, or `known_series_win`:
    /// series that are known go on, new ones are refused and counted, and the target stays up. Default:
    /// `target_down`. No key of Prometheus.
    #[serde(default)]
    pub sample_limit_mode: SampleLimitMode,

    /// Time between two scrapes of a target. Default: that of `global`.
    #[serde(default)]
    pub scrape_interval: Spanned<PrometheusDuration>,
    /// Time for one scrape; at most the interval. Default: that of `global`, or the interval where that is
    /// shorter.
    #[serde(default)]
    pub scrape_timeout: Spanned<PrometheusDuration>,
    /// Formats that targets are asked for, best first. Default: those of `global`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<ScrapeProtocol>>")]
    pub scrape_protocols: Option<Spanned<Vec<ScrapeProtocol>>>,
    /// The format of an answer that does not name one of these. Default: such an answer is refused.
    #[serde(default)]
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// The path of the exposition. Default: `/metrics`.
    #[serde(default = "metrics_path")]
    pub metrics_path: String,
    /// How targets are spoken to. Default: `http`.
    #[serde(default)]
    pub scheme: Scheme,
    /// Parameters of the request, each with its values.
    #[serde(default)]
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether targets may answer compressed by gzip. Default: `true`.
    #[serde(default = "yes")]
    pub enable_compression: bool,

    /// Whether a label that a target exposes wins over one that the target has by discovery and rules; else it
    /// is kept under `exported_…`. Default: `false`.
    #[serde(default)]
    pub honor_labels: bool,
    /// Whether the time that a target gives a sample is the sample's. Default: `true`.
    #[serde(default = "yes")]
    pub honor_timestamps: bool,
    /// Whether series with times of their own end with a staleness marker, too. Default: `false`.
    #[serde(default)]
    pub track_timestamps_staleness: bool,
    /// Which names metrics and labels may have. Default: that of `global`.
    #[serde(default)]
    pub metric_name_validation_scheme: Option<NameValidation>,
    /// How targets are asked to spell other names. Default: that of `global`.
    #[serde(default)]
    #[schemars(with = "Option<Escaping>")]
    pub metric_name_escaping_scheme: Option<Spanned<Escaping>>,
    /// Whether native histograms are scraped. Default: that of `global`.
    #[serde(default)]
    pub scrape_native_histograms: Option<bool>,
    /// Whether the classic buckets of a native histogram are scraped, too. Default: that of `global`.
    #[serde(default)]
    pub always_scrape_classic_histograms: Option<bool>,
    /// The name of `always_scrape_classic_histograms` before Prometheus 3.
    #[serde(default)]
    pub scrape_classic_histograms: Option<bool>,
    /// Whether classic histograms become native ones with their buckets. Default: that of `global`.
    #[serde(default)]
    pub convert_classic_histograms_to_nhcb: Option<bool>,
    /// Whether a scrape is accompanied by further series about itself. Default: that of `global`.
    #[serde(default)]
    pub extra_scrape_metrics: Option<bool>,

    /// Most bytes of an exposition without its compression; beyond them the scrape fails. Default: that of
    /// `global`.
    #[serde(default)]
    pub body_size_limit: PrometheusSize,
    /// Most samples of a scrape, after relabelling. Default: that of `global`.
    #[serde(default)]
    pub sample_limit: usize,
    /// Most targets, after relabelling; beyond them every scrape of the job fails. Default: that of `global`.
    #[serde(default)]
    pub target_limit: usize,
    /// Most labels of a series, after relabelling; beyond them the scrape fails. Default: that of `global`.
    #[serde(default)]
    pub label_limit: usize,
    /// Longest name of a label in bytes; beyond it the scrape fails. Default: that of `global`.
    #[serde(default)]
    pub label_name_length_limit: usize,
    /// Longest value of a label in bytes; beyond it the scrape fails. Default: that of `global`.
    #[serde(default)]
    pub label_value_length_limit: usize,
    /// Most buckets of a native histogram; one with more is made coarser. Default: `0`, no limit.
    #[serde(default)]
    pub native_histogram_bucket_limit: usize,
    /// Least factor from one bucket of a native histogram to the next; a finer one is made coarser. Default:
    /// `0`, any.
    #[serde(default)]
    pub native_histogram_min_bucket_factor: f64,
    /// Most targets that rules dropped and that are still shown. Default: that of `global`.
    #[serde(default)]
    pub keep_dropped_targets: usize,

    /// Targets that are written down.
    #[serde(default)]
    pub static_configs: Vec<StaticConfig>,
    /// Targets from files, which are watched.
    #[serde(default)]
    pub file_sd_configs: Vec<FileSdConfig>,
    /// Targets that an HTTP server lists.
    #[serde(default)]
    pub http_sd_configs: Vec<HttpSdConfig>,
    /// Targets from the DNS.
    #[serde(default)]
    pub dns_sd_configs: Vec<DnsSdConfig>,
    /// Targets from the objects of a Kubernetes cluster.
    #[serde(default)]
    pub kubernetes_sd_configs: Vec<KubernetesSdConfig>,

    /// Rules for targets, applied before they are scraped.
    #[serde(default)]
    pub relabel_configs: Vec<Spanned<RelabelRule>>,
    /// Rules for series, applied after a scrape.
    #[serde(default)]
    pub metric_relabel_configs: Vec<Spanned<RelabelRule>>,
}

/// How targets are spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Without TLS.
    #[default]
    Http,
    /// With TLS, as `tls_config` says.
    Https,
}

impl Scheme {
    /// As it stands in an address.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What a scrape does with more samples than its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SampleLimitMode {
    /// The scrape fails and the target is down, as in Prometheus.
    #[default]
    TargetDown,
    /// Series that are known go on; new ones are refused and counted, and the target is up.
    KnownSeriesWin,
}

fn metrics_path() -> String {
    "/metrics".into()
}

const fn yes() -> bool {
    true
}
