//! The options of the receiver, as Alertmanager names them, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration as StdDuration;

use serde_json::Value as Json;
use url::Url;

use crate::alerting::sending::{
    Global, LIMIT, Nested, Speaker, TEMPLATE, either, is_address, missing, not_here, templates,
};
use crate::options::{Duration, HttpClientOptions, Problem, Secret, SecretAddress, Span, Spanned};

/// Where events go unless told.
const ENDPOINT: &str = "https://events.pagerduty.com/v2/enqueue";

/// Stands in `trace_url` for the id of a trace.
pub(super) const TRACE_ID: &str = "{trace_id}";

/// Time for one request unless told.
const TIMEOUT: StdDuration = StdDuration::from_secs(10);

/// The details that every event has unless one of the same name is given.
const DETAILS: [(&str, &str); 4] = [
    ("firing", "{{ .Alerts.Firing | toJson }}"),
    ("resolved", "{{ .Alerts.Resolved | toJson }}"),
    ("num_firing", "{{ .Alerts.Firing | len }}"),
    ("num_resolved", "{{ .Alerts.Resolved | len }}"),
];

/// Options of a receiver `pagerduty`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PagerDutyReceiver")]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether an incident is resolved when its alert is. Default: `true`.
    pub send_resolved: bool,
    /// How it speaks HTTP. Default: `global.http_config`.
    pub http_config: Option<Spanned<HttpClientOptions>>,
    /// The integration key of a service's Events API v2 integration, 32 characters. One of this and `routing_key_file` is
    /// required.
    pub routing_key: Option<Spanned<Secret>>,
    /// A file with the integration key, read again before each request.
    pub routing_key_file: Option<Spanned<PathBuf>>,
    /// Not supported: a key of the Events API v1. Give `routing_key`.
    pub service_key: Option<Spanned<Secret>>,
    /// Not supported: a key of the Events API v1. Give `routing_key_file`.
    pub service_key_file: Option<Spanned<PathBuf>>,
    /// Where events go. Default: `global.pagerduty_url`, else `https://events.pagerduty.com/v2/enqueue`.
    pub url: Option<Spanned<SecretAddress>>,
    /// Who sends: a template. Default: `{{ template "pagerduty.default.client" . }}`.
    pub client: Spanned<String>,
    /// Where who sends can be looked at: a template. Default: `{{ template "pagerduty.default.clientURL" . }}`.
    pub client_url: Spanned<String>,
    /// The incident's title, of which 1,024 characters are sent: a template. Default:
    /// `{{ template "pagerduty.default.description" . }}`.
    pub description: Spanned<String>,
    /// Further details by name: values of any shape, in which every text is a template. What a template writes is taken
    /// for JSON where it is JSON. `firing`, `resolved`, `num_firing` and `num_resolved` are there unless they are given.
    /// Details that would make the request larger than PagerDuty takes are cut, and `cut` says so.
    pub details: BTreeMap<String, Json>,
    /// Images beside the incident. One whose `src` is empty is left out.
    pub images: Vec<ImageOptions>,
    /// Links beside the incident. One whose `href` is empty is left out.
    pub links: Vec<LinkOptions>,
    /// What is affected: a template. Default: `client`.
    pub source: Option<Spanned<String>>,
    /// `critical`, `error`, `warning` or `info`: a template, such as `{{ .CommonLabels.severity }}`. Anything else counts
    /// as `error`. Default: `error`.
    pub severity: Spanned<String>,
    /// The kind of event: a template.
    pub class: Spanned<String>,
    /// The part of the source that is affected: a template.
    pub component: Spanned<String>,
    /// What the source belongs to: a template.
    pub group: Spanned<String>,
    /// Where a trace can be looked at, with `{trace_id}` in the place of its id. With it, an incident whose alert came from
    /// spans or from records that name a trace has links to up to five of them.
    pub trace_url: Option<Spanned<String>>,
    /// Time for one request. Default: `10s`, which `0` means too.
    pub timeout: Spanned<Duration>,
}

/// A link beside an incident.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PagerDutyLink")]
#[serde(deny_unknown_fields, default)]
pub struct LinkOptions {
    /// Where it leads: a template.
    pub href: Spanned<String>,
    /// Its words: a template.
    pub text: Spanned<String>,
}

/// An image beside an incident.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PagerDutyImage")]
#[serde(deny_unknown_fields, default)]
pub struct ImageOptions {
    /// Its address, of `https://`: a template.
    pub src: Spanned<String>,
    /// What it shows: a template.
    pub alt: Spanned<String>,
    /// Where it leads: a template.
    pub href: Spanned<String>,
}

impl Default for Options {
    fn default() -> Self {
        let text = |text: &str| Spanned::unknown(text.to_owned());
        Self {
            send_resolved: true,
            http_config: None,
            routing_key: None,
            routing_key_file: None,
            service_key: None,
            service_key_file: None,
            url: None,
            client: text(r#"{{ template "pagerduty.default.client" . }}"#),
            client_url: text(r#"{{ template "pagerduty.default.clientURL" . }}"#),
            description: text(r#"{{ template "pagerduty.default.description" . }}"#),
            details: BTreeMap::new(),
            images: Vec::new(),
            links: Vec::new(),
            source: None,
            severity: text("error"),
            class: text(""),
            component: text(""),
            group: text(""),
            trace_url: None,
            timeout: Spanned::unknown(Duration(TIMEOUT)),
        }
    }
}

impl Options {
    /// Where events go; `None` where what is written is no address.
    pub(super) fn address(&self, global: &Global) -> Option<Url> {
        let written = self.url.as_ref().or(global.pagerduty_url.as_ref()).map(|url| url.expose());
        is_address("url", written.as_deref().unwrap_or(ENDPOINT), Span::UNKNOWN, &mut Vec::new())
    }

    pub(super) fn timeout(&self) -> StdDuration {
        if self.timeout.0.is_zero() { TIMEOUT } else { self.timeout.0 }
    }

    /// The details that are given, and those that every event has.
    pub(super) fn all_details(&self) -> BTreeMap<String, Json> {
        let mut all: BTreeMap<_, _> = DETAILS.map(|(name, text)| (name.to_owned(), Json::from(text))).into();
        all.extend(self.details.clone());
        all
    }

    /// Everything that is wrong. `whole` is the place of what has none of its own.
    pub fn problems(&self, whole: Span, speaker: &Speaker) -> Vec<Problem> {
        let mut found = Vec::new();
        let instead = "give `routing_key`: the key of an Events API v2 integration of the same service";
        not_here("service_key", self.service_key.as_ref(), instead, &mut found);
        not_here("service_key_file", self.service_key_file.as_ref(), instead, &mut found);
        let of_old = self.service_key.is_some() || self.service_key_file.is_some();
        let file = self.routing_key_file.as_ref();
        let place = file.map_or(Span::UNKNOWN, |file| file.span);
        either("routing_key", self.routing_key.is_some(), "routing_key_file", file.is_some(), place, &mut found);
        if self.routing_key.is_none() && file.is_none() && !of_old {
            missing("`routing_key` or `routing_key_file`", whole, &mut found);
        }
        if let Some(key) = self.routing_key.as_ref().filter(|key| key.expose().contains("{{")) {
            let message = "`routing_key` has a template";
            let help = "a key is a secret and is no part of what is journalled; give each key a receiver of its own, and \
                        a route to it";
            found.push(Problem::new(TEMPLATE, key.span, message).help(help));
        }
        if let Some(url) = &self.url {
            is_address("url", &url.expose(), url.span, &mut found);
        }
        if let Some(http) = &self.http_config {
            found.extend(http.problems(http.span));
        }
        if let Some(url) = self.trace_url.as_ref().filter(|url| !url.contains(TRACE_ID)) {
            let help = "write it as https://jaeger.example.com/trace/{trace_id}";
            found.push(Problem::new(LIMIT, url.span, "`trace_url` does not say where the trace's id goes").help(help));
        }
        if self.timeout.0 > StdDuration::from_secs(600) {
            let message = format!("`timeout` is {}", self.timeout.value);
            found.push(Problem::new(LIMIT, self.timeout.span, message).help("write a time up to 10m, such as 10s"));
        }
        templates(self.texts(), &speaker.templates, &mut found);
        if let Err(why) = Nested::compile_all(&self.details, &speaker.templates) {
            let help = "every text in `details` is a template of Go";
            found.push(Problem::new(TEMPLATE, whole, format!("`details`: {why}")).help(help));
        }
        found.into_iter().map(|problem| problem.at_least(whole)).collect()
    }

    fn texts(&self) -> Vec<(&'static str, &Spanned<String>)> {
        let mut texts = vec![
            ("client", &self.client),
            ("client_url", &self.client_url),
            ("description", &self.description),
            ("severity", &self.severity),
            ("class", &self.class),
            ("component", &self.component),
            ("group", &self.group),
        ];
        texts.extend(self.source.as_ref().map(|source| ("source", source)));
        texts.extend(self.links.iter().flat_map(|link| [("links.href", &link.href), ("links.text", &link.text)]));
        let images = self.images.iter();
        texts.extend(
            images.flat_map(|image| {
                [("images.src", &image.src), ("images.alt", &image.alt), ("images.href", &image.href)]
            }),
        );
        texts
    }
}
