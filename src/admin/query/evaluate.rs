//! Queries: at an instant, over a range, and printed.

use std::time::{Duration, Instant};

use axum::response::Response;

use super::answer::{Answered, Fault, respond};
use super::form::{Form, duration};
use super::sending::Sending;
use super::{Api, aside, aside_sending, json};
use crate::promql::{Annotations, Limits, Query, Value, When};

/// Most steps of a range.
const MOST_STEPS: u128 = 11_000;

/// Resolution of a subquery that gives none.
const INTERVAL: Duration = Duration::from_mins(1);

/// Bytes that a sample takes: its time and its value.
const SAMPLE: u64 = 16;

pub(super) async fn instant(api: &Api, form: &Form) -> Result<Answered, Fault> {
    let limit = form.limit()?;
    let time = form.time_or("time", (api.now)().0)?;
    let (deadline, lookback) = bounds(api, form)?;
    let query = query(form)?;
    aside(api, move |api| at_once(api, &query, time, limits(api, deadline, lookback), limit)).await
}

pub(super) async fn range(api: &Api, form: &Form) -> Response {
    match asked(api, form) {
        Ok(asked) => aside_sending(api, move |api, sending| over_range(api, asked, sending)).await,
        Err(fault) => respond(Err(fault)),
    }
}

/// A query over a range, as it was asked.
struct Asked {
    query: Query,
    /// Start, end and step in milliseconds.
    range: (i64, i64, i64),
    limits: Limits,
    /// Most series.
    limit: usize,
}

fn asked(api: &Api, form: &Form) -> Result<Asked, Fault> {
    let limit = form.limit()?;
    let (start, end) = (form.time("start")?, form.time("end")?);
    if end < start {
        return Err(Fault::parameter("end", "end timestamp must not be before start time"));
    }
    let (negative, step) = duration(form.get("step")).map_err(|problem| Fault::parameter("step", problem))?;
    let step = step.as_millis();
    if negative || step == 0 {
        let problem = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Fault::parameter("step", problem));
    }
    if u128::from(end.abs_diff(start)) / step > MOST_STEPS {
        let problem = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
                       (?step=XX)";
        return Err(Fault::bad_data(problem));
    }
    let (deadline, lookback) = bounds(api, form)?;
    let query = query(form)?;
    query.check_range().map_err(|error| Fault::parameter("query", error))?;
    let range = (start, end, i64::try_from(step).unwrap_or(i64::MAX));
    Ok(Asked { query, range, limits: limits(api, deadline, lookback), limit })
}

pub(super) fn format(form: &Form) -> Result<Answered, Fault> {
    let mut answered = Answered::new(Annotations::default());
    json::text(&query(form)?.pretty(), answered.data());
    Ok(answered)
}

fn query(form: &Form) -> Result<Query, Fault> {
    let text = form.get("query");
    Query::parse(text).map_err(|error| Fault::parameter("query", error.in_text(text)))
}

/// When the query is given up, and how far back it looks.
fn bounds(api: &Api, form: &Form) -> Result<(Instant, Duration), Fault> {
    let mut timeout = api.options.timeout.0;
    if !form.get("timeout").is_empty() {
        let (negative, given) =
            duration(form.get("timeout")).map_err(|problem| Fault::parameter("timeout", problem))?;
        if negative || given.is_zero() {
            let problem = format!("timeout must be positive, got {}", form.get("timeout"));
            return Err(Fault::parameter("timeout", problem));
        }
        timeout = timeout.min(given);
    }
    let mut lookback = api.options.lookback.0;
    if !form.get("lookback_delta").is_empty() {
        let given = duration(form.get("lookback_delta"));
        let (negative, given) =
            given.map_err(|problem| Fault::bad_data(format!("error parsing lookback delta duration: {problem}")))?;
        // As in Prometheus, what is not positive says nothing.
        lookback = if negative || given.is_zero() { lookback } else { given };
    }
    Ok((Instant::now() + timeout, lookback))
}

fn limits(api: &Api, deadline: Instant, lookback: Duration) -> Limits {
    let bytes = api.options.memory.0;
    Limits {
        lookback,
        interval: INTERVAL,
        deadline: Some(deadline),
        samples: bytes / SAMPLE,
        bytes,
        ..Limits::default()
    }
}

fn at_once(api: &Api, query: &Query, time: i64, limits: Limits, limit: usize) -> Result<Answered, Fault> {
    let samples = api.samples()?;
    let evaluated = query.evaluate(&*samples, When::Instant(time), &limits)?;
    let mut value = evaluated.value;
    let truncated = match &mut value {
        Value::Vector(series) => cut(series, limit),
        Value::Matrix(series) => cut(series, limit),
        Value::Scalar(_) | Value::String(_) => false,
    };
    let mut answered = Answered::new(evaluated.annotations);
    json::value(&value, time, answered.data());
    Ok(answered.truncated(truncated))
}

fn over_range(api: &Api, asked: Asked, sending: &mut Sending) -> Result<Answered, Fault> {
    let Asked { query, range, limits, limit } = asked;
    let samples = api.samples()?;
    let (mut matrix, notes) = query.evaluate_range(&*samples, range, &limits)?;
    let truncated = matrix.len() > limit;
    matrix.truncate(limit);
    let mut answered = Answered::new(notes).truncated(truncated);
    json::matrix(&matrix, answered.data(), |written| sending.take(written))
        .map_err(|_| Fault::internal("the client takes the answer no more"))?;
    Ok(answered)
}

fn cut<T>(series: &mut Vec<T>, limit: usize) -> bool {
    let more = series.len() > limit;
    series.truncate(limit);
    more
}
