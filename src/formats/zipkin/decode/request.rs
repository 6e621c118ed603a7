//! Spans into the messages of OTLP (opentelemetry-proto 1.11), grouped by service and scope.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;

use super::super::annotation::{self, Link};
use super::super::{kind, names, status};
use super::span::{Address, Annotation, Endpoint, Span};
use crate::formats::protobuf::{delimited_len, push_bytes, push_fixed64, push_header, push_message, push_uint};

/// A request as far as it is read.
#[derive(Default)]
pub(super) struct Request<'a> {
    services: Vec<Service<'a>>,
    /// Where the spans of a service go, and of a scope of it. Senders choose these names: the map's hash is seeded.
    places: HashMap<Key<'a>, (usize, usize)>,
    by_name: HashMap<Cow<'a, str>, usize>,
    /// Where the last span went, and mostly the next one goes.
    last: Option<(Key<'a>, (usize, usize))>,
    spans: usize,
}

/// What spans are grouped by: service, and name and version of the scope.
type Key<'a> = (Cow<'a, str>, Cow<'a, str>, Cow<'a, str>);

/// A `ResourceSpans` to be.
struct Service<'a> {
    name: Cow<'a, str>,
    scopes: Vec<Scope<'a>>,
}

/// A `ScopeSpans` to be.
struct Scope<'a> {
    name: Cow<'a, str>,
    version: Cow<'a, str>,
    /// Its encoded spans, each a field of the `ScopeSpans`.
    spans: Vec<u8>,
}

impl<'a> Request<'a> {
    /// Number of services' scopes.
    pub fn scopes(&self) -> usize {
        self.places.len()
    }

    /// Whether a span's service and scope are there already.
    pub fn knows(&self, span: &Span<'a>) -> bool {
        let key = key(span);
        self.last.as_ref().is_some_and(|(last, _)| *last == key) || self.places.contains_key(&key)
    }

    /// Adds a span that was checked.
    pub fn push(&mut self, span: &Span<'a>) {
        let (service, scope) = self.place(key(span));
        let read = Read::of(span);
        push_message(2, &mut self.services[service].scopes[scope].spans, |out| write_span(span, &read, out));
        self.spans += 1;
    }

    fn place(&mut self, key: Key<'a>) -> (usize, usize) {
        if let Some((last, place)) = &self.last
            && *last == key
        {
            return *place;
        }
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                let (service, name, version) = key.clone();
                let at = *self.by_name.entry(service).or_insert_with_key(|name| {
                    self.services.push(Service { name: name.clone(), scopes: Vec::new() });
                    self.services.len() - 1
                });
                let scopes = &mut self.services[at].scopes;
                scopes.push(Scope { name, version, spans: Vec::new() });
                let place = (at, scopes.len() - 1);
                self.places.insert(key.clone(), place);
                place
            }
        };
        self.last = Some((key, place));
        place
    }

    /// The encoded request, and how many spans it has.
    pub fn finish(self) -> (Vec<u8>, usize) {
        let resources: Vec<_> = self.services.iter().map(Service::resource).collect();
        let lengths: Vec<_> =
            self.services.iter().zip(&resources).map(|(service, resource)| service.len(resource)).collect();
        let mut out = Vec::with_capacity(lengths.iter().map(|length| delimited_len(1, *length)).sum());
        for ((service, resource), length) in self.services.into_iter().zip(resources).zip(lengths) {
            push_header(1, length, &mut out);
            service.write(&resource, &mut out);
        }
        (out, self.spans)
    }
}

fn key<'a>(span: &Span<'a>) -> Key<'a> {
    let tag = |name, former| {
        let value = |name: &str| span.tags.binary_search_by(|tag| (*tag.name).cmp(name)).map(|at| &span.tags[at].value);
        // An empty name says no more than none, and is not written again.
        let named = [name, former].into_iter().filter_map(|name| value(name).ok()).find(|value| !value.is_empty());
        named.cloned().unwrap_or_default()
    };
    let service = match &span.local.service {
        service if service.is_empty() => tag(names::SERVICE_NAME, names::SERVICE_NAME),
        service => service.clone(),
    };
    let name = tag(names::SCOPE_NAME, names::LIBRARY_NAME);
    (service, name, tag(names::SCOPE_VERSION, names::LIBRARY_VERSION))
}

impl Service<'_> {
    /// The fields before the scopes.
    fn resource(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.name.is_empty() {
            push_message(1, &mut out, |out| push_text(1, names::SERVICE_NAME, &self.name, out));
        }
        out
    }

    fn len(&self, resource: &[u8]) -> usize {
        resource.len() + self.scopes.iter().map(|scope| delimited_len(2, scope.len())).sum::<usize>()
    }

    fn write(self, resource: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(resource);
        for scope in self.scopes {
            push_header(2, scope.len(), out);
            scope.write(out);
        }
    }
}

impl Scope<'_> {
    fn message_len(&self) -> usize {
        let texts = [(1, &self.name), (2, &self.version)];
        texts.iter().filter(|(_, text)| !text.is_empty()).map(|(number, text)| delimited_len(*number, text.len())).sum()
    }

    fn len(&self) -> usize {
        let scope = self.message_len();
        self.spans.len() + if scope > 0 { delimited_len(1, scope) } else { 0 }
    }

    fn write(self, out: &mut Vec<u8>) {
        let length = self.message_len();
        if length > 0 {
            push_header(1, length, out);
            push_nonempty(1, &self.name, out);
            push_nonempty(2, &self.version, out);
        }
        out.extend_from_slice(&self.spans);
    }
}

/// What tags say of a span that OTLP has fields for. Such tags are no attributes.
struct Read<'s> {
    kind: u64,
    status: u64,
    message: &'s str,
    links: usize,
    dropped: [u32; 3],
    /// Which of [`TAKEN`] are no attributes, a bit each.
    taken: u16,
}

/// Tags that may be no attributes, links aside.
const TAKEN: [&str; 13] = [
    names::ERROR,
    names::STATUS_CODE,
    names::STATUS_DESCRIPTION,
    names::SCOPE_NAME,
    names::SCOPE_VERSION,
    names::LIBRARY_NAME,
    names::LIBRARY_VERSION,
    names::DROPPED_ATTRIBUTES,
    names::DROPPED_EVENTS,
    names::DROPPED_LINKS,
    names::TRACE_STATE,
    names::SPAN_KIND,
    names::SERVICE_NAME,
];

impl<'s> Read<'s> {
    fn of(span: &'s Span<'_>) -> Self {
        let mut read = Self { kind: span.kind, status: 0, message: "", links: 0, dropped: [0; 3], taken: 0 };
        if !span.tags.is_empty() {
            read.scope(span);
            read.status(span);
            read.counts(span);
            if span.tag(names::TRACE_STATE).is_some() {
                read.take(names::TRACE_STATE);
            }
            // Some SDKs write the resource's attributes as tags, this one among them.
            let service = &*span.local.service;
            if span.tag(names::SERVICE_NAME).is_some_and(|tag| service.is_empty() || tag == service) {
                read.take(names::SERVICE_NAME);
            }
        }
        if read.kind == 0 {
            read.kind = kind::INTERNAL;
            if let Some(kind) = span.tag(names::SPAN_KIND)
                && let Some(kind) = super::span::kind_of(kind).or((kind == "internal").then_some(kind::INTERNAL))
            {
                read.kind = kind;
                read.take(names::SPAN_KIND);
            }
        }
        read
    }

    /// The former names are taken as well where they say the same.
    fn scope(&mut self, span: &Span<'_>) {
        let names = [(names::SCOPE_NAME, names::LIBRARY_NAME), (names::SCOPE_VERSION, names::LIBRARY_VERSION)];
        for (name, former) in names {
            let (now, before) = (span.tag(name), span.tag(former));
            if now.is_some() {
                self.take(name);
            }
            if before.is_some() && (now.is_none_or(str::is_empty) || now == before) {
                self.take(former);
            }
        }
    }

    /// Whoever writes no code says by `error` that a span failed, and mostly why.
    fn status(&mut self, span: &'s Span<'_>) {
        let code = span.tag(names::STATUS_CODE).and_then(status_of);
        if code.is_some() {
            self.take(names::STATUS_CODE);
        }
        let error = span.tag(names::ERROR).filter(|error| *error != "false");
        self.status = match code {
            Some(status::OK) => status::OK,
            Some(status::ERROR) => status::ERROR,
            _ if error.is_some() => status::ERROR,
            _ => return,
        };
        if self.status == status::OK {
            return;
        }
        let description = span.tag(names::STATUS_DESCRIPTION).filter(|description| !description.is_empty());
        if let Some(description) = description {
            self.message = description;
            self.take(names::STATUS_DESCRIPTION);
        }
        if let Some(error) = error {
            let says = !matches!(error, "" | "true");
            if says && description.is_none() {
                self.message = error;
            }
            if !says || self.message == error {
                self.take(names::ERROR);
            }
        }
    }

    fn counts(&mut self, span: &Span<'_>) {
        let counts = [names::DROPPED_ATTRIBUTES, names::DROPPED_EVENTS, names::DROPPED_LINKS];
        for (index, name) in counts.into_iter().enumerate() {
            if let Some(count) = span.tag(name).and_then(|count| count.parse().ok()) {
                self.dropped[index] = count;
                self.take(name);
            }
        }
        let first = span.tags.partition_point(|tag| *tag.name < *names::LINK);
        if !span.tags.get(first).is_some_and(|tag| tag.name.starts_with(names::LINK)) {
            return;
        }
        let mut name = String::new();
        loop {
            annotation::link_name(self.links, &mut name);
            if span.tag(&name).and_then(Link::read).is_none() {
                return;
            }
            self.links += 1;
        }
    }

    fn take(&mut self, name: &str) {
        let at = TAKEN.iter().position(|taken| *taken == name);
        self.taken |= at.map_or(0, |at| 1 << at);
    }

    /// Whether a tag is not an attribute.
    fn takes(&self, name: &str) -> bool {
        let at = TAKEN.iter().position(|taken| *taken == name);
        at.is_some_and(|at| self.taken & 1 << at != 0)
            || self.links > 0 && annotation::link_index(name.as_bytes()).is_some_and(|index| index < self.links)
    }
}

/// The code of a status in the specification's words, or in those that SDKs and the Collector have had.
fn status_of(name: &str) -> Option<u64> {
    let name = name.strip_prefix("STATUS_CODE_").unwrap_or(name);
    let codes = [("UNSET", 0), ("OK", status::OK), ("ERROR", status::ERROR)];
    codes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, code)| *code)
}

/// Appends a `Span`.
fn write_span(span: &Span<'_>, read: &Read<'_>, out: &mut Vec<u8>) {
    push_bytes(1, &span.trace_id, out);
    push_bytes(2, &span.id, out);
    push_nonempty(3, span.tag(names::TRACE_STATE).unwrap_or_default(), out);
    if span.parent_id != [0; 8] {
        push_bytes(4, &span.parent_id, out);
    }
    push_nonempty(5, &span.name, out);
    push_uint(6, read.kind, out);
    push_time(7, span.timestamp, out);
    push_time(8, span.timestamp + span.duration, out);
    for tag in &span.tags {
        if !read.takes(&tag.name) {
            push_text(9, &tag.name, &tag.value, out);
        }
    }
    write_endpoints(span, out);
    push_count(10, read.dropped[0], out);
    for annotation in &span.annotations {
        push_message(11, out, |out| write_event(annotation, out));
    }
    push_count(12, read.dropped[1], out);
    let mut name = String::new();
    for index in 0..read.links {
        annotation::link_name(index, &mut name);
        if let Some(link) = span.tag(&name).and_then(Link::read) {
            push_message(13, out, |out| link.write(out));
        }
    }
    push_count(14, read.dropped[2], out);
    if read.status != 0 {
        push_message(15, out, |out| {
            push_nonempty(2, read.message, out);
            push_uint(3, read.status, out);
        });
    }
}

/// Appends a `Span.Event`.
fn write_event(annotation: &Annotation<'_>, out: &mut Vec<u8>) {
    push_time(1, annotation.timestamp, out);
    match annotation::read_event(&annotation.value) {
        Some((name, attributes)) => {
            push_nonempty(2, &name, out);
            attributes.write(3, out);
        }
        None => push_nonempty(2, &annotation.value, out),
    }
}

/// Appends the attributes of endpoints and flags, where no tag has their names.
fn write_endpoints(span: &Span<'_>, out: &mut Vec<u8>) {
    let free = |name| span.tag(name).is_none();
    if !span.remote.service.is_empty() && free(names::PEER_SERVICE) {
        push_text(9, names::PEER_SERVICE, &span.remote.service, out);
    }
    let endpoints = [
        (&span.remote, names::PEER_ADDRESS, names::PEER_IPV6, names::PEER_PORT),
        (&span.local, names::LOCAL_ADDRESS, names::LOCAL_IPV6, names::LOCAL_PORT),
    ];
    for (Endpoint { ipv4, ipv6, port, .. }, address_name, ipv6_name, port_name) in endpoints {
        let second = ipv4.as_ref().and(ipv6.as_ref());
        for (name, address) in [(address_name, ipv4.as_ref().or(ipv6.as_ref())), (ipv6_name, second)] {
            if let Some(address) = address
                && free(name)
            {
                push_address(name, address, out);
            }
        }
        if *port != 0 && free(port_name) {
            push_attribute(9, port_name, out, |out| push_uint(3, u64::from(*port), out));
        }
    }
    for (flag, name) in [(span.debug, names::DEBUG), (span.shared, names::SHARED)] {
        if flag && free(name) {
            push_attribute(9, name, out, |out| push_uint(2, 1, out));
        }
    }
}

fn push_address(name: &str, address: &Address<'_>, out: &mut Vec<u8>) {
    match address {
        Address::Text(text) => push_text(9, name, text, out),
        Address::Ip(ip) => push_attribute(9, name, out, |out| {
            push_message(1, out, |out| {
                // Writing into a vector cannot fail.
                let _ = write!(out, "{ip}");
            });
        }),
    }
}

/// Appends a `KeyValue` whose `AnyValue` is written by `value`.
fn push_attribute(number: u32, name: &str, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    push_message(number, out, |out| {
        push_nonempty(1, name, out);
        push_message(2, out, value);
    });
}

fn push_text(number: u32, name: &str, text: &str, out: &mut Vec<u8>) {
    push_attribute(number, name, out, |out| push_bytes(1, text.as_bytes(), out));
}

fn push_nonempty(number: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        push_bytes(number, text.as_bytes(), out);
    }
}

/// Appends a time of so many microseconds, which were checked to fit.
fn push_time(number: u32, micros: u64, out: &mut Vec<u8>) {
    if micros > 0 {
        push_fixed64(number, micros.saturating_mul(1000), out);
    }
}

fn push_count(number: u32, count: u32, out: &mut Vec<u8>) {
    if count > 0 {
        push_uint(number, u64::from(count), out);
    }
}
