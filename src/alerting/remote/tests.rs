//! A server that answers, one that says nothing, and one whose answer has no end.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::routing::get;
use tokio::net::TcpListener;

use super::super::elsewhere::Ticket;
use super::*;
use crate::data::UnixMillis;
use crate::net::http_server::Server;
use crate::promql::{Point, Value};

fn questions(queries: &[&str], limits: Limits) -> Questions {
    let queries = queries.iter().map(|query| Query::parse(query).expect("a query")).collect();
    Questions { ticket: Ticket(1), at: UnixMillis(1_234_567), queries, limits }
}

fn remote(url: String) -> Arc<Remote> {
    let options = serde_json::from_value(serde_json::json!({ "url": url })).expect("options");
    Arc::new(Remote::new(&options).expect("a client"))
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

#[tokio::test]
async fn a_server_that_does_not_answer_one_query_is_not_asked_for_the_others() {
    let (listener, url) = listener().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    let remote = remote(url);
    let many: Vec<String> = (0..100).map(|n| format!("up + {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let questions = questions(&many, Limits::default());
    let mut before = 0;
    // The next evaluation asks again: the server may be there once more.
    for _ in 0..2 {
        let answers = remote.clone().answer(&questions).await;
        let now = asked.load(Ordering::Relaxed);
        assert!(now > before && now - before < 50, "{} connections", now - before);
        before = now;
        for query in &questions.queries {
            let error = answers.get(query).expect("an answer").expect_err("none").to_string();
            assert!(error.contains("127.0.0.1 did not evaluate the query"), "{error}");
        }
    }
}

#[tokio::test]
async fn the_server_is_asked_for_the_query_at_its_time() {
    let answer = |RawQuery(query): RawQuery| async move {
        let query = query.unwrap_or_default();
        let result = format!(r#"{{"metric":{{"asked":"{query}"}},"value":[1,"1"]}}"#);
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}},"infos":["PromQL info: i"]}}"#
        )
    };
    let (listener, url) = listener().await;
    let router = axum::Router::new().route("/base/api/v1/query", get(answer));
    let _server = Server::start(listener, router).expect("a server");
    let questions = questions(&["avg_over_time(up[30d]) < 0.99"], Limits::default());
    let answers = remote(format!("{url}/base/")).answer(&questions).await;
    let evaluation = answers.get(&questions.queries[0]).expect("an answer").expect("a result");
    let Value::Vector(samples) = evaluation.value else { panic!("a vector") };
    assert!(matches!(samples[0].point, Point::Float(1.0)));
    assert_eq!(samples[0].labels.get("asked"), "query=avg_over_time%28up%5B30d%5D%29+%3C+0.99&time=1234.567");
    assert!(evaluation.annotations.infos.contains("PromQL info: i"));
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up_at_the_limit() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let endless = move || async move {
        let head = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}"#;
        let more = Bytes::from(r#",{"metric":{"a":"b"},"value":[1,"1"]}"#.repeat(1000));
        let rest = stream::repeat_with(move || {
            counted.fetch_add(more.len(), Ordering::Relaxed);
            more.clone()
        });
        Body::from_stream(stream::once(async move { Bytes::from(head) }).chain(rest).map(Ok::<_, Infallible>))
    };
    let (listener, url) = listener().await;
    let router = axum::Router::new().route("/api/v1/query", get(endless));
    let _server = Server::start(listener, router).expect("a server");
    let questions = questions(&["up"], Limits { bytes: 1 << 20, ..Limits::default() });
    let answers = remote(url).answer(&questions).await;
    let error = answers.get(&questions.queries[0]).expect("an answer").expect_err("no end").to_string();
    assert!(error.contains("1048576 bytes"), "{error}");
    assert!(sent.load(Ordering::Relaxed) >= 1 << 20);
}
