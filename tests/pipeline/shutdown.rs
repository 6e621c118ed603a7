//! A shutdown while no destination answers: what was brought once and is in memory alone is lost, counted and told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tailwater::pipeline::{Descriptor, Runner, prepare};
use tailwater::{sinks, sources};

use crate::components::{Plans, common};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn plan<P: ?Sized>(descriptor: &Descriptor<P>, options: Value) -> Arc<P> {
    (descriptor.plan)(&mut <dyn erased_serde::Deserializer<'_>>::erase(options)).expect("valid").into()
}

#[tokio::test]
async fn samples_that_no_destination_has_taken_are_counted_as_lost_and_told() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let target = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = target.local_addr().expect("bound").to_string();
    let router = axum::Router::new().route("/metrics", axum::routing::get(async || "a 1\nb 2\n"));
    let server = tokio::spawn(async move { axum::serve(target, router).await });
    let nobody = {
        let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        format!("http://{}/", port.local_addr().expect("bound"))
    };

    let job = json!({
        "job_name": "shop", "scrape_interval": "100ms", "scrape_timeout": "100ms",
        "static_configs": [{ "targets": [address] }]
    });
    let graph = Plans::default()
        .source_plan(
            "prometheus_scrape/shop",
            plan(&sources::prometheus_scrape::DESCRIPTOR, json!({ "scrape_configs": [job] })),
        )
        .source_plan("internal/own", plan(&sources::internal::DESCRIPTOR, json!({ "interval": "1s" })))
        .sink_plan(
            "prometheus_remote_write/down",
            &["prometheus_scrape/shop", "internal/own"],
            plan(&sinks::prometheus_remote_write::DESCRIPTOR, json!({ "url": nobody, "batch": { "linger": "10ms" } })),
        )
        .build();
    let common = common();
    common.series.set_limit(100_000);
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());
    let scraped = common.telemetry.component("source", "prometheus_scrape/shop");
    let own = common.telemetry.component("source", "internal/own");
    let sink = common.telemetry.component("sink", "prometheus_remote_write/down");
    let unhealthy = || sink.health.status().unhealthy.is_some();
    tokio::time::timeout(Duration::from_secs(60), async {
        while scraped.records_in.get() < 20 || own.records_out.get() == 0 || !unhealthy() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("samples come");
    runner.shutdown(Duration::from_secs(20)).await;
    server.abort();

    assert_eq!(sink.records_out.get(), 0);
    assert_eq!(scraped.records_lost.get(), scraped.records_in.get(), "every sample that was scraped");
    assert_eq!(own.records_lost.get(), own.records_out.get(), "and the agent's own");
    let log = String::from_utf8(log.0.lock().expect("not poisoned").clone()).expect("text");
    for metrics in [scraped, own] {
        let words = format!("{} records are lost", metrics.records_lost.get());
        let told =
            log.lines().any(|line| line.contains(&words) && line.contains(&*metrics.name) && line.contains("WARN"));
        assert!(told, "{words}: {log}");
    }
}
