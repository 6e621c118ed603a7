//! Who may use the admin listener. On loopback every local process may, but no web page: a browser can be
//! led to send requests to 127.0.0.1, by a form (cross-site request forgery) or by a name that resolves to
//! it (DNS rebinding). Elsewhere a token is asked for.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::options::Secret;

/// How often the token's file is looked at, so that a withdrawn token ends.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How soon it is looked at again for a request with another token, which may be the new one.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Lets a request through or says why not. The token's file is read again when it may have changed.
pub(super) async fn admit(State(token): State<Option<Secret>>, request: Request, next: Next) -> Response {
    refresh(token.as_ref(), LOOK_EVERY).await;
    let mut checked = check(request.method(), request.headers(), token.as_ref());
    if matches!(checked, Err((StatusCode::UNAUTHORIZED, _))) && refresh(token.as_ref(), LOOK_AGAIN).await {
        checked = check(request.method(), request.headers(), token.as_ref());
    }
    match checked {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Reads the token's file again if it was not read for this long; returns whether the token changed.
async fn refresh(token: Option<&Secret>, age: Duration) -> bool {
    let Some(token) = token.filter(|token| token.is_older(age)).cloned() else { return false };
    // A file that is gone for a moment, as during a swap, leaves the token as it was.
    tokio::task::spawn_blocking(move || token.reread().unwrap_or(false)).await.unwrap_or(false)
}

type Refused = (StatusCode, &'static str);

fn check(method: &Method, headers: &HeaderMap, token: Option<&Secret>) -> Result<(), Refused> {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or("\u{fffd}"));
    match token {
        Some(token) => {
            let given = text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
            if !given.is_some_and(|given| same(given.as_bytes(), token.expose().as_bytes())) {
                return Err((
                    StatusCode::UNAUTHORIZED,
                    "send `Authorization: Bearer` with the token of `admin.token`\n",
                ));
            }
        }
        None if !text(HOST.as_str()).is_none_or(is_numeric) => {
            return Err((StatusCode::FORBIDDEN, "ask by address, such as http://127.0.0.1:7780, not by a name\n"));
        }
        None => {}
    }
    let changes = !matches!(*method, Method::GET | Method::HEAD);
    let foreign = text(ORIGIN.as_str()).is_some_and(|origin| {
        let of = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        of.is_none() || of != text(HOST.as_str())
    });
    let cross_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if changes && (foreign || cross_site) {
        return Err((StatusCode::FORBIDDEN, "this request came from another site's page\n"));
    }
    Ok(())
}

/// Whether a `Host` is an address, or `localhost`, which no name server answers for.
fn is_numeric(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

/// Compares in a time that does not depend on where the two differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: Method, headers: &[(&'static str, &str)], token: Option<&str>) -> Option<StatusCode> {
        let headers = headers
            .iter()
            .map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().expect("a header's value")));
        let token = token.map(Secret::from_value);
        check(&method, &headers.collect(), token.as_ref()).err().map(|(status, _)| status)
    }

    #[test]
    fn local_tools_pass_and_web_pages_do_not() {
        const NO: Option<StatusCode> = Some(StatusCode::FORBIDDEN);
        let here = ("host", "127.0.0.1:7780");
        assert_eq!(ask(Method::POST, &[here], None), None);
        assert_eq!(ask(Method::POST, &[("host", "localhost:7780")], None), None);
        assert_eq!(ask(Method::POST, &[("host", "[::1]:7780")], None), None);
        assert_eq!(ask(Method::POST, &[here, ("origin", "http://127.0.0.1:7780")], None), None);
        assert_eq!(ask(Method::POST, &[here, ("origin", "https://evil.example")], None), NO);
        assert_eq!(ask(Method::POST, &[here, ("origin", "null")], None), NO);
        assert_eq!(ask(Method::POST, &[here, ("sec-fetch-site", "cross-site")], None), NO);
        assert_eq!(ask(Method::GET, &[("host", "rebound.example:7780")], None), NO);
    }

    #[test]
    fn a_token_is_asked_for_where_there_is_one() {
        const NO: Option<StatusCode> = Some(StatusCode::UNAUTHORIZED);
        let right = [("host", "agent.example:7780"), ("authorization", "Bearer open sesame")];
        assert_eq!(ask(Method::POST, &right, Some("open sesame")), None);
        assert_eq!(ask(Method::GET, &right[..1], Some("open sesame")), NO);
        assert_eq!(ask(Method::GET, &[("authorization", "Bearer open")], Some("open sesame")), NO);
        assert_eq!(ask(Method::GET, &[("authorization", "Bearer ")], Some("x")), NO);
    }
}
