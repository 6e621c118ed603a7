//! Redirects, followed by the rules of Go's `net/http`: at most ten, credentials only to the host that was
//! named and to hosts below it. One that leads from TLS to plain text gets none either. Other than there, a request that tells
//! something is not turned into one that asks: it ends with the redirect, which is none of success.

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Method, Response, StatusCode, Uri};
use hyper::body::Incoming;
use url::Url;

use super::payload::PayloadBody;
use super::state::{State, basic};
use super::{ClientError, Inner, Request, classify, put_body, put_login};

const MOST_REDIRECTS: usize = 10;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("tailwater/", env!("CARGO_PKG_VERSION")));

/// Sends a request and goes where the answer sends it.
pub(super) async fn follow(
    client: &Inner,
    state: &State,
    login: Option<&HeaderValue>,
    request: &Request,
) -> Result<Response<Incoming>, ClientError> {
    let mut hop = Hop { url: request.url.clone(), method: request.method.clone(), with_body: true, trusted: true };
    for _ in 0..=MOST_REDIRECTS {
        let http = hop.request(client, state, login, request)?;
        let response = state.transport.request(http).await.map_err(|error| classify(&error))?;
        if !client.options.follow_redirects {
            return Ok(response);
        }
        match hop.next(&request.url, response.status(), response.headers())? {
            // What was to be told would count as told by whoever answers a question that says nothing of it.
            Some(next) if hop.is_telling() && !next.is_telling() => return Ok(response),
            Some(next) => hop = next,
            None => return Ok(response),
        }
    }
    Err(ClientError::Redirect(format!("stopped after {MOST_REDIRECTS}")))
}

/// One request of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hop {
    url: Url,
    method: Method,
    with_body: bool,
    /// Whether it may have credentials.
    trusted: bool,
}

impl Hop {
    fn request(
        &self,
        client: &Inner,
        state: &State,
        login: Option<&HeaderValue>,
        request: &Request,
    ) -> Result<http::Request<PayloadBody>, ClientError> {
        let mut url = self.url.clone();
        url.set_fragment(None);
        let own = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
            basic(&decode(url.username()), &decode(url.password().unwrap_or_default()))
        });
        // An address without a host has no user either.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        let host = || url.host_str().unwrap_or_default().to_owned();
        let wrong = |_| ClientError::NotReady(format!("what is given for `{}` is not an address of HTTP", host()));
        let to: Uri = url.as_str().parse().map_err(wrong)?;
        let mut http = http::Request::new(PayloadBody::default());
        *http.method_mut() = self.method.clone();
        *http.uri_mut() = to;
        *http.headers_mut() = request.headers.clone();
        let headers = http.headers_mut();
        headers.entry(USER_AGENT).or_insert(AGENT);
        extend(headers, &state.headers);
        if self.trusted {
            extend(headers, &state.secret_headers);
            put_login(headers, login.or(own.as_ref()));
        } else {
            headers.remove(AUTHORIZATION);
            headers.remove(COOKIE);
        }
        if url.scheme() == "http"
            && let Some(proxy) = client.proxies.pick(false, url.host_str().unwrap_or_default(), url.port())
            && let Some(authorization) = &proxy.authorization
        {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        if self.with_body {
            put_body(&mut http, request);
        }
        Ok(http)
    }

    /// Whether it says something, and does not ask alone.
    fn is_telling(&self) -> bool {
        self.with_body && !matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Where the answer sends, if anywhere. `first` is where the chain began.
    fn next(&self, first: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Option<Self>, ClientError> {
        let same = match status.as_u16() {
            301..=303 => false,
            307 | 308 => true,
            _ => return Ok(None),
        };
        let Some(location) = headers.get(LOCATION).filter(|location| !location.is_empty()) else { return Ok(None) };
        let location = String::from_utf8_lossy(location.as_bytes());
        // It may repeat what of the address is secret.
        let wrong = |what: String| ClientError::Redirect(format!("to {what}"));
        let url = self.url.join(&location).map_err(|_| wrong("what is not an address".to_owned()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("an address of `{}`, which is not HTTP", url.scheme())));
        }
        let stays = same || matches!(self.method, Method::GET | Method::HEAD);
        Ok(Some(Self {
            trusted: self.trusted
                && is_same_or_below(first, &url)
                && !(self.url.scheme() == "https" && url.scheme() == "http"),
            method: if stays { self.method.clone() } else { Method::GET },
            with_body: self.with_body && same,
            url,
        }))
    }
}

fn extend(headers: &mut HeaderMap, more: &HeaderMap) {
    for name in more.keys() {
        for value in more.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
}

/// Whether the host is the first one, or a name below it.
fn is_same_or_below(first: &Url, url: &Url) -> bool {
    let (Some(first), Some(host)) = (first.host_str(), url.host_str()) else { return false };
    host == first || (url.domain().is_some() && host.strip_suffix(first).is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(method: Method, first: &str, status: u16, location: &str) -> Option<Hop> {
        let url: Url = first.parse().expect("an address");
        let hop = Hop { url: url.clone(), method, with_body: true, trusted: true };
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, location.parse().expect("a header"));
        hop.next(&url, StatusCode::from_u16(status).expect("a status"), &headers).expect("an address")
    }

    #[test]
    fn credentials_stay_with_the_host_that_was_named() {
        let trusted = |first, location| after(Method::GET, first, 302, location).expect("a redirect").trusted;
        assert!(trusted("http://a.example/x", "/y"));
        assert!(trusted("http://a.example/x", "http://a.example:8080/y"), "as Go has it, whatever the port");
        assert!(trusted("http://example/x", "https://a.example/y"));
        assert!(!trusted("http://a.example/x", "http://example/y"));
        assert!(!trusted("http://ample/x", "http://example/y"));
        assert!(!trusted("https://a.example/x", "http://a.example/y"), "no longer TLS");
        assert!(!trusted("http://1/x", "http://127.0.0.1/y"));
    }

    #[test]
    fn an_address_that_leads_nowhere_is_not_repeated() {
        let url: Url = "http://a/x".parse().expect("an address");
        let hop = Hop { url: url.clone(), method: Method::GET, with_body: true, trusted: true };
        let said = |location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().expect("a header"))]);
            let refused = hop.next(&url, StatusCode::FOUND, &headers).expect_err("no address of HTTP");
            refused.to_string()
        };
        assert_eq!(said("ftp://a/token?key=token"), "the server redirects: to an address of `ftp`, which is not HTTP");
        assert_eq!(said("http://[token"), "the server redirects: to what is not an address");
    }

    #[test]
    fn the_method_and_the_body_change_as_browsers_have_taught_everybody() {
        let hop = |method, status| after(method, "http://a/x", status, "/y").map(|hop| (hop.method, hop.with_body));
        for status in [301, 302, 303] {
            assert_eq!(hop(Method::POST, status), Some((Method::GET, false)));
            assert_eq!(hop(Method::HEAD, status), Some((Method::HEAD, false)));
        }
        for status in [307, 308] {
            assert_eq!(hop(Method::POST, status), Some((Method::POST, true)));
        }
        assert_eq!(hop(Method::GET, 304), None);
        assert_eq!(hop(Method::GET, 200), None);
    }
}
