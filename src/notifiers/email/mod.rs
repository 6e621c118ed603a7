//! The receiver `email`: a mail to a smarthost by SMTP (RFC 5321), with STARTTLS, TLS from the first byte, or neither.
//!
//! The mail is journalled as it is sent, its `Message-ID` in it, so that a mail that is sent again is the same mail to
//! whoever tells copies apart.

mod mail;
mod options;
#[cfg(test)]
mod tests;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, Identity, Tls, TlsParameters, TlsVersion as Oldest,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::alerting::sending::{Facts, Fault, Global, Speaker, Target, fitted, notification_id, notification_key};
use crate::alerting::{Notification, Notifier, Page, PageKind, Refusal, WriteError};
use crate::net::Hidden;
use crate::options::http_client::TlsVersion;
use crate::options::{TlsConfig, whole_file};
use mail::{Envelope, Texts};
use options::Settings;

pub use options::Options;

/// The kind's name.
const KIND: &str = "email";

/// Most bytes of a file of certificates.
const MAX_PEM: u64 = 16 << 20;

/// A receiver.
#[derive(Debug)]
pub(super) struct Email {
    send_resolved: bool,
    settings: Settings,
    /// Whom mail goes to, as it is written.
    to: String,
    texts: Texts,
    place: usize,
    speaker: Speaker,
}

impl Email {
    /// One as the options say, the `place`th of its receiver.
    pub fn new(options: &Options, global: &Global, speaker: &Speaker, place: usize) -> Result<Self, String> {
        let settings = options.settings(global)?;
        let texts = Texts::compile(options, &settings.from, &speaker.templates)?;
        Ok(Self {
            send_resolved: options.send_resolved,
            to: options.to.value.clone(),
            settings,
            texts,
            place,
            speaker: speaker.clone(),
        })
    }

    async fn mail(&self, page: &Page) -> Result<(), Refusal> {
        let malformed = || Refusal::ForGood(format!("{KIND}: what was journalled is not a mail"));
        let (envelope, mail) = Envelope::split(&page.body).ok_or_else(malformed)?;
        let envelope = envelope.lettre().ok_or_else(malformed)?;
        let server =
            self.server().await.map_err(|why| Refusal::ForNow { why: format!("{KIND}: {why}"), after: None })?;
        let Settings { host, port, timeout, .. } = &self.settings;
        let late =
            || Refusal::ForNow { why: format!("{KIND}: {host}:{port} took longer than {timeout:?}"), after: None };
        let sent = tokio::time::timeout(*timeout, server.send_raw(&envelope, mail)).await.map_err(|_| late())?;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refusal(&error, &self.hidden().await)),
        }
    }

    /// A transport that logs in with what files hold now.
    async fn server(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
        let settings = &self.settings;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str());
        let hello = ClientId::Domain(settings.hello.clone());
        let mut builder = builder.port(settings.port).timeout(Some(settings.timeout)).hello_name(hello);
        builder = builder.tls(match (settings.implicit_tls, settings.require_tls) {
            (true, _) => Tls::Wrapper(self.tls().await?),
            (false, true) => Tls::Required(self.tls().await?),
            (false, false) => Tls::None,
        });
        if let (Some(user), Some(password)) = (&settings.username, &settings.password) {
            let password = password.read().await?;
            let credentials = Credentials::new(user.clone(), password.to_string());
            builder = builder.credentials(credentials).authentication(vec![Mechanism::Plain, Mechanism::Login]);
        }
        Ok(builder.build())
    }

    async fn tls(&self) -> Result<TlsParameters, String> {
        let (config, host) = (self.settings.tls.clone(), self.settings.host.clone());
        let made = tokio::task::spawn_blocking(move || parameters(&config, host)).await;
        made.map_err(|error| error.to_string())?
    }

    /// What an error must not repeat: servers quote what they do not understand.
    async fn hidden(&self) -> Hidden {
        let Settings { username: Some(user), password: Some(password), .. } = &self.settings else {
            return Hidden::default();
        };
        password
            .read()
            .await
            .map_or_else(|_| Hidden::default(), |password| Hidden::default().and_login(user, &password))
    }

    fn refusal(&self, error: &SmtpError, hidden: &Hidden) -> Refusal {
        let Settings { host, port, .. } = &self.settings;
        let mut why = format!("{KIND}: {host}:{port}: {error}");
        let said = std::error::Error::source(error);
        // The error shows what it comes from, and no more.
        let mut cause = said.and_then(std::error::Error::source);
        while let Some(next) = cause {
            why = format!("{why}: {next}");
            cause = next.source();
        }
        why = hidden.mask(&why);
        let Some(code) = error.status() else { return Refusal::ForNow { why, after: None } };
        let said = said.map(ToString::to_string).unwrap_or_default();
        Fault::of_smtp(code.into(), &said).refusal(why, None)
    }
}

/// What a client does in TLS. Reads files.
fn parameters(config: &TlsConfig, host: String) -> Result<TlsParameters, String> {
    let refused = |error: SmtpError| format!("tls: {error}");
    let name = config.server_name.clone().filter(|name| !name.is_empty()).unwrap_or(host);
    let mut builder = TlsParameters::builder(name).dangerous_accept_invalid_certs(config.insecure_skip_verify);
    if config.versions().0 == TlsVersion::Tls13 {
        builder = builder.set_min_tls_version(Oldest::Tlsv13);
    }
    if let Some(authorities) = pem(config.ca.as_deref(), config.ca_file.as_deref())? {
        builder = builder.certificate_store(CertificateStore::None);
        for authority in certificates(&authorities) {
            builder = builder.add_root_certificate(Certificate::from_pem(&authority).map_err(refused)?);
        }
    }
    let certificate = pem(config.cert.as_deref(), config.cert_file.as_deref())?;
    let key = config.key.as_ref().map(|key| key.expose());
    let key = pem(key.as_deref(), config.key_file.as_deref())?;
    if let (Some(certificate), Some(key)) = (certificate, key) {
        builder = builder.identify_with(Identity::from_pem(&certificate, &key).map_err(refused)?);
    }
    builder.build().map_err(refused)
}

fn pem(inline: Option<&str>, file: Option<&std::path::Path>) -> Result<Option<Vec<u8>>, String> {
    match (inline, file) {
        (Some(text), _) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(path)) => {
            let read = whole_file::bytes(path, MAX_PEM).map(Some);
            read.map_err(|error| format!("tls: cannot read {}: {error}", path.display()))
        }
        (None, None) => Ok(None),
    }
}

/// Each certificate of a bundle by itself: the library takes the first of what it is given.
fn certificates(bundle: &[u8]) -> Vec<Vec<u8>> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(bundle);
    let parts = text.split_inclusive(END).filter(|part| part.ends_with(END));
    parts.map(|part| part.trim_start().as_bytes().to_vec()).collect()
}

impl Notifier for Email {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn target(&self) -> Target {
        let Settings { host, port, .. } = &self.settings;
        Target::of(KIND, [self.to.as_str(), &format!("{host}:{port}")])
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
        let now = notification.now;
        let wanted = notification.alerts.iter().filter(|alert| self.send_resolved || !alert.is_resolved(now));
        let alerts: Vec<_> = wanted.cloned().collect();
        if alerts.is_empty() {
            return Ok(Vec::new());
        }
        let firing = alerts.iter().any(|alert| !alert.is_resolved(now));
        let key = notification_key(notification, &self.speaker);
        let id = notification_id(notification, &self.speaker, self.place);
        let body = fitted(KIND, alerts, now, |alerts| {
            self.texts.mail(&Facts::of(notification, alerts, &self.speaker), now, &key, &id)
        })?;
        let kind = if firing { PageKind::Trigger } else { PageKind::Resolve };
        Ok(vec![Page { key, kind, about: notification.names(), body: body.into() }])
    }

    fn send<'a>(&'a self, page: &'a Page) -> BoxFuture<'a, Result<(), Refusal>> {
        self.mail(page).boxed()
    }
}
