//! The agent's own traces on their way out: an exporter as the section `telemetry` says, exchanged by a reload, emptied at
//! the end.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use tokio::time::{sleep, timeout};

use crate::config::Plan;
use crate::net::HttpClient;
use crate::net::span_exporter::{self, Counters, Settings, SpanExporter, SpanQueue};
use crate::options::Identity;
use crate::telemetry::{Exit, Telemetry, options};

/// Most spans that wait to be sent; about a megabyte.
const QUEUE: usize = 2048;

/// How long spans wait for others, to be sent together. It also bounds how often an agent can be told of what it told.
const LINGER: Duration = Duration::from_secs(1);

/// How long the last spans may take.
const LAST: Duration = Duration::from_secs(3);

/// An exporter that is not in force yet, and which share of all batches it is for.
pub(super) struct Prepared(Option<(SpanQueue, SpanExporter, f64)>);

/// The exporter, where there is one.
pub(super) struct OwnTraces {
    telemetry: Arc<Telemetry>,
    counters: Counters,
    /// Which agent it is: made anew at each start.
    instance: String,
    exporter: Option<(Exit, SpanExporter)>,
}

impl OwnTraces {
    /// None yet; its counters registered.
    pub fn register(telemetry: &Arc<Telemetry>) -> Result<Self, prometheus::Error> {
        let counters = Counters::register(telemetry.registry())?;
        Ok(Self { telemetry: telemetry.clone(), counters, instance: instance(), exporter: None })
    }

    /// What a plan asks for, ready to be put in force.
    pub fn prepare(&self, plan: &Plan) -> Result<Prepared, String> {
        let options = plan.sections.get::<options::Options>(options::SECTION.name);
        let Some(otlp) = options.and_then(|options| options.otlp.as_ref()) else { return Ok(Prepared(None)) };
        let told = |error: &dyn std::fmt::Display| format!("telemetry.otlp: {error}");
        let settings = Settings {
            client: HttpClient::patient(&otlp.client()).map_err(|error| told(&error))?,
            endpoint: otlp.url().ok_or_else(|| told(&"`endpoint` is no address"))?,
            resource: self.resource(&plan.identity),
            queue: QUEUE,
            linger: LINGER,
            timeout: otlp.timeout.0,
        };
        let (queue, exporter) = span_exporter::start(settings, self.counters.clone()).map_err(|error| told(&error))?;
        Ok(Prepared(Some((queue, exporter, otlp.sample_ratio.value))))
    }

    /// Puts it in force. The exporter before sends what is still on its way, and ends with the last of it.
    pub fn put(&mut self, prepared: Prepared) {
        self.exporter = prepared.0.map(|(queue, exporter, share)| {
            let exit: Exit = Arc::new(move |span| queue.offer(span));
            self.telemetry.own_traces().follow(share, exit.clone());
            (exit, exporter)
        });
        if self.exporter.is_none() {
            self.telemetry.own_traces().stop();
        }
    }

    /// Sends what waits, for some seconds.
    pub async fn finish(&mut self) {
        self.telemetry.own_traces().stop();
        let Some((exit, exporter)) = self.exporter.take() else { return };
        // Tasks that were ended let go of their batches a moment later, and then tell what became of them.
        let over = async {
            while Arc::strong_count(&exit) > 1 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        // What somebody holds on to for longer is not told.
        let _ = timeout(LAST, over).await;
        exporter.finish(LAST).await;
    }

    fn resource(&self, identity: &Identity) -> Resource {
        let own = [
            ("service.name", "tailwater"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &self.instance),
        ];
        let named = [("k8s.cluster.name", &identity.cluster), ("k8s.node.name", &identity.node)];
        let named = named.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
        let labels = identity.external_labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        // What stands later replaces what stands before.
        let all = labels.chain(named).chain(own);
        let all = all.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
        Resource::builder_empty().with_attributes(all).build()
    }
}

/// A random UUID (RFC 9562, version 4).
fn instance() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_a_uuid_of_its_own() {
        let (one, other) = (instance(), instance());
        assert_ne!(one, other);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(&one[14..15] == "4" && "89ab".contains(&one[19..20]), "{one}");
    }
}
