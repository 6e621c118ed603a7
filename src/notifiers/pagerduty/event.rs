//! An event as the Events API v2 takes it: <https://developer.pagerduty.com/docs/events-api-v2-overview>. Whatever would make
//! PagerDuty refuse it is cut here, because a refused event is a page that nobody gets.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::alerting::sending::rfc3339;
use crate::alerting::{Page, PageKind, named};
use crate::data::UnixMillis;

/// Most characters of a summary.
const MOST_SUMMARY: usize = 1024;

/// Most characters of any other text beside the details. PagerDuty names no limit; the request has one.
const MOST_TEXT: usize = 1024;

/// Most characters of an address: one that is cut leads nowhere, so a longer one is left out.
const MOST_ADDRESS: usize = 2048;

/// Most links, and most images.
const MOST_LINKS: usize = 20;

/// Most bytes of a request. PagerDuty says 512 KB, which is read as the lesser of what it may mean.
const MOST_BYTES: usize = 512_000;

/// Bytes of a request that are added when it is sent: the routing key.
const RESERVED: usize = 1024;

/// How long a text of the details may be, step by step, until they fit.
const CUTS: [usize; 4] = [16_384, 4096, 1024, 256];

/// Says in the details that they are not all.
const NOTE: &str = "cut";

/// What an event does to the incident of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Trigger,
    Acknowledge,
    Resolve,
}

/// An event without its routing key.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    dedup_key: String,
    event_action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "String::is_empty")]
    client: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    client_url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Payload {
    summary: String,
    source: String,
    severity: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    component: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    class: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    custom_details: Map<String, Json>,
}

/// A link beside an incident.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Link {
    pub href: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// An image beside an incident.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Image {
    pub src: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alt: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub href: String,
}

impl Event {
    pub fn trigger(key: String, since: UnixMillis) -> Self {
        let timestamp = rfc3339(since);
        Self { payload: Some(Payload { timestamp, ..Payload::default() }), ..Self::bare(key, Action::Trigger) }
    }

    /// Nothing but its key counts.
    pub fn acknowledge(key: String) -> Self {
        Self::bare(key, Action::Acknowledge)
    }

    /// Nothing but its key counts.
    pub fn resolve(key: String) -> Self {
        Self::bare(key, Action::Resolve)
    }

    fn bare(dedup_key: String, event_action: Action) -> Self {
        Self {
            dedup_key,
            event_action,
            payload: None,
            client: String::new(),
            client_url: String::new(),
            links: Vec::new(),
            images: Vec::new(),
        }
    }

    pub fn summary(&mut self, text: &str) {
        self.set(|payload| payload.summary = cut(text, MOST_SUMMARY));
    }

    pub fn source(&mut self, text: &str) {
        self.set(|payload| payload.source = cut(text, MOST_TEXT));
    }

    pub fn severity(&mut self, word: &'static str) {
        self.set(|payload| payload.severity = word);
    }

    pub fn component(&mut self, text: &str) {
        self.set(|payload| payload.component = cut(text, MOST_TEXT));
    }

    pub fn group(&mut self, text: &str) {
        self.set(|payload| payload.group = cut(text, MOST_TEXT));
    }

    pub fn class(&mut self, text: &str) {
        self.set(|payload| payload.class = cut(text, MOST_TEXT));
    }

    pub fn details(&mut self, details: Map<String, Json>) {
        self.set(|payload| payload.custom_details = details);
    }

    pub fn client(&mut self, name: &str, url: &str) {
        self.client = cut(name, MOST_TEXT);
        self.client_url = if is_address(url) { url.to_owned() } else { String::new() };
    }

    /// One that leads nowhere is left out.
    pub fn link(&mut self, link: Link) {
        if self.links.len() < MOST_LINKS && is_address(&link.href) {
            self.links.push(Link { text: cut(&link.text, MOST_TEXT), ..link });
        }
    }

    /// One that PagerDuty cannot show is left out: images come through TLS.
    pub fn image(&mut self, image: Image) {
        if self.images.len() < MOST_LINKS && is_address(&image.src) && image.src.starts_with("https://") {
            let href = if is_address(&image.href) { image.href } else { String::new() };
            self.images.push(Image { alt: cut(&image.alt, MOST_TEXT), href, ..image });
        }
    }

    fn set(&mut self, with: impl FnOnce(&mut Payload)) {
        if let Some(payload) = &mut self.payload {
            with(payload);
        }
    }

    /// The page, no larger than a request may be, about an alert of this name.
    pub fn page(mut self, about: &str) -> Page {
        let kind = PageKind::from(self.event_action);
        let whole = self.bytes();
        let body = if whole.len() + RESERVED <= MOST_BYTES { whole } else { self.shrunk(whole.len()) };
        Page { key: self.dedup_key, kind, about: named(about), body: body.into() }
    }

    /// Cuts the texts of the details ever shorter, and leaves the details out where that is not enough.
    fn shrunk(&mut self, size: usize) -> Vec<u8> {
        let Some(payload) = self.payload.as_mut() else { return self.bytes() };
        let mut details = std::mem::take(&mut payload.custom_details);
        let note = format!("the details made a request of {size} bytes, and PagerDuty takes {MOST_BYTES}");
        for most in CUTS {
            details.values_mut().for_each(|value| shorten(value, most));
            details.insert(NOTE.into(), format!("{note}: texts are cut after {most} characters").into());
            self.details(details.clone());
            let bytes = self.bytes();
            if bytes.len() + RESERVED <= MOST_BYTES {
                return bytes;
            }
        }
        let only = [(NOTE.to_owned(), Json::from(format!("{note}: they are left out")))];
        self.details(only.into_iter().collect());
        self.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and maps with names of text are JSON")
    }
}

/// The text, or as much as is allowed of it and a sign that there was more.
fn cut(text: &str, most: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let last = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    format!("{}…", &text[..last])
}

fn shorten(value: &mut Json, most: usize) {
    match value {
        Json::String(text) => *text = cut(text, most),
        Json::Array(list) => list.iter_mut().for_each(|part| shorten(part, most)),
        Json::Object(map) => map.values_mut().for_each(|part| shorten(part, most)),
        _ => {}
    }
}

fn is_address(text: &str) -> bool {
    !text.is_empty() && text.len() <= MOST_ADDRESS && url::Url::parse(text).is_ok_and(|url| url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(event: Event) -> Json {
        serde_json::from_slice(&event.page("Down").body).expect("JSON")
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_character_and_marked() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("ééé€", 3), "éé…");
        let mut event = Event::trigger("k".into(), UnixMillis(0));
        event.summary(&"€".repeat(5000));
        let summary = json(event)["payload"]["summary"].as_str().expect("text").chars().count();
        assert_eq!(summary, MOST_SUMMARY);
    }

    #[test]
    fn details_are_cut_until_the_request_is_small_enough_and_a_note_says_so() {
        let sized = |texts: usize, length: usize| {
            let mut event = Event::trigger("k".into(), UnixMillis(0));
            event.details((0..texts).map(|at| (format!("d{at}"), Json::from("\"".repeat(length)))).collect());
            let page = event.page("Down");
            assert!(page.body.len() + RESERVED <= MOST_BYTES, "{}", page.body.len());
            json_of(&page.body)["payload"]["custom_details"].clone()
        };
        assert!(sized(1, 200_000).get(NOTE).is_none(), "it fits");
        let one = sized(1, 400_000);
        assert_eq!(one["d0"].as_str().map(|text| text.chars().count()), Some(16_384));
        assert!(one[NOTE].as_str().is_some_and(|note| note.contains("after 16384 characters")), "{one}");
        assert_eq!(sized(300, 2000)["d7"].as_str().map(|text| text.chars().count()), Some(256));
        let none = sized(100_000, 10);
        assert_eq!(none.as_object().map(Map::len), Some(1));
        assert!(none[NOTE].as_str().is_some_and(|note| note.ends_with("they are left out")), "{none}");
    }

    fn json_of(body: &[u8]) -> Json {
        serde_json::from_slice(body).expect("JSON")
    }

    #[test]
    fn links_and_images_without_an_address_are_left_out() {
        let mut event = Event::trigger("k".into(), UnixMillis(0));
        for href in ["", "not an address", "https://runbooks.example.com/down"] {
            event.link(Link { href: href.into(), text: String::new() });
            event.image(Image { src: href.into(), alt: "a".into(), href: "nowhere".into() });
        }
        event.client("Tailwater", "nowhere");
        let event = json(event);
        assert_eq!(event["links"], serde_json::json!([{ "href": "https://runbooks.example.com/down" }]));
        assert_eq!(event["images"], serde_json::json!([{ "src": "https://runbooks.example.com/down", "alt": "a" }]));
        assert_eq!((event["client"].as_str(), event.get("client_url")), (Some("Tailwater"), None));
    }

    #[test]
    fn the_largest_event_without_details_fits() {
        let mut event = Event::trigger("k".repeat(255), UnixMillis(0));
        // Six bytes a character in JSON.
        let long = "\u{1}".repeat(5000);
        event.summary(&long);
        event.source(&long);
        event.component(&long);
        event.group(&long);
        event.class(&long);
        for _ in 0..100 {
            let address = format!("https://a/{}", "x".repeat(2000));
            event.link(Link { href: address.clone(), text: long.clone() });
            event.image(Image { src: address.clone(), alt: long.clone(), href: address });
        }
        event.client(&long, "");
        assert!(event.page("Down").body.len() + RESERVED <= MOST_BYTES);
    }
}
