//! The shop's applications as clients of OTLP: what an SDK of OpenTelemetry would make of their requests, sent to the
//! agent by the crate `opentelemetry-otlp`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tokio::runtime::Handle;
use url::Url;

use super::shop::kubelet::Container;
use super::shop::request::{Part, Request};
use super::spans::SpanLedger;
use crate::data::UnixNanos;
use crate::net::HttpClient;
use crate::net::span_exporter::{self, Counters, ExporterError, Settings, SpanQueue};

/// Most spans of one application that wait to be sent.
const QUEUE: usize = 4096;

/// How long spans wait for more, to be sent together.
const LINGER: Duration = Duration::from_millis(100);

/// Sends the spans of each application in its own name.
pub struct Tracer {
    client: HttpClient,
    endpoint: Url,
    ledger: Arc<SpanLedger>,
    runtime: Handle,
    counters: Counters,
    /// One a pod.
    queues: HashMap<String, SpanQueue>,
}

impl Tracer {
    /// Sends to `endpoint` by tasks of the runtime that this is called in, and notes in `ledger` what it sends.
    pub fn new(client: HttpClient, endpoint: Url, ledger: Arc<SpanLedger>) -> Result<Self, prometheus::Error> {
        let counters = Counters::new()?;
        Ok(Self { client, endpoint, ledger, runtime: Handle::current(), counters, queues: HashMap::new() })
    }

    /// Sends the spans of a request that ended just now. May wait, which the shop's own thread can.
    pub fn trace(&mut self, container: &Container, request: &Request, end: UnixNanos) {
        self.ledger.send(request);
        // Without an exporter the spans are lost, which the book shows.
        let Ok(queue) = self.queue(container) else { return };
        for part in &request.spans {
            queue.put(span(request, part, end));
        }
    }

    fn queue(&mut self, container: &Container) -> Result<SpanQueue, ExporterError> {
        if let Some(queue) = self.queues.get(&container.uid) {
            return Ok(queue.clone());
        }
        let settings = Settings {
            client: self.client.clone(),
            endpoint: self.endpoint.clone(),
            resource: resource(container),
            queue: QUEUE,
            linger: LINGER,
            timeout: Duration::from_secs(10),
        };
        let _in = self.runtime.enter();
        // The task ends with the queue, once it is empty.
        let (queue, _task) = span_exporter::start(settings, self.counters.clone())?;
        self.queues.insert(container.uid.clone(), queue.clone());
        Ok(queue)
    }
}

fn resource(container: &Container) -> Resource {
    let Container { namespace, pod, uid, name, id } = container;
    let attributes = [
        KeyValue::new("service.name", *name),
        KeyValue::new("service.namespace", *namespace),
        KeyValue::new("service.instance.id", uid.clone()),
        KeyValue::new("k8s.namespace.name", *namespace),
        KeyValue::new("k8s.pod.name", pod.clone()),
        KeyValue::new("k8s.pod.uid", uid.clone()),
        KeyValue::new("k8s.container.name", *name),
        KeyValue::new("container.id", id.clone()),
    ];
    Resource::builder_empty().with_attributes(attributes).build()
}

fn span(request: &Request, part: &Part, end: UnixNanos) -> SpanData {
    let root = request.root().id;
    let before_end =
        |micros: u64| SystemTime::UNIX_EPOCH + Duration::from_nanos(end.0.saturating_sub(micros.saturating_mul(1000)));
    SpanData {
        span_context: SpanContext::new(request.trace, part.id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: if part.id == root { SpanId::INVALID } else { root },
        parent_span_is_remote: false,
        span_kind: part.kind.clone(),
        name: part.name.into(),
        start_time: before_end(part.micros.0),
        end_time: before_end(part.micros.1),
        attributes: part.attributes.clone(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: part.status.clone(),
        instrumentation_scope: InstrumentationScope::builder("shop").with_version("1.0.0").build(),
    }
}
