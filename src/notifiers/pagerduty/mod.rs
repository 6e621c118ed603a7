//! The receiver `pagerduty`: PagerDuty's Events API v2 (`POST /v2/enqueue`: trigger, acknowledge, resolve).
//!
//! One alert is one incident, under a key that every replica of the agent makes of the same labels. The routing key is set
//! into a request as it is sent, so that no journal holds it.

mod event;
mod options;
mod refused_key;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::alerting::sending::{
    Address, Credential, Endpoint, Facts, Global, Nested, Post, Speaker, Target, Text, dedup_key,
};
use crate::alerting::{Alert, Notification, Notifier, Page, PageKind, Refusal, WriteError};
use crate::net::http_client::Payload;
use event::{Event, Image, Link};
use refused_key::RefusedKey;

pub use options::Options;

/// The kind's name.
const KIND: &str = "pagerduty";

/// The severities that PagerDuty knows.
const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];

/// What a severity becomes that PagerDuty does not know: an event with any other would be refused.
const OTHERWISE: &str = "error";

/// Most traces that get a link.
const MOST_TRACES: usize = 5;

/// A receiver.
#[derive(Debug)]
pub(super) struct PagerDuty {
    send_resolved: bool,
    endpoint: Endpoint,
    /// Where events go.
    url: Box<str>,
    routing_key: Credential,
    refused_key: RefusedKey,
    texts: Texts,
    trace_url: Option<Box<str>>,
    speaker: Speaker,
}

/// The options that are templates, read.
#[derive(Debug)]
struct Texts {
    description: Text,
    severity: Text,
    source: Text,
    component: Text,
    group: Text,
    class: Text,
    client: Text,
    client_url: Text,
    details: Vec<(Text, Nested)>,
    /// Address and words.
    links: Vec<(Text, Text)>,
    /// Source, words and address.
    images: Vec<(Text, Text, Text)>,
}

impl PagerDuty {
    /// One as the options say.
    pub fn new(options: &Options, global: &Global, speaker: &Speaker) -> Result<Self, String> {
        let routing_key = Credential::of(options.routing_key.as_ref(), options.routing_key_file.as_ref());
        let url = options.address(global).ok_or("pagerduty: `url` is not an address")?;
        let http = options.http_config.as_ref().or(global.http_config.as_ref());
        let http = http.map(|http| http.value.clone()).unwrap_or_default();
        Ok(Self {
            send_resolved: options.send_resolved,
            url: url.as_str().into(),
            endpoint: Endpoint::new(KIND, Address::Known(Box::new(url)), &http, options.timeout())?,
            routing_key: routing_key.ok_or("pagerduty: `routing_key` is missing")?,
            refused_key: RefusedKey::default(),
            texts: Texts::compile(options, speaker)?,
            trace_url: options.trace_url.as_ref().map(|url| url.value.as_str().into()),
            speaker: speaker.clone(),
        })
    }

    /// The event that says what became of one alert. A template that fails costs its text and no page: the event says which.
    fn event(&self, alert: &Alert, notification: &Notification) -> Event {
        let resolved = alert.is_resolved(notification.now);
        let key = dedup_key(alert, &self.speaker);
        if resolved {
            return Event::resolve(key);
        }
        let facts = Facts::of(notification, std::slice::from_ref(alert), &self.speaker);
        let (texts, failed) = (&self.texts, Failed::default());
        let text = |of: &str, text: &Text| failed.or_empty(of, text.write(&facts));
        let named = |written: String, other: &str| {
            if written.trim().is_empty() { other.to_owned() } else { written }
        };
        let name = named(alert.name().to_owned(), "alert");
        let mut event = Event::trigger(key, alert.starts_at);
        event.summary(&named(text("description", &texts.description), &name));
        event.source(&named(text("source", &texts.source), self.speaker.cluster.as_deref().unwrap_or("tailwater")));
        let severity = text("severity", &texts.severity);
        let known = SEVERITIES.iter().find(|known| known.eq_ignore_ascii_case(severity.trim()));
        event.severity(known.unwrap_or(&OTHERWISE));
        event.component(&text("component", &texts.component));
        event.group(&text("group", &texts.group));
        event.class(&text("class", &texts.class));
        event.client(&text("client", &texts.client), &text("client_url", &texts.client_url));
        for (href, words) in &texts.links {
            event.link(Link { href: text("links", href), text: text("links", words) });
        }
        for (src, alt, href) in &texts.images {
            event.image(Image { src: text("images", src), alt: text("images", alt), href: text("images", href) });
        }
        let mut details = serde_json::Map::new();
        for (name, value) in &texts.details {
            let name = text("details", name);
            match value.write(&facts) {
                Ok(value) => {
                    details.insert(name, value);
                }
                Err(error) => failed.add(&format!("details.{name}"), &error),
            }
        }
        if known.is_none() {
            let note = format!("{severity:?} is none of PagerDuty's; sent as {OTHERWISE}");
            details.insert("unknown_severity".into(), note.into());
        }
        self.occurrences(alert, &mut event, &mut details);
        failed.tell(&mut details);
        event.details(details);
        event
    }

    /// What is known of the cause: traces, and the lines that were counted.
    fn occurrences(&self, alert: &Alert, event: &mut Event, details: &mut serde_json::Map<String, serde_json::Value>) {
        let mut traces: Vec<&str> = Vec::new();
        for of in alert.occurrences.iter().filter(|of| !of.trace_id.is_empty()) {
            if !traces.contains(&of.trace_id.as_str()) {
                traces.push(&of.trace_id);
            }
        }
        let lines: Vec<&str> =
            alert.occurrences.iter().map(|of| of.line.as_str()).filter(|line| !line.is_empty()).collect();
        if let Some(url) = &self.trace_url {
            for trace in traces.iter().take(MOST_TRACES) {
                event.link(Link { href: url.replace(options::TRACE_ID, trace), text: format!("trace {trace}") });
            }
        }
        if !traces.is_empty() {
            details.insert("trace_ids".into(), traces.into());
        }
        if !lines.is_empty() {
            details.insert("log_lines".into(), lines.into());
        }
    }

    async fn enqueue(&self, page: &Page) -> Result<(), Refusal> {
        let key = self.routing_key.read().await;
        let key = key.map_err(|why| Refusal::ForNow { why: format!("{KIND}: {why}"), after: None })?;
        let body = with_routing_key(&page.body, &key)?;
        if let Some(why) = self.refused_key.holds(&key, Instant::now()) {
            return Err(Refusal::OfKey(why));
        }
        let post = Post { body, secrets: &[&key], fault: Some(refused_key::fault), ..Post::default() };
        let sent = self.endpoint.post(post).await;
        match &sent {
            Err(Refusal::OfKey(why)) => self.refused_key.is(&key, why, Instant::now()),
            // That says nothing of the key.
            Err(Refusal::ForNow { .. }) => {}
            Ok(_) | Err(Refusal::ForGood(_)) => self.refused_key.is_not(&key),
        }
        sent.map(|_| ())
    }
}

/// Templates that failed, and why.
#[derive(Default)]
struct Failed(RefCell<serde_json::Map<String, serde_json::Value>>);

impl Failed {
    fn or_empty(&self, of: &str, written: Result<String, WriteError>) -> String {
        written.unwrap_or_else(|error| {
            self.add(of, &error);
            String::new()
        })
    }

    fn add(&self, of: &str, error: &WriteError) {
        tracing::warn!(option = of, %error, "a template of a pagerduty receiver failed: the page goes out without its text");
        self.0.borrow_mut().insert(of.to_owned(), error.to_string().into());
    }

    /// Whoever is paged is told too.
    fn tell(self, details: &mut serde_json::Map<String, serde_json::Value>) {
        let failed = self.0.into_inner();
        if !failed.is_empty() {
            details.insert("templates_failed".into(), failed.into());
        }
    }
}

/// Sets the routing key in front of what an event says. Its pieces are sent from where they lie.
fn with_routing_key(event: &Bytes, key: &str) -> Result<Payload, Refusal> {
    if event.first() != Some(&b'{') {
        return Err(Refusal::ForGood(format!("{KIND}: what was journalled is not an event")));
    }
    let head = format!("{{\"routing_key\":{},", serde_json::Value::from(key));
    Ok(Payload::from(vec![Bytes::from(head), event.slice(1..)]))
}

impl Notifier for PagerDuty {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn target(&self) -> Target {
        Target::with_secret(KIND, [&*self.url], Some(&self.routing_key))
    }

    fn freeze(&self) {
        self.routing_key.freeze();
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn keeps_open(&self) -> bool {
        true
    }

    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError> {
        let wanted = |alert: &&Alert| self.send_resolved || !alert.is_resolved(notification.now);
        Ok(notification
            .alerts
            .iter()
            .filter(wanted)
            .map(|alert| self.event(alert, notification).page(alert.name()))
            .collect())
    }

    fn acknowledge(&self, alert: &Alert) -> Option<Page> {
        Some(Event::acknowledge(dedup_key(alert, &self.speaker)).page(alert.name()))
    }

    fn send<'a>(&'a self, page: &'a Page) -> BoxFuture<'a, Result<(), Refusal>> {
        self.enqueue(page).boxed()
    }
}

impl Texts {
    fn compile(options: &Options, speaker: &Speaker) -> Result<Self, String> {
        let set: &Arc<_> = &speaker.templates;
        let text = |written: &str| Text::compile(written, set);
        let source = options.source.as_ref().map_or(&options.client, |source| source);
        let links = options.links.iter().map(|link| Ok((text(&link.href.value)?, text(&link.text.value)?)));
        let images = options.images.iter();
        let images =
            images.map(|image| Ok((text(&image.src.value)?, text(&image.alt.value)?, text(&image.href.value)?)));
        Ok(Self {
            description: text(&options.description.value)?,
            severity: text(&options.severity.value)?,
            source: text(&source.value)?,
            component: text(&options.component.value)?,
            group: text(&options.group.value)?,
            class: text(&options.class.value)?,
            client: text(&options.client.value)?,
            client_url: text(&options.client_url.value)?,
            details: Nested::compile_all(&options.all_details(), set)?,
            links: links.collect::<Result<_, String>>()?,
            images: images.collect::<Result<_, String>>()?,
        })
    }
}

/// What a page is about says its kind.
impl From<event::Action> for PageKind {
    fn from(action: event::Action) -> Self {
        match action {
            event::Action::Trigger => Self::Trigger,
            event::Action::Acknowledge => Self::Acknowledge,
            event::Action::Resolve => Self::Resolve,
        }
    }
}
