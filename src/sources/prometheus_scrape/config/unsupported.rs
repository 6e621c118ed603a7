//! Keys that Prometheus has and this agent does not: told as that, never as misspelt and never passed over.

use schemars::JsonSchema;

use crate::options::http_client::NotSupported;
use crate::options::problem::Code;
use crate::options::{Problem, Spanned};

/// A key of Prometheus that is not supported.
pub(super) const NOT_SUPPORTED: Code = Code("TW0731");

/// The value of such a key.
type Unread = Option<Spanned<NotSupported>>;

/// Keys of a job. They are in no reference and no schema.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(deny_unknown_fields)]
pub struct Unsupported {
    #[schemars(skip)]
    aws_sd_configs: Unread,
    #[schemars(skip)]
    azure_sd_configs: Unread,
    #[schemars(skip)]
    consul_sd_configs: Unread,
    #[schemars(skip)]
    digitalocean_sd_configs: Unread,
    #[schemars(skip)]
    docker_sd_configs: Unread,
    #[schemars(skip)]
    dockerswarm_sd_configs: Unread,
    #[schemars(skip)]
    ec2_sd_configs: Unread,
    #[schemars(skip)]
    ecs_sd_configs: Unread,
    #[schemars(skip)]
    elasticache_sd_configs: Unread,
    #[schemars(skip)]
    eureka_sd_configs: Unread,
    #[schemars(skip)]
    gce_sd_configs: Unread,
    #[schemars(skip)]
    hetzner_sd_configs: Unread,
    #[schemars(skip)]
    ionos_sd_configs: Unread,
    #[schemars(skip)]
    kuma_sd_configs: Unread,
    #[schemars(skip)]
    lightsail_sd_configs: Unread,
    #[schemars(skip)]
    linode_sd_configs: Unread,
    #[schemars(skip)]
    marathon_sd_configs: Unread,
    #[schemars(skip)]
    msk_sd_configs: Unread,
    #[schemars(skip)]
    nerve_sd_configs: Unread,
    #[schemars(skip)]
    nomad_sd_configs: Unread,
    #[schemars(skip)]
    oci_sd_configs: Unread,
    #[schemars(skip)]
    openstack_sd_configs: Unread,
    #[schemars(skip)]
    outscale_sd_configs: Unread,
    #[schemars(skip)]
    ovhcloud_sd_configs: Unread,
    #[schemars(skip)]
    puppetdb_sd_configs: Unread,
    #[schemars(skip)]
    rds_sd_configs: Unread,
    #[schemars(skip)]
    scaleway_sd_configs: Unread,
    #[schemars(skip)]
    serverset_sd_configs: Unread,
    #[schemars(skip)]
    stackit_sd_configs: Unread,
    #[schemars(skip)]
    triton_sd_configs: Unread,
    #[schemars(skip)]
    uyuni_sd_configs: Unread,
    #[schemars(skip)]
    vultr_sd_configs: Unread,
    #[schemars(skip)]
    scrape_failure_log_file: Unread,
    #[schemars(skip)]
    sigv4: Unread,
}

impl Unsupported {
    /// One problem for each key that is written.
    pub fn problems(&self) -> Vec<Problem> {
        let discoveries = [
            ("aws_sd_configs", &self.aws_sd_configs),
            ("azure_sd_configs", &self.azure_sd_configs),
            ("consul_sd_configs", &self.consul_sd_configs),
            ("digitalocean_sd_configs", &self.digitalocean_sd_configs),
            ("docker_sd_configs", &self.docker_sd_configs),
            ("dockerswarm_sd_configs", &self.dockerswarm_sd_configs),
            ("ec2_sd_configs", &self.ec2_sd_configs),
            ("ecs_sd_configs", &self.ecs_sd_configs),
            ("elasticache_sd_configs", &self.elasticache_sd_configs),
            ("eureka_sd_configs", &self.eureka_sd_configs),
            ("gce_sd_configs", &self.gce_sd_configs),
            ("hetzner_sd_configs", &self.hetzner_sd_configs),
            ("ionos_sd_configs", &self.ionos_sd_configs),
            ("kuma_sd_configs", &self.kuma_sd_configs),
            ("lightsail_sd_configs", &self.lightsail_sd_configs),
            ("linode_sd_configs", &self.linode_sd_configs),
            ("marathon_sd_configs", &self.marathon_sd_configs),
            ("msk_sd_configs", &self.msk_sd_configs),
            ("nerve_sd_configs", &self.nerve_sd_configs),
            ("nomad_sd_configs", &self.nomad_sd_configs),
            ("oci_sd_configs", &self.oci_sd_configs),
            ("openstack_sd_configs", &self.openstack_sd_configs),
            ("outscale_sd_configs", &self.outscale_sd_configs),
            ("ovhcloud_sd_configs", &self.ovhcloud_sd_configs),
            ("puppetdb_sd_configs", &self.puppetdb_sd_configs),
            ("rds_sd_configs", &self.rds_sd_configs),
            ("scaleway_sd_configs", &self.scaleway_sd_configs),
            ("serverset_sd_configs", &self.serverset_sd_configs),
            ("stackit_sd_configs", &self.stackit_sd_configs),
            ("triton_sd_configs", &self.triton_sd_configs),
            ("uyuni_sd_configs", &self.uyuni_sd_configs),
            ("vultr_sd_configs", &self.vultr_sd_configs),
        ];
        let targets = "let the service write its targets to a file and name it in `file_sd_configs`, or serve them to \
                       `http_sd_configs`";
        let mut problems: Vec<Problem> =
            discoveries.iter().filter_map(|(key, value)| not_supported(key, value, targets)).collect();
        problems.extend(not_supported("scrape_failure_log_file", &self.scrape_failure_log_file, FAILURES));
        let login = "use `basic_auth`, `authorization` or `oauth2`, or a proxy that signs";
        problems.extend(not_supported("sigv4", &self.sigv4, login));
        problems
    }
}

/// What to do instead of `scrape_failure_log_file`.
const FAILURES: &str = "leave it out: why a scrape failed is in the agent's log and under `/api/v1/targets`";

/// Keys of `global`. They are in no reference and no schema.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(deny_unknown_fields)]
pub struct UnsupportedGlobal {
    #[schemars(skip)]
    evaluation_interval: Unread,
    #[schemars(skip)]
    rule_query_offset: Unread,
    #[schemars(skip)]
    query_log_file: Unread,
    #[schemars(skip)]
    query_max_series: Unread,
    #[schemars(skip)]
    query_max_samples_read: Unread,
    #[schemars(skip)]
    query_max_duration: Unread,
    #[schemars(skip)]
    scrape_failure_log_file: Unread,
}

impl UnsupportedGlobal {
    /// One problem for each key that is written.
    pub fn problems(&self) -> Vec<Problem> {
        let rules = "leave it out: it is about rules, which are no part of scraping";
        let queries = "leave it out: it is about queries, which this agent does not answer";
        let keys = [
            ("evaluation_interval", &self.evaluation_interval, rules),
            ("rule_query_offset", &self.rule_query_offset, rules),
            ("query_log_file", &self.query_log_file, queries),
            ("query_max_series", &self.query_max_series, queries),
            ("query_max_samples_read", &self.query_max_samples_read, queries),
            ("query_max_duration", &self.query_max_duration, queries),
            ("scrape_failure_log_file", &self.scrape_failure_log_file, FAILURES),
        ];
        keys.into_iter().filter_map(|(key, value, help)| not_supported(key, value, help)).collect()
    }
}

fn not_supported(key: &str, value: &Unread, help: &str) -> Option<Problem> {
    let Spanned { span, .. } = value.as_ref()?;
    let message = format!("`{key}` exists in Prometheus and is not supported here");
    Some(Problem::new(NOT_SUPPORTED, *span, message).help(help))
}
