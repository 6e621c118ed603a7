//! How answers are sent, and what becomes of a client that does not take them.

use std::num::NonZeroUsize;

use super::*;
use crate::options::Duration as Span;

/// Three series of ten thousand points.
const LARGE: &str = "/api/v1/query_range?query=%7B__name__%3D~%22up%7Cjobs%22%7D&start=0&end=600&step=0.06";

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_sent_in_parts() {
    let request = Request::get(LARGE).body(Body::empty()).expect("a request");
    let response = api(QueryOptions::default()).call(request).await.expect("infallible");
    let mut body = response.into_body();
    let (mut parts, mut all) = (0, Vec::new());
    while let Some(part) = body.frame().await {
        parts += 1;
        all.extend_from_slice(&part.expect("complete").into_data().expect("data"));
    }
    assert!(parts > 1 && all.len() > 400_000, "{parts} parts, {} bytes", all.len());
    let answer: Value = serde_json::from_slice(&all).expect("JSON");
    let result = answer["data"]["result"].as_array().expect("series");
    assert_eq!(
        result.iter().map(|series| series["values"].as_array().expect("values").len()).sum::<usize>(),
        3 * 10_001
    );
}

/// A thousand series.
fn thousand() -> MemorySamples {
    let mut samples = MemorySamples::new();
    for series in 0..1000 {
        let labels = [("__name__", "a".to_owned()), ("series", series.to_string())].into_iter().collect();
        samples.append(&labels, 0, None, &series_notation::Item::Float(1.0)).expect("in order");
    }
    samples
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_gives_its_place_up() {
    // Its place is waited for longer than it has to be.
    let timeout = Span(sending::TAKEN_WITHIN * 1_000_000);
    let options = QueryOptions { concurrency: NonZeroUsize::MIN, timeout, ..QueryOptions::default() };
    let mut api = routes_at(Arc::new(Owner(Some(Arc::new(Store(thousand()))))), options, || UnixMillis(300_000));
    let path = "/api/v1/query_range?query=a&start=0&end=250&step=1";
    let first = api.call(Request::get(path).body(Body::empty()).expect("a request")).await.expect("infallible");
    assert_eq!(first.status(), StatusCode::OK);
    // Nobody reads the first answer, and another query waits behind it.
    let request = Request::get("/api/v1/query?query=1").body(Body::empty()).expect("a request");
    let second = tokio::spawn(api.call(request));
    while !second.is_finished() {
        tokio::time::advance(sending::TAKEN_WITHIN / 10).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(second.await.expect("no panic").expect("infallible").status(), StatusCode::OK);
    assert!(first.into_body().collect().await.is_err(), "the answer must be seen to be cut off");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_little_gives_its_place_up() {
    let timeout = Span(sending::TAKEN_WITHIN * 2);
    let options = QueryOptions { concurrency: NonZeroUsize::MIN, timeout, ..QueryOptions::default() };
    let mut api = routes_at(Arc::new(Owner(Some(Arc::new(Store(thousand()))))), options, || UnixMillis(300_000));
    let path = "/api/v1/query_range?query=a&start=0&end=250&step=1";
    let first = api.call(Request::get(path).body(Body::empty()).expect("a request")).await.expect("infallible");
    // It never lets a part wait for long, and would take all of them in more than half an hour.
    let (mut body, mut parts) = (first.into_body(), 0);
    while let Some(part) = body.frame().await {
        if part.is_err() {
            break;
        }
        parts += 1;
        assert!(parts < 20, "it was not given up");
        tokio::time::advance(sending::TAKEN_WITHIN / 2).await;
    }
    let request = Request::get("/api/v1/query?query=1").body(Body::empty()).expect("a request");
    assert_eq!(answer(&mut api, request).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn rules_and_alerts_wait_for_no_query() {
    let options = QueryOptions { concurrency: NonZeroUsize::MIN, ..QueryOptions::default() };
    let mut api = routes_at(Arc::new(Owner(Some(Arc::new(Store(thousand()))))), options, || UnixMillis(300_000));
    let path = "/api/v1/query_range?query=a&start=0&end=250&step=1";
    let first = api.call(Request::get(path).body(Body::empty()).expect("a request")).await.expect("infallible");
    for path in ["/api/v1/rules", "/api/v1/alerts"] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        // Time stands still: nobody gives the first answer up meanwhile.
        assert_eq!(answer(&mut api, request).await.0, StatusCode::OK);
    }
    drop(first);
}
