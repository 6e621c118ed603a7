//! What a notification says, in the shape that Alertmanager gives to templates and to webhooks
//! (<https://prometheus.io/docs/alerting/latest/notifications/>).

use std::cell::OnceCell;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use super::Speaker;
use crate::alerting::alert::{Alert, Occurrence};
use crate::alerting::dispatch::Fingerprint;
use crate::alerting::notifier::Notification;
use crate::alerting::template::Value;
use crate::alerting::template::functions::alertmanager::{self, AlertFields, DataFields};
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

/// What Alertmanager writes for a time that is not known yet: the end of what still fires.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// What a notification says of some of its alerts.
#[derive(Debug)]
pub struct Facts<'a> {
    pub(super) notification: &'a Notification,
    pub(super) speaker: &'a Speaker,
    alerts: &'a [Alert],
    /// As templates see it, once one asked.
    value: OnceCell<Value>,
}

impl<'a> Facts<'a> {
    /// What the notification says of these alerts.
    pub fn of(notification: &'a Notification, alerts: &'a [Alert], speaker: &'a Speaker) -> Self {
        Self { notification, alerts, speaker, value: OnceCell::new() }
    }

    /// `firing` where any alert is.
    pub fn status(&self) -> &'static str {
        let now = self.notification.now;
        status(self.alerts.iter().all(|alert| alert.is_resolved(now)))
    }

    /// Labels that all alerts have with the same value.
    pub fn common_labels(&self) -> LabelSet {
        common(self.alerts.iter().map(|alert| &alert.labels))
    }

    /// Annotations that all alerts have with the same value.
    pub fn common_annotations(&self) -> LabelSet {
        common(self.alerts.iter().map(|alert| &alert.annotations))
    }

    /// The name of the receiver as Alertmanager hands it on: quoted for a regular expression.
    pub fn receiver(&self) -> String {
        quoted(&self.notification.receiver)
    }

    /// All of it, as templates see it.
    pub(super) fn value(&self) -> &Value {
        self.value.get_or_init(|| {
            let now = self.notification.now;
            let alerts = self.alerts.iter().map(|alert| {
                let resolved = alert.is_resolved(now);
                alertmanager::alert(&AlertFields {
                    status: status(resolved),
                    labels: &alert.labels,
                    annotations: &alert.annotations,
                    starts_at: alert.starts_at,
                    ends_at: resolved.then_some(alert.ends_at),
                    generator_url: &alert.generator_url,
                    fingerprint: &Fingerprint::of(&alert.labels).to_string(),
                    occurrences: &alert.occurrences,
                })
            });
            let fields = DataFields {
                receiver: &self.receiver(),
                status: self.status(),
                reason: "",
                group_labels: &self.notification.group_labels,
                common_labels: &self.common_labels(),
                common_annotations: &self.common_annotations(),
                route_labels: &LabelSet::new(),
                external_url: &self.speaker.external_url,
            };
            alertmanager::data(&fields, alerts.collect())
        })
    }

    /// All of it, as a webhook gets it.
    pub fn json(&self) -> Map<String, Json> {
        let alerts = self.alerts.iter().map(|alert| alert_json(alert, self.notification.now));
        let of: [(&str, Json); 7] = [
            ("receiver", self.receiver().into()),
            ("status", self.status().into()),
            ("alerts", alerts.collect()),
            ("groupLabels", labels_json(&self.notification.group_labels)),
            ("commonLabels", labels_json(&self.common_labels())),
            ("commonAnnotations", labels_json(&self.common_annotations())),
            ("externalURL", (*self.speaker.external_url).into()),
        ];
        of.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn status(resolved: bool) -> &'static str {
    if resolved { "resolved" } else { "firing" }
}

fn alert_json(alert: &Alert, now: UnixMillis) -> Json {
    let resolved = alert.is_resolved(now);
    let mut json = serde_json::json!({
        "status": status(resolved),
        "labels": labels_json(&alert.labels),
        "annotations": labels_json(&alert.annotations),
        "startsAt": rfc3339(alert.starts_at),
        "endsAt": if resolved { rfc3339(alert.ends_at) } else { NO_TIME.to_owned() },
        "generatorURL": alert.generator_url,
        "fingerprint": Fingerprint::of(&alert.labels).to_string(),
    });
    // Alertmanager's message has none: only where there are any is there one member more.
    if !alert.occurrences.is_empty() {
        json["occurrences"] = alert.occurrences.iter().map(occurrence_json).collect();
    }
    json
}

fn occurrence_json(of: &Occurrence) -> Json {
    let mut json = serde_json::json!({ "time": rfc3339(of.time), "value": of.value });
    for (name, text) in [("traceID", &of.trace_id), ("spanID", &of.span_id), ("line", &of.line)] {
        if !text.is_empty() {
            json[name] = text.as_str().into();
        }
    }
    json
}

/// Labels as an object.
pub fn labels_json(labels: &LabelSet) -> Json {
    labels.iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect::<Map<_, _>>().into()
}

/// A time as RFC 3339 writes it.
pub fn rfc3339(time: UnixMillis) -> String {
    Timestamp::from_millisecond(time.0).map_or_else(|_| NO_TIME.to_owned(), |time| time.to_string())
}

fn common<'a>(mut sets: impl Iterator<Item = &'a LabelSet>) -> LabelSet {
    let mut common = sets.next().cloned().unwrap_or_default();
    for set in sets {
        common.retain(|name, value| set.get(name) == value);
    }
    common
}

/// As Go's `regexp.QuoteMeta` does.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::sending::Text;
    use crate::alerting::sending::tests::{alert, notification, speaker};

    #[test]
    fn a_notification_is_what_a_webhook_of_version_4_gets() {
        let speaker = speaker();
        let alerts = vec![
            alert(&[("alertname", "Down"), ("job", "a"), ("pod", "1")], 1_000, 9_999_999_999_999),
            alert(&[("alertname", "Down"), ("job", "a"), ("pod", "2")], 1_500, 60_000),
        ];
        let mut notification = notification(alerts);
        notification.receiver = "team.x".into();
        let facts = Facts::of(&notification, &notification.alerts, &speaker);
        let json = Json::from(facts.json());
        assert_eq!(json["receiver"], "team\\.x");
        assert_eq!(json["status"], "firing");
        assert_eq!(json["commonLabels"], serde_json::json!({ "alertname": "Down", "job": "a" }));
        assert_eq!(json["commonAnnotations"], serde_json::json!({ "summary": "it is down" }));
        assert_eq!(json["alerts"][0]["endsAt"], NO_TIME);
        assert_eq!(json["alerts"][1]["startsAt"], "1970-01-01T00:00:01.5Z");
        assert_eq!(json["alerts"][1]["endsAt"], "1970-01-01T00:01:00Z");
        assert_eq!(json["alerts"][1]["status"], "resolved");
        assert_eq!(json["externalURL"], "http://tailwater.example");
        let resolved = Facts::of(&notification, &notification.alerts[1..], &speaker);
        assert_eq!(resolved.status(), "resolved");
    }

    #[test]
    fn what_an_alert_counted_is_one_member_more_where_there_is_any() {
        let speaker = speaker();
        let mut counted = alert(&[("alertname", "Down")], 1_000, i64::MAX);
        let traced = Occurrence {
            time: UnixMillis(1_500),
            value: 0.25,
            trace_id: "ab".into(),
            span_id: "cd".into(),
            line: String::new(),
        };
        let line =
            Occurrence { trace_id: String::new(), span_id: String::new(), line: "<a>\n".into(), ..traced.clone() };
        counted.occurrences = vec![traced, line];
        let notification = notification(vec![counted, alert(&[("alertname", "Down")], 1_000, i64::MAX)]);
        let facts = Facts::of(&notification, &notification.alerts, &speaker);
        let json = Json::from(facts.json());
        let expected = serde_json::json!([
            { "time": "1970-01-01T00:00:01.5Z", "value": 0.25, "traceID": "ab", "spanID": "cd" },
            { "time": "1970-01-01T00:00:01.5Z", "value": 0.25, "line": "<a>\n" },
        ]);
        assert_eq!(json["alerts"][0]["occurrences"], expected);
        assert!(json["alerts"][1].get("occurrences").is_none());
        // Templates write the same.
        let text =
            Text::compile("{{ range .Alerts }}{{ toJson . }}\n{{ end }}", &speaker.templates).expect("a template");
        let written = text.write(&facts).expect("it writes");
        let alerts: Vec<Json> = written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(Json::from(alerts), json["alerts"]);
        let each = "{{ range (index .Alerts 0).Occurrences }}{{ .Time.Format \"15:04:05\" }} {{ .Value }} \
                    [{{ .TraceID }}/{{ .SpanID }}] {{ .Line }};{{ end }}";
        let text = Text::compile(each, &speaker.templates).expect("a template");
        assert_eq!(text.write(&facts).expect("it writes"), "00:00:01 0.25 [ab/cd] ;00:00:01 0.25 [/] <a>\n;");
        let html = text.write_html(&facts).expect("it writes");
        assert!(html.contains("&lt;a&gt;") && !html.contains("<a>"), "{html}");
    }
}
