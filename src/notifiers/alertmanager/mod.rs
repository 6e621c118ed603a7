//! The receiver `alertmanager`: hands alerts on to Alertmanagers (API v2, `POST /api/v2/alerts`), as Prometheus does: every
//! member of the cluster is told, and one that took them is enough, for the members tell each other.
//!
//! Alertmanager takes an alert for resolved that it does not hear of any more. When that is, is said as a request is sent
//! and not as it is written: what waited in the outbox fires as long as what did not.

mod members;
mod options;

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Map, Value as Json};

use crate::alerting::sending::{Global, Post, Poster, Speaker, Target, labels_json, notification_key, rfc3339};
use crate::alerting::{Alert, Notification, Notifier, Page, PageKind, Refusal, WriteError};
use crate::data::UnixMillis;
use crate::relabel::{Rules, Scratch, Verdict};
use members::Members;

pub use options::Options;

/// The kind's name.
const KIND: &str = "alertmanager";

/// Most alerts of one request: as many as Prometheus sends at most.
const MOST_ALERTS: usize = 256;

/// An alert counts as resolved after so many times the pause in which it is told again.
const PATIENCE: u32 = 4;

/// A receiver.
#[derive(Debug)]
pub(super) struct Alertmanager {
    send_resolved: bool,
    poster: Poster,
    members: Members,
    resend_every: Duration,
    relabel: Rules,
    speaker: Speaker,
    /// The wall clock.
    clock: fn() -> UnixMillis,
}

impl Alertmanager {
    /// One as the options say.
    pub fn new(options: &Options, global: &Global, speaker: &Speaker) -> Result<Self, String> {
        let http = options.http_config.as_ref().or(global.http_config.as_ref());
        let http = http.map(|http| http.value.clone()).unwrap_or_default();
        let said = |problems: Vec<crate::options::Problem>| {
            let words: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
            format!("{KIND}: {}", words.join("; "))
        };
        Ok(Self {
            send_resolved: options.send_resolved,
            poster: Poster::new(KIND, &http, options.timeout.0)?,
            members: Members::new(options),
            resend_every: options.resend_every.0,
            relabel: options.rules().map_err(said)?,
            speaker: speaker.clone(),
            clock: UnixMillis::now,
        })
    }

    /// The alert as the API takes it; `None` where a rule drops it.
    fn alert(&self, alert: &Alert, now: UnixMillis, scratch: &mut Scratch) -> Option<Map<String, Json>> {
        let mut labels = alert.labels.clone();
        labels.retain(|name, _| !self.speaker.replica_labels.iter().any(|label| label == name));
        if self.relabel.apply(&mut labels, scratch) == Verdict::Dropped || labels.is_empty() {
            return None;
        }
        let mut written = Map::new();
        written.insert("labels".into(), labels_json(&labels));
        written.insert("annotations".into(), labels_json(&alert.annotations));
        written.insert("startsAt".into(), rfc3339(alert.starts_at).into());
        if alert.is_resolved(now) {
            written.insert(ENDS_AT.into(), rfc3339(alert.ends_at).into());
        }
        // The API refuses a request for one address that is none.
        if url::Url::parse(&alert.generator_url).is_ok() {
            written.insert("generatorURL".into(), alert.generator_url.as_str().into());
        }
        Some(written)
    }

    /// What is sent: what still fires gets an end by which it must have been told again.
    fn body(&self, page: &Page) -> Result<bytes::Bytes, Refusal> {
        let malformed = |_| Refusal::ForGood(format!("{KIND}: what was journalled is not a list of alerts"));
        let mut alerts: Vec<Map<String, Json>> = serde_json::from_slice(&page.body).map_err(malformed)?;
        let valid = self.resend_every.saturating_mul(PATIENCE).as_millis();
        let until = (self.clock)().0.saturating_add(i64::try_from(valid).unwrap_or(i64::MAX));
        for alert in &mut alerts {
            alert.entry(ENDS_AT).or_insert_with(|| rfc3339(UnixMillis(until)).into());
        }
        serde_json::to_vec(&alerts).map(Into::into).map_err(malformed)
    }

    async fn tell(&self, page: &Page) -> Result<(), Refusal> {
        let body = self.body(page)?;
        let members = self.members.now().await;
        if members.is_empty() {
            let why = format!("{KIND}: the DNS knows no member; check `dns` of the receiver");
            return Err(Refusal::ForNow { why, after: None });
        }
        let told = members.iter().map(async |url| {
            // A prefix may be a token; the API's own path is none.
            let secrets: Vec<&str> = url.path().trim_end_matches(members::PATH).split('/').collect();
            self.poster.post(url, Post { body: body.clone().into(), secrets: &secrets, ..Post::default() }).await
        });
        let told: Vec<_> = join_all(told).await.into_iter().map(|told| told.map(|_| ())).collect();
        one_is_enough(told)
    }
}

/// The key of an alert's end.
const ENDS_AT: &str = "endsAt";

/// Taken where one member took it. Else it may be later, unless every member says that it never will be.
fn one_is_enough(told: Vec<Result<(), Refusal>>) -> Result<(), Refusal> {
    let one = told.iter().any(Result::is_ok);
    let mut for_good = None;
    let mut for_now: Option<(String, Option<Duration>)> = None;
    for refusal in told.into_iter().filter_map(Result::err) {
        if one {
            tracing::warn!(%refusal, "an Alertmanager was not told; another was");
            continue;
        }
        let (why, after) = match refusal {
            Refusal::ForGood(why) => {
                for_good = Some(Refusal::ForGood(why));
                continue;
            }
            Refusal::OfKey(why) => (why, None),
            Refusal::ForNow { why, after } => (why, after),
        };
        let sooner = for_now.as_ref().is_some_and(|(_, before)| *before <= after);
        if !sooner {
            for_now = Some((why, after));
        }
    }
    match (for_now, for_good) {
        _ if one => Ok(()),
        (Some((why, after)), _) => Err(Refusal::ForNow { why, after }),
        (None, Some(never)) => Err(never),
        (None, None) => Ok(()),
    }
}

impl Notifier for Alertmanager {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn target(&self) -> Target {
        self.members.target()
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn resend_every(&self) -> Option<Duration> {
        Some(self.resend_every)
    }

    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
        let now = notification.now;
        let key = notification_key(notification, &self.speaker);
        let mut scratch = Scratch::default();
        let wanted = notification.alerts.iter().filter(|alert| self.send_resolved || !alert.is_resolved(now));
        let written: Vec<_> = wanted.filter_map(|alert| self.alert(alert, now, &mut scratch)).collect();
        let pages = written.chunks(MOST_ALERTS).map(|alerts| {
            let resolved = alerts.iter().all(|alert| alert.contains_key(ENDS_AT));
            let body = serde_json::to_vec(alerts).map_err(|error| WriteError(format!("{KIND}: {error}")))?;
            // All under one key: the pages of a group stay in order, whichever of them an alert is in.
            let kind = if resolved { PageKind::Resolve } else { PageKind::Trigger };
            Ok(Page { key: key.clone(), kind, about: notification.names(), body: body.into() })
        });
        pages.collect()
    }

    fn send<'a>(&'a self, page: &'a Page) -> BoxFuture<'a, Result<(), Refusal>> {
        self.tell(page).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::sending::tests::{NOW, alert, notification, speaker};
    use crate::options::Spanned;

    fn receiver(options: serde_json::Value) -> Alertmanager {
        let options: Options = serde_json::from_value(options).expect("options");
        let made = Alertmanager::new(&options, &Global::default(), &speaker()).expect("a receiver");
        Alertmanager { clock: || UnixMillis(NOW.0 + 3_600_000), ..made }
    }

    fn sent(receiver: &Alertmanager, alerts: Vec<Alert>) -> Json {
        let pages = receiver.write(&notification(alerts)).expect("pages");
        assert_eq!(pages.len(), 1);
        serde_json::from_slice(&receiver.body(&pages[0]).expect("a body")).expect("JSON")
    }

    #[test]
    fn what_fires_gets_an_end_when_it_is_sent_and_what_resolved_keeps_its_own() {
        let receiver = receiver(serde_json::json!({ "urls": ["http://a:9093"], "resend_every": "30s" }));
        let fires = alert(&[("alertname", "Down"), ("pod", "1"), ("prometheus_replica", "b")], NOW.0 - 1000, i64::MAX);
        let resolved = alert(&[("alertname", "Down"), ("pod", "2")], NOW.0 - 1000, NOW.0 - 500);
        let sent = sent(&receiver, vec![fires, resolved]);
        assert_eq!(sent[0]["labels"], serde_json::json!({ "alertname": "Down", "pod": "1" }));
        assert_eq!(sent[0]["startsAt"], "2026-11-29T07:59:59Z");
        assert_eq!(sent[0]["endsAt"], "2026-11-29T09:02:00Z", "an hour in the outbox, and four times 30 s");
        assert_eq!(sent[1]["endsAt"], "2026-11-29T07:59:59.5Z");
        assert_eq!(sent[0]["annotations"]["summary"], "it is down");
    }

    #[test]
    fn rules_change_and_drop_alerts() {
        let receiver = receiver(serde_json::json!({
            "urls": ["http://a:9093"],
            "alert_relabel_configs": [
                { "source_labels": ["pod"], "regex": "2", "action": "drop" },
                { "action": "labeldrop", "regex": "pod" }
            ]
        }));
        let alerts = ["1", "2"].map(|pod| alert(&[("alertname", "Down"), ("pod", pod)], NOW.0, i64::MAX));
        let sent = sent(&receiver, alerts.into());
        assert_eq!(sent.as_array().map(Vec::len), Some(1));
        assert_eq!(sent[0]["labels"], serde_json::json!({ "alertname": "Down" }));
    }

    #[test]
    fn many_alerts_are_several_pages_of_one_key() {
        let receiver = receiver(serde_json::json!({ "urls": ["http://a:9093"] }));
        let alerts = (0..600).map(|pod| alert(&[("alertname", "Down"), ("pod", &pod.to_string())], NOW.0, i64::MAX));
        let pages = receiver.write(&notification(alerts.collect())).expect("pages");
        let sizes = pages.iter().map(|page| serde_json::from_slice::<Vec<Json>>(&page.body).expect("JSON").len());
        assert_eq!(sizes.collect::<Vec<_>>(), [256, 256, 88]);
        assert!(pages.iter().all(|page| page.key == pages[0].key));
    }

    #[test]
    fn one_member_is_enough_and_only_all_of_them_refuse_for_good() {
        let good = || Refusal::ForGood("never".into());
        let now = |after| Refusal::ForNow { why: "later".into(), after };
        let secs = |secs| Some(Duration::from_secs(secs));
        assert!(one_is_enough(vec![Err(now(None)), Ok(()), Err(good())]).is_ok());
        assert!(matches!(one_is_enough(vec![Err(good()), Err(good())]), Err(Refusal::ForGood(_))));
        let mixed = one_is_enough(vec![Err(good()), Err(now(secs(9))), Err(now(secs(3)))]);
        assert!(matches!(mixed, Err(Refusal::ForNow { after, .. }) if after == secs(3)), "{mixed:?}");
    }

    #[test]
    fn options_that_reach_nobody_are_told() {
        let codes = |options: serde_json::Value| {
            let options: Options = serde_json::from_value(options).expect("options");
            let problems = options.problems(Spanned::<()>::default().span);
            problems.into_iter().map(|problem| problem.code.0).collect::<Vec<_>>()
        };
        assert_eq!(codes(serde_json::json!({})), ["TW1041"]);
        assert_eq!(codes(serde_json::json!({ "urls": ["alertmanager:9093"] })), ["TW1043"]);
        assert_eq!(codes(serde_json::json!({ "dns": [{ "name": "alertmanager", "type": "A" }] })), ["TW1041"]);
        assert_eq!(codes(serde_json::json!({ "urls": ["http://a"], "resend_every": "0" })), ["TW1045"]);
        assert_eq!(codes(serde_json::json!({ "urls": ["http://a"], "alert_relabel_configs": [{ "regex": "(", "action": "keep", "source_labels": ["a"] }] })).len(), 1);
        assert!(codes(serde_json::json!({ "dns": [{ "name": "_web._tcp.alertmanager" }] })).is_empty());
    }
}
