//! A format's verbs: flags, width, precision and which value each takes.

use super::printer::{Flags, Out, Printer};
use crate::alerting::template::value::Value;

/// Longest number of a value.
const MAX_NUMBER: usize = 20;

/// Largest width and precision that a value may ask for.
const MAX_WIDTH: usize = 1_000_000;

pub(super) struct Verbs<'a> {
    rest: std::str::Chars<'a>,
    values: &'a [Value],
    /// The next value.
    next: usize,
    /// Whether values were chosen by number, so that those left over are not told.
    reordered: bool,
}

/// A width or a precision.
enum Size {
    None,
    Some(i64),
    /// A `*` whose value is no whole number.
    Bad,
}

impl<'a> Verbs<'a> {
    pub fn new(format: &'a str, values: &'a [Value]) -> Self {
        Self { rest: format.chars(), values, next: 0, reordered: false }
    }

    pub fn write(mut self, out: &mut Out) {
        loop {
            let text = self.rest.as_str();
            let Some(percent) = text.find('%') else {
                out.push_str(text);
                break;
            };
            out.push_str(&text[..percent]);
            self.rest = text[percent + 1..].chars();
            self.verb(out);
        }
        if !self.reordered && self.next < self.values.len() {
            out.push_str("%!(EXTRA ");
            for (index, value) in self.values[self.next..].iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                match value {
                    Value::Nil => out.push_str("<nil>"),
                    value => {
                        out.push_str(value.type_name());
                        out.push_str("=");
                        Printer { out, flags: Flags::default() }.value(value, 'v', 0);
                    }
                }
            }
            out.push_str(")");
        }
    }

    fn verb(&mut self, out: &mut Out) {
        self.reordered = false;
        let mut flags = self.flags();
        // Whether the value is chosen by number, and whether that failed.
        let (mut chosen, mut good) = (false, true);
        self.choose(&mut chosen, &mut good);
        match self.size(&mut chosen) {
            Size::Some(width) => {
                flags.minus |= width < 0;
                if flags.minus {
                    flags.zero = false;
                }
                flags.width = usize::try_from(width.unsigned_abs()).ok();
            }
            Size::Bad => out.push_str("%!(BADWIDTH)"),
            Size::None => {}
        }
        if self.rest.as_str().starts_with('.') {
            self.rest.next();
            good &= !chosen;
            self.choose(&mut chosen, &mut good);
            match self.size(&mut chosen) {
                Size::Some(precision @ 0..) => flags.precision = usize::try_from(precision).ok(),
                Size::Some(_) | Size::Bad => out.push_str("%!(BADPREC)"),
                Size::None => flags.precision = Some(0),
            }
        }
        if !chosen {
            self.choose(&mut chosen, &mut good);
        }
        let Some(verb) = self.rest.next() else { return out.push_str("%!(NOVERB)") };
        if verb == '%' {
            return out.push_str("%");
        }
        let value = self.values.get(self.next);
        let told = |out: &mut Out, words: &str| {
            out.push_str("%!");
            out.push(verb);
            out.push_str(words);
        };
        match value {
            _ if !good => told(out, "(BADINDEX)"),
            None => told(out, "(MISSING)"),
            Some(value) => {
                self.next += 1;
                if verb == 'v' {
                    flags.sharp_v = std::mem::take(&mut flags.sharp);
                    flags.plus_v = std::mem::take(&mut flags.plus);
                }
                Printer { out, flags }.value(value, verb, 0);
            }
        }
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        loop {
            let mut ahead = self.rest.clone();
            match ahead.next() {
                Some('#') => flags.sharp = true,
                // Only to the left there are zeros.
                Some('0') => flags.zero = !flags.minus,
                Some('+') => flags.plus = true,
                Some('-') => {
                    flags.minus = true;
                    flags.zero = false;
                }
                Some(' ') => flags.space = true,
                _ => return flags,
            }
            self.rest = ahead;
        }
    }

    /// `[3]`: the number of the next value, from 1.
    fn choose(&mut self, chosen: &mut bool, good: &mut bool) {
        let Some(inner) = self.rest.as_str().strip_prefix('[') else { return };
        self.reordered = true;
        *chosen = true;
        // A number is short.
        let Some(end) = inner.bytes().take(MAX_NUMBER).position(|byte| byte == b']') else {
            *good = false;
            self.rest.next();
            return;
        };
        self.rest = inner[end + 1..].chars();
        let number = inner[..end].parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        match number.filter(|number| *number < self.values.len()) {
            Some(number) => self.next = number,
            None => *good = false,
        }
    }

    fn size(&mut self, chosen: &mut bool) -> Size {
        let text = self.rest.as_str();
        if text.starts_with('*') {
            self.rest.next();
            *chosen = false;
            let value = self.values.get(self.next);
            self.next += usize::from(value.is_some());
            return match value {
                Some(Value::Int(size)) if size.unsigned_abs() <= MAX_WIDTH as u64 => Size::Some(*size),
                _ => Size::Bad,
            };
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Size::None;
        }
        *chosen = false;
        let mut size = 0;
        for digit in text.bytes().take(digits) {
            // As Go does: with a number that has too many digits, the format ends.
            if size > MAX_WIDTH {
                self.rest = "".chars();
                return Size::None;
            }
            size = 10 * size + usize::from(digit - b'0');
        }
        self.rest = text[digits..].chars();
        Size::Some(size as i64)
    }
}
