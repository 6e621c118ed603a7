//! From a span to the series that it touches. A span is walked over once, where it stands; what its resource says is read
//! once for all its spans that follow each other.

use crate::data::traces::SpanEntry;
use crate::data::{Batch, TraceBatch};
use crate::formats::otlp::span::{ATTRIBUTES, RESOURCE_ATTRIBUTES, attributes};
use crate::formats::otlp::value::key_value;
use crate::formats::protobuf::Fields;
use crate::formats::trace_state::Sampling;
use crate::pipeline::aggregate::spans::{Found, Unit, duration};
use crate::pipeline::aggregate::{Count, Counters, Observation, Touch, key};

/// Fields of a `Span` besides its attributes.
const TRACE_STATE: u32 = 3;
const NAME: u32 = 5;

/// Places of the metrics.
const CALLS: usize = 0;
const DURATION: usize = 1;

/// Where the value of a label comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Service,
    Name,
    Kind,
    Status,
    /// The attribute of that place.
    Attribute(usize),
}

/// The metrics as one worker counts them.
#[derive(Clone)]
pub(super) struct Counting {
    labels: Vec<Source>,
    defaults: Vec<Option<Box<[u8]>>>,
    /// The unit of durations, where they are counted.
    unit: Option<Unit>,
    span: Found,
    /// Behind the dimensions, the name of the service.
    resource: Found,
    key: Vec<u8>,
}

impl Counting {
    pub fn new<'a>(
        labels: Vec<Source>,
        keys: impl Iterator<Item = &'a str> + Clone,
        defaults: Vec<Option<Box<str>>>,
        unit: Option<Unit>,
    ) -> Self {
        Self {
            labels,
            defaults: defaults.into_iter().map(|default| default.map(|text| text.into_boxed_bytes())).collect(),
            unit,
            span: Found::of(keys.clone()),
            resource: Found::of(keys.chain(["service.name"])),
            key: Vec::new(),
        }
    }

    fn count_spans(&mut self, batch: &TraceBatch, counters: &Counters) {
        let now = Touch::now();
        let (mut resource, mut refused) = (None, 0);
        for at in batch.selection.iter() {
            let entry = &batch.spans()[at];
            let of = batch.index().scopes[entry.scope as usize].resource;
            if resource != Some(of) {
                resource = Some(of);
                self.resource.clear();
                attributes(batch.resource_of(entry), RESOURCE_ATTRIBUTES)
                    .for_each(|(key, any)| self.resource.take(key, any));
            }
            refused += usize::from(!self.count_span(entry, batch.span(at), counters, now));
        }
        counters.refused(refused);
    }

    fn count_span(&mut self, entry: &SpanEntry, span: &[u8], counters: &Counters, now: Touch) -> bool {
        let (mut name, mut trace_state): (&[u8], &[u8]) = (b"", b"");
        self.span.clear();
        for (number, value) in Fields::of(span).flatten() {
            let Ok(bytes) = value.bytes() else { continue };
            match number {
                TRACE_STATE => trace_state = bytes,
                NAME => name = bytes,
                ATTRIBUTES => {
                    let Ok((key, any)) = key_value(bytes) else { continue };
                    self.span.take(key, any);
                }
                _ => {}
            }
        }
        self.write_key(entry, name);
        let count = Sampling::of(trace_state).adjusted_count(&entry.trace_id);
        let call = Observation { value: 1.0, count, time: entry.end, span: None, line: b"" };
        let counted = counters.add(&self.key, &call, now);
        let Some(unit) = self.unit else { return counted };
        key::turn_to(DURATION, &mut self.key);
        let value = unit.of(duration(entry.start, entry.end));
        let span = Some((entry.trace_id, entry.span_id));
        counters.add(&self.key, &Observation { value, count, time: entry.end, span, line: b"" }, now) && counted
    }

    fn write_key(&mut self, entry: &SpanEntry, name: &[u8]) {
        let Self { labels, defaults, span, resource, key, .. } = self;
        key::begin(CALLS, key);
        for label in labels.iter() {
            let value = match *label {
                Source::Service => resource.get(defaults.len()),
                Source::Name => Some(name),
                Source::Kind => Some(kind(entry.kind)),
                Source::Status => Some(status(entry.status)),
                Source::Attribute(at) => span.get(at).or_else(|| resource.get(at)).or(defaults[at].as_deref()),
            };
            key::push(key, |key| key.extend_from_slice(value.unwrap_or_default()));
        }
    }
}

impl Count for Counting {
    fn count(&mut self, batch: &Batch, counters: &Counters) {
        if let Batch::Traces(batch) = batch {
            self.count_spans(batch, counters);
        }
    }
}

/// The name that the proto gives a kind.
const fn kind(number: u8) -> &'static [u8] {
    match number {
        1 => b"SPAN_KIND_INTERNAL",
        2 => b"SPAN_KIND_SERVER",
        3 => b"SPAN_KIND_CLIENT",
        4 => b"SPAN_KIND_PRODUCER",
        5 => b"SPAN_KIND_CONSUMER",
        _ => b"SPAN_KIND_UNSPECIFIED",
    }
}

/// The name that the proto gives a status.
const fn status(number: u8) -> &'static [u8] {
    match number {
        1 => b"STATUS_CODE_OK",
        2 => b"STATUS_CODE_ERROR",
        _ => b"STATUS_CODE_UNSET",
    }
}
