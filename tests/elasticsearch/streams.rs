//! Data streams and our index template: a resend after a rollover, a restart, whose template may be
//! replaced.

use serde_json::{Value, json};
use tailwater::data::UnixNanos;

use crate::agent::{Agent, Feed, Verdicts};
use crate::fault_proxy::{Canned, Fault, FaultProxy};
use crate::server::{Server, unique, until};
use crate::{numbered, numbers};

const FORBIDDEN: Canned = Canned {
    headers: &[],
    status: 403,
    body: r#"{"error":{"type":"security_exception","reason":"action is unauthorized"},"status":403}"#,
};

fn options(address: std::net::SocketAddr, dataset: &str, more: &str) -> String {
    format!(
        "endpoints: ['http://{address}'], data_stream: {{ dataset: {dataset}, namespace: test }}, timeout: 1s, \
         batch: {{ linger: 10ms }}, concurrency: 1{more}"
    )
}

/// A dataset's name and that of its stream.
fn stream(name: &str) -> (String, String) {
    let dataset = unique(name).replace('-', "_");
    let stream = format!("logs-{dataset}-test");
    (dataset, stream)
}

async fn roll_over(server: &Server, stream: &str) {
    let answer = server.must("POST", &format!("/{stream}/_rollover"), Value::Null).await;
    assert_eq!(answer["rolled_over"], true);
}

/// Fifty lines are stored, the answer is lost, the stream rolls over, they are sent again. Returns the
/// number of documents.
async fn resend_after_rollover(name: &str, may_look: bool) -> (usize, Verdicts, Vec<String>) {
    let server = Server::shared();
    let (dataset, stream) = stream(name);
    let proxy = FaultProxy::start(server.address()).await;
    let mut bulks = 0;
    let (rolled, is_rolled) = std::sync::mpsc::channel::<()>();
    let mut over = false;
    proxy.decide(move |seen| {
        over |= is_rolled.try_recv().is_ok();
        if !may_look && (seen.path.contains("/_settings") || seen.path.contains("/_mget")) {
            return Fault::Answer(FORBIDDEN);
        }
        bulks += usize::from(seen.is_bulk());
        match (seen.is_bulk(), bulks) {
            (true, 1) => Fault::HangAfter,
            (true, _) if !over => Fault::HangBefore,
            _ => Fault::Pass,
        }
    });
    let feed = Feed::new(&dataset, 1);
    let _agent = Agent::start(&feed, &options(proxy.address(), &dataset, ""));
    feed.lines(&numbered(0..50));
    until("the first request is stored", async || {
        let (status, answer) = server.ask("POST", &format!("/{stream}/_refresh"), Value::Null).await;
        status == 200 && answer["_shards"]["total"] != 0 && server.documents(&stream).await.len() == 50
    })
    .await;
    roll_over(server, &stream).await;
    rolled.send(()).expect("the proxy listens");
    let verdicts = feed.settled().await;
    let asked = proxy.seen().into_iter().map(|seen| seen.path).filter(|path| !path.contains("_bulk"));
    (server.documents(&stream).await.len(), verdicts, asked.collect())
}

#[tokio::test]
async fn a_resend_after_a_rollover_doubles_nothing() {
    let (documents, verdicts, asked) = resend_after_rollover("rolled", true).await;
    assert_eq!((documents, verdicts.delivered), (50, 50));
    assert!(asked.iter().any(|path| path.contains("/_mget")), "{asked:?}");
}

#[tokio::test]
async fn credentials_that_may_not_look_send_without_asking() {
    let (documents, verdicts, asked) = resend_after_rollover("unseen", false).await;
    assert_eq!((documents, verdicts.delivered), (100, 50), "as documented: a rollover in between doubles");
    assert!(!asked.iter().any(|path| path.contains("/_mget")), "{asked:?}");
}

#[tokio::test]
async fn what_a_restart_sends_again_is_asked_for_in_older_indices() {
    let server = Server::shared();
    let (dataset, stream) = stream("restart");
    let before = UnixNanos::now();
    for (from, to) in [(0, 20), (20, 40), (40, 60)] {
        let feed = Feed::new(&dataset, 7);
        let agent = Agent::start(&feed, &options(server.address(), &dataset, ""));
        // Everything up to here was sent before, by the agents that are gone.
        feed.lines_again(&numbered(0..from), before);
        feed.lines(&numbered(from..to));
        assert_eq!(feed.settled().await.delivered, to);
        agent.stop().await;
        roll_over(server, &stream).await;
    }
    let documents = server.documents(&stream).await;
    assert_eq!(documents.len(), 60);
    let feed = Feed::new(&dataset, 7);
    let _agent = Agent::start(&feed, &options(server.address(), &dataset, ""));
    feed.lines(&numbered(0..20));
    feed.settled().await;
    assert_eq!(server.documents(&stream).await.len(), 80, "without the word that it may be a resend nobody asks");
}

#[tokio::test]
async fn an_older_index_that_was_deleted_or_closed_meanwhile() {
    let server = Server::shared();
    let (dataset, alias) = stream("alias");
    let (old, older) = (format!("{alias}-2"), format!("{alias}-1"));
    for index in [&older, &old] {
        server.must("PUT", &format!("/{index}"), Value::Null).await;
    }
    let actions = json!({ "actions": [
        { "add": { "index": older, "alias": alias, "is_write_index": false } },
        { "add": { "index": old, "alias": alias, "is_write_index": true } },
    ] });
    server.must("POST", "/_aliases", actions).await;
    server.must("POST", &format!("/{older}/_close"), Value::Null).await;
    let feed = Feed::new(&dataset, 1);
    let options = format!(
        "endpoints: ['http://{}'], index: {alias}, mapping: ecs, template: off, batch: {{ linger: 10ms }}",
        server.address()
    );
    let agent = Agent::start(&feed, &options);
    feed.lines_again(&numbered(0..5), UnixNanos::now());
    agent.complains("index_closed_exception").await;
    assert_eq!(feed.verdicts().batches, 0);
    server.must("DELETE", &format!("/{older}"), Value::Null).await;
    assert_eq!(feed.settled().await.delivered, 5);
    assert_eq!(numbers(server, &alias).await, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn the_template_is_installed_once_and_brought_up_to_date() {
    let server = Server::shared();
    let (dataset, stream) = stream("template");
    let path = format!("/_index_template/tailwater-{dataset}");
    let run = async || {
        let feed = Feed::new(&dataset, fastrand::u64(1..));
        let agent = Agent::start(&feed, &options(server.address(), &dataset, ""));
        feed.lines(&numbered(0..3));
        assert_eq!(feed.settled().await.delivered, 3);
        let last = agent.metrics().health.status();
        agent.stop().await;
        (server.must("GET", &path, Value::Null).await["index_templates"][0]["index_template"].clone(), last)
    };
    let (installed, _) = run().await;
    assert_eq!(installed["_meta"]["managed_by"], "tailwater");
    assert_eq!((&installed["index_patterns"][0], &installed["priority"]), (&json!(stream), &json!(200)));
    let mapping = server.must("GET", &format!("/{stream}/_mapping"), Value::Null).await;
    let mapping = &mapping.as_object().expect("indices").values().next().expect("one")["mappings"]["properties"];
    assert_eq!(mapping["attributes"]["subobjects"], false);
    assert_eq!(mapping["@timestamp"]["type"], "date_nanos");

    let mut old = installed.clone();
    old["_meta"]["version"] = json!(0);
    old["priority"] = json!(201);
    server.must("PUT", &path, old).await;
    assert_eq!(run().await.0["priority"], 200, "an older version is replaced");

    let mut newer = installed.clone();
    newer["_meta"]["version"] = json!(1_000);
    newer["priority"] = json!(202);
    server.must("PUT", &path, newer).await;
    assert_eq!(run().await.0["priority"], 202, "a newer version is left alone");

    let foreign =
        json!({ "index_patterns": [stream], "priority": 203, "data_stream": {}, "_meta": { "managed_by": "ops" } });
    server.must("PUT", &path, foreign).await;
    let (kept, _) = run().await;
    assert_eq!((&kept["priority"], &kept["_meta"]["managed_by"]), (&json!(203), &json!("ops")));
}

#[tokio::test]
async fn credentials_that_may_not_install_a_template_still_deliver() {
    let server = Server::shared();
    let index = unique("untemplated");
    let proxy = FaultProxy::start(server.address()).await;
    for method in ["GET", "PUT"] {
        proxy.decide(move |seen| {
            let refused = seen.path.contains("_index_template") && seen.method == method;
            if refused { Fault::Answer(FORBIDDEN) } else { Fault::Pass }
        });
        let feed = Feed::new(&index, fastrand::u64(1..));
        let options = format!("endpoints: ['http://{}'], index: {index}, mapping: ecs", proxy.address());
        let agent = Agent::start(&feed, &options);
        feed.lines(&numbered(0..2));
        assert_eq!(feed.settled().await.delivered, 2);
        assert_eq!(agent.unhealthy(), None);
    }
    assert_eq!(server.documents(&index).await.len(), 4);
    let (status, _) = server.ask("GET", &format!("/_index_template/tailwater-{index}"), Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn without_ids_of_ours_the_cluster_makes_them_up() {
    let server = Server::shared();
    let (dataset, stream) = stream("auto");
    let proxy = FaultProxy::start(server.address()).await;
    let feed = Feed::new(&dataset, 1);
    // Here an answer that comes too late would double.
    let auto = options(proxy.address(), &dataset, ", document_id: auto").replace("timeout: 1s", "timeout: 30s");
    let _agent = Agent::start(&feed, &auto);
    feed.lines_again(&numbered(0..5), UnixNanos::now());
    assert_eq!(feed.settled().await.delivered, 5);
    let documents = server.documents(&stream).await;
    assert!(documents.len() == 5 && documents.iter().all(|(id, _)| id.len() == 20), "{documents:?}");
    assert!(!proxy.seen().iter().any(|seen| seen.path.contains("_mget")), "nobody can ask for them");
}
