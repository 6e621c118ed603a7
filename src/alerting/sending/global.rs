//! What all receivers take unless they say otherwise: `global` as Alertmanager names it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use super::trouble::{either, is_address};
use crate::options::http_client::NotSupported;
use crate::options::{HttpClientOptions, Problem, PrometheusDuration, Secret, SecretAddress, Span, Spanned, TlsConfig};

/// Where a Slack app posts unless told.
const SLACK_APP: &str = "https://slack.com/api/chat.postMessage";

/// Options of all receivers.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "AlertingGlobal")]
#[serde(deny_unknown_fields, default)]
pub struct Global {
    /// After this long without being spoken of, an alert that came without an end counts as resolved. Default: `5m`.
    pub resolve_timeout: PrometheusDuration,
    /// How receivers speak HTTP. A receiver that has its own `http_config` takes nothing of it.
    pub http_config: Option<Spanned<HttpClientOptions>>,
    /// Sender of mail.
    pub smtp_from: Option<Spanned<String>>,
    /// How this agent names itself to mail servers. Default: `localhost`.
    pub smtp_hello: Option<Spanned<String>>,
    /// The server that takes mail: `host:port`.
    pub smtp_smarthost: Option<Spanned<String>>,
    /// User towards the mail server.
    pub smtp_auth_username: Option<Spanned<String>>,
    /// Password towards the mail server. At most one of this and `smtp_auth_password_file`.
    pub smtp_auth_password: Option<Spanned<Secret>>,
    /// A file with the password.
    pub smtp_auth_password_file: Option<Spanned<PathBuf>>,
    /// Not supported: the secret of CRAM-MD5. Give `smtp_auth_password`.
    pub smtp_auth_secret: Option<Spanned<NotSupported>>,
    /// Not supported: the secret of CRAM-MD5. Give `smtp_auth_password`.
    pub smtp_auth_secret_file: Option<Spanned<NotSupported>>,
    /// Not supported: to act for somebody else.
    pub smtp_auth_identity: Option<Spanned<NotSupported>>,
    /// Whether mail is sent through TLS only. Default: `true`.
    pub smtp_require_tls: bool,
    /// TLS towards the mail server.
    pub smtp_tls_config: Option<Spanned<TlsConfig>>,
    /// Whether TLS begins with the connection, not by STARTTLS. Default: with port 465.
    pub smtp_force_implicit_tls: Option<bool>,
    /// Address of an incoming webhook of Slack. At most one of this and `slack_api_url_file`.
    pub slack_api_url: Option<Spanned<Secret>>,
    /// A file with that address.
    pub slack_api_url_file: Option<Spanned<PathBuf>>,
    /// Token of a Slack app that may post. At most one of this and `slack_app_token_file`.
    pub slack_app_token: Option<Spanned<Secret>>,
    /// A file with that token.
    pub slack_app_token_file: Option<Spanned<PathBuf>>,
    /// Where a Slack app posts. Default: `https://slack.com/api/chat.postMessage`.
    pub slack_app_url: Option<Spanned<SecretAddress>>,
    /// Where PagerDuty takes events. Default: `https://events.pagerduty.com/v2/enqueue`.
    pub pagerduty_url: Option<Spanned<SecretAddress>>,
    /// Has no effect: there is no such kind of receiver.
    pub jira_api_url: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub opsgenie_api_url: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub opsgenie_api_key: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub opsgenie_api_key_file: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub wechat_api_url: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub wechat_api_secret: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub wechat_api_secret_file: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub wechat_api_corp_id: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub victorops_api_url: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub victorops_api_key: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub victorops_api_key_file: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub telegram_api_url: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub telegram_bot_token: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub telegram_bot_token_file: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub webex_api_url: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub rocketchat_api_url: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub rocketchat_token: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub rocketchat_token_file: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub rocketchat_token_id: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub rocketchat_token_id_file: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub mattermost_webhook_url: Option<NotSupported>,
    /// Has no effect: there is no such kind of receiver.
    pub mattermost_webhook_url_file: Option<NotSupported>,
}

impl Default for Global {
    fn default() -> Self {
        // Read from nothing would run into itself: every field has this default.
        Self {
            resolve_timeout: PrometheusDuration(StdDuration::from_secs(300)),
            http_config: None,
            smtp_from: None,
            smtp_hello: None,
            smtp_smarthost: None,
            smtp_auth_username: None,
            smtp_auth_password: None,
            smtp_auth_password_file: None,
            smtp_auth_secret: None,
            smtp_auth_secret_file: None,
            smtp_auth_identity: None,
            smtp_require_tls: true,
            smtp_tls_config: None,
            smtp_force_implicit_tls: None,
            slack_api_url: None,
            slack_api_url_file: None,
            slack_app_token: None,
            slack_app_token_file: None,
            slack_app_url: None,
            pagerduty_url: None,
            jira_api_url: None,
            opsgenie_api_url: None,
            opsgenie_api_key: None,
            opsgenie_api_key_file: None,
            wechat_api_url: None,
            wechat_api_secret: None,
            wechat_api_secret_file: None,
            wechat_api_corp_id: None,
            victorops_api_url: None,
            victorops_api_key: None,
            victorops_api_key_file: None,
            telegram_api_url: None,
            telegram_bot_token: None,
            telegram_bot_token_file: None,
            webex_api_url: None,
            rocketchat_api_url: None,
            rocketchat_token: None,
            rocketchat_token_file: None,
            rocketchat_token_id: None,
            rocketchat_token_id_file: None,
            mattermost_webhook_url: None,
            mattermost_webhook_url_file: None,
        }
    }
}

impl Global {
    /// Where a Slack app posts.
    pub fn slack_app_url(&self) -> Arc<str> {
        self.slack_app_url.as_ref().map_or_else(|| SLACK_APP.into(), |url| url.expose())
    }

    /// Everything that is wrong with it, whatever receivers there are.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if let Some(http) = &self.http_config {
            found.extend(http.problems(http.span));
        }
        let span = |value: &Option<Spanned<PathBuf>>| value.as_ref().map_or(Span::UNKNOWN, |value| value.span);
        let pairs = [
            ("smtp_auth_password", self.smtp_auth_password.is_some(), &self.smtp_auth_password_file),
            ("slack_api_url", self.slack_api_url.is_some(), &self.slack_api_url_file),
            ("slack_app_token", self.slack_app_token.is_some(), &self.slack_app_token_file),
        ];
        for (name, given, file) in pairs {
            either(name, given, &format!("{name}_file"), file.is_some(), span(file), &mut found);
        }
        let token = self.slack_app_token.as_ref().map(|token| token.span);
        let token = token.or(self.slack_app_token_file.as_ref().map(|file| file.span));
        // An address that is the app's own is from before there was an option for tokens.
        let app = self.slack_app_url();
        let webhook = self.slack_api_url.as_ref().is_some_and(|url| url.expose().trim() != &*app);
        let webhook = webhook || self.slack_api_url_file.is_some();
        either("slack_api_url", webhook, "slack_app_token", token.is_some(), token.unwrap_or_default(), &mut found);
        for (name, url) in [("slack_app_url", &self.slack_app_url), ("pagerduty_url", &self.pagerduty_url)] {
            if let Some(url) = url {
                is_address(name, &url.expose(), url.span, &mut found);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_excludes_each_other_is_told_and_what_only_other_kinds_take_is_passed_over() {
        let codes = |global: serde_json::Value| {
            let global: Global = serde_json::from_value(global).expect("the shape is right");
            global.problems().into_iter().map(|problem| problem.code.0).collect::<Vec<_>>()
        };
        let hook = "https://hooks.slack.com/services/x";
        for good in [
            json!({}),
            json!({ "opsgenie_api_key": "x", "telegram_bot_token": "y", "resolve_timeout": "5m" }),
            json!({ "slack_api_url": "https://slack.com/api/chat.postMessage", "slack_app_token": "xoxb-1" }),
        ] {
            assert!(codes(good.clone()).is_empty(), "{good}");
        }
        for (code, bad) in [
            ("TW0705", json!({ "slack_api_url": hook, "slack_api_url_file": "/url" })),
            ("TW0705", json!({ "slack_api_url": hook, "slack_app_token": "xoxb-1" })),
            ("TW0705", json!({ "slack_api_url_file": "/url", "slack_app_token_file": "/token" })),
            ("TW0705", json!({ "smtp_auth_password": "x", "smtp_auth_password_file": "/x" })),
            ("TW1043", json!({ "pagerduty_url": "events.pagerduty.com" })),
            ("TW0712", json!({ "http_config": { "tls_config": { "min_version": "TLS11" } } })),
        ] {
            assert_eq!(codes(bad.clone()), [code], "{bad}");
        }
    }
}
