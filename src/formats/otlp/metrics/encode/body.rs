//! A body while it is filled: messages within messages, each written once its length is known, and full before it becomes
//! larger than there is room for.

use super::Subject;
use crate::formats::protobuf::{push_bytes, push_message, push_uint};

/// What a request has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that may still be written.
    pub bytes: usize,
    /// Bytes that an empty request may have: a point that takes more can never be sent.
    pub whole: usize,
    /// Data points that may still be written.
    pub points: u64,
}

impl Room {
    /// That of an empty request of at most so many bytes.
    pub fn of(bytes: usize) -> Self {
        Self { bytes, whole: bytes, points: u64::MAX }
    }
}

/// What became of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Done,
    /// There is no room for it now.
    Full,
    /// There never is.
    TooLarge,
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

/// A body being filled.
#[derive(Clone, Debug, Default)]
pub(super) struct Filling {
    /// What is closed, and the open messages behind it: scopes of the open target, metrics of the open scope, points of
    /// the open metric.
    request: Vec<u8>,
    scopes: Vec<u8>,
    metrics: Vec<u8>,
    points: Vec<u8>,
    open: Option<Home>,
    written: u64,
    scratch: Vec<u8>,
}

impl Filling {
    /// Adds a point.
    pub fn put(&mut self, subject: &Subject<'_>, home: Home, point: &[u8]) -> Put {
        let own = around(subject, home) + point.len();
        if own > subject.room.whole {
            return Put::TooLarge;
        }
        let open = self.request.len() + self.scopes.len() + self.metrics.len() + self.points.len();
        let open = open + self.open.map_or(0, |open| around(subject, open));
        if open + own > subject.room.bytes || self.written >= subject.room.points {
            return Put::Full;
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
        self.written += 1;
        Put::Done
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
        push_bytes(1, &self.scratch, &mut self.request);
    }

    /// The body, and how many points are in it.
    pub fn finish(&mut self, subject: &Subject<'_>) -> (Vec<u8>, u64) {
        if let Some(open) = self.open.take() {
            self.close_metric(subject, open);
            self.close_scope(subject, open);
            self.close_target(subject, open);
        }
        (std::mem::take(&mut self.request), std::mem::take(&mut self.written))
    }
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

/// Bytes of the messages around a point, without other points: never less than they are.
fn around(subject: &Subject<'_>, home: Home) -> usize {
    let Subject { plan, about, .. } = *subject;
    let target = &plan.targets[home.target as usize];
    let metric = &plan.metrics[home.metric as usize];
    let scope = &plan.scopes[home.scope as usize];
    about + target.own.len() + target.info.len() + scope.len() + metric.header.len() + HEADERS
}
