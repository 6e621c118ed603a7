//! What records of every signal define and name: resources, and the memory of what was defined.

use std::collections::HashMap;
use std::sync::Arc;

use super::Damaged;
use super::numbers::{Input, UNDEFINED, put, put_text};
use super::window::Window;
use crate::data::Resource;
use crate::data::resource::ResourceValue;

/// Definitions of one kind that an encoder remembers. Beyond, things are defined again.
const MOST_REMEMBERED: usize = 4096;

/// What a segment being written has defined of one kind, found by address: whoever is remembered is held.
#[derive(Debug)]
pub struct Remembered<T> {
    known: HashMap<usize, (u64, Arc<T>)>,
    /// How many were defined.
    pub defined: u64,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), defined: 0 }
    }
}

impl<T> Remembered<T> {
    /// Appends the number of `thing`; false where it has to be defined behind that.
    pub fn put(&mut self, thing: &Arc<T>, out: &mut Vec<u8>) -> bool {
        let address = Arc::as_ptr(thing).addr();
        if let Some((number, _)) = self.known.get(&address) {
            put(out, *number);
            return true;
        }
        self.defined += 1;
        if self.known.len() >= MOST_REMEMBERED {
            self.known.clear();
        }
        self.known.insert(address, (self.defined, thing.clone()));
        put(out, 0);
        false
    }
}

/// Appends a resource, or its number.
pub fn put_resource(resource: &Arc<Resource>, known: &mut Remembered<Resource>, detailed: bool, out: &mut Vec<u8>) {
    if known.put(resource, out) {
        return;
    }
    put_attributes(resource.attributes(), out);
    if detailed {
        put_text(out, resource.schema_url().as_bytes());
    }
}

/// Appends attributes of a resource or a scope.
pub fn put_attributes<'a>(attributes: impl ExactSizeIterator<Item = (&'a str, &'a ResourceValue)>, out: &mut Vec<u8>) {
    put(out, attributes.len() as u64);
    for (key, value) in attributes {
        put_text(out, key.as_bytes());
        let (kind, text) = match value {
            ResourceValue::Text(text) => (0, text),
            ResourceValue::Json(text) => (1, text),
            ResourceValue::Int(number) => {
                put_number(3, number.cast_unsigned(), out);
                continue;
            }
            ResourceValue::Double(number) => {
                put_number(4, number.to_bits(), out);
                continue;
            }
            ResourceValue::Bool(yes) => {
                out.push(5 + u8::from(*yes));
                continue;
            }
        };
        out.push(kind);
        put_text(out, text.as_bytes());
    }
}

/// What a segment being read has defined of one kind: as many as an encoder remembers.
pub fn recent<T>() -> Window<T> {
    Window::new(MOST_REMEMBERED)
}

/// Remembers what was defined last.
pub fn remember<T>(known: &mut Window<T>, thing: T) {
    known.push(thing, 1, drop);
}

/// Reads a resource, or finds it among those that the segment has defined.
pub fn read_resource(
    input: &mut Input<'_>,
    known: &mut Window<Arc<Resource>>,
    detailed: bool,
) -> Result<Arc<Resource>, Damaged> {
    let number = input.number()?;
    if number > 0 {
        return known.get(number).cloned().ok_or(UNDEFINED);
    }
    let mut resource = Resource::new(read_attributes(input)?);
    if detailed {
        resource = resource.with_schema_url(input.text()?);
    }
    let resource = Arc::new(resource);
    remember(known, resource.clone());
    Ok(resource)
}

/// Reads attributes of a resource or a scope.
pub fn read_attributes(input: &mut Input<'_>) -> Result<Vec<(Box<str>, ResourceValue)>, Damaged> {
    let mut attributes: Vec<(Box<str>, ResourceValue)> = Vec::new();
    for _ in 0..input.count()? {
        let key = input.text()?.into();
        let value = match input.byte()? {
            0 => ResourceValue::Text(input.text()?.into()),
            1 => ResourceValue::Json(input.text()?.into()),
            3 => ResourceValue::Int(input.u64()?.cast_signed()),
            4 => ResourceValue::Double(f64::from_bits(input.u64()?)),
            5 => ResourceValue::Bool(false),
            6 => ResourceValue::Bool(true),
            _ => return Err(Damaged("a resource's attribute is of an unknown type")),
        };
        attributes.push((key, value));
    }
    Ok(attributes)
}

/// Appends a type and a fixed number.
pub fn put_number(kind: u8, number: u64, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
}
