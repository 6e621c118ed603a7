//! The receiver `webhook`: posts what Alertmanager posts, JSON of version 4
//! (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>), or what a template makes of it.
//!
//! It is at least once: what is sent again carries the same `Idempotency-Key`.

use std::path::PathBuf;
use std::time::Duration as StdDuration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use serde_json::Value as Json;

use crate::alerting::sending::{
    Address, Credential, Endpoint, Facts, Global, LIMIT, Nested, Post, Speaker, TEMPLATE, Target, Text, either, fitted,
    is_address, missing, notification_id, notification_key, templates,
};
use crate::alerting::{Alert, Notification, Notifier, Page, PageKind, Refusal, WriteError};
use crate::options::{Duration, HttpClientOptions, Problem, Span, Spanned, TokenAddress};

/// The kind's name.
const KIND: &str = "webhook";

/// The protocol's version.
const VERSION: &str = "4";

/// Time for one request unless told.
const TIMEOUT: StdDuration = StdDuration::from_secs(10);

/// Length of the id that stands before what is sent.
const ID: usize = 64;

/// Options of a receiver `webhook`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "WebhookReceiver")]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether it is told of what resolved. Default: `true`.
    pub send_resolved: bool,
    /// How it speaks HTTP. Default: `global.http_config`.
    pub http_config: Option<Spanned<HttpClientOptions>>,
    /// Where requests are sent. One of this and `url_file` is required. An error never repeats more of it than its host.
    pub url: Option<Spanned<TokenAddress>>,
    /// A file with the address, read again before each request.
    pub url_file: Option<Spanned<PathBuf>>,
    /// Most alerts of a request; how many are left out, it says. Default: `0`, all of them.
    pub max_alerts: u64,
    /// Time for one request. Default: `10s`, which `0` means too.
    pub timeout: Spanned<Duration>,
    /// What is sent instead of Alertmanager's message: values of any shape, in which every text is a template. What a
    /// template writes is taken for JSON where it is JSON. Excludes `body`.
    pub payload: Option<Spanned<Json>>,
    /// What is sent instead of Alertmanager's message: a template of the whole body. Excludes `payload`.
    pub body: Option<Spanned<String>>,
    /// The body's type. Default: `application/json`.
    pub content_type: Option<Spanned<String>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            url: None,
            url_file: None,
            max_alerts: 0,
            timeout: Spanned::unknown(Duration(TIMEOUT)),
            payload: None,
            body: None,
            content_type: None,
        }
    }
}

impl Options {
    /// Everything that is wrong. `whole` is the place of what has none of its own.
    pub fn problems(&self, whole: Span, speaker: &Speaker) -> Vec<Problem> {
        let mut found = Vec::new();
        let file = self.url_file.as_ref();
        either("url", self.url.is_some(), "url_file", file.is_some(), file.map_or(whole, |file| file.span), &mut found);
        match &self.url {
            Some(url) => {
                is_address("url", &url.expose(), url.span, &mut found);
            }
            None if file.is_none() => missing("`url` or `url_file`", whole, &mut found),
            None => {}
        }
        if let Some(http) = &self.http_config {
            found.extend(http.problems(http.span));
        }
        if self.timeout.0 > StdDuration::from_secs(600) {
            let message = format!("`timeout` is {}", self.timeout.value);
            found.push(Problem::new(LIMIT, self.timeout.span, message).help("write a time up to 10m, such as 10s"));
        }
        let body = self.body.as_ref();
        either(
            "payload",
            self.payload.is_some(),
            "body",
            body.is_some(),
            body.map_or(whole, |body| body.span),
            &mut found,
        );
        templates(body.map(|body| ("body", body)), &speaker.templates, &mut found);
        if let Some(payload) = &self.payload
            && let Err(why) = Nested::compile(payload, &speaker.templates)
        {
            let help = "every text in `payload` is a template of Go";
            found.push(Problem::new(TEMPLATE, payload.span, format!("`payload`: {why}")).help(help));
        }
        if let Some(kind) = self.content_type.as_ref().filter(|kind| HeaderValue::from_str(kind).is_err()) {
            let help = "write a media type, such as application/json";
            found.push(Problem::new(LIMIT, kind.span, "`content_type` is no value of a header").help(help));
        }
        found.into_iter().map(|problem| problem.at_least(whole)).collect()
    }
}

/// A receiver.
#[derive(Debug)]
pub(super) struct Webhook {
    send_resolved: bool,
    max_alerts: usize,
    endpoint: Endpoint,
    content_type: Option<HeaderValue>,
    content: Content,
    place: usize,
    speaker: Speaker,
}

#[derive(Debug)]
enum Content {
    Message,
    Payload(Nested),
    Body(Text),
}

impl Webhook {
    /// One as the options say, the `place`th of its receiver.
    pub fn new(options: &Options, global: &Global, speaker: &Speaker, place: usize) -> Result<Self, String> {
        let given = options.url.as_ref().map(|url| Credential::Given(url.value.0.clone()));
        let address = given.or_else(|| options.url_file.as_ref().map(|file| Credential::File(file.value.clone())));
        let address = Address::Secret(address.ok_or("webhook: `url` is missing")?);
        let http = options.http_config.as_ref().or(global.http_config.as_ref());
        let http = http.map(|http| http.value.clone()).unwrap_or_default();
        let timeout = if options.timeout.0.is_zero() { TIMEOUT } else { options.timeout.0 };
        let set = &speaker.templates;
        let content = match (&options.payload, &options.body) {
            (Some(payload), _) => Content::Payload(Nested::compile(payload, set)?),
            (None, Some(body)) => Content::Body(Text::compile(body, set)?),
            (None, None) => Content::Message,
        };
        Ok(Self {
            send_resolved: options.send_resolved,
            max_alerts: match options.max_alerts {
                0 => usize::MAX,
                most => usize::try_from(most).unwrap_or(usize::MAX),
            },
            endpoint: Endpoint::new(KIND, address, &http, timeout)?,
            content_type: options.content_type.as_ref().and_then(|kind| HeaderValue::from_str(kind).ok()),
            content,
            place,
            speaker: speaker.clone(),
        })
    }

    /// What is sent of these alerts, behind its id.
    fn body(&self, notification: &Notification, alerts: &[Alert], left_out: usize) -> Result<Vec<u8>, WriteError> {
        let facts = Facts::of(notification, alerts, &self.speaker);
        let mut body = notification_id(notification, &self.speaker, self.place).into_bytes();
        match &self.content {
            Content::Message => {
                let mut message = facts.json();
                message.insert("version".into(), VERSION.into());
                message.insert("groupKey".into(), notification.group_key.as_str().into());
                message.insert("truncatedAlerts".into(), left_out.into());
                body.extend(Json::Object(message).to_string().into_bytes());
            }
            Content::Payload(payload) => body.extend(payload.write(&facts)?.to_string().into_bytes()),
            Content::Body(text) => body.extend(text.write(&facts)?.into_bytes()),
        }
        Ok(body)
    }

    async fn post(&self, page: &Page) -> Result<(), Refusal> {
        let malformed = || Refusal::ForGood(format!("{KIND}: what was journalled is not a notification"));
        let id = page.body.get(..ID).and_then(|id| std::str::from_utf8(id).ok()).ok_or_else(malformed)?;
        let body = page.body.slice(ID..).into();
        let post = Post { body, content_type: self.content_type.clone(), id: Some(id), ..Post::default() };
        self.endpoint.post(post).await.map(|_| ())
    }
}

impl Notifier for Webhook {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn target(&self) -> Target {
        self.endpoint.target(KIND, &[])
    }

    fn freeze(&self) {
        self.endpoint.freeze();
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
        let now = notification.now;
        let wanted = notification.alerts.iter().filter(|alert| self.send_resolved || !alert.is_resolved(now));
        let mut alerts: Vec<_> = wanted.cloned().collect();
        if alerts.is_empty() {
            return Ok(Vec::new());
        }
        let all = alerts.len();
        alerts.truncate(self.max_alerts);
        let firing = alerts.iter().any(|alert| !alert.is_resolved(now));
        let body = fitted(KIND, alerts, now, |alerts| self.body(notification, alerts, all - alerts.len()))?;
        let kind = if firing { PageKind::Trigger } else { PageKind::Resolve };
        Ok(vec![Page {
            key: notification_key(notification, &self.speaker),
            kind,
            about: notification.names(),
            body: Bytes::from(body),
        }])
    }

    fn send<'a>(&'a self, page: &'a Page) -> BoxFuture<'a, Result<(), Refusal>> {
        self.post(page).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::sending::tests::{alert, notification, speaker};

    #[test]
    fn a_group_that_no_page_holds_is_told_in_part() {
        let options = serde_json::json!({ "url": "http://127.0.0.1/hook", "max_alerts": 7000 });
        let options: Options = serde_json::from_value(options).expect("options");
        let webhook = Webhook::new(&options, &Global::default(), &speaker(), 0).expect("a receiver");
        let alerts = (0..8000).map(|pod| {
            let mut alert = alert(&[("alertname", "Down"), ("pod", &pod.to_string())], 0, i64::MAX);
            alert.annotations.set("summary", &"x".repeat(1000));
            alert
        });
        let pages = webhook.write(&notification(alerts.collect())).expect("a page");
        assert_eq!((pages.len(), pages[0].kind), (1, PageKind::Trigger));
        let message: Json = serde_json::from_slice(&pages[0].body[ID..]).expect("JSON");
        assert_eq!(message["alerts"].as_array().map(Vec::len), Some(1750));
        assert_eq!(message["truncatedAlerts"], 8000 - 1750);
    }
}
