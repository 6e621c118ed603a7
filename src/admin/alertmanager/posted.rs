//! Alerts that others send, as Prometheus sends them to Alertmanager.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::alerting::Alert;
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    starts_at: Option<jiff::Timestamp>,
    #[serde(default)]
    ends_at: Option<jiff::Timestamp>,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
}

/// Alerts, each with its end where it has one; and what is wrong with others, in words.
pub(super) type Read = (Vec<(Alert, Option<UnixMillis>)>, Vec<String>);

/// Reads the body of a request.
///
/// # Errors
/// Where it is no list of alerts at all.
pub(super) fn read(body: &[u8], now: UnixMillis) -> Result<Read, serde_json::Error> {
    let posted: Vec<Posted> = serde_json::from_slice(body)?;
    let (mut alerts, mut wrong) = (Vec::with_capacity(posted.len()), Vec::new());
    for one in posted {
        match check(one, now) {
            Ok(alert) => alerts.push(alert),
            Err(why) => wrong.push(why.to_owned()),
        }
    }
    Ok((alerts, wrong))
}

fn check(posted: Posted, now: UnixMillis) -> Result<(Alert, Option<UnixMillis>), &'static str> {
    // The year 1 is how Go writes that there is no time.
    let time = |time: Option<jiff::Timestamp>| {
        time.filter(|time| time.as_second() > -62_135_596_800).map(|time| UnixMillis(time.as_millisecond()))
    };
    let (starts_at, ends_at) = (time(posted.starts_at), time(posted.ends_at));
    let starts_at = starts_at.or(ends_at).unwrap_or(now);
    if ends_at.is_some_and(|ends_at| ends_at < starts_at) {
        return Err("start time must be before end time");
    }
    let annotations = posted.annotations.unwrap_or_default();
    if posted.labels.keys().chain(annotations.keys()).any(String::is_empty) {
        return Err("a label or an annotation has no name");
    }
    let labels: LabelSet = posted.labels.iter().collect();
    if labels.is_empty() {
        return Err("at least one label pair required");
    }
    let alert = Alert {
        labels,
        annotations: annotations.iter().collect(),
        starts_at,
        ends_at: ends_at.unwrap_or(now),
        generator_url: posted.generator_url.unwrap_or_default(),
        value: f64::NAN,
        occurrences: Vec::new(),
    };
    Ok((alert, ends_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_made_up_for_and_what_is_wrong_is_told() {
        let body = r#"[
            { "labels": { "a": "1", "empty": "" } },
            { "labels": { "a": "2" }, "endsAt": "1970-01-01T00:00:05Z", "startsAt": "0001-01-01T00:00:00Z" },
            { "labels": { "a": "3" }, "startsAt": "1970-01-01T01:00:01+01:00", "endsAt": "1970-01-01T00:00:09.5Z",
              "annotations": { "summary": "x" }, "generatorURL": "http://p/graph" },
            { "labels": { "a": "" } },
            { "labels": { "a": "5" }, "startsAt": "1970-01-01T00:00:02Z", "endsAt": "1970-01-01T00:00:01Z" }
        ]"#;
        let (alerts, wrong) = read(body.as_bytes(), UnixMillis(7000)).expect("a list");
        let times: Vec<_> = alerts
            .iter()
            .map(|(alert, ends)| (alert.labels.len(), alert.starts_at.0, ends.map(|ends| ends.0)))
            .collect();
        assert_eq!(times, [(1, 7000, None), (1, 5000, Some(5000)), (1, 1000, Some(9500))]);
        assert_eq!(wrong, ["at least one label pair required", "start time must be before end time"]);
        assert!(read(b"{}", UnixMillis(0)).is_err());
    }
}
