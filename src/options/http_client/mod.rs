//! How a component talks HTTP, in Prometheus's words (its `<http_config>`): scrape jobs, HTTP service
//! discovery and remote write take the same keys. A component puts them beside its own options with
//! [`Joined`](super::Joined): `Joined<Options, HttpClientOptions>`. What they do is in `net::http_client`.

mod problems;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use problems::TWICE;
use serde::de::IgnoredAny;

use super::{Secret, SecretAddress, Span, Spanned};

/// Options of an HTTP client.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpClientOptions {
    /// User and password of every request. At most one of `basic_auth`, `authorization`, `oauth2` and the
    /// two bearer keys.
    pub basic_auth: Option<Spanned<BasicAuth>>,
    /// The header `Authorization` of every request.
    pub authorization: Option<Spanned<Authorization>>,
    /// A bearer token. The same as `authorization: { credentials: … }`, which is newer.
    pub bearer_token: Option<Spanned<Secret>>,
    /// A file with a bearer token. The same as `authorization: { credentials_file: … }`, which is newer.
    pub bearer_token_file: Option<Spanned<PathBuf>>,
    /// Tokens by OAuth 2.0's grant of client credentials (RFC 6749, 4.4): fetched before the first request,
    /// kept until they expire, and fetched again after a 401.
    pub oauth2: Option<Spanned<OAuth2>>,
    /// TLS, where the address begins with `https://`.
    pub tls_config: Option<Spanned<TlsConfig>>,
    /// The proxy that requests go through: `http://host:port` or `https://host:port`, with a user and a
    /// password where it wants them. Default: none.
    pub proxy_url: Option<Spanned<SecretAddress>>,
    /// Hosts that are reached without the proxy, separated by commas: names (and what ends in them), IP
    /// addresses, CIDR ranges, each with a port or without, or `*`. With it, loopback is never proxied.
    /// Needs `proxy_url`.
    pub no_proxy: Option<Spanned<String>>,
    /// Whether the proxy is what `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` (or their lower-case forms) say
    /// when the agent starts. Default: `false`. Excludes `proxy_url` and `no_proxy`.
    pub proxy_from_environment: Spanned<bool>,
    /// Further headers of `CONNECT` requests to the proxy, by name.
    pub proxy_connect_header: BTreeMap<String, Spanned<Vec<Secret>>>,
    /// Whether redirects are followed, at most ten in a row. Default: `true`. Credentials go only to the host
    /// that the address names, and to hosts below it.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is used where the server offers it in the TLS handshake. Default: `true`.
    pub enable_http2: bool,
    /// Further headers of every request, by name. Headers that the agent sets itself cannot be given.
    pub http_headers: BTreeMap<String, Spanned<HttpHeader>>,
}

impl HttpClientOptions {
    /// Whether nothing is given that differs from the defaults.
    pub fn is_default(&self) -> bool {
        let logins = [
            self.basic_auth.is_none(),
            self.authorization.is_none(),
            self.bearer_token.is_none(),
            self.bearer_token_file.is_none(),
            self.oauth2.is_none(),
        ];
        let proxy = self.proxy_url.is_none() && self.no_proxy.is_none() && !self.proxy_from_environment.value;
        let headers = self.proxy_connect_header.is_empty() && self.http_headers.is_empty();
        let connection = self.tls_config.is_none() && self.follow_redirects && self.enable_http2;
        !logins.contains(&false) && proxy && headers && connection
    }
}

impl Default for HttpClientOptions {
    fn default() -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            bearer_token: None,
            bearer_token_file: None,
            oauth2: None,
            tls_config: None,
            proxy_url: None,
            no_proxy: None,
            proxy_from_environment: Spanned::default(),
            proxy_connect_header: BTreeMap::new(),
            follow_redirects: true,
            enable_http2: true,
            http_headers: BTreeMap::new(),
        }
    }
}

/// User and password.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// The user. At most one of this and `username_file`.
    pub username: Option<String>,
    /// A file with the user, read again when it changes.
    pub username_file: Option<Spanned<PathBuf>>,
    /// The password. At most one of this and `password_file`.
    pub password: Option<Secret>,
    /// A file with the password, read again when it changes and after a 401.
    pub password_file: Option<Spanned<PathBuf>>,
}

/// The header `Authorization`.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    /// The scheme. Default: `Bearer`. Not `Basic`, for which there is `basic_auth`.
    #[serde(rename = "type")]
    pub kind: Option<Spanned<String>>,
    /// The credentials. At most one of this and `credentials_file`.
    pub credentials: Option<Secret>,
    /// A file with the credentials, read again when it changes and after a 401.
    pub credentials_file: Option<Spanned<PathBuf>>,
}

/// Tokens by OAuth 2.0's grant of client credentials.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OAuth2 {
    /// The client's id. Required.
    pub client_id: String,
    /// The client's secret. At most one of this and `client_secret_file`.
    pub client_secret: Option<Secret>,
    /// A file with the client's secret, read again when it changes and after a 401.
    pub client_secret_file: Option<Spanned<PathBuf>>,
    /// What the token is to allow. Default: whatever the server gives.
    pub scopes: Vec<String>,
    /// Where tokens are fetched. Required.
    pub token_url: Option<Spanned<String>>,
    /// Further parameters of the request for a token, such as `audience`.
    pub endpoint_params: BTreeMap<String, String>,
    /// TLS towards the token server.
    pub tls_config: Option<Spanned<TlsConfig>>,
    /// The proxy towards the token server.
    pub proxy_url: Option<Spanned<SecretAddress>>,
    /// As beside `proxy_url` of requests themselves.
    pub no_proxy: Option<Spanned<String>>,
    /// As beside `proxy_url` of requests themselves. Default: `false`.
    pub proxy_from_environment: Spanned<bool>,
    /// As beside `proxy_url` of requests themselves.
    pub proxy_connect_header: BTreeMap<String, Spanned<Vec<Secret>>>,
    /// How tokens are asked for: only `client_credentials`, the default.
    pub grant_type: Option<Spanned<String>>,
    /// Not supported: client certificates of the grant `jwt-bearer`.
    pub client_certificate_key_id: Option<Spanned<NotSupported>>,
    /// Not supported: client certificates of the grant `jwt-bearer`.
    pub client_certificate_key: Option<Spanned<NotSupported>>,
    /// Not supported: client certificates of the grant `jwt-bearer`.
    pub client_certificate_key_file: Option<Spanned<NotSupported>>,
    /// Not supported: client certificates of the grant `jwt-bearer`.
    pub signature_algorithm: Option<Spanned<NotSupported>>,
    /// Not supported: claims of the grant `jwt-bearer`.
    pub iss: Option<Spanned<NotSupported>>,
    /// Not supported: claims of the grant `jwt-bearer`.
    pub audience: Option<Spanned<NotSupported>>,
    /// Not supported: claims of the grant `jwt-bearer`.
    pub claims: Option<Spanned<NotSupported>>,
}

/// TLS of a client.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The authorities to trust instead of the system's, as PEM text. At most one of this and `ca_file`.
    pub ca: Option<String>,
    /// A PEM file with the authorities to trust instead of the system's, read again when it changes.
    pub ca_file: Option<PathBuf>,
    /// The certificate that this agent shows and its chain, as PEM text. Needs a key.
    pub cert: Option<String>,
    /// A PEM file with the certificate that this agent shows and its chain, read again when it changes.
    pub cert_file: Option<PathBuf>,
    /// The private key of the certificate, as PEM text.
    pub key: Option<Secret>,
    /// A PEM file with the private key of the certificate, read again when it changes.
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must have, and that is asked for in the handshake. Default: the
    /// host of the address.
    pub server_name: Option<String>,
    /// Whether any certificate of the server will do. Default: `false`. With `true` anybody on the way can
    /// read and change what is sent: only for a test.
    #[serde(deserialize_with = "crate::options::tls::unchecked_if_true")]
    pub insecure_skip_verify: bool,
    /// The oldest version: `TLS12` or `TLS13`. Default: `TLS12`. Older ones are not supported.
    pub min_version: Option<Spanned<String>>,
    /// The newest version: `TLS12` or `TLS13`. Default: `TLS13`.
    pub max_version: Option<Spanned<String>>,
}

/// Values of one header; each becomes a header line of its own.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpHeader {
    /// Values that anybody may see.
    pub values: Vec<String>,
    /// Values that are masked wherever the configuration is shown, and sent only to the host that the address
    /// names.
    pub secrets: Vec<Secret>,
    /// Files with such values, read again when they change.
    pub files: Vec<PathBuf>,
}

/// The value of a key that exists in Prometheus and not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSupported;

impl<'de> serde::Deserialize<'de> for NotSupported {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl schemars::JsonSchema for NotSupported {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NotSupported".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!(true)
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsConfig {
    /// The oldest version and the newest.
    pub fn versions(&self) -> (TlsVersion, TlsVersion) {
        let read = |version: &Option<Spanned<String>>| version.as_ref().and_then(|version| tls_version(version));
        (read(&self.min_version).unwrap_or(TlsVersion::Tls12), read(&self.max_version).unwrap_or(TlsVersion::Tls13))
    }
}

fn tls_version(word: &str) -> Option<TlsVersion> {
    match word {
        "TLS12" => Some(TlsVersion::Tls12),
        "TLS13" => Some(TlsVersion::Tls13),
        _ => None,
    }
}

/// Which proxy requests go through, from wherever the keys stand.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    /// `proxy_url`.
    pub url: Option<Spanned<SecretAddress>>,
    /// `no_proxy`.
    pub except: Option<Spanned<String>>,
    /// `proxy_from_environment`.
    pub from_environment: Spanned<bool>,
    /// `proxy_connect_header`.
    pub connect_header: BTreeMap<String, Spanned<Vec<Secret>>>,
}

impl HttpClientOptions {
    /// The proxy of requests.
    pub fn proxy(&self) -> ProxyOptions {
        ProxyOptions {
            url: self.proxy_url.clone(),
            except: self.no_proxy.clone(),
            from_environment: self.proxy_from_environment.clone(),
            connect_header: self.proxy_connect_header.clone(),
        }
    }

    /// What Prometheus would refuse, and what is not supported here. `whole` is the place of what has no
    /// place of its own.
    pub fn problems(&self, whole: Span) -> Vec<super::Problem> {
        problems::of(self, whole)
    }
}

impl OAuth2 {
    /// The proxy towards the token server.
    pub fn proxy(&self) -> ProxyOptions {
        ProxyOptions {
            url: self.proxy_url.clone(),
            except: self.no_proxy.clone(),
            from_environment: self.proxy_from_environment.clone(),
            connect_header: self.proxy_connect_header.clone(),
        }
    }
}

impl From<&super::ClientTls> for TlsConfig {
    fn from(tls: &super::ClientTls) -> Self {
        Self {
            ca_file: tls.ca_file.clone(),
            cert_file: tls.cert_file.clone(),
            key_file: tls.key_file.clone(),
            insecure_skip_verify: !tls.verify,
            ..Self::default()
        }
    }
}
