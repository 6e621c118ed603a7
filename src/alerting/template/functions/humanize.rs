//! Numbers for people.

use crate::alerting::template::format::{Style, float};
use crate::alerting::template::value::Value;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// The number that a value is, or that its text is.
pub(super) fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Duration(nanos) => Ok(*nanos as f64 / 1e9),
        Value::String(text) => read(text),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

/// As Go's `strconv.ParseFloat` reads a text.
fn read(text: &str) -> Result<f64, String> {
    let wrong = |why: &str| format!("strconv.ParseFloat: parsing {}: {why}", super::super::format::quote(text, false));
    let number: f64 = text.parse().map_err(|_| wrong("invalid syntax"))?;
    let words = text.trim_start_matches(['+', '-']);
    if number.is_infinite() && words.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.') {
        return Err(wrong("value out of range"));
    }
    Ok(number)
}

/// Four digits.
fn short(number: f64) -> String {
    float(number, Style::Shorter, Some(4), false)
}

/// `1.234k`, `12.3m`
pub(super) fn metric(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return short(number);
    }
    if number.abs() >= 1.0 {
        return divided(number, 1000.0, &LARGE);
    }
    small(number)
}

fn divided(number: f64, by: f64, prefixes: &[&'static str]) -> String {
    let (mut number, mut prefix) = (number, "");
    for next in prefixes {
        if number.abs() < by {
            break;
        }
        prefix = next;
        number /= by;
    }
    short(number) + prefix
}

fn small(number: f64) -> String {
    let (mut number, mut prefix) = (number, "");
    for next in SMALL {
        if number.abs() >= 1.0 {
            break;
        }
        prefix = next;
        number *= 1000.0;
    }
    short(number) + prefix
}

/// `1.5ki`
pub(super) fn binary(number: f64) -> String {
    if number.abs() <= 1.0 || !number.is_finite() {
        return short(number);
    }
    divided(number, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

/// `12.34%`
pub(super) fn percentage(number: f64) -> String {
    short(number * 100.0) + "%"
}

/// `1d 2h 3m 4s`, `12.3s`, `5ms`
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return short(seconds);
    }
    if seconds == 0.0 {
        return short(seconds) + "s";
    }
    if seconds.abs() < 1.0 {
        return small(seconds) + "s";
    }
    let (sign, magnitude) = if seconds < 0.0 { ("-", -seconds) } else { ("", seconds) };
    let whole = magnitude as i64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", short(magnitude)),
        (0, 0, _) => format!("{sign}{minutes}m {rest}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {rest}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
    }
}
