//! Mail to a server with and without TLS, with and without a login, that takes it, refuses it or keeps silent.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value as Json, json};
use tailwater::alerting::{Notifier, Refusal};
use tempfile::TempDir;

use crate::smtp_server::{SmtpServer, Tls};
use crate::{NO_END, down, for_good, for_now, notification, notifier, page};

/// An authority, and a certificate of it for 127.0.0.1.
struct Identity {
    folder: TempDir,
}

impl Identity {
    fn generate() -> Self {
        tailwater::net::tls::install_provider();
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("signed");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("written");
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).expect("written");
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).expect("written");
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn server(&self, tls: Tls, mechanism: Option<&'static str>) -> SmtpServer {
        SmtpServer::start(tls, Some((&self.file("cert.pem"), &self.file("key.pem"))), mechanism).await
    }
}

async fn sent(server: &SmtpServer, more: Json) -> Result<(), Refusal> {
    let receiver = receiver(server, more);
    receiver.send(&page(&*receiver, &notification(vec![down("a", NO_END)]))).await
}

fn receiver(server: &SmtpServer, more: Json) -> std::sync::Arc<dyn Notifier> {
    let mut options = json!({
        "smarthost": server.smarthost(), "from": "tailwater@example.com", "to": "a@example.com, B <b@example.com>",
        "hello": "agent.example.com", "text": "{{ .Status }}\n.\n..dots"
    });
    options.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    notifier("email", options)
}

#[tokio::test]
async fn mail_goes_through_starttls_with_a_login() {
    let identity = Identity::generate();
    let password = identity.file("password");
    std::fs::write(&password, "hush-hush\n").expect("written");
    for mechanism in ["PLAIN", "LOGIN"] {
        let server = identity.server(Tls::Upgraded, Some(mechanism)).await;
        let options = json!({
            "auth_username": "tw", "auth_password_file": password, "tls_config": { "ca_file": identity.file("ca.pem") }
        });
        sent(&server, options).await.expect("taken");
        let [mail] = &server.mails()[..] else { panic!("one mail") };
        assert!(mail.encrypted);
        assert_eq!(mail.login, Some(("tw".into(), "hush-hush".into())), "{mechanism}");
        assert_eq!(mail.hello, "agent.example.com");
        assert_eq!(
            (mail.from.as_str(), &mail.to[..]),
            ("tailwater@example.com", &["a@example.com".into(), "b@example.com".into()][..])
        );
        assert!(mail.text.contains("\r\nfiring\r\n.\r\n..dots\r\n"), "{}", mail.text);
    }
}

#[tokio::test]
async fn mail_goes_through_tls_from_the_first_byte_or_without_where_that_is_said() {
    let identity = Identity::generate();
    let implicit = identity.server(Tls::Implicit, None).await;
    let trust = json!({ "ca_file": identity.file("ca.pem") });
    sent(&implicit, json!({ "force_implicit_tls": true, "tls_config": trust })).await.expect("taken");
    assert!(implicit.mails()[0].encrypted);
    let plain = SmtpServer::start(Tls::None, None, None).await;
    for_now(sent(&plain, json!({})).await);
    assert!(plain.mails().is_empty(), "TLS is required unless told");
    sent(&plain, json!({ "require_tls": false })).await.expect("taken");
    assert!(!plain.mails()[0].encrypted);
}

#[tokio::test]
async fn a_server_whose_certificate_nobody_vouches_for_gets_nothing() {
    let identity = Identity::generate();
    let server = identity.server(Tls::Upgraded, None).await;
    let why = for_now(sent(&server, json!({})).await);
    assert!(why.contains("certificate"), "{why}");
    let other = json!({ "ca_file": identity.file("ca.pem"), "server_name": "mail.example.com" });
    for_now(sent(&server, json!({ "tls_config": other })).await);
    assert!(server.mails().is_empty());
    sent(&server, json!({ "tls_config": { "insecure_skip_verify": true } })).await.expect("taken");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_reply_is_for_good_where_it_finds_fault_with_the_mail() {
    let server = SmtpServer::start(Tls::None, None, None).await;
    let plain = || json!({ "require_tls": false, "timeout": "1s" });
    for command in ["EHLO", "MAIL", "RCPT", "DATA"] {
        server.answer_next(command, Some("451 4.3.0 later"));
        if command == "EHLO" {
            // A client may fall back to HELO.
            server.answer_next("HELO", Some("451 4.3.0 later"));
        }
        let why = for_now(sent(&server, plain()).await);
        assert!(why.contains("later"), "{command}: {why}");
    }
    server.answer_next("RCPT", Some("550 5.1.1 no such user"));
    let why = for_now(sent(&server, plain()).await);
    assert!(why.contains("no such user; check `to` and `from`"), "{why}");
    server.answer_next("DATA", Some("552 5.3.4 message too big"));
    assert!(for_good(sent(&server, plain()).await).ends_with(": 5.3.4 message too big"));
    server.answer_next("MAIL", None);
    let why = for_now(sent(&server, plain()).await);
    assert!(why.contains("took longer than 1s") || why.contains("timed out"), "{why}");
    assert!(server.mails().is_empty());
    sent(&server, plain()).await.expect("taken");
}

#[tokio::test]
async fn a_mail_that_is_sent_again_is_the_same_mail() {
    let server = SmtpServer::start(Tls::None, None, None).await;
    let receiver = receiver(&server, json!({ "require_tls": false }));
    let page = page(&*receiver, &notification(vec![down("a", NO_END)]));
    for _ in 0..2 {
        receiver.send(&page).await.expect("taken");
    }
    let [first, second] = &server.mails()[..] else { panic!("two mails") };
    assert_eq!(first.text, second.text);
    assert_eq!(first.text.matches("Message-ID: <").count(), 1);
}

#[tokio::test]
async fn a_login_that_is_refused_may_be_taken_later() {
    let identity = Identity::generate();
    let server = identity.server(Tls::Upgraded, Some("PLAIN")).await;
    server.answer_next("AUTH", Some("535 5.7.8 wrong password hush-hush, AHR3AGh1c2gtaHVzaA=="));
    let options = json!({
        "auth_username": "tw", "auth_password": "hush-hush", "tls_config": { "ca_file": identity.file("ca.pem") }
    });
    let why = for_now(sent(&server, options).await);
    assert!(why.contains("wrong password ***, ***; check `auth_username`") && !why.contains("hush-hush"), "{why}");
}
