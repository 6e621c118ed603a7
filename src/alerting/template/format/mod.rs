//! Values as texts: what an action writes, and `printf` with Go's verbs and flags (package `fmt`).

mod printer;
mod verbs;

pub use crate::formats::go::{Style, float, is_printable, quote};
pub use printer::Out;

use super::value::Value;
use printer::{Flags, Printer};
use verbs::Verbs;

/// Writes a value as an action does.
pub fn show(value: &Value, out: &mut Out) {
    match value {
        Value::Nil => out.push_str("<no value>"),
        Value::String(text) | Value::Html(text) => out.push_str(text),
        _ => Printer { out, flags: Flags::default() }.value(value, 'v', 0),
    }
}

/// Writes values one after the other, with a blank where neither of two is a text: `print`.
pub fn print(values: &[Value], out: &mut Out) {
    for (index, value) in values.iter().enumerate() {
        let text = |value: &Value| value.as_str().is_some();
        if index > 0 && !text(value) && !text(&values[index - 1]) {
            out.push_str(" ");
        }
        Printer { out, flags: Flags::default() }.value(value, 'v', 0);
    }
}

/// Writes values with blanks between them and a line feed behind: `println`.
pub fn println(values: &[Value], out: &mut Out) {
    for (index, value) in values.iter().enumerate() {
        out.push_str(if index > 0 { " " } else { "" });
        Printer { out, flags: Flags::default() }.value(value, 'v', 0);
    }
    out.push_str("\n");
}

/// Writes values by a format: `printf`. What is wrong with it is written too, as Go does.
pub fn printf(format: &str, values: &[Value], out: &mut Out) {
    Verbs::new(format, values).write(out);
}
