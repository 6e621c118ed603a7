//! Where pages are posted, and what is answered. Addresses of receivers are secrets as often
//! as not (`https://hooks.slack.com/services/…`), so that only their host is ever named.

use std::time::Duration;

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::credential::Credential;
use super::identity::Target;
use super::verdict::Fault;
use crate::alerting::notifier::Refusal;
use crate::net::http_client::{ClientError, Payload, Request};
use crate::net::{Answer, Hidden, HttpClient};
use crate::options::HttpClientOptions;

/// Most bytes of an answer.
const MOST_ANSWER: usize = 1 << 20;

/// Characters of an answer that are quoted.
const QUOTED: usize = 500;

/// The header by which a receiver can tell that it was told the same before (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An address of HTTP.
#[derive(Clone, Debug)]
pub enum Address {
    /// Known from the configuration.
    Known(Box<Url>),
    /// A secret, read when it is needed.
    Secret(Credential),
}

/// Where pages of one receiver go.
#[derive(Debug)]
pub struct Endpoint {
    poster: Poster,
    address: Address,
}

/// Who posts, wherever to.
#[derive(Debug)]
pub struct Poster {
    /// Whom an error names: `pagerduty`.
    kind: &'static str,
    client: HttpClient,
    timeout: Duration,
}

/// What a status and a body find fault with, where they mean another thing than they do elsewhere.
type ReadFault = fn(u16, &[u8]) -> Option<Fault>;

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Post<'a> {
    /// The body.
    pub body: Payload,
    /// Its type. Default: JSON.
    pub content_type: Option<HeaderValue>,
    /// What makes it known when it is sent again.
    pub id: Option<&'a str>,
    /// What must not be repeated to anybody, should the answer do so.
    pub secrets: &'a [&'a str],
    /// `GET` without a body instead.
    pub get: bool,
    /// Whether an answer of success may mean the contrary, so that its body has to be there: all of it.
    pub reads_answer: bool,
    /// What a refusal finds fault with, where the receiver means another thing by it than [HTTP](Fault::of_http) does.
    pub fault: Option<ReadFault>,
}

impl Endpoint {
    /// The client reads files of credentials when they are needed first: nothing is read here.
    ///
    /// # Errors
    /// Where the options of the client make none.
    pub fn new(
        kind: &'static str,
        address: Address,
        http: &HttpClientOptions,
        timeout: Duration,
    ) -> Result<Self, String> {
        Ok(Self { poster: Poster::new(kind, http, timeout)?, address })
    }

    /// Sends a request. An answer of 2xx is one that the receiver took, whatever its body does.
    ///
    /// # Errors
    /// For now where nobody answered, or without the body that is [read](Post::reads_answer); else as its [fault](Fault)
    /// says.
    pub async fn post(&self, post: Post<'_>) -> Result<Answer, Refusal> {
        let url = self.url().await.map_err(|why| Refusal::ForNow { why, after: None })?;
        let mut secrets = post.secrets.to_vec();
        secrets.extend(self.in_path(&url));
        self.poster.post(&url, Post { secrets: &secrets, ..post }).await
    }

    /// What an answer of success says that means the contrary, without secrets: the beginning of it.
    pub async fn said(&self, answer: &Answer, secrets: &[&str]) -> String {
        let Ok(url) = self.url().await else { return format!("{} answered {}", self.poster.kind, answer.status) };
        let mut secrets = secrets.to_vec();
        secrets.extend(self.in_path(&url));
        let said = quoted(&answer.body, &self.poster.hidden(&url, &secrets));
        format!("{} answered {}: {said}", self.poster.who(&url), answer.status.as_u16())
    }

    /// Its address is a part of this target.
    pub fn target(&self, kind: &str, more: &[&str]) -> Target {
        match &self.address {
            Address::Known(url) => Target::of(kind, [url.as_str()].into_iter().chain(more.iter().copied())),
            Address::Secret(credential) => Target::with_secret(kind, more.iter().copied(), Some(credential)),
        }
    }

    /// It goes on with the address that it has.
    pub fn freeze(&self) {
        if let Address::Secret(credential) = &self.address {
            credential.freeze();
        }
    }

    async fn url(&self) -> Result<Url, String> {
        let kind = self.poster.kind;
        let written = match &self.address {
            Address::Known(url) => return Ok((**url).clone()),
            Address::Secret(credential) => credential.read().await.map_err(|why| format!("{kind}: {why}"))?,
        };
        let url = Url::parse(&written).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or_else(|| format!("{kind}: what is given as its address is none; write https://host/path"))
    }

    /// The parts of a secret address's path, each of which may be a token.
    fn in_path<'u>(&self, url: &'u Url) -> impl Iterator<Item = &'u str> {
        let secret = matches!(self.address, Address::Secret(_));
        url.path().split('/').filter(move |_| secret)
    }
}

impl Poster {
    /// The client reads files of credentials when they are needed first: nothing is read here.
    ///
    /// # Errors
    /// Where the options of the client make none.
    pub fn new(kind: &'static str, http: &HttpClientOptions, timeout: Duration) -> Result<Self, String> {
        let client = HttpClient::patient(http).map_err(|error| format!("{kind}: {error}"))?;
        Ok(Self { kind, client, timeout })
    }

    /// Sends a request to an address.
    ///
    /// # Errors
    /// As [`Endpoint::post`].
    pub async fn post(&self, url: &Url, post: Post<'_>) -> Result<Answer, Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(id) = post.id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(IDEMPOTENCY_KEY, id);
        }
        let json = || HeaderValue::from_static("application/json");
        let request = Request {
            method: if post.get { Method::GET } else { Method::POST },
            headers,
            content_type: (!post.get).then(|| post.content_type.unwrap_or_else(json)),
            content_encoding: None,
            body: post.body,
            timeout: self.timeout,
            most_answer: MOST_ANSWER,
            url: url.clone(),
        };
        let who = self.who(url);
        let sent = self.client.tell(&request, post.reads_answer).await;
        let failed = |error: ClientError| {
            let why = self.hidden(url, post.secrets).mask(&error.to_string());
            Refusal::ForNow { why: format!("{who}: {why}"), after: None }
        };
        let answer = sent.map_err(failed)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let fault = post.fault.and_then(|fault| fault(answer.status.as_u16(), &answer.body));
        Err(refusal(&who, &answer, fault, &self.hidden(url, post.secrets)))
    }

    /// What an error must not repeat: these, what the address has, and what the client adds to requests.
    fn hidden(&self, url: &Url, secrets: &[&str]) -> Hidden {
        Hidden::of(secrets).and_of_address(url).and(self.client.secrets())
    }

    fn who(&self, url: &Url) -> String {
        format!("{} at {}", self.kind, host(url))
    }
}

/// Scheme, host and port: whatever else an address has may be secret.
fn host(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

fn refusal(who: &str, answer: &Answer, fault: Option<Fault>, hidden: &Hidden) -> Refusal {
    let status = answer.status.as_u16();
    let said = quoted(&answer.body, hidden);
    let why = format!("{who} answered {status}{}{said}", if said.is_empty() { "" } else { ": " });
    fault.unwrap_or_else(|| Fault::of_http(status)).refusal(why, answer.retry_after)
}

fn quoted(body: &[u8], hidden: &Hidden) -> String {
    let mut said = hidden.mask(String::from_utf8_lossy(body).trim());
    if let Some((end, _)) = said.char_indices().nth(QUOTED) {
        said.truncate(end);
        said.push('…');
    }
    said
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            retry_after: (status == 429).then_some(Duration::from_secs(7)),
            body: body.into(),
            trailers: HeaderMap::new(),
        }
    }

    #[test]
    fn an_answer_is_told_with_what_it_means() {
        for status in [400, 413, 422] {
            assert!(
                matches!(refusal("a", &answer(status, ""), None, &Hidden::default()), Refusal::ForGood(_)),
                "{status}"
            );
        }
        for status in [302, 401, 404, 408, 410, 500, 503, 599] {
            assert!(
                matches!(
                    refusal("a", &answer(status, ""), None, &Hidden::default()),
                    Refusal::ForNow { after: None, .. }
                ),
                "{status}"
            );
        }
        let Refusal::ForNow { after, why } = refusal("a", &answer(429, "slow down"), None, &Hidden::default()) else {
            panic!("for now")
        };
        assert_eq!((after, why.as_str()), (Some(Duration::from_secs(7)), "a answered 429: slow down"));
    }

    #[test]
    fn an_answer_is_quoted_without_secrets_and_in_part() {
        let said = quoted(b" {\"key\":\"0123456789abcdef\"} ", &Hidden::of(["0123456789abcdef"]));
        assert_eq!(said, "{\"key\":\"***\"}");
        assert_eq!(quoted("é".repeat(800).as_bytes(), &Hidden::default()).chars().count(), QUOTED + 1);
    }

    #[test]
    fn only_the_host_of_a_secret_address_is_named() {
        let url: Url = "https://user:passphrase@hooks.example.com:8443/services/T0/B0000000/tokentoken?key=anything"
            .parse()
            .expect("an address");
        assert_eq!(host(&url), "https://hooks.example.com:8443");
        let secret = Address::Secret(Credential::Given(crate::options::Secret::from_value(url.as_str())));
        let endpoint = Endpoint::new("slack", secret, &HttpClientOptions::default(), Duration::from_secs(1));
        let endpoint = endpoint.expect("an endpoint");
        let hidden = endpoint.poster.hidden(&url, &endpoint.in_path(&url).collect::<Vec<_>>());
        assert_eq!(quoted(b"no B0000000/tokentoken for passphrase, T0", &hidden), "no ***/*** for ***, T0");
    }

    /// A server that answers every request with these bytes and then either goes or stays.
    async fn answers(bytes: Vec<u8>, stays: bool) -> Url {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("an address");
        tokio::spawn(async move {
            let mut all = Vec::new();
            while let Ok((mut peer, _)) = listener.accept().await {
                let _ = peer.read(&mut [0; 4096]).await;
                let _ = peer.write_all(&bytes).await;
                if stays {
                    all.push(peer);
                }
            }
        });
        url
    }

    fn poster(http: serde_json::Value) -> Poster {
        let http = serde_json::from_value(http).expect("options");
        Poster::new("a", &http, Duration::from_secs(30)).expect("a poster")
    }

    #[tokio::test]
    async fn what_was_taken_is_not_told_again_for_what_the_answer_says_behind_its_status() {
        let long = [b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n".to_vec(), vec![b'x'; 2_000_000]].concat();
        let broken = b"HTTP/1.1 202 Accepted\r\ncontent-length: 9\r\n\r\nok".to_vec();
        let poster = poster(serde_json::json!({}));
        for (bytes, stays) in [(long, false), (broken.clone(), false), (broken, true)] {
            let url = answers(bytes, stays).await;
            let taken = poster.post(&url, Post::default()).await.expect("taken");
            assert!(taken.body.len() <= MOST_ANSWER);
            if !stays {
                let read = poster.post(&url, Post { reads_answer: true, ..Post::default() }).await;
                assert!(matches!(read, Err(Refusal::ForNow { .. })), "{read:?}");
            }
        }
        let never = answers(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 99\r\n\r\nno".to_vec(), false).await;
        let refused = poster.post(&never, Post { reads_answer: true, ..Post::default() }).await;
        assert!(matches!(refused, Err(Refusal::ForGood(why)) if why.ends_with("400: no")));
    }

    /// What a server says that repeats what it was sent.
    async fn repeated(http: serde_json::Value, user: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{user}{}/", listener.local_addr().expect("an address")).parse().expect("an address");
        let server = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.expect("a request");
            let mut request = vec![0; 4096];
            let length = peer.read(&mut request).await.expect("a head");
            let head = String::from_utf8_lossy(&request[..length]).into_owned();
            let of_login = head.lines().filter(|line| line.starts_with("authorization") || line.starts_with("x-"));
            let body = of_login.collect::<Vec<_>>().join(" ");
            let answer = format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            peer.write_all(answer.as_bytes()).await.expect("written");
        });
        let refused = poster(http).post(&url, Post { get: true, ..Post::default() }).await;
        server.await.expect("it answered");
        let Err(Refusal::ForNow { why, .. }) = refused else { panic!("{refused:?}") };
        why
    }

    #[tokio::test]
    async fn credentials_that_an_answer_repeats_are_not_quoted() {
        let said = async |http, user| {
            let why = repeated(http, user).await;
            why.split_once("403: ").map(|(_, said)| said.split("; check").next().unwrap_or_default().to_owned())
        };
        let token = serde_json::json!({ "authorization": { "credentials": "tokentoken" } });
        assert_eq!(said(token, "").await.as_deref(), Some("authorization: Bearer ***"));
        let basic = serde_json::json!({ "basic_auth": { "username": "someone", "password": "passphrase" } });
        assert_eq!(said(basic, "").await.as_deref(), Some("authorization: Basic ***"));
        assert_eq!(
            said(serde_json::json!({}), "someone:pass%20phrase@").await.as_deref(),
            Some("authorization: Basic ***")
        );
        let of_token = said(serde_json::json!({}), "token%2Ftoken@").await;
        assert_eq!(of_token.as_deref(), Some("authorization: Basic ***"), "a user without a password may be a token");
        let headers =
            serde_json::json!({ "http_headers": { "x-a": { "values": ["visible"], "secrets": ["invisible"] } } });
        assert_eq!(said(headers, "").await.as_deref(), Some("x-a: *** x-a: ***"));
    }
}
