//! The receiver `slack`: a message with one attachment to an incoming webhook
//! (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>), or by a Slack app's token to
//! `chat.postMessage`.
//!
//! It is at least once: Slack knows no idempotency, so the id that rides along helps only whoever stands between.

mod options;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::Value as Json;

use crate::alerting::sending::{
    Address, Credential, Endpoint, Facts, Fault, Global, Post, Speaker, Target, Text, fitted, notification_id,
    notification_key,
};
use crate::alerting::{Notification, Notifier, Page, PageKind, Refusal, WriteError};
use crate::net::Answer;
use options::ActionOptions;

pub use options::Options;

/// The kind's name.
const KIND: &str = "slack";

/// Most characters of a title.
const MOST_TITLE: usize = 1024;

/// Length of the id that stands before what is sent.
const ID: usize = 64;

/// A receiver.
#[derive(Debug)]
pub(super) struct Slack {
    send_resolved: bool,
    endpoint: Endpoint,
    texts: Texts,
    /// The channel as it is written.
    channel: Box<str>,
    /// Of an app: it says which workspace the channel is of.
    token: Option<Credential>,
    link_names: bool,
    mrkdwn_in: Vec<String>,
    place: usize,
    speaker: Speaker,
}

/// The options that are templates, read.
#[derive(Debug)]
struct Texts {
    channel: Text,
    username: Text,
    icon_emoji: Text,
    icon_url: Text,
    message_text: Text,
    color: Text,
    title: Text,
    title_link: Text,
    pretext: Text,
    text: Text,
    fallback: Text,
    callback_id: Text,
    footer: Text,
    image_url: Text,
    thumb_url: Text,
    fields: Vec<(Text, Text, bool)>,
    actions: Vec<ActionTexts>,
}

#[derive(Debug)]
struct ActionTexts {
    kind: Text,
    text: Text,
    url: Text,
    style: Text,
    name: Text,
    value: Text,
    /// Text, title, and the words of both buttons.
    confirm: Option<[Text; 4]>,
}

#[derive(Serialize)]
struct Message {
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_emoji: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_url: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    link_names: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
struct Attachment {
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title_link: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pretext: String,
    text: String,
    fallback: String,
    callback_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    #[serde(skip_serializing_if = "String::is_empty")]
    image_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thumb_url: String,
    footer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    color: String,
    mrkdwn_in: Vec<String>,
}

#[derive(Serialize)]
struct Field {
    title: String,
    value: String,
    short: bool,
}

#[derive(Serialize)]
struct Action {
    #[serde(rename = "type")]
    kind: String,
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    style: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<Confirm>,
}

#[derive(Serialize)]
struct Confirm {
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ok_text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dismiss_text: String,
}

impl Slack {
    /// One as the options say, the `place`th of its receiver.
    pub fn new(options: &Options, global: &Global, speaker: &Speaker, place: usize) -> Result<Self, String> {
        let (address, http) = options.destination(global)?;
        let address = match address {
            options::Destination::Webhook(address) => Address::Secret(address),
            options::Destination::App(url) => Address::Known(Box::new(url)),
        };
        let is_app = matches!(address, Address::Known(_));
        let login = http.authorization.as_ref();
        let token = login.and_then(|login| match (&login.credentials, &login.credentials_file) {
            (Some(token), _) => Some(Credential::Given(token.clone())),
            (None, file) => file.as_ref().map(|file| Credential::File(file.value.clone())),
        });
        Ok(Self {
            send_resolved: options.send_resolved,
            endpoint: Endpoint::new(KIND, address, &http, options.timeout())?,
            texts: Texts::compile(options, speaker)?,
            channel: options.channel.as_str().into(),
            token: token.filter(|_| is_app),
            link_names: options.link_names,
            mrkdwn_in: match options.mrkdwn_in.is_empty() {
                true => ["fallback", "pretext", "text"].map(str::to_owned).into(),
                false => options.mrkdwn_in.clone(),
            },
            place,
            speaker: speaker.clone(),
        })
    }

    fn message(&self, facts: &Facts<'_>) -> Result<Message, WriteError> {
        let texts = &self.texts;
        let fields = texts.fields.iter().map(|(title, value, short)| {
            Ok(Field { title: title.write(facts)?, value: value.write(facts)?, short: *short })
        });
        let attachment = Attachment {
            title: short(texts.title.write(facts)?),
            title_link: texts.title_link.write(facts)?,
            pretext: texts.pretext.write(facts)?,
            text: texts.text.write(facts)?,
            fallback: texts.fallback.write(facts)?,
            callback_id: texts.callback_id.write(facts)?,
            fields: fields.collect::<Result<_, WriteError>>()?,
            actions: texts.actions.iter().map(|action| action.write(facts)).collect::<Result<_, _>>()?,
            image_url: texts.image_url.write(facts)?,
            thumb_url: texts.thumb_url.write(facts)?,
            footer: texts.footer.write(facts)?,
            color: texts.color.write(facts)?,
            mrkdwn_in: self.mrkdwn_in.clone(),
        };
        Ok(Message {
            channel: texts.channel.write(facts)?,
            username: texts.username.write(facts)?,
            icon_emoji: texts.icon_emoji.write(facts)?,
            icon_url: texts.icon_url.write(facts)?,
            link_names: self.link_names,
            text: texts.message_text.write(facts)?,
            attachments: [attachment],
        })
    }

    async fn post(&self, page: &Page) -> Result<(), Refusal> {
        let malformed = || Refusal::ForGood(format!("{KIND}: what was journalled is not a message"));
        let id = page.body.get(..ID).and_then(|id| std::str::from_utf8(id).ok()).ok_or_else(malformed)?;
        let post = Post { body: page.body.slice(ID..).into(), id: Some(id), reads_answer: true, ..Post::default() };
        let answer = self.endpoint.post(post).await?;
        let Some(fault) = fault(&answer) else { return Ok(()) };
        Err(fault.refusal(self.endpoint.said(&answer, &[]).await, answer.retry_after))
    }
}

/// What is wrong where an answer of 200 is none of success. A webhook answers `ok`, the API with JSON.
fn fault(answer: &Answer) -> Option<Fault> {
    const OTHER: Fault = Fault::Way("the answer is none of Slack's; check the address of the receiver");
    let json = answer.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !json {
        return (answer.body.trim_ascii() != b"ok").then_some(OTHER);
    }
    let Ok(said) = serde_json::from_slice::<Json>(&answer.body) else { return Some(OTHER) };
    match (&said["ok"], &said["success"], said["error"].as_str()) {
        // Servers that take Slack's webhooks say it in a word of their own.
        (Json::Bool(true), ..) | (Json::Null, Json::Bool(true), _) => None,
        (_, _, Some(error)) => Some(Fault::of_slack(error)),
        _ => Some(OTHER),
    }
}

fn short(mut title: String) -> String {
    if title.chars().count() > MOST_TITLE {
        let end = title.char_indices().nth(MOST_TITLE - 1).map_or(title.len(), |(at, _)| at);
        title.truncate(end);
        title.push('…');
    }
    title
}

impl Notifier for Slack {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn target(&self) -> Target {
        match &self.token {
            Some(token) => {
                let app = self.endpoint.target(KIND, &[]).to_string();
                Target::with_secret(KIND, [&*app, &*self.channel], Some(token))
            }
            None => self.endpoint.target(KIND, &[&self.channel]),
        }
    }

    fn freeze(&self) {
        self.endpoint.freeze();
        self.token.iter().for_each(Credential::freeze);
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
        let now = notification.now;
        let wanted = notification.alerts.iter().filter(|alert| self.send_resolved || !alert.is_resolved(now));
        let alerts: Vec<_> = wanted.cloned().collect();
        if alerts.is_empty() {
            return Ok(Vec::new());
        }
        let firing = alerts.iter().any(|alert| !alert.is_resolved(now));
        let body = fitted(KIND, alerts, now, |alerts| {
            let message = self.message(&Facts::of(notification, alerts, &self.speaker))?;
            let mut body = notification_id(notification, &self.speaker, self.place).into_bytes();
            serde_json::to_writer(&mut body, &message).map_err(|error| WriteError(format!("{KIND}: {error}")))?;
            Ok(body)
        })?;
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

impl Texts {
    fn compile(options: &Options, speaker: &Speaker) -> Result<Self, String> {
        let text = |written: &str| Text::compile(written, &speaker.templates);
        let fields = options.fields.iter().map(|field| {
            let short = field.short.unwrap_or(options.short_fields);
            Ok((text(&field.title.value)?, text(&field.value.value)?, short))
        });
        Ok(Self {
            channel: text(&options.channel.value)?,
            username: text(&options.username.value)?,
            icon_emoji: text(&options.icon_emoji.value)?,
            icon_url: text(&options.icon_url.value)?,
            message_text: text(&options.message_text.value)?,
            color: text(&options.color.value)?,
            title: text(&options.title.value)?,
            title_link: text(&options.title_link.value)?,
            pretext: text(&options.pretext.value)?,
            text: text(&options.text.value)?,
            fallback: text(&options.fallback.value)?,
            callback_id: text(&options.callback_id.value)?,
            footer: text(&options.footer.value)?,
            image_url: text(&options.image_url.value)?,
            thumb_url: text(&options.thumb_url.value)?,
            fields: fields.collect::<Result<_, String>>()?,
            actions: options
                .actions
                .iter()
                .map(|action| ActionTexts::compile(action, &text))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl ActionTexts {
    fn compile(options: &ActionOptions, text: &dyn Fn(&str) -> Result<Text, String>) -> Result<Self, String> {
        // With an address the button is a link, and the rest is for buttons that call back.
        let (link, none) = (!options.url.is_empty(), String::new());
        let of_callback = |written: &'_ str| text(if link { &none } else { written });
        let confirm = options.confirm.as_ref().filter(|_| !link).map(|confirm| {
            let parts = [&confirm.text, &confirm.title, &confirm.ok_text, &confirm.dismiss_text];
            let [words, title, ok, dismiss] = parts.map(|part| text(&part.value));
            Ok::<_, String>([words?, title?, ok?, dismiss?])
        });
        Ok(Self {
            kind: text(&options.kind.value)?,
            text: text(&options.text.value)?,
            url: text(&options.url.value)?,
            style: text(&options.style.value)?,
            name: of_callback(&options.name.value)?,
            value: of_callback(&options.value.value)?,
            confirm: confirm.transpose()?,
        })
    }

    fn write(&self, facts: &Facts<'_>) -> Result<Action, WriteError> {
        let confirm = self.confirm.as_ref().map(|[text, title, ok, dismiss]| {
            Ok::<_, WriteError>(Confirm {
                text: text.write(facts)?,
                title: title.write(facts)?,
                ok_text: ok.write(facts)?,
                dismiss_text: dismiss.write(facts)?,
            })
        });
        Ok(Action {
            kind: self.kind.write(facts)?,
            text: self.text.write(facts)?,
            url: self.url.write(facts)?,
            style: self.style.write(facts)?,
            name: self.name.write(facts)?,
            value: self.value.write(facts)?,
            confirm: confirm.transpose()?,
        })
    }
}
