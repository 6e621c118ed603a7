//! `google.protobuf.Any` as the details of a status hold it. Of the types that may stand there OTLP speaks of
//! one: `google.rpc.RetryInfo`, when to try again. Any other is shown as its bytes.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::Deserializer;

use crate::formats::json::text;
use crate::formats::protobuf::{Fields, WireError, open_message, push_bytes, push_uint};

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// What the JSON of an `Any` may say.
#[derive(Deserialize)]
struct Detail<'a> {
    #[serde(rename = "@type", borrow)]
    type_url: Cow<'a, str>,
    #[serde(rename = "retryDelay", borrow, default)]
    retry_delay: Option<Cow<'a, str>>,
}

/// Appends the field `number` of the detail that comes next, if it is one that is known.
pub(super) fn read<'de, D: Deserializer<'de>>(number: u32, deserializer: D, out: &mut Vec<u8>) -> Result<(), D::Error> {
    let detail = Option::<Detail<'de>>::deserialize(deserializer)?;
    let Some(Detail { type_url, retry_delay: Some(delay) }) = detail else { return Ok(()) };
    let Some((seconds, nanos)) = parse_duration(&delay).filter(|_| type_url == RETRY_INFO) else { return Ok(()) };
    let any = open_message(number, out);
    push_bytes(1, RETRY_INFO.as_bytes(), out);
    let info = open_message(2, out);
    let duration = open_message(1, out);
    push_uint(1, seconds, out);
    push_uint(2, nanos.into(), out);
    duration.close(out);
    info.close(out);
    any.close(out);
    Ok(())
}

/// Reads a duration as proto3's mapping writes it: `3s`, `1.5s`. Not one that lies in the past.
fn parse_duration(text: &str) -> Option<(u64, u32)> {
    let text = text.strip_suffix('s')?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = seconds.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !all_digits || fraction.len() > 9 {
        return None;
    }
    Some((seconds.parse().ok()?, format!("{fraction:0<9}").parse().ok()?))
}

/// Appends an `Any`.
pub(super) fn write(message: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let (mut type_url, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::of(message) {
        match field? {
            (1, field) => type_url = field.bytes()?,
            (2, field) => value = field.bytes()?,
            _ => {}
        }
    }
    out.extend_from_slice(b"{\"@type\":");
    text::write_string(type_url, out);
    if type_url == RETRY_INFO.as_bytes() {
        out.extend_from_slice(b",\"retryDelay\":\"");
        write_delay(value, out)?;
        out.extend_from_slice(b"s\"}");
    } else {
        out.extend_from_slice(b",\"value\":");
        text::write_base64(value, out);
        out.push(b'}');
    }
    Ok(())
}

/// Appends the seconds that a `RetryInfo` says, with three, six or nine decimals if any.
fn write_delay(info: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::of(info) {
        let (1, duration) = field? else { continue };
        for field in Fields::of(duration.bytes()?) {
            match field? {
                (1, value) => seconds = value.varint()?.cast_signed(),
                (2, value) => nanos = value.varint()?.cast_signed(),
                _ => {}
            }
        }
    }
    text::write_int(seconds, out);
    if (1..1_000_000_000).contains(&nanos) {
        let digits = format!("{nanos:09}");
        let kept = digits.trim_end_matches('0').len().next_multiple_of(3);
        out.push(b'.');
        out.extend_from_slice(&digits.as_bytes()[..kept]);
    }
    Ok(())
}
