//! The options of the receiver, and what is wrong with them.

use std::time::Duration as StdDuration;

use crate::alerting::sending::{LIMIT, is_address, missing};
use crate::formats::prometheus::NameValidation;
use crate::options::{Duration, HttpClientOptions, Problem, SecretAddress, Span, Spanned};
use crate::relabel::{RelabelRule, Rules};

/// Options of a receiver `alertmanager`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "AlertmanagerReceiver")]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether it is told of what resolved. Default: `true`; without it an alert resolves once it is not told again.
    pub send_resolved: bool,
    /// How it speaks HTTP. Default: `global.http_config`.
    pub http_config: Option<Spanned<HttpClientOptions>>,
    /// Members of the Alertmanager cluster: `http://alertmanager-0.alertmanager:9093`, with the path where it has one. Every
    /// one is told; one that takes the alerts is enough.
    pub urls: Vec<Spanned<SecretAddress>>,
    /// Names under which the DNS knows members. They are asked for with each request.
    pub dns: Vec<DnsOptions>,
    /// How often it is told again of what fires, however long `repeat_interval` is. Four times that long after it was told
    /// last, an alert counts as resolved. Default: `1m`.
    pub resend_every: Spanned<Duration>,
    /// Rules for the labels of alerts, applied before they are sent; one that drops an alert keeps it from this receiver.
    pub alert_relabel_configs: Vec<Spanned<RelabelRule>>,
    /// Time for one request. Default: `10s`.
    pub timeout: Spanned<Duration>,
}

/// Members that the DNS knows.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "AlertmanagerReceiverDns")]
#[serde(deny_unknown_fields, default)]
pub struct DnsOptions {
    /// The name: `_web._tcp.alertmanager.monitoring.svc` for records of type SRV.
    pub name: Spanned<String>,
    /// `SRV`, or `A` for addresses, of IPv6 where there are none of IPv4. Default: `SRV`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The members' port. Required for addresses; records of type SRV have ports of their own.
    pub port: Option<u16>,
    /// `http` or `https`. Default: `http`.
    pub scheme: Scheme,
    /// What stands before `/api/v2/alerts`. Default: nothing.
    pub path_prefix: String,
}

/// A type of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "AlertmanagerReceiverDnsType")]
pub enum Kind {
    /// Names and ports.
    #[default]
    #[serde(rename = "SRV")]
    Srv,
    /// Addresses.
    A,
}

/// A scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "AlertmanagerReceiverScheme")]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Without TLS.
    #[default]
    Http,
    /// With TLS.
    Https,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            urls: Vec::new(),
            dns: Vec::new(),
            resend_every: Spanned::unknown(Duration(StdDuration::from_secs(60))),
            alert_relabel_configs: Vec::new(),
            timeout: Spanned::unknown(Duration(StdDuration::from_secs(10))),
        }
    }
}

impl Options {
    /// The rules for labels.
    pub(super) fn rules(&self) -> Result<Rules, Vec<Problem>> {
        Rules::new(&self.alert_relabel_configs, NameValidation::Utf8)
    }

    /// Everything that is wrong. `whole` is the place of what has none of its own.
    pub fn problems(&self, whole: Span) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.urls.is_empty() && self.dns.is_empty() {
            missing("`urls` or `dns`", whole, &mut found);
        }
        for url in &self.urls {
            is_address("urls", &url.expose(), url.span, &mut found);
        }
        for dns in &self.dns {
            if dns.name.is_empty() {
                missing("`name` of `dns`", dns.name.span, &mut found);
            } else if dns.kind == Kind::A && dns.port.unwrap_or(0) == 0 {
                missing("`port` of `dns`", dns.name.span, &mut found);
            }
        }
        if let Some(http) = &self.http_config {
            found.extend(http.problems(http.span));
        }
        found.extend(self.rules().err().into_iter().flatten());
        let times = [("resend_every", &self.resend_every, 1, 3600), ("timeout", &self.timeout, 1, 600)];
        for (name, time, least, most) in times {
            let allowed = StdDuration::from_secs(least)..=StdDuration::from_secs(most);
            if !allowed.contains(&time.0) {
                let message = format!("`{name}` is {}", time.value);
                let help = format!("write a time from {least}s to {}m", most / 60);
                found.push(Problem::new(LIMIT, time.span, message).help(help));
            }
        }
        found.into_iter().map(|problem| problem.at_least(whole)).collect()
    }
}
