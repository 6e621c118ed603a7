//! The tags of a span: its attributes, those of its scope and resource, and what Zipkin has no fields for.

use super::super::{annotation, names, status};
use super::Read;
use crate::formats::protobuf::{Fields, WireError};

/// Where a tag comes from. Of one name the first of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// It stands for a field of the span or of its scope.
    Own,
    Span,
    Scope,
    Resource,
}

/// A tag to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag<'a> {
    pub origin: Origin,
    pub name: &'a [u8],
    pub value: TagValue<'a>,
    /// Whether a field of Zipkin's says it already.
    pub taken: bool,
}

/// The value of a tag.
#[derive(Clone, Copy, Debug)]
pub(super) enum TagValue<'a> {
    /// An encoded `AnyValue`.
    Any(&'a [u8]),
    Text(&'a [u8]),
    Count(u64),
}

impl<'a> Tag<'a> {
    pub fn own(name: &'static str, value: TagValue<'a>) -> Self {
        Self { origin: Origin::Own, name: name.as_bytes(), value, taken: false }
    }

    /// Reads a `KeyValue`.
    pub fn read(origin: Origin, message: &'a [u8]) -> Result<Self, WireError> {
        let (mut name, mut value) = (&b""[..], &b""[..]);
        let mut fields = Fields::of(message);
        while let Some((number, field)) = fields.field()? {
            match number {
                1 => name = field.bytes()?,
                2 => value = field.bytes()?,
                _ => {}
            }
        }
        Ok(Self { origin, name, value: TagValue::Any(value), taken: false })
    }

    /// For the storage of an empty list: it may hold what lives shorter.
    pub fn shorter(tag: Tag<'static>) -> Self {
        tag
    }

    /// The same the other way: there is no tag that this is called for.
    pub fn never(_: Self) -> Tag<'static> {
        Tag::own("", TagValue::Count(0))
    }
}

/// Adds what an `InstrumentationScope` says. Its former names are written beside the present ones.
pub(super) fn of_scope<'a>(message: &'a [u8], tags: &mut Vec<Tag<'a>>) -> Result<(), WireError> {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        let names = match number {
            1 => [names::SCOPE_NAME, names::LIBRARY_NAME],
            2 => [names::SCOPE_VERSION, names::LIBRARY_VERSION],
            3 => {
                tags.push(Tag::read(Origin::Scope, value.bytes()?)?);
                continue;
            }
            _ => continue,
        };
        let text = value.bytes()?;
        if !text.is_empty() {
            tags.extend(names.map(|name| Tag::own(name, TagValue::Text(text))));
        }
    }
    Ok(())
}

/// Adds what a `Resource` says, and gives the `AnyValue` of its service's name.
pub(super) fn of_resource<'a>(message: &'a [u8], tags: &mut Vec<Tag<'a>>) -> Result<&'a [u8], WireError> {
    let mut service = &b""[..];
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        if number != 1 {
            continue;
        }
        let tag = Tag::read(Origin::Resource, value.bytes()?)?;
        match tag.value {
            TagValue::Any(value) if tag.name == names::SERVICE_NAME.as_bytes() => service = value,
            _ => tags.push(tag),
        }
    }
    Ok(service)
}

/// Sorts tags by name, keeps one of each name, and takes those that must not be there.
pub(super) fn settle(tags: &mut Vec<Tag<'_>>, span: &Read<'_>) {
    tags.sort_unstable_by(|one, other| (one.name, one.origin).cmp(&(other.name, other.origin)));
    tags.dedup_by(|later, earlier| later.name == earlier.name);
    // Zipkin takes every span that has this tag for a failed one, whatever it says.
    if span.status != status::ERROR {
        take(names::ERROR, tags);
    }
    // A link's own tag is written besides.
    if span.links > 0 {
        for tag in tags.iter_mut() {
            tag.taken |= annotation::link_index(tag.name).is_some_and(|index| index < span.links);
        }
    }
}

fn position(name: &str, tags: &[Tag<'_>]) -> Option<usize> {
    tags.binary_search_by(|tag| tag.name.cmp(name.as_bytes())).ok()
}

/// The `AnyValue` of an attribute of the span.
pub(super) fn attribute<'a>(name: &str, tags: &[Tag<'a>]) -> Option<&'a [u8]> {
    match tags[position(name, tags)?] {
        Tag { origin: Origin::Span, value: TagValue::Any(value), .. } => Some(value),
        _ => None,
    }
}

/// Leaves a tag out.
pub(super) fn take(name: &str, tags: &mut [Tag<'_>]) {
    if let Some(at) = position(name, tags) {
        tags[at].taken = true;
    }
}

/// Whether an attribute of the span is `true`; then it is no tag.
pub(super) fn take_flag(name: &str, tags: &mut [Tag<'_>]) -> bool {
    let set = attribute(name, tags).is_some_and(super::value::is_true);
    if set {
        take(name, tags);
    }
    set
}
