//! The configuration's own tests, as `tailwater test` runs them: what they may say, read into types, so
//! that a test that exists can be run.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use super::codes;
use super::error::Place;
use crate::data::{Severity, Signal, UnixNanos};
use crate::options::{Problem, Spanned, suggest};
use crate::pipeline::{ComponentId, Graph};

/// One test: what enters at a component, and what must leave it.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What the test is called in the report.
    pub name: Spanned<String>,
    /// The transform that the input enters and whose output is compared, such as `steps/main`. Where it has
    /// several outputs, one of them: `route/teams.shop`.
    pub at: Spanned<String>,
    /// The input: a record, or a list of records. It goes through this transform alone.
    pub input: Input,
    /// The records that must come out, in order. Each is compared only in the fields that it names.
    pub expect: Vec<Expected>,
    /// Where the test was written.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// The records that enter.
#[derive(Clone, Debug)]
pub struct Input(pub Vec<Record>);

/// A record that enters: either `raw`, or its fields; or a span.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// A line as the container's runtime wrote it (CRI or Docker), read as the sources read it; several
    /// lines are several records, but for partial lines, which are joined.
    pub raw: Option<Spanned<String>>,
    /// A span, in the words of OTLP/JSON: `name`, `kind`, `status`, `startTimeUnixNano`, `events`, … Ids that are not
    /// given are made up; `kind` and `status.code` may be words such as `SERVER` and `ERROR`, and `attributes` may be a
    /// map, here or beside it.
    pub span: Option<Spanned<OtlpSpan>>,
    /// What the record is about: attributes of its origin, such as `k8s.namespace.name`.
    pub resource: Map<String, Json>,
    /// The text.
    pub body: Option<Spanned<String>>,
    /// Attributes beside the text, or of the span.
    pub attributes: Option<Spanned<Map<String, Json>>>,
    /// Severity by name, such as `WARN`.
    pub severity_text: Option<Spanned<SeverityName>>,
    /// Severity by OpenTelemetry's number, 1 to 24.
    pub severity_number: Option<Spanned<SeverityNumber>>,
    /// When it happened, in RFC 3339.
    pub time: Option<Spanned<Time>>,
    /// Trace id, 32 hexadecimal digits.
    pub trace_id: Option<Spanned<Hex<16>>>,
    /// Span id, 16 hexadecimal digits.
    pub span_id: Option<Spanned<Hex<8>>>,
}

/// A record that must come out. A field that is not named is not compared; one given as null must be
/// absent.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// Fields of a span, as OTLP/JSON calls them: `name`, `kind` (`SERVER`), `status` (`{ code: ERROR }`), …; its
    /// attributes are compared by `attributes`.
    pub span: Option<OtlpSpan>,
    /// The text; empty counts as absent.
    #[serde(deserialize_with = "given")]
    pub body: Option<Option<String>>,
    /// Attributes by their keys. One given as null must be absent; others than these may be there.
    pub attributes: Map<String, Json>,
    /// Attributes of the origin, compared as `attributes` are.
    pub resource: Map<String, Json>,
    /// Severity by name.
    #[serde(deserialize_with = "given")]
    pub severity_text: Option<Option<SeverityName>>,
    /// Severity by number.
    #[serde(deserialize_with = "given")]
    pub severity_number: Option<Option<SeverityNumber>>,
    /// When it happened, in RFC 3339.
    #[serde(deserialize_with = "given")]
    pub time: Option<Option<Time>>,
    /// Trace id.
    #[serde(deserialize_with = "given")]
    pub trace_id: Option<Option<Hex<16>>>,
    /// Span id.
    #[serde(deserialize_with = "given")]
    pub span_id: Option<Option<Hex<8>>>,
}

/// Tells a field that is null from one that is not named.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl TestCase {
    /// What is wrong with it beyond its shape. `transforms` may be tested, `others` are the other
    /// components' names.
    pub(super) fn problems(&self, transforms: &[&str], others: &[&str]) -> Vec<Problem> {
        let misplaced = self.misplaced(transforms, others).into_iter();
        misplaced.chain(self.input.0.iter().filter_map(Record::two_kinds)).collect()
    }

    /// A problem, if it is at no output of the graph: the one that is compared must be named.
    pub(super) fn without_output(&self, graph: &Graph) -> Option<Problem> {
        if graph.output(&self.at).is_some() {
            return None;
        }
        let component = self.at.split('.').next().unwrap_or_default();
        let index = graph.position(&ComponentId(component.into()))?;
        let outputs = (0..graph.components[index].outputs.len()).map(|output| {
            let name = graph.components[index].output_name(output);
            format!("`{name}`")
        });
        let outputs: Vec<String> = outputs.collect();
        let message = format!("the test is at `{}`, which is no output", self.at.value);
        let help = format!("write {}", outputs.join(" or "));
        Some(Problem::new(codes::TEST_OUTPUT, self.at.span, message).help(help))
    }

    /// A problem, if records of logs enter where spans do, or the other way round.
    pub(super) fn of_other_signal(&self, graph: &Graph) -> Option<Problem> {
        let output = graph.output(&self.at)?;
        let takes = graph.components[output.component].input_signal?;
        let spans = self.input.0.iter().find_map(|record| record.span.as_ref());
        let (message, span, help) = match (takes, spans) {
            (Signal::Traces, None) if !self.input.0.is_empty() => {
                ("takes spans, and the input has none", self.at.span, "write `input: { span: { name: … } }`")
            }
            (Signal::Logs, Some(span)) => {
                ("takes records of logs, and the input has a span", span.span, "write `input: { body: … }`")
            }
            (Signal::Metrics, _) => {
                ("takes samples, which cannot be tested yet", self.at.span, "test transforms of logs and of spans")
            }
            (Signal::Traces, Some(_)) if self.input.0.iter().any(|record| record.span.is_none()) => {
                ("takes spans, and the input has others beside them", self.at.span, "give each its `span`")
            }
            _ => return None,
        };
        Some(Problem::new(codes::TEST_INPUT, span, format!("`{}` {message}", self.at.value)).help(help))
    }

    fn misplaced(&self, transforms: &[&str], others: &[&str]) -> Option<Problem> {
        let component = self.at.split('.').next().unwrap_or_default();
        if transforms.contains(&component) {
            return None;
        }
        if others.contains(&component) {
            let message = format!("the test is at `{component}`, which is no transform: only transforms are tested");
            let problem = Problem::new(codes::TEST_ELSEWHERE, self.at.span, message);
            return Some(problem.help("name the transform whose output is to be compared"));
        }
        let message = format!("the test is at `{}`, which is no component", self.at.value);
        let problem = Problem::new(codes::TEST_ELSEWHERE, self.at.span, message);
        Some(match suggest::nearest(component, transforms.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("name a transform of this configuration"),
        })
    }
}

impl Record {
    /// A line has its fields in it, and a span is no record of a log.
    fn two_kinds(&self) -> Option<Problem> {
        let is = match (&self.raw, &self.span) {
            (Some(_), _) => "raw",
            (None, Some(_)) => "span",
            (None, None) => return None,
        };
        // A span has attributes and ids too.
        let beside_raw = |span| (is == "raw").then_some(span);
        let fields = [
            ("span", self.span.as_ref().map(|field| field.span).and_then(beside_raw)),
            ("body", self.body.as_ref().map(|field| field.span)),
            ("attributes", self.attributes.as_ref().map(|field| field.span).and_then(beside_raw)),
            ("severity_text", self.severity_text.as_ref().map(|field| field.span)),
            ("severity_number", self.severity_number.as_ref().map(|field| field.span)),
            ("time", self.time.as_ref().map(|field| field.span)),
            ("trace_id", self.trace_id.as_ref().map(|field| field.span).and_then(beside_raw)),
            ("span_id", self.span_id.as_ref().map(|field| field.span).and_then(beside_raw)),
        ];
        let (name, span) = fields.into_iter().find_map(|(name, span)| Some((name, span?)))?;
        let message = format!("`{name}` stands beside `{is}`, which says what the record is");
        let help = match is {
            "raw" => "give either the line or the fields, and `resource`",
            _ => "a span has `span`, `attributes`, `resource`, `trace_id` and `span_id`",
        };
        Some(Problem::new(codes::TEST_INPUT, span, message).help(help))
    }
}

/// Fields of a span by OTLP/JSON's names.
pub type SpanFields = Map<String, Json>;

/// A span in OTLP/JSON, with no fields but a span's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtlpSpan(pub SpanFields);

/// The fields of opentelemetry.proto.trace.v1.Span in OTLP/JSON.
const SPAN_FIELDS: [(&str, &str); 16] = [
    ("name", "What was done."),
    ("kind", "`INTERNAL`, `SERVER`, `CLIENT`, `PRODUCER` or `CONSUMER`, or its number."),
    ("status", "`{ code: ERROR, message: … }`."),
    ("traceId", "Trace id, 32 hexadecimal digits."),
    ("spanId", "Span id, 16 hexadecimal digits."),
    ("parentSpanId", "Id of the parent."),
    ("traceState", "W3C trace state."),
    ("startTimeUnixNano", "Start, in nanoseconds since 1970."),
    ("endTimeUnixNano", "End, in nanoseconds since 1970."),
    ("attributes", "Attributes, as a map or as OTLP's list; only on the way in."),
    ("events", "Events: `name`, `timeUnixNano`, `attributes`."),
    ("links", "Links to other spans."),
    ("flags", "W3C flags."),
    ("droppedAttributesCount", "Attributes that the sender left out."),
    ("droppedEventsCount", "Events that the sender left out."),
    ("droppedLinksCount", "Links that the sender left out."),
];

impl<'de> Deserialize<'de> for OtlpSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = SpanFields::deserialize(deserializer)?;
        let known = SPAN_FIELDS.map(|(name, _)| name);
        match fields.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(Self(fields)),
            Some(unknown) => Err(D::Error::custom(match suggest::nearest(unknown, known) {
                Some(near) => format!("a span has no `{unknown}`: did you mean `{near}`?"),
                None => format!("a span has no `{unknown}`: it has {}", known.join(", ")),
            })),
        }
    }
}

impl JsonSchema for OtlpSpan {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OtlpSpan".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let field = |(name, what): (&str, &str)| (name.to_owned(), serde_json::json!({ "description": what }));
        let properties: Map<String, Json> = SPAN_FIELDS.into_iter().map(field).collect();
        schemars::json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Input;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record, such as `{ raw: '…' }` or `{ body: '…' }`, or a list of records")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Input, A::Error> {
                Record::deserialize(MapAccessDeserializer::new(map)).map(|record| Input(vec![record]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Input, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Input)
            }
        }

        deserializer.deserialize_any(Visit)
    }
}

impl JsonSchema for Input {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TestInput".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let record = generator.subschema_for::<Record>();
        schemars::json_schema!({ "oneOf": [record, { "type": "array", "items": record }] })
    }
}

/// A severity by name: `INFO`, `WARN2`, or as loggers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct SeverityName(#[schemars(with = "String")] pub Severity);

/// A severity by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct SeverityNumber(#[schemars(with = "u8", range(min = 1, max = 24))] pub Severity);

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct Time(#[schemars(with = "String")] pub UnixNanos);

/// Bytes in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct Hex<const N: usize>(#[schemars(with = "String")] pub [u8; N]);

impl<'de> Deserialize<'de> for SeverityName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let exact = (1..=24).map(Severity).find(|severity| severity.text() == text);
        exact.or_else(|| Severity::from_name(text.as_bytes())).map(Self).ok_or_else(|| {
            let names = "TRACE, DEBUG, INFO, WARN, ERROR or FATAL, perhaps with 2, 3 or 4 behind it";
            D::Error::custom(format!("`{text}` is no severity: write {names}"))
        })
    }
}

impl<'de> Deserialize<'de> for SeverityNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            number @ 1..=24 => Ok(Self(Severity(number))),
            number => Err(D::Error::custom(format!("{number} is no severity: write 1 (TRACE) to 24 (FATAL4)"))),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        UnixNanos::parse_rfc3339(text.as_bytes()).map(Self).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is no time in RFC 3339: write it as 2026-11-23T00:00:00.123Z"))
        })
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = text.as_bytes();
        let mut id = [0; N];
        let digits = bytes.len() == 2 * N && bytes.iter().all(u8::is_ascii_hexdigit);
        for (at, byte) in id.iter_mut().enumerate().filter(|_| digits) {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(D::Error::custom)?;
        }
        if digits && id != [0; N] {
            return Ok(Self(id));
        }
        Err(D::Error::custom(format!("`{text}` is no id: write {} hexadecimal digits, not all 0", 2 * N)))
    }
}
