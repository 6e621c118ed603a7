//! Who the members are: those that are named, and those that the DNS knows now. Where it cannot be asked, whoever it knew
//! last is told.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{RData, RecordType};
use url::Url;

use super::options::{DnsOptions, Kind, Options, Scheme};
use crate::alerting::sending::Target;
use crate::net::dns::Resolver;
use crate::net::shown;

/// Where a member takes alerts.
pub(super) const PATH: &str = "/api/v2/alerts";

/// Makes the resolver for the next questions.
type Resolvers = Box<dyn Fn() -> Result<Resolver, NetError> + Send + Sync>;

/// The members of a cluster.
pub(super) struct Members {
    named: Vec<Url>,
    dns: Vec<DnsOptions>,
    resolvers: Resolvers,
    /// Whom each name of the DNS led to when it was asked last.
    known: Mutex<Vec<Vec<Url>>>,
}

impl Members {
    /// Those that the options say.
    pub fn new(options: &Options) -> Self {
        let named = options.urls.iter().filter_map(|url| endpoint(url.expose().trim()));
        let known = Mutex::new(vec![Vec::new(); options.dns.len()]);
        let resolvers = Box::new(Resolver::of_system);
        Self { named: named.collect(), dns: options.dns.clone(), resolvers, known }
    }

    /// All of them as they are written, in whatever order.
    pub fn target(&self) -> Target {
        let named = self.named.iter().map(Url::to_string);
        let dns = self.dns.iter().map(|dns| written(dns, &dns.name, dns.port.unwrap_or(0)));
        let mut all: Vec<String> = named.chain(dns).collect();
        all.sort_unstable();
        Target::of(super::KIND, all.iter().map(String::as_str))
    }

    /// Where alerts go now: each member once.
    pub async fn now(&self) -> Vec<Url> {
        let mut members = self.named.clone();
        if !self.dns.is_empty() {
            let found = match (self.resolvers)() {
                Ok(resolver) => join_all(self.dns.iter().map(|dns| ask(&resolver, dns))).await,
                Err(error) => vec![Err(format!("/etc/resolv.conf cannot be used: {error}")); self.dns.len()],
            };
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for ((dns, found), known) in self.dns.iter().zip(found).zip(known.iter_mut()) {
                match found {
                    Ok(urls) => *known = urls,
                    Err(error) => {
                        let name = &dns.name.value;
                        tracing::warn!(name, error, "the DNS cannot be asked for Alertmanagers: those before are told");
                    }
                }
                members.extend(known.iter().cloned());
            }
        }
        members.sort_unstable();
        members.dedup();
        members
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses of members may hold passwords.
        let named: Vec<_> = self.named.iter().map(shown).collect();
        f.debug_struct("Members").field("named", &named).field("dns", &self.dns).finish_non_exhaustive()
    }
}

async fn ask(resolver: &Resolver, dns: &DnsOptions) -> Result<Vec<Url>, String> {
    let hosts: Vec<(String, u16)> = match dns.kind {
        Kind::A => {
            let addresses = resolver.addresses(&dns.name).await?;
            let port = dns.port.unwrap_or(0);
            addresses
                .into_iter()
                .map(|of| if of.is_ipv6() { (format!("[{of}]"), port) } else { (of.to_string(), port) })
                .collect()
        }
        Kind::Srv => {
            let records = resolver.lookup(&dns.name, RecordType::SRV).await?;
            let services = records.iter().filter_map(|record| match &record.data {
                RData::SRV(service) => Some((service.target.to_ascii().trim_end_matches('.').to_owned(), service.port)),
                _ => None,
            });
            services.collect()
        }
    };
    Ok(hosts.into_iter().filter_map(|(host, port)| endpoint(&written(dns, &host, port))).collect())
}

fn written(dns: &DnsOptions, host: &str, port: u16) -> String {
    let scheme = match dns.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    format!("{scheme}://{host}:{port}/{}", dns.path_prefix.trim_matches('/'))
}

/// Where the member at an address takes alerts.
fn endpoint(member: &str) -> Option<Url> {
    let mut url = Url::parse(member).ok()?;
    let prefix = url.path().trim_end_matches('/');
    let path = if prefix.ends_with(PATH) { prefix.to_owned() } else { format!("{prefix}{PATH}") };
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
    use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, SRV};
    use hickory_resolver::proto::rr::{Name, Record};
    use tokio::net::UdpSocket;

    use super::*;

    #[test]
    fn alerts_go_to_the_path_of_the_api() {
        for (member, expected) in [
            ("http://a:9093", "http://a:9093/api/v2/alerts"),
            ("http://a:9093/", "http://a:9093/api/v2/alerts"),
            ("https://u:p@a/alertmanager/", "https://u:p@a/alertmanager/api/v2/alerts"),
            ("http://a/api/v2/alerts", "http://a/api/v2/alerts"),
        ] {
            assert_eq!(endpoint(member).expect("an address").as_str(), expected);
        }
        let dns = DnsOptions { path_prefix: "/am/".into(), scheme: Scheme::Https, ..DnsOptions::default() };
        let url = endpoint(&written(&dns, "[::1]", 9093)).expect("an address");
        assert_eq!(url.as_str(), "https://[::1]:9093/am/api/v2/alerts");
    }

    /// What a name server says of any question; nothing where it cannot say.
    type Zone = Arc<Mutex<Option<Vec<RData>>>>;

    /// A name server on loopback, by UDP, and resolvers that ask it.
    async fn name_server(zone: Zone) -> Resolvers {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let port = socket.local_addr().expect("bound").port();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..length]).expect("a question");
                let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
                let query = question.queries[0].clone();
                match zone.lock().expect("no panic").as_ref() {
                    None => answer.metadata.response_code = ResponseCode::ServFail,
                    Some(records) => {
                        for data in records.iter().filter(|data| data.record_type() == query.query_type()) {
                            answer.add_answer(Record::from_rdata(query.name().clone(), 60, data.clone()));
                        }
                    }
                }
                answer.add_query(query);
                socket.send_to(&answer.to_vec().expect("it encodes"), peer).await.expect("sent");
            }
        });
        Box::new(move || {
            let mut server = NameServerConfig::udp([127, 0, 0, 1].into());
            server.connections.iter_mut().for_each(|connection| connection.port = port);
            Resolver::new(ResolverConfig::from_parts(None, Vec::new(), vec![server]), ResolverOpts::default())
        })
    }

    #[tokio::test]
    async fn members_are_those_that_the_dns_knows_now_and_those_before_where_it_cannot_say() {
        let service = |port, host: &str| RData::SRV(SRV::new(0, 0, port, Name::from_ascii(host).expect("a name")));
        let zone: Zone =
            Arc::new(Mutex::new(Some(vec![service(9093, "am-0.example."), service(9094, "am-1.example.")])));
        let options = serde_json::json!({
            "urls": ["http://named:9093", "http://am-0.example:9093"],
            "dns": [{ "name": "_web._tcp.am.example." }, { "name": "am.example.", "type": "A", "port": 9095 }]
        });
        let options: Options = serde_json::from_value(options).expect("options");
        let members = Members { resolvers: name_server(zone.clone()).await, ..Members::new(&options) };
        let hosts = async || {
            let urls = members.now().await;
            let hosts = urls.iter().map(|url| format!("{}:{}", url.host_str().unwrap_or(""), url.port().unwrap_or(0)));
            hosts.collect::<Vec<_>>()
        };
        assert_eq!(hosts().await, ["am-0.example:9093", "am-1.example:9094", "named:9093"], "each once");
        *zone.lock().expect("no panic") = Some(vec![service(9093, "am-2.example."), RData::A(A::new(127, 0, 0, 9))]);
        let known = ["127.0.0.9:9095", "am-0.example:9093", "am-2.example:9093", "named:9093"];
        assert_eq!(hosts().await, known);
        *zone.lock().expect("no panic") = None;
        assert_eq!(hosts().await, known, "whoever it knew last");
    }
}
