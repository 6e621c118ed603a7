//! `dns_sd_configs`: targets from the DNS. `/etc/resolv.conf` is read before every question.

use futures_util::future::{BoxFuture, FutureExt, join_all};
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio_util::sync::CancellationToken;

use super::{ADDRESS, Discover, Publisher, TargetGroup, refresh};
use crate::data::LabelSet;
use crate::net::dns::Resolver;
use crate::options::problem::Code;
use crate::options::{Duration, Problem, Span, Spanned};

/// A question that cannot be asked.
const BAD_QUESTION: Code = Code("TW0754");

/// Targets from the DNS.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsSdConfig {
    /// The names to ask for. One without a dot at its end is looked for in the domains of the system's search
    /// list, too.
    pub names: Spanned<Vec<Spanned<String>>>,
    /// The type of records: `SRV`, `A`, `AAAA`, `MX` or `NS`. Default: `SRV`.
    #[serde(default = "srv", rename = "type")]
    pub kind: Spanned<String>,
    /// The port of the targets. Required for every type but `SRV`, whose records have ports of their own.
    #[serde(default)]
    pub port: Option<u16>,
    /// How often to ask. Default: `30s`.
    #[serde(default = "refresh_interval")]
    pub refresh_interval: Spanned<Duration>,
}

fn srv() -> Spanned<String> {
    Spanned::unknown("SRV".into())
}

fn refresh_interval() -> Spanned<Duration> {
    Spanned::unknown(Duration(std::time::Duration::from_secs(30)))
}

const TYPES: [(&str, RecordType); 5] = [
    ("SRV", RecordType::SRV),
    ("A", RecordType::A),
    ("AAAA", RecordType::AAAA),
    ("MX", RecordType::MX),
    ("NS", RecordType::NS),
];

impl DnsSdConfig {
    fn record_type(&self) -> Option<RecordType> {
        TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&self.kind)).map(|(_, kind)| *kind)
    }

    /// What is wrong beyond the shape.
    pub fn problems(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |span: Span, message: String, help: &str| {
            problems.push(Problem::new(BAD_QUESTION, span, message).help(help));
        };
        if self.names.is_empty() {
            wrong(self.names.span, "`names` has no name to ask for".into(), "write at least one");
        }
        for name in self.names.iter().filter(|name| Name::from_utf8(&name.value).is_err() || name.is_empty()) {
            wrong(
                name.span,
                format!("`{}` is not a name of the DNS", name.value),
                "write one such as `_http._tcp.web`",
            );
        }
        match self.record_type() {
            None => {
                let message = format!("targets are not found by records of type `{}`", self.kind.value);
                wrong(self.kind.span, message, "write SRV, A, AAAA, MX or NS");
            }
            Some(RecordType::SRV) => {}
            Some(_) if self.port.unwrap_or(0) == 0 => {
                let message = format!("records of type `{}` have no port", self.kind.value);
                wrong(self.kind.span, message, "give the targets' `port`");
            }
            Some(_) => {}
        }
        refresh::problems(&self.refresh_interval, problems);
    }
}

/// Makes the resolver for the next questions.
type Resolvers = Box<dyn Fn() -> Result<Resolver, NetError> + Send + Sync>;

/// A `dns_sd_configs` entry, ready to run.
pub struct Dns {
    names: Vec<String>,
    kind: RecordType,
    port: u16,
    refresh_interval: std::time::Duration,
    resolvers: Resolvers,
}

impl Dns {
    /// Prepares it. One with [problems](DnsSdConfig::problems) asks for nothing.
    pub fn new(config: &DnsSdConfig) -> Self {
        Self {
            names: config.names.iter().map(|name| name.value.clone()).collect(),
            kind: config.record_type().unwrap_or(RecordType::SRV),
            port: config.port.unwrap_or(0),
            refresh_interval: config.refresh_interval.0,
            resolvers: Box::new(Resolver::of_system),
        }
    }

    /// Asks for all names at once. A name that cannot be resolved keeps its targets.
    async fn ask(&self, found: &Publisher) {
        let resolver = match (self.resolvers)() {
            Ok(resolver) => resolver,
            Err(error) => return found.failed(&format!("/etc/resolv.conf cannot be used: {error}")),
        };
        let answers = join_all(self.names.iter().map(|name| resolver.lookup(name, self.kind))).await;
        let mut failed = Vec::new();
        for (name, answer) in self.names.iter().zip(answers) {
            match answer {
                Ok(records) => found.set(self.group(name, &records)),
                Err(words) => {
                    failed.push(format!("`{name}` cannot be resolved: {words}; its targets stay as they were"))
                }
            }
        }
        let more = failed.len().saturating_sub(1);
        match failed.into_iter().next() {
            None => {
                found.complete();
                found.works();
            }
            Some(first) if more == 0 => found.failed(&first),
            Some(first) => found.failed(&format!("{first}; and {more} more")),
        }
    }

    fn group(&self, name: &str, records: &[Record]) -> TargetGroup {
        let target = |record: &Record| {
            let mut labels = LabelSet::new();
            let mut host_port = |host: &str, port: u16| labels.set(ADDRESS, &format!("{host}:{port}"));
            let meta = match &record.data {
                RData::A(address) => {
                    host_port(&address.to_string(), self.port);
                    None
                }
                RData::AAAA(address) => {
                    host_port(&format!("[{}]", address.0), self.port);
                    None
                }
                RData::SRV(srv) => {
                    host_port(&host(&srv.target), srv.port);
                    labels.set("__meta_dns_srv_record_port", &srv.port.to_string());
                    Some(("__meta_dns_srv_record_target", &srv.target))
                }
                RData::MX(mx) => {
                    host_port(&host(&mx.exchange), self.port);
                    Some(("__meta_dns_mx_record_target", &mx.exchange))
                }
                RData::NS(ns) => {
                    host_port(&host(&ns.0), self.port);
                    Some(("__meta_dns_ns_record_target", &ns.0))
                }
                // What led to the records: CNAME.
                _ => return None,
            };
            if let Some((label, name)) = meta {
                labels.set(label, &name.to_ascii());
            }
            labels.set("__meta_dns_name", name);
            Some(labels)
        };
        let mut targets: Vec<_> = records.iter().filter_map(target).collect();
        // Servers turn their answers round: that is no change.
        targets.sort();
        TargetGroup { source: name.into(), targets, labels: LabelSet::new() }
    }
}

/// A name without the dot at its end.
fn host(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_owned()
}

impl Discover for Dns {
    fn run(&self, found: Publisher, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        async move {
            let mut ticks = refresh::ticks(self.refresh_interval);
            let asking = async {
                loop {
                    ticks.tick().await;
                    self.ask(&found).await;
                }
            };
            shutdown.run_until_cancelled(asking).await.unwrap_or(());
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
