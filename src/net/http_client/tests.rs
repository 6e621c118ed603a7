//! Clients against small servers on loopback, and what they make of files.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{HeaderMap as Heads, StatusCode as Status, header};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::*;
use crate::data::MemoryBudget;
use crate::net::http_server::Server;

async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    Server::start(listener, router).expect("starts")
}

fn url(server: &Server, path: &str) -> Url {
    format!("http://{}{path}", server.address()).parse().expect("an address")
}

fn client(options: serde_json::Value) -> HttpClient {
    HttpClient::new(&serde_json::from_value(options).expect("the shape is right")).expect("a client")
}

async fn text(client: &HttpClient, url: Url) -> (u16, String) {
    let answer = client.send(Request::get(url)).await.expect("an answer");
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
}

/// Says what it was sent.
async fn echo(heads: Heads) -> String {
    let all = |name: &str| {
        heads.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join("|")
    };
    format!("{};{};{}", all("authorization"), all("x-a"), all("user-agent").split('/').next().unwrap_or_default())
}

#[tokio::test]
async fn credentials_and_headers_are_sent() {
    let server = serve(Router::new().route("/", any(echo))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, " from-file \n").expect("written");
    for (options, expected) in [
        (serde_json::json!({}), ";;tailwater"),
        (
            serde_json::json!({ "basic_auth": { "username": "u", "password_file": file } }),
            "Basic dTpmcm9tLWZpbGU=;;tailwater",
        ),
        (serde_json::json!({ "basic_auth": { "username_file": file } }), "Basic ZnJvbS1maWxlOg==;;tailwater"),
        (serde_json::json!({ "authorization": { "credentials": "c" } }), "Bearer c;;tailwater"),
        (
            serde_json::json!({ "authorization": { "type": "Token", "credentials_file": file } }),
            "Token from-file;;tailwater",
        ),
        (serde_json::json!({ "bearer_token": "b" }), "Bearer b;;tailwater"),
        (serde_json::json!({ "bearer_token_file": file }), "Bearer from-file;;tailwater"),
        (
            serde_json::json!({ "http_headers": { "X-A": { "values": ["1", "2"], "secrets": ["3"], "files": [file] } } }),
            ";1|2|3|from-file;tailwater",
        ),
    ] {
        assert_eq!(text(&client(options.clone()), url(&server, "/")).await.1, expected, "{options}");
    }
    let mut with_user = url(&server, "/");
    with_user.set_username("a b").and_then(|()| with_user.set_password(Some("c"))).expect("it has a host");
    assert_eq!(text(&client(serde_json::json!({})), with_user).await.1, "Basic YSBiOmM=;;tailwater");
}

#[tokio::test]
async fn a_changed_file_is_read_again_after_a_401_and_the_request_sent_once_more() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let guard = move |heads: Heads| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let right = heads.get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer new");
            if right { Status::OK } else { Status::UNAUTHORIZED }
        }
    };
    let server = serve(Router::new().route("/", get(guard))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "old").expect("written");
    let client = client(serde_json::json!({ "authorization": { "credentials_file": file } }));
    assert_eq!(text(&client, url(&server, "/")).await.0, 401);
    assert_eq!(asked.load(Ordering::Relaxed), 1, "nothing changed: the same again would not help");
    std::fs::write(&file, "new").expect("written");
    assert_eq!(text(&client, url(&server, "/")).await.0, 200);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_is_missing_may_come_later() {
    let server = serve(Router::new().route("/", any(echo))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let options = serde_json::json!({ "bearer_token_file": file });
    let options: HttpClientOptions = serde_json::from_value(options).expect("the shape is right");
    assert!(matches!(HttpClient::new(&options), Err(HttpClientError::Read { .. })));
    let client = HttpClient::patient(&options).expect("nothing is read");
    let error = client.send(Request::get(url(&server, "/"))).await.expect_err("no token");
    assert!(!error.outcome_unknown());
    assert!(error.to_string().starts_with(&format!("cannot read `bearer_token_file` {}", file.display())), "{error}");
    std::fs::write(&file, "late").expect("written");
    assert_eq!(text(&client, url(&server, "/")).await.1, "Bearer late;;tailwater");
}

#[test]
fn a_new_authority_is_trusted_and_a_broken_file_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    let (old, new) = (include_str!("../testdata/old.pem"), include_str!("../testdata/new.pem"));
    std::fs::write(&path, old).expect("written");
    let client = client(serde_json::json!({ "tls_config": { "ca_file": path } }));
    assert!(client.reread().is_ok_and(|changed| !changed));
    std::fs::write(&path, "no certificate").expect("written");
    let before = client.0.state.load_full();
    assert!(client.reread().is_err());
    assert!(
        before.is_some() && before.as_ref().map(Arc::as_ptr) == client.0.state.load_full().as_ref().map(Arc::as_ptr)
    );
    std::fs::write(&path, new).expect("written");
    assert!(client.reread().is_ok_and(|changed| changed));
}

#[tokio::test]
async fn what_is_told_is_not_made_a_question_by_a_redirect() {
    let to = |status| any(move || async move { (status, [(header::LOCATION, "/")]) });
    let said = any(|body: String| async move { body });
    let router = Router::new().route("/", said).route("/found", to(Status::FOUND));
    let server = serve(router.route("/moved", to(Status::TEMPORARY_REDIRECT))).await;
    let client = client(serde_json::json!({}));
    for (path, expected) in [("/found", (302, "")), ("/moved", (200, "news"))] {
        let request = Request {
            method: http::Method::POST,
            content_type: Some(header::HeaderValue::from_static("text/plain")),
            body: String::from("news").into(),
            ..Request::get(url(&server, path))
        };
        let answer = client.send(request).await.expect("an answer");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!((answer.status.as_u16(), body.as_str()), expected, "{path}");
    }
}

#[tokio::test]
async fn a_token_server_that_repeats_what_it_was_sent_is_quoted_without_it() {
    let server =
        serve(Router::new().route("/token", any(|body: String| async move { (Status::BAD_REQUEST, body) }))).await;
    let client = client(serde_json::json!({ "oauth2": { "client_id": "id", "client_secret": "hush/hush",
        "token_url": format!("http://{}/token?key=tokentoken", server.address()), "endpoint_params": { "a": "assertion" } } }));
    let error = client.send(Request::get(url(&server, "/"))).await.expect_err("no token").to_string();
    assert!(error.contains("client_secret=***") && error.contains("a=***"), "{error}");
    for secret in ["hush", "assertion", "tokentoken"] {
        assert!(!error.contains(secret), "{error}");
    }
}

#[tokio::test]
async fn a_token_server_that_repeats_its_headers_is_quoted_without_the_login() {
    let asked = Arc::new(AtomicUsize::new(0));
    let token = |Shared(asked): Shared<Arc<AtomicUsize>>, heads: Heads| async move {
        let said = format!("{:?}", heads.get(header::AUTHORIZATION).map(|value| value.to_str().expect("text")));
        match asked.fetch_add(1, Ordering::Relaxed) {
            0 => (Status::OK, "access_token=first&expires_in=1".to_owned()),
            _ => (Status::FORBIDDEN, said),
        }
    };
    let routes = Router::new().route("/", any(echo)).route("/token", any(token)).with_state(asked);
    let server = serve(routes).await;
    let client = oauth2(&server, "hush/hush");
    assert_eq!(text(&client, url(&server, "/")).await.0, 200, "it takes logins by a header");
    let error = client.send(Request::get(url(&server, "/"))).await.expect_err("no token").to_string();
    assert!(error.ends_with(r#": Some("Basic ***")"#), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_and_credentials_stay_at_home() {
    let home = serve(
        Router::new()
            .route("/", any(echo))
            .route("/round", any(|| async { (Status::FOUND, [(header::LOCATION, "/round")]) }))
            .route("/near", any(|| async { (Status::FOUND, [(header::LOCATION, "/")]) })),
    )
    .await;
    let options =
        serde_json::json!({ "bearer_token": "b", "http_headers": { "X-A": { "values": ["1"], "secrets": ["2"] } } });
    let patient = client(options.clone());
    assert_eq!(text(&patient, url(&home, "/near")).await.1, "Bearer b;1|2;tailwater");
    let error = patient.send(Request::get(url(&home, "/round"))).await.expect_err("no end");
    assert_eq!(error.to_string(), "the server redirects: stopped after 10");
    let far = Router::new().route("/", any(echo));
    let elsewhere = serve(far).await;
    let to = format!("http://localhost:{}/", elsewhere.address().port());
    let send_there =
        Router::new().route("/", any(move || async move { (Status::TEMPORARY_REDIRECT, [(header::LOCATION, to)]) }));
    let sending = serve(send_there).await;
    assert_eq!(text(&patient, url(&sending, "/")).await.1, ";1;tailwater", "localhost is not 127.0.0.1");
    let mut options = options;
    options["follow_redirects"] = false.into();
    assert_eq!(text(&client(options), url(&sending, "/")).await.0, 307);
}

/// A token server that counts, and a server that takes its last token alone.
struct Tokens {
    given: AtomicUsize,
    valid_for: &'static str,
    in_body: bool,
}

fn token_router(tokens: Arc<Tokens>) -> Router {
    async fn token(Shared(tokens): Shared<Arc<Tokens>>, heads: Heads, body: String) -> axum::response::Response {
        let login = heads.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let secret_in_body = body.contains("client_secret=s%2Fcret");
        let right = if tokens.in_body { secret_in_body } else { login == format!("Basic {}", "aWQ6cyUyRmNyZXQ=") };
        if !right || !body.starts_with("grant_type=client_credentials&scope=a+b&audience=x") {
            return (Status::UNAUTHORIZED, "who are you?").into_response();
        }
        let number = tokens.given.fetch_add(1, Ordering::Relaxed) + 1;
        let answer =
            format!("{{\"access_token\":\"t{number}\",\"token_type\":\"bearer\",\"expires_in\":{}}}", tokens.valid_for);
        ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
    }
    async fn guarded(Shared(tokens): Shared<Arc<Tokens>>, heads: Heads) -> axum::response::Response {
        let last = format!("Bearer t{}", tokens.given.load(Ordering::Relaxed));
        let login = heads.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if login == last { last.into_response() } else { Status::UNAUTHORIZED.into_response() }
    }
    Router::new().route("/token", post(token)).route("/", get(guarded)).with_state(tokens)
}

fn oauth2(server: &Server, secret: &str) -> HttpClient {
    client(serde_json::json!({ "oauth2": { "client_id": "id", "client_secret": secret, "scopes": ["a", "b"],
        "token_url": url(server, "/token").as_str(), "endpoint_params": { "audience": "x" } } }))
}

#[tokio::test]
async fn tokens_are_kept_and_fetched_again_when_refused() {
    for in_body in [false, true] {
        let tokens = Arc::new(Tokens { given: AtomicUsize::new(0), valid_for: "3600", in_body });
        let server = serve(token_router(tokens.clone())).await;
        let client = oauth2(&server, "s/cret");
        for _ in 0..3 {
            assert_eq!(text(&client, url(&server, "/")).await, (200, "Bearer t1".into()));
        }
        // The server forgets the token.
        tokens.given.fetch_add(1, Ordering::Relaxed);
        assert_eq!(text(&client, url(&server, "/")).await, (200, "Bearer t3".into()));
    }
}

#[tokio::test]
async fn a_token_that_expires_is_fetched_in_time() {
    // Ten seconds early is at once.
    let tokens = Arc::new(Tokens { given: AtomicUsize::new(0), valid_for: "\"9\"", in_body: false });
    let server = serve(token_router(tokens.clone())).await;
    let client = oauth2(&server, "s/cret");
    for number in 1..4 {
        assert_eq!(text(&client, url(&server, "/")).await.1, format!("Bearer t{number}"));
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_token_server_is_quoted() {
    let tokens = Arc::new(Tokens { given: AtomicUsize::new(0), valid_for: "60", in_body: false });
    let server = serve(token_router(tokens)).await;
    let error = oauth2(&server, "wrong").send(Request::get(url(&server, "/"))).await.expect_err("no token");
    assert!(!error.outcome_unknown());
    let expected = format!(
        "no OAuth 2.0 token from http://{}/token: it answered 401 Unauthorized: who are you?",
        server.address()
    );
    assert_eq!(error.to_string(), expected);
}

/// Sends a part of its body, and the rest when it is told.
async fn hesitate(Shared(told): Shared<Arc<Notify>>) -> axum::response::Response {
    let part = |length| Ok::<_, std::convert::Infallible>(vec![b'x'; length]);
    let first = stream::once(async move { part(1000) });
    let rest = stream::once(async move {
        told.notified().await;
        part(3000)
    });
    ([(header::CONTENT_LENGTH, "4000")], axum::body::Body::from_stream(first.chain(rest))).into_response()
}

#[tokio::test]
async fn a_body_counts_while_it_is_held_and_others_wait_for_room() {
    let told = Arc::new(Notify::new());
    let router = Router::new().route("/slow", get(hesitate)).route("/", get(|| async { "x".repeat(2000) }));
    let server = serve(router.with_state(told.clone())).await;
    let budget = MemoryBudget::new(1600).scrapes();
    let client = client(serde_json::json!({}));
    let slow = tokio::spawn({
        let (client, request, budget) = (client.clone(), Request::get(url(&server, "/slow")), budget.clone());
        async move {
            let mut body = Body::within(budget);
            client.fetch(request, 1 << 20, &mut body).await.expect("an answer");
            body
        }
    });
    let counted = async {
        while budget.used() < 4000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), counted).await.expect("what is being read counts");
    let mut body = Body::within(budget.clone());
    let mut request = Request::get(url(&server, "/"));
    request.timeout = Duration::from_millis(200);
    let waited = client.fetch(request.clone(), 1 << 20, &mut body).await;
    assert!(matches!(waited, Err(ClientError::NoMemory(_))), "there is no room: {waited:?}");
    told.notify_one();
    let mut first = slow.await.expect("no panic");
    assert_eq!(first.text.len(), 4000);
    first.release();
    assert_eq!(budget.used(), 0);
    request.timeout = Duration::from_secs(30);
    client.fetch(request, 1 << 20, &mut body).await.expect("room");
    assert!(body.text.len() == 2000 && budget.used() >= 2000);
    drop(body);
    assert_eq!(budget.used(), 0);
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let parse = |text: &'static str| retry_after(&HeaderValue::from_static(text));
    assert_eq!(parse("7"), Some(Duration::from_secs(7)));
    assert_eq!(parse("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO), "a time that is over");
    assert_eq!(parse("soon"), None);
}
