//! Values as Go's package `encoding/json` writes them: what HTML would take for a tag is escaped.

use std::fmt::Write;

use crate::alerting::template::format::{Out, Style, float};
use crate::alerting::template::time;
use crate::alerting::template::value::Value;

/// Writes a value.
pub(super) fn write(value: &Value, out: &mut Out) -> Result<(), String> {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) | Value::Duration(number) => out.push_str(&number.to_string()),
        Value::Byte(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&number_text(*number)?),
        Value::String(text) | Value::Html(text) | Value::Histogram(text) => string(text, out),
        Value::Time(time) => {
            out.push_str("\"");
            out.push_str(&time::format(time, "2006-01-02T15:04:05.999999999Z07:00"));
            out.push_str("\"");
        }
        Value::List(list) => {
            out.push_str("[");
            for (index, item) in list.items().iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                bounded(item, out)?;
            }
            out.push_str("]");
        }
        Value::Map(map) => {
            members(map.entries().iter().map(|(name, item)| (&**name, item)), out)?;
        }
        Value::Record(record) => {
            let all = record.of().json.iter().zip(record.iter().map(|(_, item)| item));
            let written = all.filter_map(|(name, item)| match name.strip_suffix(",omitempty") {
                Some(name) => item.is_true().then_some((name, item)),
                None => Some((*name, item)),
            });
            members(written, out)?;
        }
    }
    Ok(())
}

/// What does not fit any more need not be written.
fn bounded(value: &Value, out: &mut Out) -> Result<(), String> {
    if out.is_full() { Ok(()) } else { write(value, out) }
}

fn members<'v>(members: impl Iterator<Item = (&'v str, &'v Value)>, out: &mut Out) -> Result<(), String> {
    out.push_str("{");
    for (index, (name, item)) in members.enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        string(name, out);
        out.push_str(":");
        bounded(item, out)?;
    }
    out.push_str("}");
    Ok(())
}

fn number_text(number: f64) -> Result<String, String> {
    if !number.is_finite() {
        return Err(format!("json: unsupported value: {}", float(number, Style::Shorter, None, false)));
    }
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return Ok(float(number, Style::Plain, None, false));
    }
    // One digit of an exponent is enough.
    Ok(float(number, Style::Exponent, None, false).replace("e-0", "e-"))
}

fn string(text: &str, out: &mut Out) {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for letter in text.chars() {
        match letter {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\x08' => written.push_str("\\b"),
            '\x0c' => written.push_str("\\f"),
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string cannot fail.
                let _ = write!(written, "\\u{:04x}", u32::from(letter));
            }
            letter => written.push(letter),
        }
    }
    written.push('"');
    out.push_str(&written);
}
