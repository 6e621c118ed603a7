//! The messages of OTLP as tables: what a field is called in JSON, its number and its type on the wire
//! (opentelemetry-proto 1.11; `google.rpc.Status` of googleapis). One reader and one writer serve them all.

/// A message's fields, by number as good as it goes.
#[derive(Debug)]
pub(super) struct Message {
    pub fields: &'static [Field],
}

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub number: u32,
    /// Its name in lowerCamelCase.
    pub name: &'static str,
    pub kind: Kind,
    pub repeated: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `string`
    Text,
    /// `bytes`, in base64.
    Bytes,
    /// `bytes` that are a trace's or a span's id, in hexadecimal.
    Id,
    Bool,
    /// `int32`, a number.
    Int32,
    /// `int64`, a string.
    Int64,
    /// `sint32`, a number.
    Sint32,
    /// `uint32`, a number.
    Uint32,
    /// `uint64`, a string.
    Uint64,
    /// `fixed32`, a number.
    Fixed32,
    /// `fixed64`, a string.
    Fixed64,
    /// `sfixed64`, a string.
    Sfixed64,
    Double,
    /// An enumeration: the prefix of its names, and the names by number.
    Enum(&'static str, &'static [&'static str]),
    Message(&'static Message),
    /// `google.protobuf.Any`, whose JSON depends on what is in it.
    Any,
}

impl Kind {
    /// Whether a repeated field of it is packed into one run.
    pub const fn is_packed(self) -> bool {
        !matches!(self, Self::Text | Self::Bytes | Self::Id | Self::Message(_) | Self::Any)
    }

    /// What is expected in JSON.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Bytes => "a string in base64",
            Self::Id => "an id in hexadecimal",
            Self::Bool => "true or false",
            Self::Int32 | Self::Sint32 => "an integer of 32 bits",
            Self::Uint32 | Self::Fixed32 => "an integer of 32 bits without sign",
            Self::Int64 | Self::Sfixed64 => "an integer of 64 bits",
            Self::Uint64 | Self::Fixed64 => "an integer of 64 bits without sign",
            Self::Double => "a number",
            Self::Enum(..) => "the number of an enumeration's value",
            Self::Message(_) | Self::Any => "an object",
        }
    }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: false }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: true }
}

use Kind::{
    Any, Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int32, Int64, Sfixed64, Sint32, Text, Uint32, Uint64,
};

pub(super) static TRACES: Message = Message { fields: &[many(1, "resourceSpans", Kind::Message(&RESOURCE_SPANS))] };

pub(super) static LOGS: Message = Message { fields: &[many(1, "resourceLogs", Kind::Message(&RESOURCE_LOGS))] };

pub(super) static METRICS: Message =
    Message { fields: &[many(1, "resourceMetrics", Kind::Message(&RESOURCE_METRICS))] };

pub(super) static TRACES_ANSWER: Message =
    Message { fields: &[one(1, "partialSuccess", Kind::Message(&TRACES_PARTIAL))] };

static TRACES_PARTIAL: Message = Message { fields: &[one(1, "rejectedSpans", Int64), one(2, "errorMessage", Text)] };

pub(super) static LOGS_ANSWER: Message = Message { fields: &[one(1, "partialSuccess", Kind::Message(&LOGS_PARTIAL))] };

static LOGS_PARTIAL: Message = Message { fields: &[one(1, "rejectedLogRecords", Int64), one(2, "errorMessage", Text)] };

pub(super) static METRICS_ANSWER: Message =
    Message { fields: &[one(1, "partialSuccess", Kind::Message(&METRICS_PARTIAL))] };

static METRICS_PARTIAL: Message =
    Message { fields: &[one(1, "rejectedDataPoints", Int64), one(2, "errorMessage", Text)] };

pub(super) static STATUS: Message =
    Message { fields: &[one(1, "code", Int32), one(2, "message", Text), many(3, "details", Any)] };

static ANY_VALUE: Message = Message {
    fields: &[
        one(1, "stringValue", Text),
        one(2, "boolValue", Bool),
        one(3, "intValue", Int64),
        one(4, "doubleValue", Double),
        one(5, "arrayValue", Kind::Message(&ARRAY_VALUE)),
        one(6, "kvlistValue", Kind::Message(&KEY_VALUE_LIST)),
        one(7, "bytesValue", Bytes),
    ],
};

static ARRAY_VALUE: Message = Message { fields: &[many(1, "values", Kind::Message(&ANY_VALUE))] };

static KEY_VALUE_LIST: Message = Message { fields: &[many(1, "values", Kind::Message(&KEY_VALUE))] };

static KEY_VALUE: Message = Message { fields: &[one(1, "key", Text), one(2, "value", Kind::Message(&ANY_VALUE))] };

static SCOPE: Message = Message {
    fields: &[
        one(1, "name", Text),
        one(2, "version", Text),
        many(3, "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    ],
};

static ENTITY_REF: Message = Message {
    fields: &[
        one(1, "schemaUrl", Text),
        one(2, "type", Text),
        many(3, "idKeys", Text),
        many(4, "descriptionKeys", Text),
    ],
};

static RESOURCE: Message = Message {
    fields: &[
        many(1, "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "droppedAttributesCount", Uint32),
        many(3, "entityRefs", Kind::Message(&ENTITY_REF)),
    ],
};

static RESOURCE_LOGS: Message = Message {
    fields: &[
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeLogs", Kind::Message(&SCOPE_LOGS)),
        one(3, "schemaUrl", Text),
    ],
};

static SCOPE_LOGS: Message = Message {
    fields: &[
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "logRecords", Kind::Message(&LOG_RECORD)),
        one(3, "schemaUrl", Text),
    ],
};

static LOG_RECORD: Message = Message {
    fields: &[
        one(1, "timeUnixNano", Fixed64),
        one(11, "observedTimeUnixNano", Fixed64),
        one(2, "severityNumber", Enum("SEVERITY_NUMBER_", SEVERITIES)),
        one(3, "severityText", Text),
        one(5, "body", Kind::Message(&ANY_VALUE)),
        many(6, "attributes", Kind::Message(&KEY_VALUE)),
        one(7, "droppedAttributesCount", Uint32),
        one(8, "flags", Fixed32),
        one(9, "traceId", Id),
        one(10, "spanId", Id),
        one(12, "eventName", Text),
    ],
};

const SEVERITIES: &[&str] = &[
    "UNSPECIFIED",
    "TRACE",
    "TRACE2",
    "TRACE3",
    "TRACE4",
    "DEBUG",
    "DEBUG2",
    "DEBUG3",
    "DEBUG4",
    "INFO",
    "INFO2",
    "INFO3",
    "INFO4",
    "WARN",
    "WARN2",
    "WARN3",
    "WARN4",
    "ERROR",
    "ERROR2",
    "ERROR3",
    "ERROR4",
    "FATAL",
    "FATAL2",
    "FATAL3",
    "FATAL4",
];

static RESOURCE_SPANS: Message = Message {
    fields: &[
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeSpans", Kind::Message(&SCOPE_SPANS)),
        one(3, "schemaUrl", Text),
    ],
};

static SCOPE_SPANS: Message = Message {
    fields: &[
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "spans", Kind::Message(&SPAN)),
        one(3, "schemaUrl", Text),
    ],
};

static SPAN: Message = Message {
    fields: &[
        one(1, "traceId", Id),
        one(2, "spanId", Id),
        one(3, "traceState", Text),
        one(4, "parentSpanId", Id),
        one(16, "flags", Fixed32),
        one(5, "name", Text),
        one(6, "kind", Enum("SPAN_KIND_", &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"])),
        one(7, "startTimeUnixNano", Fixed64),
        one(8, "endTimeUnixNano", Fixed64),
        many(9, "attributes", Kind::Message(&KEY_VALUE)),
        one(10, "droppedAttributesCount", Uint32),
        many(11, "events", Kind::Message(&EVENT)),
        one(12, "droppedEventsCount", Uint32),
        many(13, "links", Kind::Message(&LINK)),
        one(14, "droppedLinksCount", Uint32),
        one(15, "status", Kind::Message(&SPAN_STATUS)),
    ],
};

static EVENT: Message = Message {
    fields: &[
        one(1, "timeUnixNano", Fixed64),
        one(2, "name", Text),
        many(3, "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    ],
};

static LINK: Message = Message {
    fields: &[
        one(1, "traceId", Id),
        one(2, "spanId", Id),
        one(3, "traceState", Text),
        many(4, "attributes", Kind::Message(&KEY_VALUE)),
        one(5, "droppedAttributesCount", Uint32),
        one(6, "flags", Fixed32),
    ],
};

static SPAN_STATUS: Message =
    Message { fields: &[one(2, "message", Text), one(3, "code", Enum("STATUS_CODE_", &["UNSET", "OK", "ERROR"]))] };

static RESOURCE_METRICS: Message = Message {
    fields: &[
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeMetrics", Kind::Message(&SCOPE_METRICS)),
        one(3, "schemaUrl", Text),
    ],
};

static SCOPE_METRICS: Message = Message {
    fields: &[
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "metrics", Kind::Message(&METRIC)),
        one(3, "schemaUrl", Text),
    ],
};

static METRIC: Message = Message {
    fields: &[
        one(1, "name", Text),
        one(2, "description", Text),
        one(3, "unit", Text),
        one(5, "gauge", Kind::Message(&GAUGE)),
        one(7, "sum", Kind::Message(&SUM)),
        one(9, "histogram", Kind::Message(&HISTOGRAM)),
        one(10, "exponentialHistogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        one(11, "summary", Kind::Message(&SUMMARY)),
        many(12, "metadata", Kind::Message(&KEY_VALUE)),
    ],
};

const TEMPORALITY: Kind = Enum("AGGREGATION_TEMPORALITY_", &["UNSPECIFIED", "DELTA", "CUMULATIVE"]);

static GAUGE: Message = Message { fields: &[many(1, "dataPoints", Kind::Message(&NUMBER_POINT))] };

static SUM: Message = Message {
    fields: &[
        many(1, "dataPoints", Kind::Message(&NUMBER_POINT)),
        one(2, "aggregationTemporality", TEMPORALITY),
        one(3, "isMonotonic", Bool),
    ],
};

static HISTOGRAM: Message = Message {
    fields: &[many(1, "dataPoints", Kind::Message(&HISTOGRAM_POINT)), one(2, "aggregationTemporality", TEMPORALITY)],
};

static EXPONENTIAL_HISTOGRAM: Message = Message {
    fields: &[many(1, "dataPoints", Kind::Message(&EXPONENTIAL_POINT)), one(2, "aggregationTemporality", TEMPORALITY)],
};

static SUMMARY: Message = Message { fields: &[many(1, "dataPoints", Kind::Message(&SUMMARY_POINT))] };

static NUMBER_POINT: Message = Message {
    fields: &[
        many(7, "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "asDouble", Double),
        one(6, "asInt", Sfixed64),
        many(5, "exemplars", Kind::Message(&EXEMPLAR)),
        one(8, "flags", Uint32),
    ],
};

static HISTOGRAM_POINT: Message = Message {
    fields: &[
        many(9, "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "bucketCounts", Fixed64),
        many(7, "explicitBounds", Double),
        many(8, "exemplars", Kind::Message(&EXEMPLAR)),
        one(10, "flags", Uint32),
        one(11, "min", Double),
        one(12, "max", Double),
    ],
};

static EXPONENTIAL_POINT: Message = Message {
    fields: &[
        many(1, "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        one(6, "scale", Sint32),
        one(7, "zeroCount", Fixed64),
        one(8, "positive", Kind::Message(&BUCKETS)),
        one(9, "negative", Kind::Message(&BUCKETS)),
        one(10, "flags", Uint32),
        many(11, "exemplars", Kind::Message(&EXEMPLAR)),
        one(12, "min", Double),
        one(13, "max", Double),
        one(14, "zeroThreshold", Double),
    ],
};

static BUCKETS: Message = Message { fields: &[one(1, "offset", Sint32), many(2, "bucketCounts", Uint64)] };

static SUMMARY_POINT: Message = Message {
    fields: &[
        many(7, "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "quantileValues", Kind::Message(&QUANTILE)),
        one(8, "flags", Uint32),
    ],
};

static QUANTILE: Message = Message { fields: &[one(1, "quantile", Double), one(2, "value", Double)] };

static EXEMPLAR: Message = Message {
    fields: &[
        many(7, "filteredAttributes", Kind::Message(&KEY_VALUE)),
        one(2, "timeUnixNano", Fixed64),
        one(3, "asDouble", Double),
        one(6, "asInt", Sfixed64),
        one(4, "spanId", Id),
        one(5, "traceId", Id),
    ],
};
