//! Questions to a small server on loopback that speaks the DNS over UDP and TCP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, NS, SRV};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::super::tests::{quick_job, targets, until};
use super::*;

/// What the server says of a name: records of all types, or that it cannot say.
type Zone = Arc<Mutex<HashMap<String, Result<Vec<RData>, ResponseCode>>>>;

struct Server {
    port: u16,
    zone: Zone,
}

impl Server {
    async fn start() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = tcp.local_addr().expect("bound").port();
        let udp = UdpSocket::bind(("127.0.0.1", port)).await.expect("the same port");
        let zone = Zone::default();
        let of_udp = zone.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, peer) = udp.recv_from(&mut buffer).await.expect("a question");
                let answer = answer(&of_udp, &buffer[..length]);
                let bytes = answer.to_vec().expect("encodes");
                let bytes = if bytes.len() > 512 { answer.truncate().to_vec().expect("encodes") } else { bytes };
                udp.send_to(&bytes, peer).await.expect("sent");
            }
        });
        let of_tcp = zone.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.expect("a connection");
                let zone = of_tcp.clone();
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut question = vec![0; length.into()];
                        stream.read_exact(&mut question).await.expect("a whole question");
                        let bytes = answer(&zone, &question).to_vec().expect("encodes");
                        let length = u16::try_from(bytes.len()).expect("fits");
                        stream.write_u16(length).await.expect("sent");
                        stream.write_all(&bytes).await.expect("sent");
                    }
                });
            }
        });
        Self { port, zone }
    }

    fn says(&self, name: &str, records: Result<Vec<RData>, ResponseCode>) {
        self.zone.lock().expect("no panic").insert(name.into(), records);
    }

    fn discovery(&self, config: &str, search: &[&str]) -> Box<dyn Discover> {
        let config: DnsSdConfig = serde_json::from_str(config).expect("valid");
        let mut problems = Vec::new();
        config.problems(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let (port, domains): (_, Vec<Name>) = (self.port, search.iter().map(|domain| name(domain)).collect());
        let resolvers = move || resolver(port, domains.clone());
        Box::new(Dns { resolvers: Box::new(resolvers), ..Dns::new(&config) })
    }
}

/// One that asks the server at this port, and looks for names in these domains.
fn resolver(port: u16, domains: Vec<Name>) -> Result<Resolver, NetError> {
    let mut server = NameServerConfig::udp_and_tcp([127, 0, 0, 1].into());
    server.connections.iter_mut().for_each(|connection| connection.port = port);
    Resolver::new(ResolverConfig::from_parts(None, domains, vec![server]), ResolverOpts::default())
}

fn answer(zone: &Zone, question: &[u8]) -> Message {
    let question = Message::from_vec(question).expect("a question");
    let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    answer.metadata.recursion_available = true;
    for query in &question.queries {
        answer.add_query(query.clone());
        match zone.lock().expect("no panic").get(&query.name().to_ascii()) {
            None => answer.metadata.response_code = ResponseCode::NXDomain,
            Some(Err(code)) => answer.metadata.response_code = *code,
            Some(Ok(records)) => {
                // Whatever an alias leads to comes with it.
                let wanted =
                    |data: &&RData| data.record_type() == query.query_type() || data.record_type() == RecordType::CNAME;
                let mut at = query.name().clone();
                for data in records.iter().filter(wanted) {
                    answer.add_answer(Record::from_rdata(at.clone(), 60, data.clone()));
                    if let RData::CNAME(alias) = data {
                        at = alias.0.clone();
                    }
                }
            }
        }
    }
    answer
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn labels(found: &super::super::Found) -> Vec<Vec<(String, String)>> {
    let owned = |labels: &LabelSet| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    found.groups.iter().flat_map(|group| &group.targets).map(owned).collect()
}

/// The labels of each target.
type Expected = &'static [&'static [(&'static str, &'static str)]];

#[tokio::test]
async fn records_of_every_type_become_targets() {
    let server = Server::start().await;
    let srv = |port, target| RData::SRV(SRV::new(0, 0, port, name(target)));
    server.says(
        "web.example.",
        Ok(vec![
            srv(9100, "b.example."),
            srv(9101, "a.example."),
            RData::A(A::new(10, 0, 0, 1)),
            RData::AAAA(AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
            RData::MX(MX::new(5, name("mail.example."))),
            RData::NS(NS(name("ns1.example."))),
        ]),
    );
    server.says("alias.example.", Ok(vec![RData::CNAME(CNAME(name("web.example."))), RData::A(A::new(10, 0, 0, 9))]));
    let cases: [(&str, Expected); 6] = [
        (
            r#"{"names": ["web.example."]}"#,
            &[
                &[
                    ("__address__", "a.example:9101"),
                    ("__meta_dns_name", "web.example."),
                    ("__meta_dns_srv_record_port", "9101"),
                    ("__meta_dns_srv_record_target", "a.example."),
                ],
                &[
                    ("__address__", "b.example:9100"),
                    ("__meta_dns_name", "web.example."),
                    ("__meta_dns_srv_record_port", "9100"),
                    ("__meta_dns_srv_record_target", "b.example."),
                ],
            ],
        ),
        (
            r#"{"names": ["web.example"], "type": "a", "port": 80}"#,
            &[&[("__address__", "10.0.0.1:80"), ("__meta_dns_name", "web.example")]],
        ),
        (
            r#"{"names": ["web.example"], "type": "AAAA", "port": 80}"#,
            &[&[("__address__", "[fd00::1]:80"), ("__meta_dns_name", "web.example")]],
        ),
        (
            r#"{"names": ["web.example"], "type": "MX", "port": 25}"#,
            &[&[
                ("__address__", "mail.example:25"),
                ("__meta_dns_mx_record_target", "mail.example."),
                ("__meta_dns_name", "web.example"),
            ]],
        ),
        (
            r#"{"names": ["web.example"], "type": "NS", "port": 53}"#,
            &[&[
                ("__address__", "ns1.example:53"),
                ("__meta_dns_name", "web.example"),
                ("__meta_dns_ns_record_target", "ns1.example."),
            ]],
        ),
        (
            r#"{"names": ["alias.example"], "type": "A", "port": 80}"#,
            &[&[("__address__", "10.0.0.9:80"), ("__meta_dns_name", "alias.example")]],
        ),
    ];
    for (config, expected) in cases {
        let (mut found, _, _shutdown) = quick_job(vec![server.discovery(config, &[])]);
        until(&mut found, |found| found.complete).await;
        let expected: Vec<Vec<(String, String)>> = expected
            .iter()
            .map(|labels| labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
            .collect();
        assert_eq!(labels(&found.borrow()), expected, "{config}");
    }
}

#[tokio::test]
async fn the_search_list_completes_names() {
    let server = Server::start().await;
    server.says("web.b.example.", Ok(vec![RData::A(A::new(10, 0, 0, 2))]));
    server.says("db.", Ok(vec![RData::A(A::new(10, 0, 0, 3))]));
    // It exists, with other records: nothing further is asked.
    server.says("empty.a.example.", Ok(Vec::new()));
    server.says("empty.b.example.", Ok(vec![RData::A(A::new(10, 0, 0, 4))]));
    let config = r#"{"names": ["web", "db", "empty", "nowhere"], "type": "A", "port": 1}"#;
    let (mut found, _, _shutdown) = quick_job(vec![server.discovery(config, &["a.example.", "b.example."])]);
    until(&mut found, |found| found.complete).await;
    assert_eq!(targets(&found.borrow()), ["10.0.0.3:1", "10.0.0.2:1"]);
    assert!(found.borrow().troubles.is_empty(), "that nothing is there is an answer");
}

#[tokio::test]
async fn addresses_are_those_of_one_family() {
    let server = Server::start().await;
    let (four, six) = (A::new(10, 0, 0, 1), AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
    server.says("both.", Ok(vec![RData::AAAA(six), RData::A(four)]));
    server.says("six.", Ok(vec![RData::AAAA(six)]));
    server.says("broken.", Err(ResponseCode::ServFail));
    let resolver = resolver(server.port, Vec::new()).expect("a resolver");
    assert_eq!(resolver.addresses("both").await, Ok(vec!["10.0.0.1".parse().expect("an address")]));
    assert_eq!(resolver.addresses("six").await, Ok(vec!["fd00::1".parse().expect("an address")]));
    assert_eq!(resolver.addresses("nowhere").await, Ok(Vec::new()));
    assert!(resolver.addresses("broken").await.is_err());
}

#[tokio::test]
async fn a_server_that_fails_costs_no_targets() {
    let server = Server::start().await;
    server.says("a.", Ok(vec![RData::A(A::new(10, 0, 0, 1))]));
    server.says("b.", Ok(vec![RData::A(A::new(10, 0, 0, 2))]));
    let config = r#"{"names": ["a.", "b."], "type": "A", "port": 1, "refresh_interval": "20ms"}"#;
    let (mut found, metrics, _shutdown) = quick_job(vec![server.discovery(config, &[])]);
    until(&mut found, |found| targets(found) == ["10.0.0.1:1", "10.0.0.2:1"]).await;
    server.says("a.", Err(ResponseCode::ServFail));
    server.says("b.", Ok(vec![RData::A(A::new(10, 0, 0, 3))]));
    until(&mut found, |found| !found.troubles.is_empty() && targets(found) == ["10.0.0.1:1", "10.0.0.3:1"]).await;
    let words = found.borrow().troubles[0].words.to_string();
    assert!(words.starts_with("`a.` cannot be resolved: "), "{words}");
    assert!(metrics.errors.get() > 0);
    server.zone.lock().expect("no panic").remove("a.");
    until(&mut found, |found| found.troubles.is_empty() && targets(found) == ["10.0.0.3:1"]).await;
}

#[tokio::test]
async fn an_answer_too_large_for_udp_comes_by_tcp() {
    let server = Server::start().await;
    server.says("many.", Ok((0..200).map(|last| RData::A(A::new(10, 0, 1, last))).collect()));
    let (mut found, _, _shutdown) =
        quick_job(vec![server.discovery(r#"{"names": ["many."], "type": "A", "port": 1}"#, &[])]);
    until(&mut found, |found| targets(found).len() == 200).await;
}

#[test]
fn what_cannot_be_asked_is_told() {
    let codes = |config: &str| {
        let config: DnsSdConfig = serde_json::from_str(config).expect("its shape is right");
        let mut problems = Vec::new();
        config.problems(&mut problems);
        problems.iter().map(|problem| problem.code.0).collect::<Vec<_>>()
    };
    assert!(codes(r#"{"names": ["_http._tcp.web"]}"#).is_empty());
    for bad in [
        r#"{"names": []}"#,
        r#"{"names": [""]}"#,
        r#"{"names": ["a..b"]}"#,
        r#"{"names": ["a"], "type": "A"}"#,
        r#"{"names": ["a"], "type": "TXT", "port": 1}"#,
        r#"{"names": ["a"], "type": "MX", "port": 0}"#,
    ] {
        assert_eq!(codes(bad), ["TW0754"], "{bad}");
    }
    assert_eq!(codes(r#"{"names": ["a"], "refresh_interval": 0}"#), ["TW0753"]);
    assert!(serde_json::from_str::<DnsSdConfig>(r#"{"names": ["a"], "ports": 1}"#).is_err());
}
