//! The step `hash`: puts a digest in the place of a value, so that equal values can be told without being known.

use ring::{digest, hmac};
use schemars::JsonSchema;

use super::fields::Fields;
use super::spans::desk::Desk;
use super::spans::edits::write_text;
use super::spans::{On, Place, SpanStep};
use super::step::{StepKind, StepPlan};
use crate::data::{Names, Signal};
use crate::expression::option::CompileError;
use crate::expression::{Subject, ValueRef};
use crate::formats::json::text::write_hex;
use crate::formats::otlp::patch::{self, ValueEdit};
use crate::formats::protobuf::open_message;
use crate::options::{Problem, Secret};

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "hash",
    summary: "Replaces values of attributes by their SHA-256.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// The digest is written in hexadecimal digits. It is that of the value's text: a number's is its digits, a list's or a
/// map's its JSON. What is missing stays so.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The attributes: `attributes["user.id"]`, `resource["host.name"]`.
    fields: Fields,
    /// A secret, from a file or the environment. With it the digest is HMAC-SHA-256 under this key; without it whoever can
    /// guess a value, such as an address, can prove the guess. It is read at start and at a reload.
    #[serde(default)]
    salt: Option<Secret>,
}

impl StepPlan for Options {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        self.fields.problems(subject)
    }

    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Traces
    }

    fn on_spans(&self, _: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        let key = self.salt.as_ref().map(|salt| hmac::Key::new(hmac::HMAC_SHA256, salt.expose().as_bytes()));
        Some(self.fields.on_spans().map(|places| of(places, key)))
    }

    fn edits_resource(&self) -> bool {
        self.fields.name_a_resource()
    }
}

/// Hashes these attributes, under a key if there is one.
pub(super) fn of(places: Vec<Place>, key: Option<hmac::Key>) -> Box<dyn SpanStep> {
    Box::new(Hash { places, digest: Digest { key, text: Vec::new() } })
}

#[derive(Clone)]
struct Hash {
    places: Vec<Place>,
    digest: Digest,
}

#[derive(Clone)]
struct Digest {
    key: Option<hmac::Key>,
    text: Vec<u8>,
}

impl ValueEdit for Digest {
    fn changes(&mut self, value: &[u8]) -> bool {
        !ValueRef::of_otlp(value).is_missing()
    }

    fn write(&mut self, value: &[u8], out: &mut Vec<u8>) {
        self.text.clear();
        write_text(ValueRef::of_otlp(value), &mut self.text);
        let string = open_message(1, out);
        match &self.key {
            None => write_hex(digest::digest(&digest::SHA256, &self.text).as_ref(), out),
            Some(key) => write_hex(hmac::sign(key, &self.text).as_ref(), out),
        }
        string.close(out);
    }
}

impl SpanStep for Hash {
    fn edits_resource(&self) -> bool {
        self.places.iter().any(|place| place.on == On::Resource)
    }

    fn run(&mut self, desk: &mut Desk<'_>) -> bool {
        let Self { places, digest } = self;
        let on = desk.on;
        for place in places.iter().filter(|place| place.on == on) {
            desk.edit_attributes(|rest, out| patch::edit(rest, place.number(), &place.keys, digest, out));
        }
        true
    }

    fn copy(&self) -> Box<dyn SpanStep> {
        Box::new(self.clone())
    }
}
