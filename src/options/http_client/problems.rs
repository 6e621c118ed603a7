//! What is wrong with the options of an HTTP client beyond their shape. The rules are Prometheus's, so that
//! what it takes is taken; what it takes and this agent cannot do is said.

use super::{Authorization, BasicAuth, HttpClientOptions, OAuth2, ProxyOptions, TlsConfig, TlsVersion, tls_version};
use crate::options::{Code, Problem, Span};

const TWO_LOGINS: Code = Code("TW0704");
/// A value and a file, or another value, for the same.
pub const TWICE: Code = Code("TW0705");
const BASIC_AUTHORIZATION: Code = Code("TW0706");
const OAUTH2: Code = Code("TW0707");
const HALF_IDENTITY: Code = Code("TW0708");
const TLS_VERSION: Code = Code("TW0709");
const PROXY: Code = Code("TW0710");
const HEADER: Code = Code("TW0711");
const UNSUPPORTED: Code = Code("TW0712");

/// Headers that the agent sets, or that would change the connection.
const RESERVED: [&str; 18] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// Everything that is wrong.
pub(super) fn of(options: &HttpClientOptions, whole: Span) -> Vec<Problem> {
    let mut found = Vec::new();
    logins(options, &mut found);
    if let Some(basic) = &options.basic_auth {
        basic_auth(basic, basic.span, &mut found);
    }
    if let Some(header) = &options.authorization {
        authorization(header, header.span, &mut found);
    }
    if let Some(oauth) = &options.oauth2 {
        oauth2(oauth, oauth.span, &mut found);
    }
    if let Some(settings) = &options.tls_config {
        tls(settings, settings.span, &mut found);
    }
    proxy(&options.proxy(), whole, &mut found);
    for (name, header) in &options.http_headers {
        if RESERVED.contains(&&*name.to_ascii_lowercase()) {
            let message = format!("the header `{name}` is set by the agent itself");
            found.push(Problem::new(HEADER, header.span, message).help("leave it out"));
        } else if !is_token(name) || !header.values.iter().all(|value| is_value(value)) {
            let message = format!("`{name}` with these values is not a header");
            found.push(Problem::new(HEADER, header.span, message).help("see RFC 9110, 5.1 and 5.5"));
        }
    }
    found
}

/// At most one way to log in.
fn logins(options: &HttpClientOptions, found: &mut Vec<Problem>) {
    let ways = [
        ("basic_auth", options.basic_auth.as_ref().map(|way| way.span)),
        ("authorization", options.authorization.as_ref().map(|way| way.span)),
        ("oauth2", options.oauth2.as_ref().map(|way| way.span)),
        ("bearer_token", options.bearer_token.as_ref().map(|way| way.span)),
        ("bearer_token_file", options.bearer_token_file.as_ref().map(|way| way.span)),
    ];
    let mut given = ways.into_iter().filter_map(|(name, span)| Some((name, span?)));
    let Some((first, _)) = given.next() else { return };
    for (name, span) in given {
        let message = format!("`{first}` and `{name}` exclude each other");
        found.push(Problem::new(TWO_LOGINS, span, message).help("keep the one that the server expects"));
    }
}

/// A value and the file it could come from.
fn twice(name: &str, inline: bool, file: Option<Span>, found: &mut Vec<Problem>) {
    if let (true, Some(span)) = (inline, file) {
        let message = format!("`{name}` and `{name}_file` exclude each other");
        found.push(Problem::new(TWICE, span, message).help("keep one"));
    }
}

fn basic_auth(basic: &BasicAuth, _: Span, found: &mut Vec<Problem>) {
    twice("username", basic.username.is_some(), basic.username_file.as_ref().map(|file| file.span), found);
    twice("password", basic.password.is_some(), basic.password_file.as_ref().map(|file| file.span), found);
}

fn authorization(header: &Authorization, span: Span, found: &mut Vec<Problem>) {
    twice("credentials", header.credentials.is_some(), header.credentials_file.as_ref().map(|file| file.span), found);
    let Some(kind) = &header.kind else { return };
    if kind.trim().eq_ignore_ascii_case("basic") {
        let message = "`type` cannot be `Basic`";
        found.push(Problem::new(BASIC_AUTHORIZATION, kind.span, message).help("write `basic_auth` instead"));
    } else if !kind.trim().is_empty() && !is_token(kind.trim()) {
        let message = format!("`{}` is no scheme of authorization", kind.value);
        found.push(Problem::new(HEADER, span, message).help("see RFC 9110, 11.4"));
    }
}

fn oauth2(oauth: &OAuth2, span: Span, found: &mut Vec<Problem>) {
    twice(
        "client_secret",
        oauth.client_secret.is_some(),
        oauth.client_secret_file.as_ref().map(|file| file.span),
        found,
    );
    if oauth.client_id.is_empty() {
        found.push(Problem::new(OAUTH2, span, "`oauth2` has no `client_id`").help("give the id of this client"));
    }
    match &oauth.token_url {
        Some(url) if is_address(url) => {}
        Some(url) => {
            let message = format!("`{}` is not an address", url.value);
            found.push(Problem::new(OAUTH2, url.span, message).help("write http:// or https:// and what follows"));
        }
        None => {
            let help = "give the address of the token server";
            found.push(Problem::new(OAUTH2, span, "`oauth2` has no `token_url`").help(help));
        }
    }
    if let Some(grant) = &oauth.grant_type
        && !matches!(grant.value.as_str(), "" | "client_credentials")
    {
        let message = format!("the grant `{}` exists in Prometheus and is not supported here", grant.value);
        found.push(Problem::new(UNSUPPORTED, grant.span, message).help("use `client_credentials`"));
    }
    let keys = [
        ("client_certificate_key_id", &oauth.client_certificate_key_id),
        ("client_certificate_key", &oauth.client_certificate_key),
        ("client_certificate_key_file", &oauth.client_certificate_key_file),
        ("signature_algorithm", &oauth.signature_algorithm),
        ("iss", &oauth.iss),
        ("audience", &oauth.audience),
        ("claims", &oauth.claims),
    ];
    for (name, value) in keys {
        if let Some(value) = value {
            let message = format!("`{name}` exists in Prometheus and is not supported here");
            let help = "use `client_secret` or `client_secret_file`, and `endpoint_params` for further parameters";
            found.push(Problem::new(UNSUPPORTED, value.span, message).help(help));
        }
    }
    if let Some(settings) = &oauth.tls_config {
        tls(settings, settings.span, found);
    }
    proxy(&oauth.proxy(), span, found);
}

fn tls(settings: &TlsConfig, span: Span, found: &mut Vec<Problem>) {
    let at = |file: bool| file.then_some(span);
    twice("ca", settings.ca.is_some(), at(settings.ca_file.is_some()), found);
    twice("cert", settings.cert.is_some(), at(settings.cert_file.is_some()), found);
    twice("key", settings.key.is_some(), at(settings.key_file.is_some()), found);
    let certificate = settings.cert.is_some() || settings.cert_file.is_some();
    let key = settings.key.is_some() || settings.key_file.is_some();
    if certificate != key {
        let message = "a certificate of the agent and its key go together";
        found.push(Problem::new(HALF_IDENTITY, span, message).help("give both, or neither"));
    }
    let mut known = true;
    for version in [&settings.min_version, &settings.max_version].into_iter().flatten() {
        if tls_version(version).is_some() {
            continue;
        }
        known = false;
        let old = matches!(version.value.as_str(), "TLS10" | "TLS11");
        let (code, what) =
            if old { (UNSUPPORTED, "is not supported here") } else { (TLS_VERSION, "is not a version of TLS") };
        let message = format!("`{}` {what}", version.value);
        found.push(Problem::new(code, version.span, message).help("write `TLS12` or `TLS13`"));
    }
    let (oldest, newest): (TlsVersion, TlsVersion) = settings.versions();
    if known && oldest > newest {
        let place = settings.min_version.as_ref().map_or(span, |version| version.span);
        let message = "`min_version` is newer than `max_version`";
        found.push(Problem::new(TLS_VERSION, place, message).help("leave one of them out"));
    }
}

fn proxy(proxy: &ProxyOptions, whole: Span, found: &mut Vec<Problem>) {
    let url = proxy.url.as_ref().filter(|url| !url.expose().is_empty());
    if let Some(url) = url {
        let address = url.expose();
        let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if matches!(scheme.as_deref(), Some("socks5" | "socks5h")) {
            let message = "SOCKS proxies exist in Prometheus and are not supported here";
            found.push(Problem::new(UNSUPPORTED, url.span, message).help("use a proxy that is spoken to by HTTP"));
        } else if !is_address(&address) {
            let message = "`proxy_url` is not the address of a proxy";
            found.push(Problem::new(PROXY, url.span, message).help("write http://host:port or https://host:port"));
        }
    }
    let mut exclude = |span: Span, message: &str| {
        found.push(Problem::new(PROXY, span, message).help("keep one"));
    };
    if proxy.from_environment.value {
        let span = proxy.from_environment.span;
        if url.is_some() {
            exclude(span, "`proxy_from_environment` and `proxy_url` exclude each other");
        }
        if proxy.except.as_ref().is_some_and(|except| !except.is_empty()) {
            exclude(span, "`proxy_from_environment` and `no_proxy` exclude each other");
        }
    } else if url.is_none() {
        if let Some(except) = proxy.except.as_ref().filter(|except| !except.is_empty()) {
            let message = "`no_proxy` without `proxy_url`";
            found.push(Problem::new(PROXY, except.span, message).help("give `proxy_url`, or leave it out"));
        }
        if let Some((_, values)) = proxy.connect_header.first_key_value() {
            let span = if values.span == Span::UNKNOWN { whole } else { values.span };
            let message = "`proxy_connect_header` without a proxy";
            found.push(Problem::new(PROXY, span, message).help("give `proxy_url`, or leave it out"));
        }
    }
    for (name, values) in &proxy.connect_header {
        if !is_token(name) {
            let message = format!("`{name}` is not the name of a header");
            found.push(Problem::new(HEADER, values.span, message).help("see RFC 9110, 5.1"));
        }
    }
}

/// Whether it has a scheme of HTTP and a host.
fn is_address(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
        && !host.is_empty()
        && !host.starts_with(':')
        && !address.contains(char::is_whitespace)
}

/// RFC 9110, 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// RFC 9110, 5.5.
fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(options: serde_json::Value) -> Vec<&'static str> {
        let options: HttpClientOptions = serde_json::from_value(options).expect("the shape is right");
        options.problems(Span::UNKNOWN).into_iter().map(|problem| problem.code.0).collect()
    }

    #[test]
    fn what_prometheus_takes_is_taken() {
        for good in [
            serde_json::json!({}),
            serde_json::json!({ "basic_auth": { "username": "u", "password_file": "/p" } }),
            serde_json::json!({ "basic_auth": { "username": "u" } }),
            serde_json::json!({ "authorization": { "type": " Token ", "credentials_file": "/c" } }),
            serde_json::json!({ "authorization": {} }),
            serde_json::json!({ "bearer_token_file": "/t" }),
            serde_json::json!({ "oauth2": { "client_id": "a", "token_url": "https://t/x", "scopes": ["a", "b"],
                "endpoint_params": { "audience": "x" }, "tls_config": { "ca_file": "/c" }, "proxy_url": "http://p:3128" } }),
            serde_json::json!({ "tls_config": { "cert": "x", "key_file": "/k", "min_version": "TLS13", "server_name": "a" } }),
            serde_json::json!({ "proxy_url": "http://u:p@proxy:3128", "no_proxy": "a,b",
                "proxy_connect_header": { "X-A": ["1", "2"] }, "follow_redirects": false, "enable_http2": false }),
            serde_json::json!({ "proxy_from_environment": true }),
            serde_json::json!({ "proxy_url": "", "proxy_from_environment": true }),
            serde_json::json!({ "http_headers": { "X-Scope-OrgID": { "values": ["a"], "secrets": ["b"], "files": ["/f"] } } }),
        ] {
            assert!(codes(good.clone()).is_empty(), "{good} {:?}", codes(good.clone()));
        }
    }

    #[test]
    fn what_prometheus_refuses_is_refused() {
        let basic = serde_json::json!({ "username": "u" });
        for (code, bad) in [
            ("TW0704", serde_json::json!({ "basic_auth": basic, "bearer_token": "x" })),
            ("TW0704", serde_json::json!({ "bearer_token": "x", "bearer_token_file": "/x" })),
            ("TW0704", serde_json::json!({ "authorization": {}, "bearer_token": "x" })),
            ("TW0704", serde_json::json!({ "authorization": {}, "basic_auth": basic })),
            (
                "TW0704",
                serde_json::json!({ "basic_auth": basic, "oauth2": { "client_id": "a", "token_url": "http://t" } }),
            ),
            ("TW0705", serde_json::json!({ "basic_auth": { "username": "u", "username_file": "/u" } })),
            ("TW0705", serde_json::json!({ "basic_auth": { "password": "u", "password_file": "/u" } })),
            ("TW0705", serde_json::json!({ "authorization": { "credentials": "u", "credentials_file": "/u" } })),
            ("TW0706", serde_json::json!({ "authorization": { "type": " bAsIc ", "credentials": "u" } })),
            (
                "TW0705",
                serde_json::json!({ "oauth2": { "client_id": "a", "token_url": "http://t", "client_secret": "a", "client_secret_file": "/b" } }),
            ),
            ("TW0707", serde_json::json!({ "oauth2": { "token_url": "http://t" } })),
            ("TW0707", serde_json::json!({ "oauth2": { "client_id": "a" } })),
            (
                "TW0712",
                serde_json::json!({ "oauth2": { "client_id": "a", "token_url": "http://t", "claims": { "a": [1] } } }),
            ),
            ("TW0705", serde_json::json!({ "tls_config": { "ca": "x", "ca_file": "/x" } })),
            ("TW0708", serde_json::json!({ "tls_config": { "cert_file": "/x" } })),
            ("TW0708", serde_json::json!({ "tls_config": { "key": "x" } })),
            ("TW0709", serde_json::json!({ "tls_config": { "min_version": "TLS13", "max_version": "TLS12" } })),
            ("TW0709", serde_json::json!({ "tls_config": { "min_version": "1.2" } })),
            ("TW0712", serde_json::json!({ "tls_config": { "max_version": "TLS11" } })),
            ("TW0710", serde_json::json!({ "proxy_url": "http://p", "proxy_from_environment": true })),
            ("TW0710", serde_json::json!({ "no_proxy": "x", "proxy_from_environment": true })),
            ("TW0710", serde_json::json!({ "no_proxy": "x" })),
            ("TW0710", serde_json::json!({ "proxy_connect_header": { "a": ["b"] } })),
            ("TW0710", serde_json::json!({ "proxy_url": "proxy:3128" })),
            ("TW0712", serde_json::json!({ "proxy_url": "socks5://proxy:1080" })),
            ("TW0711", serde_json::json!({ "http_headers": { "Content-Type": { "values": ["x"] } } })),
            ("TW0711", serde_json::json!({ "http_headers": { "a b": { "values": ["x"] } } })),
            ("TW0711", serde_json::json!({ "http_headers": { "a": { "values": ["x\ny"] } } })),
        ] {
            assert_eq!(codes(bad.clone()), [code], "{bad}");
        }
    }
}
