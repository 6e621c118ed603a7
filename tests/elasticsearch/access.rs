//! Who may send, and to whom: credentials that change while the agent runs, an authority of one's own.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::agent::{Agent, Feed};
use crate::fault_proxy::{Canned, Fault, FaultProxy};
use crate::server::{Server, unique};
use crate::{numbered, numbers};

/// A cluster that takes one `authorization` alone.
async fn guarded(status: u16, right: &'static str) -> FaultProxy {
    let proxy = FaultProxy::start(Server::shared().address()).await;
    proxy.decide(move |seen| {
        let refusal = r#"{"error":{"type":"security_exception","reason":"unable to authenticate"}}"#;
        match seen.request.headers.get("authorization") {
            Some(given) if given == right => Fault::Pass,
            _ => Fault::Answer(Canned::new(status, refusal)),
        }
    });
    proxy
}

#[tokio::test]
async fn credentials_are_read_again_until_they_are_right() {
    // `user:right` in base64.
    let basic = ("basic: { user: user, password: '${file:SECRET}' }", "Basic dXNlcjpyaWdodA==", "`basic.password`");
    let key = ("api_key: '${file:SECRET}'", "ApiKey right", "`api_key`");
    for (status, (credentials, right, hint)) in [(401, key), (401, basic), (403, key)] {
        let server = Server::shared();
        let index = unique("guarded");
        let proxy = guarded(status, right).await;
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "wrong\n").expect("written");
        let credentials = credentials.replace("SECRET", secret.to_str().expect("UTF-8"));
        let feed = Feed::new(&index, 1);
        let options = format!(
            "endpoints: ['http://{}'], index: {index}, mapping: ecs, {credentials}, template: off",
            proxy.address()
        );
        let agent = Agent::start_in(folder, &feed, &options);
        feed.lines(&numbered(0..10));
        agent.complains(&format!("answered {status}: security_exception: unable to authenticate")).await;
        let words = agent.unhealthy().unwrap_or_default();
        assert!(words.contains(if status == 401 { hint } else { "privileges" }), "{words}");
        assert_eq!(feed.verdicts().batches, 0, "held");
        std::fs::write(&secret, "right\n").expect("written");
        assert_eq!(feed.settled().await.delivered, 10);
        assert_eq!(numbers(server, &index).await, (0..10).collect::<Vec<_>>());
        assert_eq!(agent.unhealthy(), None);
        assert!(agent.dead_letter().is_empty());
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authority_that_is_configured_and_no_other() {
    tailwater::net::tls::install_provider();
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["127.0.0.1".into()]).expect("a name").signed_by(&key, &authority);
    let certificate = certificate.expect("signed");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS #8"),
        )
        .expect("a usable certificate");

    let server = Server::shared();
    let proxy = FaultProxy::start_tls(server.address(), TlsAcceptor::from(Arc::new(config))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).expect("written");
    let ca_file = ca_file.display();

    let index = unique("distrusted");
    let stranger = Feed::new(&index, 1);
    let options = format!("endpoints: ['https://{}'], index: {index}, mapping: ecs", proxy.address());
    let agent = Agent::start(&stranger, &options);
    stranger.lines(&numbered(0..3));
    agent.complains("certificate").await;
    assert_eq!((stranger.verdicts().batches, proxy.seen().len()), (0, 0));
    agent.stop().await;

    let index = unique("trusted");
    let feed = Feed::new(&index, 1);
    let options = format!(
        "endpoints: ['https://{}'], index: {index}, mapping: ecs, tls: {{ ca_file: '{ca_file}' }}",
        proxy.address()
    );
    let _agent = Agent::start_in(folder, &feed, &options);
    feed.lines(&numbered(0..3));
    assert_eq!(feed.settled().await.delivered, 3);
    assert_eq!(numbers(server, &index).await, [0, 1, 2]);
}
