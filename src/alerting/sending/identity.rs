//! Keys by which a receiver knows what it was told before. They are the same on every replica and after every restart, so
//! they are made of what an alert is, never of when or where it was seen.

use std::fmt::{self, Write};

use ring::digest::{Context, SHA256};

use super::{Credential, Speaker};
use crate::alerting::alert::Alert;
use crate::alerting::notifier::Notification;

/// A hash of fields, each with its length before it: fields that are cut differently hash differently.
struct Fields(Context);

impl Fields {
    /// Begins with what kind of key it is, so that no two kinds are ever the same.
    fn of(kind: &str) -> Self {
        let mut fields = Self(Context::new(&SHA256));
        fields.add(kind.as_bytes());
        fields
    }

    fn add(&mut self, field: &[u8]) {
        self.0.update(&(field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    /// 64 digits.
    fn hex(self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0.finish().as_ref() {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// Digits of a target: enough to tell those of one configuration apart, and too few to say what was hashed.
const TARGET: usize = 12;

/// To whom pages are sent: a hash of the address and of what else decides who hears of them, secrets among it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(Box<str>);

impl Target {
    /// That of texts, in their order.
    pub fn of<'a>(kind: &str, texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::with_secret(kind, texts, None)
    }

    /// That of texts and of a secret. One that its own file may change later is known by the path of the file: another key
    /// in it is another key of the same service.
    pub fn with_secret<'a>(kind: &str, texts: impl IntoIterator<Item = &'a str>, secret: Option<&Credential>) -> Self {
        let mut fields = Fields::of("target");
        fields.add(kind.as_bytes());
        texts.into_iter().for_each(|text| fields.add(text.as_bytes()));
        match secret {
            Some(Credential::Given(secret)) => fields.add(secret.expose().trim().as_bytes()),
            Some(Credential::File(path)) => fields.add(path.as_os_str().as_encoded_bytes()),
            None => {}
        }
        let mut digits = fields.hex();
        digits.truncate(TARGET);
        Self(digits.into())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of an alert: a hash of the cluster and of its labels, those that tell replicas apart left out.
pub fn dedup_key(alert: &Alert, speaker: &Speaker) -> String {
    let mut fields = Fields::of("alert");
    fields.add(speaker.cluster.as_deref().unwrap_or_default().as_bytes());
    for (name, value) in alert.labels.iter() {
        if !speaker.replica_labels.iter().any(|label| label == name) {
            fields.add(name.as_bytes());
            fields.add(value.as_bytes());
        }
    }
    fields.hex()
}

/// The key of a group of alerts for one receiver.
pub fn notification_key(notification: &Notification, speaker: &Speaker) -> String {
    let mut fields = Fields::of("group");
    fields.add(speaker.cluster.as_deref().unwrap_or_default().as_bytes());
    fields.add(notification.receiver.as_bytes());
    fields.add(notification.group_key.as_bytes());
    fields.hex()
}

/// The id of one notification, however often it is sent: the group, when it was said, and its place among several of one
/// receiver.
pub fn notification_id(notification: &Notification, speaker: &Speaker, place: usize) -> String {
    let mut fields = Fields::of("notification");
    fields.add(speaker.cluster.as_deref().unwrap_or_default().as_bytes());
    fields.add(notification.receiver.as_bytes());
    fields.add(notification.group_key.as_bytes());
    fields.add(&notification.now.0.to_be_bytes());
    fields.add(&(place as u64).to_be_bytes());
    fields.hex()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::sending::tests::{alert, notification, speaker};

    #[test]
    fn an_alert_has_the_same_key_on_every_replica_and_another_one_in_every_other_respect() {
        let speaker = speaker();
        let key = |labels: &[(&str, &str)]| dedup_key(&alert(labels, 0, 1), &speaker);
        let known = key(&[("alertname", "Down"), ("pod", "a-1")]);
        assert_eq!(known.len(), 64);
        assert_eq!(known, key(&[("pod", "a-1"), ("alertname", "Down"), ("prometheus_replica", "1")]));
        assert_eq!(known, key(&[("__replica__", "agent-7"), ("pod", "a-1"), ("alertname", "Down")]));
        // A cut elsewhere is another alert: lengths are hashed too.
        assert_ne!(known, key(&[("alertname", "Downp"), ("od", "a-1")]));
        assert_ne!(known, key(&[("alertname", "Down"), ("pod", "a-"), ("x", "1")]));
        assert_ne!(known, key(&[("alertname", "Down"), ("pod", "a-1"), ("replica", "1")]));
        let elsewhere = Speaker { cluster: Some("two".into()), ..speaker.clone() };
        assert_ne!(known, dedup_key(&alert(&[("alertname", "Down"), ("pod", "a-1")], 0, 1), &elsewhere));
        // What incidents are open under: it must never change from a release to the next.
        assert_eq!(known, "77ad1f9ee79e95df4b768402b572edd6a1fb22e070f54f9debbe7099c2cff094");
    }

    #[test]
    fn a_target_is_told_by_its_secret_and_never_tells_it() {
        let given = |key: &str| Credential::Given(crate::options::Secret::from_value(key));
        let of = |url: &str, key: &str| Target::with_secret("pagerduty", [url], Some(&given(key)));
        let known = of("https://a/", "0123456789abcdef");
        assert_eq!(known, of("https://a/", " 0123456789abcdef\n"), "what surrounds it is not sent either");
        assert_ne!(known, of("https://a/", "0123456789abcdeg"));
        assert_ne!(known, of("https://b/", "0123456789abcdef"));
        assert_ne!(known, Target::with_secret("webhook", ["https://a/"], Some(&given("0123456789abcdef"))));
        // What journals name lanes by: it must never change from a release to the next.
        assert_eq!(known.to_string(), "5b8c489cf292");
    }

    #[test]
    fn a_notification_that_is_said_again_has_another_id_and_the_same_key() {
        let (speaker, first) = (speaker(), notification(vec![]));
        let mut again = first.clone();
        again.now.0 += 1;
        assert_eq!(notification_key(&first, &speaker), notification_key(&again, &speaker));
        assert_eq!(notification_id(&first, &speaker, 0), notification_id(&first.clone(), &speaker, 0));
        assert_ne!(notification_id(&first, &speaker, 0), notification_id(&again, &speaker, 0));
        assert_ne!(notification_id(&first, &speaker, 0), notification_id(&first, &speaker, 1));
    }
}
