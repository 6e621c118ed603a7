//! The sink `elasticsearch` against the real server, with and without faults on the way.

#![expect(clippy::print_stderr, reason = "seeds, and what is shown with a test that fails")]

mod access;
mod agent;
mod answers;
mod chaos;
mod documents;
mod end_to_end;
mod faults;
mod spans;
mod streams;

#[allow(dead_code, reason = "the tests of the verbs use the rest")]
#[path = "../cli/agent.rs"]
mod binary;
#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/elasticsearch_server.rs"]
mod server;

use std::collections::BTreeSet;

use server::Server;

/// Number of documents behind a name, each a line `{"n":…}` of its own, none stored twice.
async fn numbers(server: &Server, target: &str) -> Vec<u64> {
    let documents = server.documents(target).await;
    let ids: BTreeSet<&String> = documents.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), documents.len(), "an id is stored twice in {target}");
    let mut numbers: Vec<u64> = documents
        .iter()
        .map(|(_, source)| source["n"].as_u64().unwrap_or_else(|| panic!("no number: {source}")))
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Lines `{"n":…}`.
fn numbered(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!(r#"{{"n":{n}}}"#)).collect()
}
