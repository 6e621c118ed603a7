//! Which requests go through a proxy, by the rules of Go's `golang.org/x/net/http/httpproxy`, which is what
//! people who write `no_proxy` for Prometheus know.

use std::net::IpAddr;

use base64::Engine;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::options::http_client::ProxyOptions;

/// Where requests go through.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Except>,
    /// Whether loopback is never proxied: so it is wherever exceptions can be named.
    direct_loopback: bool,
}

/// One proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Its address, without credentials.
    pub url: Url,
    /// What it wants as `Proxy-Authorization`.
    pub authorization: Option<HeaderValue>,
    /// Further headers of a `CONNECT`.
    pub connect_headers: HeaderMap,
}

/// Hosts that are reached without a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Except {
    All,
    Address {
        ip: IpAddr,
        port: Option<u16>,
    },
    Range {
        network: IpAddr,
        bits: u32,
    },
    /// `suffix` begins with a dot; `itself` says whether the name without it is meant too.
    Name {
        suffix: String,
        itself: bool,
        port: Option<u16>,
    },
}

/// Why a proxy cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the address of the proxy is not usable: {0}; write http://host:port or https://host:port")]
pub struct ProxyError(String);

impl Proxies {
    /// The proxies that options name. `environment` gives the value of a variable.
    pub fn new(options: &ProxyOptions, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let mut connect_headers = HeaderMap::new();
        for (name, values) in &options.connect_header {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| ProxyError(error.to_string()))?;
            for value in values.iter() {
                let what = "a value of `proxy_connect_header` holds a character that no header can carry";
                let mut value = HeaderValue::from_str(&value.expose()).map_err(|_| ProxyError(what.into()))?;
                value.set_sensitive(true);
                connect_headers.append(name.clone(), value);
            }
        }
        let read = |address: &str| Proxy::new(address, &connect_headers);
        if options.from_environment.value {
            let either = |name: &str| {
                environment(name).or_else(|| environment(&name.to_ascii_lowercase())).filter(|text| !text.is_empty())
            };
            return Ok(Self {
                http: either("HTTP_PROXY").map(|address| read(&address)).transpose()?,
                https: either("HTTPS_PROXY").map(|address| read(&address)).transpose()?,
                except: either("NO_PROXY").map(|list| excepts(&list)).unwrap_or_default(),
                direct_loopback: true,
            });
        }
        let Some(url) = options.url.as_ref().map(|url| url.expose()).filter(|url| !url.is_empty()) else {
            return Ok(Self::default());
        };
        let proxy = read(&url)?;
        let except = options.except.as_ref().map_or("", |except| except.value.as_str());
        Ok(Self {
            http: Some(proxy.clone()),
            https: Some(proxy),
            except: excepts(except),
            direct_loopback: !except.is_empty(),
        })
    }

    /// The proxy for a request to this host; `host` is as in an address, IPv6 with its brackets.
    pub fn pick(&self, https: bool, host: &str, port: Option<u16>) -> Option<&Proxy> {
        let proxy = if https { self.https.as_ref()? } else { self.http.as_ref()? };
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let port = port.unwrap_or(if https { 443 } else { 80 });
        let ip: Option<IpAddr> = host.parse().ok();
        if self.direct_loopback && (host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())) {
            return None;
        }
        (!self.except.iter().any(|except| except.meets(&host, ip, port))).then_some(proxy)
    }
}

impl Proxy {
    fn new(address: &str, connect_headers: &HeaderMap) -> Result<Self, ProxyError> {
        // The environment may leave the scheme out.
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let mut url = Url::parse(&address).map_err(|error| ProxyError(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(ProxyError(format!("its scheme is `{}`", url.scheme())));
        }
        let decode = |part: &str| percent_encoding::percent_decode_str(part).collect::<Vec<u8>>();
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let pair = [decode(url.username()), b":".to_vec(), decode(url.password().unwrap_or_default())].concat();
            let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            let mut value = HeaderValue::from_str(&text).expect("base64 is text");
            value.set_sensitive(true);
            value
        });
        // They are not shown where the proxy is named.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        Ok(Self { url, authorization, connect_headers: connect_headers.clone() })
    }

    /// The address as messages name it.
    pub fn shown(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

fn excepts(list: &str) -> Vec<Except> {
    let mut excepts = Vec::new();
    for word in list.split(',') {
        let word = word.trim().to_ascii_lowercase();
        if word == "*" {
            return vec![Except::All];
        }
        excepts.extend(except(&word));
    }
    excepts
}

fn except(word: &str) -> Option<Except> {
    if let Some((network, bits)) = word.split_once('/')
        && let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>())
        && bits <= if network.is_ipv4() { 32 } else { 128 }
    {
        return Some(Except::Range { network, bits });
    }
    let (host, port) = match word.rsplit_once(':') {
        // An IPv6 address alone has colons and no port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (word, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return None;
    }
    if let Ok(ip) = host.parse() {
        return Some(Except::Address { ip, port });
    }
    let host = if host.starts_with("*.") { &host[1..] } else { host };
    let itself = !host.starts_with('.');
    let suffix = if itself { format!(".{host}") } else { host.to_owned() };
    Some(Except::Name { suffix, itself, port })
}

impl Except {
    fn meets(&self, host: &str, ip: Option<IpAddr>, at: u16) -> bool {
        match self {
            Self::All => true,
            Self::Address { ip: meant, port } => ip == Some(*meant) && port.is_none_or(|port| port == at),
            Self::Range { network, bits } => ip.is_some_and(|ip| within(ip, *network, *bits)),
            Self::Name { suffix, itself, port } => {
                (host.ends_with(suffix.as_str()) || (*itself && host == &suffix[1..]))
                    && port.is_none_or(|port| port == at)
            }
        }
    }
}

fn within(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, width: u32| bits == 0 || (a ^ b) >> (width - bits) == 0;
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => same(u32::from(ip).into(), u32::from(network).into(), 32),
        (IpAddr::V6(ip), IpAddr::V6(network)) => same(ip.into(), network.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Secret, SecretAddress, Spanned};

    fn proxies(except: Option<&str>) -> Proxies {
        let options = ProxyOptions {
            url: Some(Spanned::unknown(SecretAddress(Secret::from_value("http://us%40er:p%3Aw@proxy:3128")))),
            except: except.map(|except| Spanned::unknown(except.into())),
            ..ProxyOptions::default()
        };
        Proxies::new(&options, |_| None).expect("a proxy")
    }

    fn direct(except: &str, address: &str) -> bool {
        let url: Url = address.parse().expect("an address");
        proxies(Some(except)).pick(url.scheme() == "https", url.host_str().expect("a host"), url.port()).is_none()
    }

    #[test]
    fn exceptions_are_read_as_go_reads_them() {
        for (except, address) in [
            ("example.com", "http://example.com"),
            ("example.com", "http://a.example.com:8080"),
            ("example.com:80", "http://example.com"),
            ("example.com:443", "https://example.com"),
            (".example.com", "http://a.example.com"),
            ("*.example.com", "http://a.b.example.com"),
            (" x , Example.COM. ,", "http://x"),
            ("10.0.0.0/8", "http://10.200.1.2:9100"),
            ("fd00::/8", "http://[fd12::1]:9100"),
            ("10.1.2.3", "http://10.1.2.3:9100"),
            ("10.1.2.3:9100", "http://10.1.2.3:9100"),
            ("[fd00::1]:9100", "http://[fd00::1]:9100"),
            ("fd00::1", "http://[fd00::1]:9100"),
            ("*", "https://anything"),
            ("x", "http://localhost:1"),
            ("x", "http://127.0.0.9:1"),
            ("x", "http://[::1]:1"),
        ] {
            assert!(direct(except, address), "{except} should except {address}");
        }
        for (except, address) in [
            ("example.com", "http://notexample.com"),
            ("example.com:81", "http://example.com"),
            (".example.com", "http://example.com"),
            ("*.example.com", "http://example.com"),
            ("10.0.0.0/8", "http://11.0.0.1"),
            ("10.1.2.3:9100", "http://10.1.2.3:9101"),
            ("10.0.0.0/8", "http://ten.example.com"),
        ] {
            assert!(!direct(except, address), "{except} should not except {address}");
        }
    }

    #[test]
    fn without_exceptions_even_loopback_is_proxied_and_credentials_are_not_shown() {
        let proxies = proxies(None);
        let proxy = proxies.pick(false, "127.0.0.1", Some(9090)).expect("proxied");
        assert_eq!(proxy.shown(), "http://proxy:3128");
        let credentials = base64::engine::general_purpose::STANDARD.encode("us@er:p:w");
        assert_eq!(
            proxy.authorization.as_ref().map(HeaderValue::as_bytes),
            Some(format!("Basic {credentials}").as_bytes())
        );
    }

    #[test]
    fn the_environment_names_proxies_by_scheme() {
        let options = ProxyOptions { from_environment: Spanned::unknown(true), ..ProxyOptions::default() };
        let proxies = Proxies::new(&options, |name| match name {
            "http_proxy" => Some("plain:1".into()),
            "HTTPS_PROXY" => Some("https://secure:2".into()),
            "NO_PROXY" => Some("inside".into()),
            _ => None,
        })
        .expect("proxies");
        let shown = |https, host| proxies.pick(https, host, None).map(|proxy| proxy.shown().to_owned());
        assert_eq!(shown(false, "a").as_deref(), Some("http://plain:1"));
        assert_eq!(shown(true, "a").as_deref(), Some("https://secure:2"));
        assert_eq!(shown(true, "inside"), None);
        assert_eq!(shown(true, "localhost"), None);
    }
}
