//! What the files of a client's options held when they were read last: connections that go by the
//! certificates, and headers made of the credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::payload::PayloadBody;
use crate::net::connect::{self, Connector};
use crate::net::proxy::{Proxies, ProxyError};
use crate::net::tls::{self, TlsError};
use crate::options::{HttpClientOptions, Secret, TlsConfig, whole_file};

/// Most bytes of a file of credentials.
const MAX_FILE: u64 = 1 << 20;

/// Idle connections are closed before the load balancers that are common do it.
const IDLE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(50);

/// A connection of HTTP/2 that does not answer a ping for this long, while requests wait, is given up.
const PING: std::time::Duration = std::time::Duration::from_secs(20);

/// Most bytes that a connection reads at once. Every idle one keeps a buffer as large as its last answer wanted, so
/// hundreds of targets pay for what is above what the processor's cache holds anyway.
const READ_BUFFER: usize = 64 << 10;

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The TLS settings do not work.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A file of credentials cannot be read.
    #[error("cannot read `{option}` {path}: {error}; check the path and the agent's permissions")]
    Read {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// No header can carry a value.
    #[error("`{0}` holds a character that no header can carry; check it, or the file it comes from")]
    Header(String),
    /// `server_name` is no name.
    #[error("tls: `server_name` `{0}` is not a name that a certificate can have")]
    ServerName(String),
}

/// Window of a stream and of a connection of HTTP/2: what a server may send before it is read.
const WINDOWS: (u32, u32) = (1 << 20, 4 << 20);

/// Which versions of HTTP are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    /// HTTP/1.1, and HTTP/2 where TLS finds that both sides know it.
    Negotiated,
    /// HTTP/2 alone.
    Http2,
}

/// Connections, kept open and used again.
pub(super) type Transport = Client<Connector, PayloadBody>;

/// Everything that is made of files.
pub(super) struct State {
    pub transport: Transport,
    /// Hash of what the files of TLS held.
    made_of: u64,
    /// `Authorization`, where it is not a token of OAuth 2.0.
    pub login: Option<HeaderValue>,
    /// The secret of a client of OAuth 2.0.
    pub client_secret: Arc<str>,
    /// Further headers of every request.
    pub headers: HeaderMap,
    /// Further headers for the host that the address names alone.
    pub secret_headers: HeaderMap,
    /// Whether any of it can change.
    pub has_files: bool,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
            && self.login == other.login
            && self.client_secret == other.client_secret
            && self.secret_headers == other.secret_headers
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("made_of", &self.made_of).finish_non_exhaustive()
    }
}

/// What can be known to be wrong without any file.
pub(super) fn check(options: &HttpClientOptions) -> Result<(), HttpClientError> {
    let Some(name) = options.tls_config.as_ref().and_then(|tls| tls.server_name.as_deref()) else { return Ok(()) };
    connect::name(name).map(drop).map_err(|_| HttpClientError::ServerName(name.to_owned()))
}

impl State {
    /// Reads the files. Connections of `before` are kept where their certificates are the same.
    pub fn read(
        options: &HttpClientOptions,
        versions: Versions,
        proxies: &Arc<Proxies>,
        before: Option<&Self>,
    ) -> Result<Self, HttpClientError> {
        let default = TlsConfig::default();
        let tls = options.tls_config.as_ref().map_or(&default, |tls| &tls.value);
        let mut files = Files::default();
        if let Some(key) = &tls.key {
            files.secret(key);
        }
        files.any |= [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().any(Option::is_some);
        let made_of = tls::content(tls);
        let transport = match before {
            Some(before) if before.made_of == made_of => before.transport.clone(),
            _ => transport(options, versions, tls, proxies)?,
        };
        let login = login(options, &mut files)?;
        let client_secret = match &options.oauth2 {
            None => "".into(),
            Some(oauth2) => {
                let file = oauth2.client_secret_file.as_ref().map(|file| file.value.as_path());
                files.either("client_secret_file", oauth2.client_secret.as_ref(), file)?.unwrap_or_default()
            }
        };
        let (headers, secret_headers) = further(options, &mut files)?;
        Ok(Self { transport, made_of, login, client_secret, headers, secret_headers, has_files: files.any })
    }
}

fn transport(
    options: &HttpClientOptions,
    versions: Versions,
    tls: &TlsConfig,
    proxies: &Arc<Proxies>,
) -> Result<Transport, HttpClientError> {
    let wrong = |_| HttpClientError::ServerName(tls.server_name.clone().unwrap_or_default());
    let name = tls.server_name.as_deref().map(connect::name).transpose().map_err(wrong)?;
    let http2 = versions == Versions::Http2;
    let connector = Connector::new(tls::client(tls)?, http2 || options.enable_http2, name, proxies.clone());
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_max_buf_size(READ_BUFFER)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .http2_only(http2)
        .http2_initial_stream_window_size(WINDOWS.0)
        .http2_initial_connection_window_size(WINDOWS.1)
        .build(connector))
}

/// The header `Authorization`.
fn login(options: &HttpClientOptions, files: &mut Files) -> Result<Option<HeaderValue>, HttpClientError> {
    if let Some(auth) = &options.basic_auth {
        let path = |file: &Option<crate::options::Spanned<PathBuf>>| file.as_ref().map(|file| file.value.clone());
        let user = match path(&auth.username_file) {
            Some(path) => files.read("username_file", &path)?,
            None => auth.username.as_deref().unwrap_or_default().into(),
        };
        let password = files.either("password_file", auth.password.as_ref(), path(&auth.password_file).as_deref())?;
        return Ok(Some(basic(&user, &password.unwrap_or_default())));
    }
    let (kind, option, inline, file) = match (&options.authorization, &options.bearer_token, &options.bearer_token_file)
    {
        (Some(header), ..) => {
            let kind = header.kind.as_ref().map_or("", |kind| kind.value.trim());
            let kind = if kind.is_empty() { "Bearer" } else { kind };
            let file = header.credentials_file.as_ref();
            (kind, "credentials_file", header.credentials.as_ref(), file)
        }
        (None, None, None) => return Ok(None),
        (None, token, file) => ("Bearer", "bearer_token_file", token.as_ref().map(|token| &token.value), file.as_ref()),
    };
    let credentials = files.either(option, inline, file.map(|file| file.value.as_path()))?.unwrap_or_default();
    let what = option.trim_end_matches("_file");
    sensitive(what, &format!("{kind} {credentials}")).map(Some)
}

/// A header of basic authentication (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")));
    let mut value = HeaderValue::from_str(&text).expect("base64 is text");
    value.set_sensitive(true);
    value
}

/// The headers of `http_headers`: those that anybody may see, and the others.
fn further(options: &HttpClientOptions, files: &mut Files) -> Result<(HeaderMap, HeaderMap), HttpClientError> {
    let (mut plain, mut secret) = (HeaderMap::new(), HeaderMap::new());
    for (text, header) in &options.http_headers {
        let wrong = || HttpClientError::Header(format!("http_headers.{text}"));
        let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| wrong())?;
        for value in &header.values {
            plain.append(name.clone(), HeaderValue::from_str(value).map_err(|_| wrong())?);
        }
        for value in &header.secrets {
            secret.append(name.clone(), sensitive(text, &files.secret(value))?);
        }
        for path in &header.files {
            secret.append(name.clone(), sensitive(text, &files.read("http_headers", path)?)?);
        }
    }
    Ok((plain, secret))
}

fn sensitive(what: &str, text: &str) -> Result<HeaderValue, HttpClientError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| HttpClientError::Header(what.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads files, and keeps in mind whether there were any.
#[derive(Default)]
struct Files {
    any: bool,
}

impl Files {
    fn secret(&mut self, secret: &Secret) -> Arc<str> {
        self.any |= secret.file().is_some();
        // A file that is gone for a moment, as during a swap, leaves the secret as it was.
        let _ = secret.reread();
        secret.expose()
    }

    /// As Prometheus does, without white space around it.
    fn read(&mut self, option: &'static str, path: &Path) -> Result<Arc<str>, HttpClientError> {
        self.any = true;
        let text = whole_file::text(path, MAX_FILE);
        let text =
            text.map_err(|error| HttpClientError::Read { option, path: path.to_owned(), error: error.into() })?;
        Ok(text.trim().into())
    }

    fn either(
        &mut self,
        option: &'static str,
        inline: Option<&Secret>,
        file: Option<&Path>,
    ) -> Result<Option<Arc<str>>, HttpClientError> {
        match (inline, file) {
            (_, Some(path)) => self.read(option, path).map(Some),
            (Some(secret), None) => Ok(Some(self.secret(secret))),
            (None, None) => Ok(None),
        }
    }
}
