//! A value by a verb. Lists, maps and records hand the verb and its flags on to what is in them.

use std::fmt::Write;

use crate::alerting::template::time;
use crate::alerting::template::value::{List, Map, Record, Value};
use crate::formats::go::{self, Style, can_be_raw, is_printable, quote, quote_letter};

/// A text that grows up to a limit. What does not fit is left out, and the text counts as too large.
#[derive(Debug)]
pub struct Out {
    text: String,
    limit: usize,
    full: bool,
}

impl Out {
    /// An empty text.
    pub fn new(limit: usize) -> Self {
        Self { text: String::new(), limit, full: false }
    }

    /// Appends a text.
    pub fn push_str(&mut self, text: &str) {
        if self.full || text.len() > self.limit - self.text.len() {
            self.full = true;
            return;
        }
        self.text.push_str(text);
    }

    /// Appends a character.
    pub fn push(&mut self, letter: char) {
        self.push_str(letter.encode_utf8(&mut [0; 4]));
    }

    fn repeat(&mut self, letter: char, count: usize) {
        if self.full || count > self.limit - self.text.len() {
            self.full = true;
            return;
        }
        self.text.extend(std::iter::repeat_n(letter, count));
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether something did not fit.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// The text, if all of it fitted.
    pub fn finish(self) -> Option<String> {
        (!self.full).then_some(self.text)
    }
}

/// A verb's flags.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub minus: bool,
    pub plus: bool,
    pub sharp: bool,
    pub space: bool,
    pub zero: bool,
    /// `%+v`
    pub plus_v: bool,
    /// `%#v`
    pub sharp_v: bool,
    pub width: Option<usize>,
    pub precision: Option<usize>,
}

pub(super) struct Printer<'o> {
    pub out: &'o mut Out,
    pub flags: Flags,
}

impl Printer<'_> {
    /// Writes a value; `depth` counts the lists, maps and records around it.
    pub fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if self.out.is_full() {
            return;
        }
        match verb {
            'T' => return self.text(value.type_name(), 's', value),
            'p' => return self.bad(value, verb),
            _ => {}
        }
        // What shows itself in its own way does so where a text will do.
        if matches!(verb, 'v' | 's' | 'q' | 'x' | 'X')
            && !self.flags.sharp_v
            && let Some(shown) = shown(value)
        {
            return self.text(&shown, verb, value);
        }
        match value {
            Value::Nil => match verb {
                // Inside something else no verb is asked.
                _ if depth > 0 && self.flags.sharp_v => self.out.push_str("interface {}(nil)"),
                _ if depth > 0 => self.out.push_str("<nil>"),
                'v' => self.pad("<nil>"),
                _ => self.bad(value, verb),
            },
            Value::Bool(truth) => match verb {
                't' | 'v' => self.pad(if *truth { "true" } else { "false" }),
                _ => self.bad(value, verb),
            },
            Value::Int(number) | Value::Duration(number) => self.integer(*number, true, verb, value),
            Value::Byte(number) => self.integer(i64::from(*number), false, verb, value),
            Value::Float(number) => self.float(*number, verb, value),
            Value::String(text) | Value::Html(text) => self.text(text, verb, value),
            Value::List(list) => self.list(list, verb, depth),
            Value::Map(map) => self.map(map, verb, depth),
            Value::Record(record) => self.record(record, verb, depth),
            Value::Time(_) | Value::Histogram(_) => self.bad(value, verb),
        }
    }

    fn bad(&mut self, value: &Value, verb: char) {
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push_str("(");
        if let Value::Nil = value {
            self.out.push_str("<nil>");
        } else {
            self.out.push_str(value.type_name());
            self.out.push_str("=");
            Printer { out: self.out, flags: Flags { plus_v: self.flags.plus_v, ..Flags::default() } }
                .value(value, 'v', 0);
        }
        self.out.push_str(")");
    }

    /// The text, filled up to the width.
    fn pad(&mut self, text: &str) {
        let missing = match self.flags.width {
            Some(width) => width.saturating_sub(text.chars().count()),
            None => 0,
        };
        if self.flags.minus {
            self.out.push_str(text);
            self.out.repeat(' ', missing);
        } else {
            self.out.repeat(if self.flags.zero { '0' } else { ' ' }, missing);
            self.out.push_str(text);
        }
    }

    fn text(&mut self, text: &str, verb: char, value: &Value) {
        let cut = match self.flags.precision {
            Some(most) => text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end]),
            None => text,
        };
        match verb {
            'v' if self.flags.sharp_v => self.pad(&quote(text, false)),
            'v' | 's' => self.pad(cut),
            'q' if self.flags.sharp && can_be_raw(cut) => self.pad(&format!("`{cut}`")),
            'q' => self.pad(&quote(cut, self.flags.plus)),
            'x' | 'X' => {
                let bytes = text.as_bytes();
                let bytes = &bytes[..self.flags.precision.unwrap_or(bytes.len()).min(bytes.len())];
                // Longer than anything that fits.
                if bytes.len() > self.out.limit {
                    self.out.full = true;
                    return;
                }
                let mut hex = String::with_capacity(2 * bytes.len());
                let upper = verb == 'X';
                for (index, byte) in bytes.iter().enumerate() {
                    if index > 0 && self.flags.space {
                        hex.push(' ');
                    }
                    if self.flags.sharp && (index == 0 || self.flags.space) {
                        hex.push_str(if upper { "0X" } else { "0x" });
                    }
                    // Writing to a string cannot fail.
                    let _ = if upper { write!(hex, "{byte:02X}") } else { write!(hex, "{byte:02x}") };
                }
                self.pad(&hex);
            }
            _ => self.bad(value, verb),
        }
    }

    fn integer(&mut self, number: i64, signed: bool, verb: char, value: &Value) {
        let magnitude = number.unsigned_abs();
        let prefix = |prefix: &'static str| if self.flags.sharp { prefix } else { "" };
        let letter = || u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
        let (digits, prefix) = match verb {
            'v' if self.flags.sharp_v && !signed => (format!("{magnitude:x}"), "0x"),
            'v' | 'd' => (magnitude.to_string(), ""),
            'b' => (format!("{magnitude:b}"), prefix("0b")),
            'o' => {
                let digits = format!("{magnitude:o}");
                let zero = if digits.starts_with('0') { "" } else { prefix("0") };
                (digits, zero)
            }
            'O' => (format!("{magnitude:o}"), "0o"),
            'x' => (format!("{magnitude:x}"), prefix("0x")),
            'X' => (format!("{magnitude:X}"), prefix("0X")),
            'c' => return self.pad(letter().encode_utf8(&mut [0; 4])),
            'q' => return self.pad(&quote_letter(letter(), self.flags.plus)),
            'U' => return self.code_point(number),
            _ => return self.bad(value, verb),
        };
        let sign = match () {
            () if number < 0 => "-",
            () if self.flags.plus => "+",
            () if self.flags.space => " ",
            () => "",
        };
        let filled = match self.flags.precision {
            Some(0) if number == 0 => {
                self.out.repeat(' ', self.flags.width.unwrap_or(0));
                return;
            }
            Some(precision) => precision,
            // Zeros up to the width stand behind the sign.
            None if self.flags.zero => self.flags.width.unwrap_or(0).saturating_sub(sign.len()),
            None => 0,
        };
        if filled > self.out.limit {
            self.out.full = true;
            return;
        }
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(&format!("{sign}{prefix}{}", filled_up(&digits, filled)));
        self.flags.zero = zero;
    }

    fn code_point(&mut self, number: i64) {
        let precision = self.flags.precision.unwrap_or(0).max(4);
        if precision > self.out.limit {
            self.out.full = true;
            return;
        }
        let mut text = format!("U+{}", filled_up(&format!("{number:X}"), precision));
        if self.flags.sharp
            && let Some(letter) = u32::try_from(number).ok().and_then(char::from_u32).filter(|c| is_printable(*c))
        {
            let _ = write!(text, " '{letter}'");
        }
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(&text);
        self.flags.zero = zero;
    }

    fn float(&mut self, number: f64, verb: char, value: &Value) {
        let precision = self.flags.precision;
        if precision.unwrap_or(0) > self.out.limit {
            self.out.full = true;
            return;
        }
        let styled = |style, precision| go::float(number, style, precision, self.flags.sharp);
        let text = match verb {
            'v' => styled(Style::Shorter, precision),
            'e' | 'E' => styled(Style::Exponent, precision.or(Some(6))),
            'f' | 'F' => styled(Style::Plain, precision.or(Some(6))),
            'g' | 'G' => styled(Style::Shorter, precision.or(if self.flags.sharp { Some(6) } else { None })),
            'b' => go::binary(number),
            'x' | 'X' => go::hex(number, precision),
            _ => return self.bad(value, verb),
        };
        let text = if verb.is_ascii_uppercase() && number.is_finite() { text.to_ascii_uppercase() } else { text };
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (if text.starts_with('-') { "-" } else { "+" }, digits),
            None => ("+", &*text),
        };
        let digits = match verb {
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' if self.flags.sharp && number.is_finite() => with_point(digits),
            _ => digits.to_owned(),
        };
        let sign = match sign {
            "+" if self.flags.plus || (number.is_infinite() && !self.flags.space) => "+",
            "+" if self.flags.space => " ",
            "+" => "",
            minus => minus,
        };
        if self.flags.zero && number.is_finite() && self.flags.width.is_some() {
            let width = self.flags.width.unwrap_or(0).saturating_sub(sign.len());
            self.out.push_str(sign);
            self.out.repeat('0', width.saturating_sub(digits.chars().count()));
            self.out.push_str(&digits);
            return;
        }
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(&format!("{sign}{digits}"));
        self.flags.zero = zero;
    }

    fn list(&mut self, list: &List, verb: char, depth: usize) {
        let (open, close, between) = match self.flags.sharp_v {
            true => {
                self.out.push_str(list.of().name);
                ("{", "}", ", ")
            }
            false => ("[", "]", " "),
        };
        self.out.push_str(open);
        for (index, item) in list.items().iter().enumerate() {
            self.out.push_str(if index > 0 { between } else { "" });
            self.value(item, verb, depth + 1);
            if self.out.is_full() {
                return;
            }
        }
        self.out.push_str(close);
    }

    fn map(&mut self, map: &Map, verb: char, depth: usize) {
        let (open, close, between) = match self.flags.sharp_v {
            true => {
                self.out.push_str(map.of().name);
                ("{", "}", ", ")
            }
            false => ("map[", "]", " "),
        };
        self.out.push_str(open);
        for (index, (name, item)) in map.entries().iter().enumerate() {
            self.out.push_str(if index > 0 { between } else { "" });
            self.value(&Value::String(name.clone()), verb, depth + 1);
            self.out.push_str(":");
            self.value(item, verb, depth + 1);
            if self.out.is_full() {
                return;
            }
        }
        self.out.push_str(close);
    }

    fn record(&mut self, record: &Record, verb: char, depth: usize) {
        if self.flags.sharp_v {
            self.out.push_str(record.of().name);
        }
        self.out.push_str("{");
        for (index, (name, item)) in record.iter().enumerate() {
            self.out.push_str(match (index, self.flags.sharp_v) {
                (0, _) => "",
                (_, true) => ", ",
                (_, false) => " ",
            });
            if self.flags.plus_v || self.flags.sharp_v {
                self.out.push_str(name);
                self.out.push_str(":");
            }
            self.value(item, verb, depth + 1);
            if self.out.is_full() {
                return;
            }
        }
        self.out.push_str("}");
    }
}

/// How a value shows itself, if in a way of its own.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Time(time) => Some(time::text(time)),
        Value::Duration(nanos) => Some(time::duration_text(*nanos)),
        Value::Histogram(histogram) => Some(histogram.to_string()),
        Value::List(list) => list.of().shown.map(|shown| shown(list.items())),
        Value::Map(map) => map.of().shown.map(|shown| shown(map.entries())),
        _ => None,
    }
}

/// The digits with zeros before them. Rust's own formatter panics for widths above 65535.
fn filled_up(digits: &str, width: usize) -> String {
    "0".repeat(width.saturating_sub(digits.len())) + digits
}

/// `%#f` and its like always have a point.
fn with_point(digits: &str) -> String {
    if digits.contains('.') {
        return digits.to_owned();
    }
    let end = digits.find(['e', 'E']).unwrap_or(digits.len());
    format!("{}.{}", &digits[..end], &digits[end..])
}
