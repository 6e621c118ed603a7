//! Floor 7: kinds of receivers, one file or folder each. A [`Receiver`] is what a route names: notifiers of any kinds, as
//! Alertmanager's configuration writes them.

mod alertmanager;
mod console;
mod email;
pub mod heartbeat;
mod pagerduty;
mod slack;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alerting::Notifier;
use crate::alerting::sending::{Global, NOT_HERE, Speaker, missing};
use crate::options::http_client::NotSupported;
use crate::options::{Each, Problem, Span, Spanned};

/// Whom a route tells: any number of notifiers under one name.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Receiver {
    /// Its name, by which routes name it. Required.
    pub name: Spanned<String>,
    /// Labels of the receiver itself. They have no effect here.
    pub labels: BTreeMap<String, String>,
    /// Services of PagerDuty.
    pub pagerduty_configs: Each<Spanned<pagerduty::Options>>,
    /// Alertmanagers that alerts are handed on to.
    pub alertmanager_configs: Each<Spanned<alertmanager::Options>>,
    /// Webhooks.
    pub webhook_configs: Each<Spanned<webhook::Options>>,
    /// Channels of Slack.
    pub slack_configs: Each<Spanned<slack::Options>>,
    /// Mail.
    pub email_configs: Each<Spanned<email::Options>>,
    /// Standard output, or the agent's own log.
    pub console_configs: Each<Spanned<console::Options>>,
    /// Not supported: Discord.
    pub discord_configs: Option<Spanned<NotSupported>>,
    /// Not supported: incident.io.
    pub incidentio_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Jira.
    pub jira_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Mattermost.
    pub mattermost_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Microsoft Teams.
    pub msteams_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Microsoft Teams.
    pub msteamsv2_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Opsgenie.
    pub opsgenie_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Pushover.
    pub pushover_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Rocket.Chat.
    pub rocketchat_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Amazon SNS.
    pub sns_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Telegram.
    pub telegram_configs: Option<Spanned<NotSupported>>,
    /// Not supported: VictorOps.
    pub victorops_configs: Option<Spanned<NotSupported>>,
    /// Not supported: Webex.
    pub webex_configs: Option<Spanned<NotSupported>>,
    /// Not supported: WeChat.
    pub wechat_configs: Option<Spanned<NotSupported>>,
}

/// What a receiver cannot be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver `{receiver}` cannot be prepared: {why}")]
pub struct ReceiverError {
    /// Its name.
    pub receiver: String,
    /// What is missing.
    pub why: String,
}

impl Receiver {
    /// Everything that is wrong with it, each at its place. What is global has problems of its own:
    /// [`Global::problems`].
    pub fn problems(&self, global: &Global, speaker: &Speaker) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.name.is_empty() {
            missing("`name` of the receiver", self.name.span, &mut found);
        }
        for (kind, written) in self.not_here() {
            if let Some(written) = written {
                let message = format!("there is no kind of receiver `{kind}`");
                let help = "send to it by `webhook_configs`, with `payload` or `body` for what it takes, or hand its alerts on \
                            to an Alertmanager that has it, by `alertmanager_configs`";
                found.push(Problem::new(NOT_HERE, written.span, message).help(help));
            }
        }
        found.extend(each(&self.pagerduty_configs, |options, whole| options.problems(whole, speaker)));
        found.extend(each(&self.alertmanager_configs, |options, whole| options.problems(whole)));
        found.extend(each(&self.webhook_configs, |options, whole| options.problems(whole, speaker)));
        found.extend(each(&self.slack_configs, |options, whole| options.problems(whole, global, speaker)));
        found.extend(each(&self.email_configs, |options, whole| options.problems(whole, global, speaker)));
        found.extend(each(&self.console_configs, |options, whole| options.problems(whole, speaker)));
        found.into_iter().map(|problem| problem.at_least(self.name.span)).collect()
    }

    /// Its notifiers. Nothing is connected to and no file is read: what they need may come later.
    ///
    /// # Errors
    /// Where options have [problems](Self::problems), or make no HTTP client.
    pub fn notifiers(&self, global: &Global, speaker: &Speaker) -> Result<Vec<Arc<dyn Notifier>>, ReceiverError> {
        let unfit = |why| ReceiverError { receiver: self.name.value.clone(), why };
        self.all(global, speaker).map_err(unfit)
    }

    fn all(&self, global: &Global, speaker: &Speaker) -> Result<Vec<Arc<dyn Notifier>>, String> {
        let mut all: Vec<Arc<dyn Notifier>> = Vec::new();
        for options in &self.pagerduty_configs {
            all.push(Arc::new(pagerduty::PagerDuty::new(options, global, speaker)?));
        }
        for options in &self.alertmanager_configs {
            all.push(Arc::new(alertmanager::Alertmanager::new(options, global, speaker)?));
        }
        for (place, options) in self.webhook_configs.iter().enumerate() {
            all.push(Arc::new(webhook::Webhook::new(options, global, speaker, place)?));
        }
        for (place, options) in self.slack_configs.iter().enumerate() {
            all.push(Arc::new(slack::Slack::new(options, global, speaker, place)?));
        }
        for (place, options) in self.email_configs.iter().enumerate() {
            all.push(Arc::new(email::Email::new(options, global, speaker, place)?));
        }
        for options in &self.console_configs {
            all.push(Arc::new(console::Console::new(options, speaker)?));
        }
        Ok(all)
    }

    /// Kinds that Alertmanager has and that are not here.
    fn not_here(&self) -> [(&'static str, Option<&Spanned<NotSupported>>); 14] {
        [
            ("discord", self.discord_configs.as_ref()),
            ("incidentio", self.incidentio_configs.as_ref()),
            ("jira", self.jira_configs.as_ref()),
            ("mattermost", self.mattermost_configs.as_ref()),
            ("msteams", self.msteams_configs.as_ref()),
            ("msteamsv2", self.msteamsv2_configs.as_ref()),
            ("opsgenie", self.opsgenie_configs.as_ref()),
            ("pushover", self.pushover_configs.as_ref()),
            ("rocketchat", self.rocketchat_configs.as_ref()),
            ("sns", self.sns_configs.as_ref()),
            ("telegram", self.telegram_configs.as_ref()),
            ("victorops", self.victorops_configs.as_ref()),
            ("webex", self.webex_configs.as_ref()),
            ("wechat", self.wechat_configs.as_ref()),
        ]
    }
}

fn each<'a, T>(all: &'a [Spanned<T>], problems: impl Fn(&'a T, Span) -> Vec<Problem>) -> impl Iterator<Item = Problem> {
    all.iter().flat_map(move |options| problems(&options.value, options.span))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::alerting::sending::tests::speaker;

    #[test]
    fn a_receiver_has_notifiers_of_any_kinds_and_shows_no_secret() {
        let hush = "0123456789abcdef0123456789abcdef";
        let receiver = json!({
            "name": "page",
            "pagerduty_configs": [{ "routing_key": hush }],
            "alertmanager_configs": [{ "urls": ["http://a:9093"] }],
            "webhook_configs": [{ "url": "http://a/b" }, { "url_file": "/url" }],
            "slack_configs": [{ "api_url": "https://hooks.slack.com/services/T0/B0/hush" }],
            "email_configs": [{ "to": "a@example.com", "auth_username": "u", "auth_password": hush }],
            "console_configs": [{}]
        });
        let receiver: Receiver = serde_json::from_value(receiver).expect("options");
        let global = json!({ "smtp_smarthost": "mail:587", "smtp_from": "tw@example.com", "smtp_auth_password": hush });
        let global: Global = serde_json::from_value(global).expect("options");
        assert_eq!(receiver.problems(&global, &speaker()), []);
        let notifiers = receiver.notifiers(&global, &speaker()).expect("notifiers");
        let kinds: Vec<_> = notifiers.iter().map(|notifier| notifier.kind()).collect();
        assert_eq!(kinds, ["pagerduty", "alertmanager", "webhook", "webhook", "slack", "email", "console"]);
        let resolved: Vec<_> = notifiers.iter().map(|notifier| notifier.send_resolved()).collect();
        assert_eq!(resolved, [true, true, true, true, false, false, true], "as Alertmanager has it");
        let shown = format!("{receiver:?} {global:?}");
        assert!(!shown.contains(hush) && !shown.contains("B0/hush"), "{shown}");
    }

    #[test]
    fn kinds_that_are_not_here_are_named_with_what_to_use_instead() {
        for kind in [
            "opsgenie",
            "victorops",
            "pushover",
            "sns",
            "telegram",
            "msteams",
            "msteamsv2",
            "discord",
            "webex",
            "wechat",
            "jira",
            "rocketchat",
            "mattermost",
            "incidentio",
        ] {
            let receiver = json!({ "name": "x", format!("{kind}_configs"): [{ "anything": 1 }] });
            let receiver: Receiver = serde_json::from_value(receiver).expect("options");
            let problems = receiver.problems(&Global::default(), &speaker());
            assert_eq!(problems.len(), 1);
            assert_eq!(
                (problems[0].code.0, &problems[0].message),
                ("TW1042", &format!("there is no kind of receiver `{kind}`"))
            );
            let help = problems[0].help.as_deref().unwrap_or_default();
            assert!(help.contains("webhook_configs") && help.contains("alertmanager_configs"), "{help}");
        }
        let nameless: Receiver = serde_json::from_value(json!({})).expect("options");
        assert_eq!(nameless.problems(&Global::default(), &speaker())[0].code.0, "TW1041");
        let unfit: Receiver = serde_json::from_value(json!({ "name": "x", "webhook_configs": [{}] })).expect("options");
        let error = unfit.notifiers(&Global::default(), &speaker()).err().expect("it has no address");
        assert_eq!(error.to_string(), "the receiver `x` cannot be prepared: webhook: `url` is missing");
    }
}
