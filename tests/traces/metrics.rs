//! Data points from senders that nobody here wrote, as samples in the real Prometheus.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::agent::Agent;
use crate::prometheus_server::{Mode, PrometheusServer};
use crate::server_process::{free_ports, new_folder, script};

#[tokio::test]
async fn telemetrygen_s_points_are_samples_in_prometheus_by_both_protocols() {
    // Workers of the generator send several points of one time.
    let prometheus = PrometheusServer::start(Mode::Server, "storage: { tsdb: { out_of_order_time_window: 1h } }").await;
    let ([grpc, http], folder) = (free_ports(), new_folder("metrics"));
    let config = folder.join("tailwater.yaml");
    let text = format!(
        "data_dir: {}/data\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\nsources:\n  \
         otlp/in: {{ grpc: {{ listen: \"127.0.0.1:{grpc}\" }}, http: {{ listen: \"127.0.0.1:{http}\" }} }}\nsinks:\n  \
         prometheus_remote_write/out: {{ inputs: [otlp/in.metrics], url: {} }}\n",
        folder.display(),
        prometheus.write_url()
    );
    std::fs::write(&config, text).expect("a configuration");
    let agent = Agent::start(&config);
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    for (to, over_http, kind, name) in [
        (local(grpc), false, "Sum", "over_grpc"),
        (local(http), true, "Gauge", "over_http"),
        (local(grpc), false, "Histogram", "classic"),
        (local(http), true, "ExponentialHistogram", "native"),
    ] {
        let mut arguments: Vec<String> =
            ["metrics", "--otlp-insecure", "--metrics", "5", "--rate", "5", "--otlp-endpoint"]
                .map(str::to_owned)
                .into();
        arguments.extend([
            to.to_string(),
            "--metric-type".into(),
            kind.into(),
            "--otlp-metric-name".into(),
            name.into(),
        ]);
        if over_http {
            arguments.push("--otlp-http".into());
        }
        // Until the agent listens it fails.
        let run = move || {
            for _ in 0..50 {
                let output = Command::new(script("telemetrygen")).args(&arguments).output().expect("telemetrygen runs");
                if output.status.success() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            panic!("telemetrygen cannot send");
        };
        tokio::task::spawn_blocking(run).await.expect("it sends");
    }
    for selector in [
        r#"{__name__=~"over_grpc.*"}"#,
        r#"{__name__=~"over_http.*"}"#,
        r#"{__name__=~"classic.*_bucket", le="+Inf"}"#,
        r#"{__name__=~"native.*"}"#,
    ] {
        let mut found = 0;
        let wait = async {
            while found == 0 {
                found = prometheus.samples(selector).await.values().map(Vec::len).sum();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        let all = prometheus.all_samples().await;
        assert!(waited.is_ok(), "{selector} among {:?}\n{}", all.keys().collect::<Vec<_>>(), agent.log());
    }
}
