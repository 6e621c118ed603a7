//! Bodies while they are filled: messages within messages, each written once its length is known, and a new body begun
//! before one becomes larger than its limit.

use super::Subject;
use crate::formats::protobuf::{push_bytes, push_message, push_uint};

/// An `ExportMetricsServiceRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The message.
    pub bytes: Vec<u8>,
    /// Data points in it.
    pub points: u64,
    /// Samples of the batch that they are made of.
    pub samples: u64,
}

/// The field of `Metric` in which the points stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Data {
    Gauge = 5,
    /// Monotonic.
    Counter = 7,
    /// Not monotonic: the same field.
    UpDown = 8,
    Histogram = 9,
    Exponential = 10,
    Summary = 11,
}

/// Where a point belongs: target, scope and metric of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub target: u32,
    pub scope: u32,
    pub metric: u32,
    pub data: Data,
}

/// Bytes that tags, lengths and temporality of the messages around a point take at the most.
const HEADERS: usize = 64;

/// Bodies being filled.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    limit: usize,
    done: Vec<Body>,
    /// The open body, and the open messages in it: scopes of the open target, metrics of the open scope, points of the
    /// open metric.
    request: Body,
    scopes: Vec<u8>,
    metrics: Vec<u8>,
    points: Vec<u8>,
    open: Option<Home>,
    scratch: Vec<u8>,
}

impl Bodies {
    pub fn begin(&mut self, limit: usize) {
        self.limit = limit;
        self.done.clear();
    }

    /// Adds a point that `samples` samples became; false where it is larger than a body may be.
    pub fn put(&mut self, subject: &Subject<'_>, home: Home, point: &[u8], samples: u64) -> bool {
        let own = around(subject, home) + point.len();
        if own > self.limit {
            return false;
        }
        let open = self.request.bytes.len() + self.scopes.len() + self.metrics.len() + self.points.len();
        let open = open + self.open.map_or(0, |open| around(subject, open));
        if open + own > self.limit && self.request.points > 0 {
            self.close(subject);
            self.done.push(std::mem::take(&mut self.request));
        }
        if let Some(open) = self.open
            && open != home
        {
            self.close_metric(subject, open);
            if (open.target, open.scope) != (home.target, home.scope) {
                self.close_scope(subject, open);
            }
            if open.target != home.target {
                self.close_target(subject, open);
            }
        }
        self.open = Some(home);
        push_bytes(1, point, &mut self.points);
        self.request.points += 1;
        self.request.samples += samples;
        true
    }

    fn close_metric(&mut self, subject: &Subject<'_>, open: Home) {
        let metric = &subject.plan.metrics[open.metric as usize];
        self.scratch.clear();
        self.scratch.extend_from_slice(&metric.header);
        let (number, monotonic) = match open.data {
            Data::UpDown => (Data::Counter as u32, false),
            data => (data as u32, data == Data::Counter),
        };
        let points = &self.points;
        push_message(number, &mut self.scratch, |out| {
            out.extend_from_slice(points);
            if matches!(open.data, Data::Counter | Data::UpDown | Data::Histogram | Data::Exponential) {
                push_uint(2, CUMULATIVE, out);
            }
            if monotonic {
                push_uint(3, 1, out);
            }
        });
        push_bytes(2, &self.scratch, &mut self.metrics);
        self.points.clear();
    }

    fn close_scope(&mut self, subject: &Subject<'_>, open: Home) {
        self.scratch.clear();
        self.scratch.extend_from_slice(&subject.plan.scopes[open.scope as usize]);
        self.scratch.append(&mut self.metrics);
        push_bytes(2, &self.scratch, &mut self.scopes);
    }

    fn close_target(&mut self, subject: &Subject<'_>, open: Home) {
        self.scratch.clear();
        push_bytes(1, &subject.resource(open.target), &mut self.scratch);
        self.scratch.append(&mut self.scopes);
        push_bytes(1, &self.scratch, &mut self.request.bytes);
    }

    /// Closes what is open; the subject of the points that follow may be another.
    pub fn close(&mut self, subject: &Subject<'_>) {
        if let Some(open) = self.open.take() {
            self.close_metric(subject, open);
            self.close_scope(subject, open);
            self.close_target(subject, open);
        }
    }

    /// The bodies.
    pub fn finish(&mut self) -> Vec<Body> {
        if self.request.points > 0 {
            self.done.push(std::mem::take(&mut self.request));
        }
        std::mem::take(&mut self.done)
    }
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

/// Bytes of the messages around a point, without other points: never less than they are.
fn around(subject: &Subject<'_>, home: Home) -> usize {
    let Subject { plan, about, .. } = subject;
    let target = &plan.targets[home.target as usize];
    let metric = &plan.metrics[home.metric as usize];
    let scope = &plan.scopes[home.scope as usize];
    about + target.own.len() + target.info.len() + scope.len() + metric.header.len() + HEADERS
}
