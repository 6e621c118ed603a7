//! An answer of Prometheus's HTTP API v1 to an instant query, read within the limits that a query of the agent's own has.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::data::LabelSet;
use crate::promql::{Annotations, EvalError, Evaluation, Limits, Point, Value, VectorSample};

/// Reads the body of an answer to a query at a time in milliseconds.
///
/// # Errors
/// In words, where it is none, tells of a failure, or is larger than the limits.
pub(super) fn read(body: &[u8], at: i64, limits: &Limits) -> Result<Evaluation, String> {
    let answer: Answer<'_> =
        serde_json::from_slice(body).map_err(|error| format!("no answer of Prometheus's API: {error}"))?;
    let Some(data) = answer.data.filter(|_| answer.status == "success") else {
        return Err(answer.error);
    };
    let annotations =
        Annotations { warnings: answer.warnings.into_iter().collect(), infos: answer.infos.into_iter().collect() };
    Ok(Evaluation { value: value(&data, at, limits)?, annotations })
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: String,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    result_type: String,
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
struct Series {
    metric: std::collections::BTreeMap<String, String>,
    value: Option<(f64, String)>,
}

fn value(data: &Data<'_>, at: i64, limits: &Limits) -> Result<Value, String> {
    let unread = |error: serde_json::Error| error.to_string();
    match data.result_type.as_str() {
        "scalar" => {
            let (_, text): (f64, String) = serde_json::from_str(data.result.get()).map_err(unread)?;
            number(&text).map(Value::Scalar)
        }
        "vector" => {
            let mut json = serde_json::Deserializer::from_str(data.result.get());
            Vector { at, limits }.deserialize(&mut json).map(Value::Vector).map_err(unread)
        }
        other => Err(format!("its result is a {other}, and a rule needs a vector or a scalar")),
    }
}

/// Takes the series of a vector one after the other, and no more of them than the limits allow.
struct Vector<'l> {
    at: i64,
    limits: &'l Limits,
}

impl<'de> DeserializeSeed<'de> for Vector<'_> {
    type Value = Vec<VectorSample>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Vector<'_> {
    type Value = Vec<VectorSample>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut series: A) -> Result<Self::Value, A::Error> {
        let (mut samples, mut bytes) = (Vec::new(), 0);
        while let Some(Series { metric, value }) = series.next_element()? {
            let (_, text) =
                value.ok_or_else(|| de::Error::custom("it has native histograms, which are not read from there"))?;
            let labels: usize = metric.iter().map(|(name, value)| name.len() + value.len() + PER_LABEL).sum();
            bytes += (size_of::<VectorSample>() + labels) as u64;
            if samples.len() as u64 >= self.limits.samples {
                return Err(de::Error::custom(EvalError::TooManySamples));
            }
            if bytes > self.limits.bytes {
                return Err(de::Error::custom(EvalError::TooManyBytes(self.limits.bytes)));
            }
            let labels: LabelSet = metric.into_iter().collect();
            samples.push(VectorSample {
                labels,
                time: self.at,
                point: Point::Float(number(&text).map_err(de::Error::custom)?),
            });
        }
        Ok(samples)
    }
}

/// What a label takes beside its text.
const PER_LABEL: usize = 2 * size_of::<Box<str>>();

/// A number as Prometheus's API writes it.
fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        _ => text.parse().map_err(|_| format!("`{text}` is no number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> Result<Value, String> {
        read(json.as_bytes(), 1_000, &Limits::default()).map(|evaluation| evaluation.value)
    }

    #[test]
    fn vectors_and_scalars_are_read_and_nothing_else() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"up","job":"a"},"value":[1,"+Inf"]},{"metric":{},"value":[1,"2.5"]}]}}"#;
        let Ok(Value::Vector(samples)) = answer(vector) else { panic!("a vector") };
        assert_eq!(samples.len(), 2);
        assert!(matches!(samples[0].point, Point::Float(value) if value == f64::INFINITY));
        assert_eq!((samples[0].labels.get("job"), samples[1].time), ("a", 1_000));
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}"#;
        assert!(matches!(answer(scalar), Ok(Value::Scalar(value)) if value.is_nan()));
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(
            answer(matrix).expect_err("a matrix"),
            "its result is a matrix, and a rule needs a vector or a scalar"
        );
        let histogram =
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#;
        assert!(answer(histogram).expect_err("a histogram").contains("native histograms"));
        let failed = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(answer(failed).expect_err("a failure"), "parse error");
        assert!(answer("<html>").expect_err("a page").starts_with("no answer of Prometheus's API"));
    }

    #[test]
    fn an_answer_takes_no_more_than_a_query_may() {
        let series: Vec<String> =
            (0..100).map(|n| format!(r#"{{"metric":{{"n":"{n}{:>100}"}},"value":[1,"1"]}}"#, "")).collect();
        let body =
            format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, series.join(","));
        let within = |limits: Limits| read(body.as_bytes(), 0, &limits).map(drop);
        assert_eq!(within(Limits { samples: 100, bytes: 100_000, ..Limits::default() }), Ok(()));
        let many = within(Limits { samples: 99, ..Limits::default() }).expect_err("too many");
        assert!(many.starts_with("query processing would load too many samples"), "{many}");
        let large = within(Limits { bytes: 5_000, ..Limits::default() }).expect_err("too large");
        assert!(large.starts_with("query needs more than 5000 bytes"), "{large}");
    }
}
