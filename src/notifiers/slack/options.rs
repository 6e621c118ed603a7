//! The options of the receiver, as Alertmanager names them, and what is wrong with them.

use std::path::PathBuf;
use std::time::Duration as StdDuration;

use url::Url;

use crate::alerting::sending::{Credential, Global, LIMIT, Speaker, either, is_address, missing, not_here, templates};
use crate::options::http_client::Authorization;
use crate::options::{Duration, HttpClientOptions, Problem, Secret, SecretAddress, Span, Spanned};

/// Time for one request unless told.
const TIMEOUT: StdDuration = StdDuration::from_secs(10);

/// Options of a receiver `slack`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "SlackReceiver")]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether it is told of what resolved. Default: `false`.
    pub send_resolved: bool,
    /// How it speaks HTTP. Default: `global.http_config`.
    pub http_config: Option<Spanned<HttpClientOptions>>,
    /// Address of an incoming webhook. Default: `global.slack_api_url`.
    pub api_url: Option<Spanned<Secret>>,
    /// A file with that address, read again before each request.
    pub api_url_file: Option<Spanned<PathBuf>>,
    /// Token of a Slack app that may post, instead of a webhook.
    pub app_token: Option<Spanned<Secret>>,
    /// A file with that token.
    pub app_token_file: Option<Spanned<PathBuf>>,
    /// Where a Slack app posts. Default: `global.slack_app_url`, else `https://slack.com/api/chat.postMessage`.
    pub app_url: Option<Spanned<SecretAddress>>,
    /// The channel or the user: a template. A webhook has one of its own; a Slack app needs it.
    pub channel: Spanned<String>,
    /// Who it comes from: a template. Default: `{{ template "slack.default.username" . }}`.
    pub username: Spanned<String>,
    /// The attachment's colour: a template. Default: `{{ template "slack.default.color" . }}`.
    pub color: Spanned<String>,
    /// The attachment's title, of which 1,024 characters are sent: a template. Default:
    /// `{{ template "slack.default.title" . }}`.
    pub title: Spanned<String>,
    /// Where the title leads: a template. Default: `{{ template "slack.default.titlelink" . }}`.
    pub title_link: Spanned<String>,
    /// What stands before the attachment: a template. Default: `{{ template "slack.default.pretext" . }}`.
    pub pretext: Spanned<String>,
    /// The attachment's text: a template. Default: `{{ template "slack.default.text" . }}`.
    pub text: Spanned<String>,
    /// The message's own text, above the attachment: a template.
    pub message_text: Spanned<String>,
    /// Fields of the attachment.
    pub fields: Vec<FieldOptions>,
    /// Whether fields that do not say so are short. Default: `false`.
    pub short_fields: bool,
    /// The attachment's last line: a template. Default: `{{ template "slack.default.footer" . }}`.
    pub footer: Spanned<String>,
    /// What is shown where attachments are not: a template. Default: `{{ template "slack.default.fallback" . }}`.
    pub fallback: Spanned<String>,
    /// The attachment's id towards a Slack app: a template. Default: `{{ template "slack.default.callbackid" . }}`.
    pub callback_id: Spanned<String>,
    /// An emoji as the sender's picture: a template. Default: `{{ template "slack.default.iconemoji" . }}`.
    pub icon_emoji: Spanned<String>,
    /// The address of the sender's picture: a template. Default: `{{ template "slack.default.iconurl" . }}`.
    pub icon_url: Spanned<String>,
    /// The address of an image in the attachment: a template.
    pub image_url: Spanned<String>,
    /// The address of a small image in the attachment: a template.
    pub thumb_url: Spanned<String>,
    /// Whether names in the text notify whom they name. Default: `false`.
    pub link_names: bool,
    /// Which parts of the attachment are read as Slack's markup. Default: `[fallback, pretext, text]`.
    pub mrkdwn_in: Vec<String>,
    /// Buttons of the attachment.
    pub actions: Vec<Spanned<ActionOptions>>,
    /// Not supported: to change a message instead of posting another.
    pub update_message: Option<Spanned<bool>>,
    /// Time for one request. Default: `10s`, which `0` means too.
    pub timeout: Spanned<Duration>,
}

/// A field of the attachment.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "SlackReceiverField")]
#[serde(deny_unknown_fields, default)]
pub struct FieldOptions {
    /// Its title: a template. Required.
    pub title: Spanned<String>,
    /// Its value: a template. Required.
    pub value: Spanned<String>,
    /// Whether another may stand beside it. Default: `short_fields`.
    pub short: Option<bool>,
}

/// A button of the attachment.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "SlackReceiverAction")]
#[serde(deny_unknown_fields, default)]
pub struct ActionOptions {
    /// `button`: a template. Required.
    #[serde(rename = "type")]
    pub kind: Spanned<String>,
    /// Its words: a template. Required.
    pub text: Spanned<String>,
    /// Where it leads: a template. One of this and `name` is required.
    pub url: Spanned<String>,
    /// `primary` or `danger`: a template.
    pub style: Spanned<String>,
    /// What a Slack app is told: a template.
    pub name: Spanned<String>,
    /// What a Slack app is told beside the name: a template.
    pub value: Spanned<String>,
    /// What is asked before a Slack app is told.
    pub confirm: Option<ConfirmOptions>,
}

/// What is asked before a Slack app is told.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "SlackReceiverConfirm")]
#[serde(deny_unknown_fields, default)]
pub struct ConfirmOptions {
    /// The question: a template. Required.
    pub text: Spanned<String>,
    /// Its title: a template.
    pub title: Spanned<String>,
    /// The words of the button that goes on: a template.
    pub ok_text: Spanned<String>,
    /// The words of the button that does not: a template.
    pub dismiss_text: Spanned<String>,
}

impl Default for Options {
    fn default() -> Self {
        let named = |name: &str| Spanned::unknown(format!("{{{{ template \"slack.default.{name}\" . }}}}"));
        Self {
            send_resolved: false,
            http_config: None,
            api_url: None,
            api_url_file: None,
            app_token: None,
            app_token_file: None,
            app_url: None,
            channel: Spanned::default(),
            username: named("username"),
            color: named("color"),
            title: named("title"),
            title_link: named("titlelink"),
            pretext: named("pretext"),
            text: named("text"),
            message_text: Spanned::default(),
            fields: Vec::new(),
            short_fields: false,
            footer: named("footer"),
            fallback: named("fallback"),
            callback_id: named("callbackid"),
            icon_emoji: named("iconemoji"),
            icon_url: named("iconurl"),
            image_url: Spanned::default(),
            thumb_url: Spanned::default(),
            link_names: false,
            mrkdwn_in: Vec::new(),
            actions: Vec::new(),
            update_message: None,
            timeout: Spanned::unknown(Duration(TIMEOUT)),
        }
    }
}

/// Where messages go.
pub(super) enum Destination {
    /// To a webhook, whose address is a secret.
    Webhook(Credential),
    /// To Slack's API; the client brings the token.
    App(Url),
}

impl Options {
    pub(super) fn timeout(&self) -> StdDuration {
        if self.timeout.0.is_zero() { TIMEOUT } else { self.timeout.0 }
    }

    /// Where messages go, and how. A receiver's own webhook or token goes before all that is global.
    pub(super) fn destination(&self, global: &Global) -> Result<(Destination, HttpClientOptions), String> {
        let http = self.http_config.as_ref().or(global.http_config.as_ref());
        let mut http = http.map(|http| http.value.clone()).unwrap_or_default();
        let webhook = Credential::of(self.api_url.as_ref(), self.api_url_file.as_ref());
        if let Some(webhook) = webhook {
            return Ok((Destination::Webhook(webhook), http));
        }
        let own = Credential::of(self.app_token.as_ref(), self.app_token_file.as_ref());
        let logs_in = self.http_config.as_ref().is_some_and(|http| http.authorization.is_some());
        let token = own.or_else(|| {
            let of_all = Credential::of(global.slack_app_token.as_ref(), global.slack_app_token_file.as_ref());
            of_all.filter(|_| !logs_in)
        });
        let Some(token) = token else {
            let webhook = Credential::of(global.slack_api_url.as_ref(), global.slack_api_url_file.as_ref());
            let webhook = webhook.ok_or("slack: `api_url` is missing")?;
            return Ok((Destination::Webhook(webhook), http));
        };
        let (credentials, credentials_file) = match token {
            Credential::Given(secret) => (Some(secret), None),
            Credential::File(path) => (None, Some(Spanned::unknown(path))),
        };
        http.authorization = Some(Spanned::unknown(Authorization { kind: None, credentials, credentials_file }));
        let written = self.app_url.as_ref().map_or_else(|| global.slack_app_url(), |url| url.expose());
        let url = is_address("app_url", &written, Span::UNKNOWN, &mut Vec::new());
        Ok((Destination::App(url.ok_or("slack: `app_url` is not an address")?), http))
    }

    /// Everything that is wrong. `whole` is the place of what has none of its own.
    pub fn problems(&self, whole: Span, global: &Global, speaker: &Speaker) -> Vec<Problem> {
        let mut found = Vec::new();
        let place = |file: &Option<Spanned<PathBuf>>| file.as_ref().map_or(whole, |file| file.span);
        let (url, token) = (self.api_url.is_some(), self.app_token.is_some());
        let (url_file, token_file) = (self.api_url_file.is_some(), self.app_token_file.is_some());
        either("api_url", url, "api_url_file", url_file, place(&self.api_url_file), &mut found);
        either("app_token", token, "app_token_file", token_file, place(&self.app_token_file), &mut found);
        either("api_url", url || url_file, "app_token", token || token_file, whole, &mut found);
        if let Some(url) = &self.api_url {
            is_address("api_url", &url.expose(), url.span, &mut found);
        }
        if let Some(url) = &self.app_url {
            is_address("app_url", &url.expose(), url.span, &mut found);
        }
        if self.destination(global).is_err() {
            missing("`api_url`, `app_token` or one of both in `global`", whole, &mut found);
        }
        if let Some(http) = &self.http_config {
            found.extend(http.problems(http.span));
            either(
                "app_token",
                token || token_file,
                "http_config.authorization",
                http.authorization.is_some(),
                http.span,
                &mut found,
            );
        }
        let update = self.update_message.as_ref().filter(|update| update.value);
        not_here("update_message", update, "leave it out: each notification is a message of its own", &mut found);
        if self.timeout.0 > StdDuration::from_secs(600) {
            let message = format!("`timeout` is {}", self.timeout.value);
            found.push(Problem::new(LIMIT, self.timeout.span, message).help("write a time up to 10m, such as 10s"));
        }
        for field in &self.fields {
            for (name, part) in [("title", &field.title), ("value", &field.value)] {
                if part.is_empty() {
                    missing(&format!("`{name}` of a field"), part.span, &mut found);
                }
            }
        }
        for action in &self.actions {
            for (name, part) in [("type", &action.kind), ("text", &action.text)] {
                if part.is_empty() {
                    missing(&format!("`{name}` of an action"), action.span, &mut found);
                }
            }
            if action.url.is_empty() && action.name.is_empty() {
                missing("`url` or `name` of an action", action.span, &mut found);
            }
            if action.confirm.as_ref().is_some_and(|confirm| confirm.text.is_empty()) {
                missing("`text` of `confirm`", action.span, &mut found);
            }
        }
        templates(self.texts(), &speaker.templates, &mut found);
        found.into_iter().map(|problem| problem.at_least(whole)).collect()
    }

    fn texts(&self) -> Vec<(&'static str, &Spanned<String>)> {
        let mut texts = vec![
            ("channel", &self.channel),
            ("username", &self.username),
            ("color", &self.color),
            ("title", &self.title),
            ("title_link", &self.title_link),
            ("pretext", &self.pretext),
            ("text", &self.text),
            ("message_text", &self.message_text),
            ("footer", &self.footer),
            ("fallback", &self.fallback),
            ("callback_id", &self.callback_id),
            ("icon_emoji", &self.icon_emoji),
            ("icon_url", &self.icon_url),
            ("image_url", &self.image_url),
            ("thumb_url", &self.thumb_url),
        ];
        texts.extend(
            self.fields.iter().flat_map(|field| [("fields.title", &field.title), ("fields.value", &field.value)]),
        );
        for action in self.actions.iter().map(|action| &action.value) {
            texts.extend([
                ("actions.type", &action.kind),
                ("actions.text", &action.text),
                ("actions.url", &action.url),
            ]);
            texts.extend([
                ("actions.style", &action.style),
                ("actions.name", &action.name),
                ("actions.value", &action.value),
            ]);
            if let Some(confirm) = &action.confirm {
                texts.extend([("confirm.text", &confirm.text), ("confirm.title", &confirm.title)]);
                texts.extend([("confirm.ok_text", &confirm.ok_text), ("confirm.dismiss_text", &confirm.dismiss_text)]);
            }
        }
        texts
    }
}
