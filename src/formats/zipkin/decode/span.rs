//! A span as every format of Zipkin gives it: borrowed from the body, where nothing in it was escaped.

use std::borrow::Cow;
use std::net::IpAddr;

use super::super::kind;
use super::Reason;

/// Readers fill it, and it is used again for the next span of a body.
#[derive(Clone, Debug, Default)]
pub(super) struct Span<'a> {
    /// Zeros until it is read, as the other ids.
    pub trace_id: [u8; 16],
    pub id: [u8; 8],
    pub parent_id: [u8; 8],
    /// `SpanKind` of OTLP; 0 where none is given.
    pub kind: u64,
    pub name: Cow<'a, str>,
    /// Microseconds; 0 where none is given.
    pub timestamp: u64,
    /// Microseconds; 0 where none is given.
    pub duration: u64,
    pub local: Endpoint<'a>,
    pub remote: Endpoint<'a>,
    pub annotations: Vec<Annotation<'a>>,
    /// Sorted by name and each name once, after [`Span::check`].
    pub tags: Vec<Tag<'a>>,
    pub debug: bool,
    pub shared: bool,
}

/// One side of a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Endpoint<'a> {
    /// Empty where it is not known.
    pub service: Cow<'a, str>,
    pub ipv4: Option<Address<'a>>,
    pub ipv6: Option<Address<'a>>,
    /// 0 where it is not known.
    pub port: u16,
}

/// An address of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Address<'a> {
    Ip(IpAddr),
    /// What is no address: hosts' names turn up in these fields, and attributes may hold them.
    Text(Cow<'a, str>),
}

/// Something that happened at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Annotation<'a> {
    /// Microseconds.
    pub timestamp: u64,
    pub value: Cow<'a, str>,
}

/// A name and a text.
#[derive(Clone, Debug)]
pub(super) struct Tag<'a> {
    pub name: Cow<'a, str>,
    pub value: Cow<'a, str>,
}

/// Microseconds that nanoseconds in 63 bits have room for.
const MOST_MICROS: u64 = i64::MAX as u64 / 1000;

impl<'a> Span<'a> {
    /// Makes it an empty one that keeps its buffers.
    pub fn clear(&mut self) {
        let Self { mut annotations, mut tags, .. } = std::mem::take(self);
        annotations.clear();
        tags.clear();
        *self = Self { annotations, tags, ..Self::default() };
    }

    /// Checks what no span may be without, and brings the tags into order: of those with one name the last counts.
    pub fn check(&mut self) -> Result<(), Reason> {
        for (id, name) in [(&self.trace_id[..], "trace id"), (&self.id[..], "id")] {
            if id.iter().all(|byte| *byte == 0) {
                return Err(format!("it has no {name}"));
            }
        }
        let times = self.annotations.iter().map(|annotation| annotation.timestamp);
        let mut times = times.chain([self.timestamp.saturating_add(self.duration)]);
        if let Some(time) = times.find(|time| *time > MOST_MICROS) {
            return Err(format!("the time of {time} µs is beyond the year 2262"));
        }
        // The root of a trace has itself for a parent with some senders.
        if self.parent_id == self.id {
            self.parent_id = [0; 8];
        }
        self.tags.sort_by(|one, other| one.name.cmp(&other.name));
        self.tags.dedup_by(|later, earlier| {
            let same = later.name == earlier.name;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Ok(())
    }

    /// The value of a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let at = self.tags.binary_search_by(|tag| (*tag.name).cmp(name)).ok()?;
        Some(&*self.tags[at].value)
    }
}

impl<'a> Endpoint<'a> {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.service.is_empty() && self.ipv4.is_none() && self.ipv6.is_none() && self.port == 0
    }
}

impl<'a> Address<'a> {
    /// What a text says; nothing where it is empty.
    pub fn read(text: Cow<'a, str>) -> Option<Self> {
        match text.parse() {
            Ok(ip) => Some(Self::Ip(ip)),
            Err(_) if text.is_empty() => None,
            Err(_) => Some(Self::Text(text)),
        }
    }
}

/// An id of at most `N` bytes in hexadecimal, with zeros before it where it is shorter, as Zipkin reads it.
pub(in super::super) fn read_id<const N: usize>(digits: &str) -> Result<[u8; N], Reason> {
    let refused = || {
        let shown = &digits[..digits.floor_char_boundary(64)];
        Err(format!("`{shown}` is not 1 to {} hexadecimal digits other than zeros", 2 * N))
    };
    if digits.len() > 2 * N {
        return refused();
    }
    let mut id = [0; N];
    for (place, digit) in digits.bytes().rev().enumerate() {
        let Some(digit) = char::from(digit).to_digit(16) else { return refused() };
        id[N - 1 - place / 2] |= (digit as u8) << (4 * (place % 2));
    }
    if id == [0; N] { refused() } else { Ok(id) }
}

/// The kind of a name of Zipkin's; `None` where it is none.
pub(super) fn kind_of(name: &str) -> Option<u64> {
    let kinds = [
        ("CLIENT", kind::CLIENT),
        ("SERVER", kind::SERVER),
        ("PRODUCER", kind::PRODUCER),
        ("CONSUMER", kind::CONSUMER),
    ];
    kinds.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, kind)| *kind)
}
