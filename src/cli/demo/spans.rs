//! The demo's book of spans: each one that the shop sent is looked for, by its id, in what the agent wrote, and must be
//! what it was. What is still open at the end was lost.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::{SpanId, TraceId};

use super::results::{Output, ResultsError, Secrets};
use super::shop::request::Request;

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Requests that the shop served and traced.
    pub requests: u64,
    /// Spans sent.
    pub sent: u64,
    /// Spans found in the output, each once.
    pub arrived: u64,
    /// Spans not found yet.
    pub open: u64,
    /// Spans of the output that were found before, or were never sent.
    pub doubled: u64,
    /// Found spans that have another name, trace or parent than they were sent with.
    pub altered: u64,
    /// E-mail addresses and card numbers sent.
    pub secrets: u64,
    /// Lines of the output with one of them in it.
    pub leaked: u64,
}

/// What a span says of itself that must stay.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    trace: TraceId,
    parent: SpanId,
    name: &'static str,
}

/// The book. Shared by the shop, which sends, and the reader of the output, which strikes out.
#[derive(Debug, Default)]
pub struct SpanLedger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    counts: SpanCounts,
    open: HashMap<SpanId, Sent>,
}

impl SpanLedger {
    /// Notes the spans of a request; before they are sent, so that they cannot be found first.
    pub fn send(&self, request: &Request) {
        let mut book = self.lock();
        book.counts.requests += 1;
        book.counts.sent += request.spans.len() as u64;
        book.counts.secrets += request.secrets;
        let root = request.root().id;
        for part in &request.spans {
            let parent = if part.id == root { SpanId::INVALID } else { root };
            book.open.insert(part.id, Sent { trace: request.trace, parent, name: part.name });
        }
    }

    /// Strikes out the span that stands in the output.
    fn find(&self, span: &Span<'_>) {
        let mut book = self.lock();
        let id = SpanId::from_hex(&span.span_id).unwrap_or(SpanId::INVALID);
        let Some(sent) = book.open.remove(&id) else {
            book.counts.doubled += 1;
            return;
        };
        book.counts.arrived += 1;
        let parent = SpanId::from_hex(&span.parent_span_id).unwrap_or(SpanId::INVALID);
        let trace = TraceId::from_hex(&span.trace_id).unwrap_or(TraceId::INVALID);
        let same = sent.trace == trace && sent.parent == parent && sent.name == span.name;
        book.counts.altered += u64::from(!same);
    }

    /// What was counted so far.
    pub fn counts(&self) -> SpanCounts {
        let book = self.lock();
        SpanCounts { open: book.open.len() as u64, ..book.counts }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The output of the sink that has the spans.
pub struct Spans {
    output: Output,
    ledger: Arc<SpanLedger>,
    secrets: Secrets,
}

/// A line of the output, as far as the book asks: `TracesData` in OTLP/JSON.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct TracesData<'a> {
    #[serde(borrow)]
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow)]
    scope_spans: Vec<ScopeSpans<'a>>,
}

#[derive(serde::Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow)]
    spans: Vec<Span<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    span_id: Cow<'a, str>,
    #[serde(borrow, default)]
    parent_span_id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl Spans {
    /// Reads the file at this path, which need not exist yet.
    pub fn new(path: PathBuf, ledger: Arc<SpanLedger>) -> Self {
        Self { output: Output::new(path), ledger, secrets: Secrets::default() }
    }

    /// Reads what is new.
    pub fn look(&mut self) -> Result<(), ResultsError> {
        let Self { output, ledger, secrets } = self;
        output.read(|line| {
            ledger.lock().counts.leaked += u64::from(secrets.are_in(line));
            let Ok(TracesData { resource_spans }) = serde_json::from_slice(line) else {
                ledger.lock().counts.doubled += 1;
                return;
            };
            let scopes = resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            scopes.flat_map(|scope| &scope.spans).for_each(|span| ledger.find(span));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_altered_or_leaked_is_told() {
        let mut rng = fastrand::Rng::with_seed(1);
        let ledger = Arc::new(SpanLedger::default());
        let request = Request::payment((true, 100), "4111111111111111", &mut rng);
        ledger.send(&request);
        let root = request.root().id;
        let line = |id: SpanId, parent: &str, name: &str| {
            let span = serde_json::json!({
                "traceId": request.trace.to_string(), "spanId": id.to_string(), "parentSpanId": parent, "name": name
            });
            serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }).to_string() + "\n"
        };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spans.jsonl");
        let text = [
            line(root, "", "POST /orders"),
            line(request.spans[1].id, &root.to_string(), "INSERT 4111111111111111"),
            line(root, "", "POST /orders"),
        ];
        std::fs::write(&path, text.concat()).expect("writes");
        let mut spans = Spans::new(path, ledger.clone());
        spans.look().expect("reads");
        let expected =
            SpanCounts { requests: 1, sent: 3, arrived: 2, open: 1, doubled: 1, altered: 1, secrets: 1, leaked: 1 };
        assert_eq!(ledger.counts(), expected);
    }
}
