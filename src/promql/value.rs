//! What a query evaluates to, in the shapes of Prometheus's query API. Inside the evaluator values are columns; these are
//! made once, for the result.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::data::histogram::Histogram;
use crate::data::labels::LabelSet;

/// A number or a native histogram.
#[derive(Clone, Debug)]
pub enum Point {
    /// A number.
    Float(f64),
    /// A native histogram; its counts are floats.
    Histogram(Arc<Histogram>),
}

/// A series at one time.
#[derive(Clone, Debug)]
pub struct VectorSample {
    /// Labels, the metric's name among them where it was kept.
    pub labels: LabelSet,
    /// Milliseconds since 1970: the time of the evaluation.
    pub time: i64,
    /// What it is.
    pub point: Point,
}

/// A series over time.
#[derive(Clone, Debug)]
pub struct SeriesPoints {
    /// Labels, the metric's name among them where it was kept.
    pub labels: LabelSet,
    /// Times and what the series was then, ascending.
    pub points: Vec<(i64, Point)>,
}

/// What a query evaluates to.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number, at the time of the evaluation.
    Scalar(f64),
    /// A text.
    String(String),
    /// Series at one time; in the order that the query asked for, if it asked for one.
    Vector(Vec<VectorSample>),
    /// Series over time, in the order of their labels.
    Matrix(Vec<SeriesPoints>),
}

/// What a query's author should know, as Prometheus words it; each once.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    /// The result may not be what is meant.
    pub warnings: BTreeSet<String>,
    /// The query may not be what is meant.
    pub infos: BTreeSet<String>,
}

/// An evaluation's result.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The value.
    pub value: Value,
    /// What the query's author should know.
    pub annotations: Annotations,
}
