//! Series as scripts and tests of rules write them: labels, and values that unroll.
//!
//! `up{job="node"} 1 _ 2+3x2 stale` is five values one step apart, after the first: 1, none, 2, 5, 8, a staleness marker.
//! `_x3` is none three times; `4x3` is 4 and three more; `{{sum:1 count:1}}+{{sum:2 count:1}}x3` does the same with
//! native histograms.

use std::sync::Arc;

use super::cursor::{Cursor, NotationError};
use super::histogram_notation::{self, Written};
use crate::data::histogram::Histogram;
use crate::data::labels::{LabelSet, METRIC_NAME};
use crate::data::metrics::STALE;
use crate::promql::histogram::FloatHistogram;

/// Most values of one series; more is a slip of a repetition.
pub const MOST_VALUES: usize = 1_000_000;

/// Most memory of the histograms of one series.
const MOST_BYTES: usize = 64 << 20;

/// One value of a series.
#[derive(Clone, Debug)]
pub enum Item {
    /// `_`: the series has no sample at this step.
    None,
    /// A number; `stale` is a staleness marker.
    Float(f64),
    /// A native histogram; its counts are floats.
    Histogram {
        /// The histogram.
        histogram: Arc<Histogram>,
        /// Whether `counter_reset_hint` was written. Where it was not, an expectation says nothing about it.
        hint_given: bool,
    },
}

/// A series and its values, one step apart.
#[derive(Clone, Debug)]
pub struct Series {
    /// Labels, the metric's name among them.
    pub labels: LabelSet,
    /// Values.
    pub values: Vec<Item>,
}

/// Reads a series and its values: `up{job="node"} 1 2 3`.
///
/// # Errors
/// Where the text is something else, or unrolls to more than [`MOST_VALUES`].
pub fn series(text: &str) -> Result<Series, NotationError> {
    let mut cursor = Cursor::new(text);
    let labels = metric_at(&mut cursor)?;
    if !cursor.is_done() && !cursor.blanks() {
        return Err(cursor.expected("a blank, then values"));
    }
    Ok(Series { labels, values: values_at(&mut cursor)? })
}

/// Reads a series alone: `up{job="node"}`. Names of labels and metrics that are no identifiers stand in quotes.
///
/// # Errors
/// Where the text is something else.
pub fn metric(text: &str) -> Result<LabelSet, NotationError> {
    let mut cursor = Cursor::new(text);
    let labels = metric_at(&mut cursor)?;
    if cursor.is_done() { Ok(labels) } else { Err(cursor.expected("the end of the series")) }
}

/// Reads values alone: `1 2+3x5 _`.
///
/// # Errors
/// Where the text is something else, or unrolls to more than [`MOST_VALUES`].
pub fn values(text: &str) -> Result<Vec<Item>, NotationError> {
    let mut cursor = Cursor::new(text);
    cursor.blanks();
    values_at(&mut cursor)
}

pub(super) fn metric_at(cursor: &mut Cursor<'_>) -> Result<LabelSet, NotationError> {
    let mut labels = LabelSet::new();
    let start = cursor.clone();
    let name = cursor.take_while(|c| is_name(c) || c == ':');
    if name.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(start.expected("a series, such as `up{job=\"node\"}`"));
    }
    labels.set(METRIC_NAME, name);
    if !cursor.take("{") {
        return if name.is_empty() { Err(start.expected("a series, such as `up{job=\"node\"}`")) } else { Ok(labels) };
    }
    cursor.blanks();
    while !cursor.take("}") {
        let start = cursor.clone();
        let quoted = cursor.peek().is_some_and(|c| matches!(c, '"' | '\'' | '`'));
        let name = if quoted { cursor.quoted()? } else { cursor.take_while(is_name).to_owned() };
        if !quoted && name.chars().next().is_none_or(|c| c.is_ascii_digit() || c == '.') {
            return Err(start.expected("the name of a label, or `}`"));
        }
        cursor.blanks();
        let (name, value) = if cursor.take("=") {
            cursor.blanks();
            (name, cursor.quoted()?)
        } else if quoted {
            (METRIC_NAME.to_owned(), name)
        } else {
            return Err(cursor.expected("`=`"));
        };
        if labels.has(&name) {
            let what = if name == METRIC_NAME { "the metric's name".to_owned() } else { format!("label `{name}`") };
            return Err(start.problem(format!("{what} is given twice")));
        }
        labels.set(&name, &value);
        cursor.blanks();
        if !cursor.take(",") && cursor.peek() != Some('}') {
            return Err(cursor.expected("`,` or `}`"));
        }
        cursor.blanks();
    }
    Ok(labels)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || (!c.is_ascii() && c.is_alphabetic())
}

fn values_at(cursor: &mut Cursor<'_>) -> Result<Vec<Item>, NotationError> {
    let mut values = Vec::new();
    while !cursor.is_done() {
        item(cursor, &mut values)?;
        if !cursor.blanks() && !cursor.is_done() {
            return Err(cursor.expected("a blank"));
        }
    }
    Ok(values)
}

fn item(cursor: &mut Cursor<'_>, values: &mut Vec<Item>) -> Result<(), NotationError> {
    if cursor.take("_") {
        let times = if cursor.take("x") { count(cursor, values.len())? } else { 1 };
        values.extend(std::iter::repeat_n(Item::None, times));
    } else if cursor.take("{{") {
        histograms(cursor, values)?;
    } else if cursor.take("stale") {
        values.push(Item::Float(STALE));
    } else {
        let what = "`_`, `stale`, a histogram or a number";
        let mut value = cursor.clone().number().map_err(|_| cursor.expected(what)).and(cursor.number())?;
        let step = if cursor.peek().is_some_and(|c| matches!(c, '+' | '-')) { Some(cursor.number()?) } else { None };
        let times = match step {
            Some(_) => repetitions(cursor, values.len())?,
            None if cursor.peek() == Some('x') => repetitions(cursor, values.len())?,
            None => 0,
        };
        // Step by step, as Prometheus does: the sum of the steps may be another number.
        for _ in 0..=times {
            values.push(Item::Float(value));
            value += step.unwrap_or(0.0);
        }
    }
    Ok(())
}

fn histograms(cursor: &mut Cursor<'_>, values: &mut Vec<Item>) -> Result<(), NotationError> {
    let start = cursor.clone();
    let Written { histogram, hint_given } = histogram_notation::read(cursor)?;
    let sign = if cursor.take("+{{") {
        1.0
    } else if cursor.take("-{{") {
        -1.0
    } else {
        let times = if cursor.peek() == Some('x') { repetitions(cursor, values.len())? } else { 0 };
        let item = Item::Histogram { histogram: Arc::new(histogram), hint_given };
        values.extend(std::iter::repeat_n(item, times + 1));
        return Ok(());
    };
    let Written { histogram: step, hint_given } = histogram_notation::read(cursor)?;
    let times = repetitions(cursor, values.len())?;
    if (times + 1).saturating_mul(histogram.bytes().max(step.bytes())) > MOST_BYTES {
        return Err(start.problem(format!("so many histograms take more than {} MiB", MOST_BYTES >> 20)));
    }
    let mut now = histogram;
    for left in (0..=times).rev() {
        let next = if left == 0 { now.clone() } else { plus(&now, &step, sign).map_err(|why| start.problem(why))? };
        values.push(Item::Histogram { histogram: Arc::new(std::mem::replace(&mut now, next)), hint_given });
    }
    Ok(())
}

/// `xN`: how often a value is repeated after its first time.
fn repetitions(cursor: &mut Cursor<'_>, before: usize) -> Result<usize, NotationError> {
    cursor.expect("x")?;
    count(cursor, before)
}

fn count(cursor: &mut Cursor<'_>, before: usize) -> Result<usize, NotationError> {
    let start = cursor.clone();
    let times = usize::try_from(cursor.whole()?).unwrap_or(usize::MAX);
    if times.saturating_add(before) >= MOST_VALUES {
        return Err(start.problem(format!("a series has {MOST_VALUES} values at most")));
    }
    Ok(times)
}

/// The histogram one step on. As in Prometheus the step may be finer than the histogram, not coarser.
fn plus(histogram: &Histogram, step: &Histogram, sign: f64) -> Result<Histogram, String> {
    if step.schema < histogram.schema {
        return Err(format!("the step has schema {}, which is coarser than {}", step.schema, histogram.schema));
    }
    let (mut sum, step) = (FloatHistogram::from(histogram), FloatHistogram::from(step));
    let combined = if sign < 0.0 { sum.subtract(&step) } else { sum.add(&step) };
    combined.map(|_| Histogram::from(&sum)).map_err(|incompatible| incompatible.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let text_of = |item: Item| match item {
            Item::None => "_".to_owned(),
            Item::Float(value) if value.to_bits() == STALE.to_bits() => "stale".to_owned(),
            Item::Float(value) => histogram_notation::number(value),
            Item::Histogram { histogram, .. } => histogram_notation::text(&histogram),
        };
        values(text).expect("read").into_iter().map(text_of).collect()
    }

    #[test]
    fn values_unroll() {
        for (text, expected) in [
            ("", ""),
            ("1 -2 +3 .5 1e3 NaN -Inf", "1 -2 3 0.5 1000 NaN -Inf"),
            ("_ _x2 stale", "_ _ _ stale"),
            ("1+1x2 3-2x2 -1+2x1", "1 2 3 3 1 -1 -1 1"),
            ("5x2  7x0", "5 5 5 7"),
            ("_x0 1", "1"),
            ("{{sum:1}}x1 {{}}", "{{sum:1}} {{sum:1}} {{}}"),
            (
                "{{count:1 sum:2 buckets:[1]}}+{{count:3 sum:-1 offset:1 buckets:[3]}}x2",
                "{{count:1 sum:2 buckets:[1]}} {{count:4 sum:1 buckets:[1 3]}} {{count:7 buckets:[1 6]}}",
            ),
            (
                "{{count:5 buckets:[5]}}-{{count:2 schema:1 buckets:[1 0 1]}}x1",
                "{{count:5 buckets:[5]}} {{count:3 buckets:[4 -1]}}",
            ),
        ] {
            assert_eq!(shown(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn names_may_stand_in_quotes() {
        for (text, expected) in [
            ("up", "{\"__name__\": \"up\"}"),
            ("{}", "{}"),
            ("a:b{c=\"d\", e='f',}", "{\"__name__\": \"a:b\", \"c\": \"d\", \"e\": \"f\"}"),
            ("{\"a b\", \"c.d\"=\"e\"}", "{\"__name__\": \"a b\", \"c.d\": \"e\"}"),
            ("köln.x{größe=`1\\`}", "{\"__name__\": \"köln.x\", \"größe\": \"1\\\\\"}"),
        ] {
            assert_eq!(format!("{:?}", metric(text).expect("read")), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (text, problem) in [
            ("", "column 1: expected a series, such as `up{job=\"node\"}`, found the end"),
            ("1a 1", "column 1: expected a series, such as `up{job=\"node\"}`, found `1a`"),
            ("a{b} 1", "column 4: expected `=`, found `}`"),
            ("a{b=c} 1", "column 5: expected a quoted text, found `c}`"),
            ("a{b=\"c\" d=\"e\"} 1", "column 9: expected `,` or `}`, found `d=\"e\"}`"),
            ("a{b=\"c\",b=\"d\"} 1", "column 9: label `b` is given twice"),
            ("a{\"b\"} 1", "column 3: the metric's name is given twice"),
            ("a{}1", "column 4: expected a blank, then values, found `1`"),
            ("a 1+1", "column 6: expected `x`, found the end"),
            ("a 1x", "column 5: expected a whole number, found the end"),
            ("a 0x10", ""),
            ("a 1y", "column 3: expected `_`, `stale`, a histogram or a number, found `1y`"),
            ("a stalex3", "column 8: expected a blank, found `x3`"),
            ("a 1x9999999", "column 5: a series has 1000000 values at most"),
            ("a {{sum:1}}+{{sum:1}}", "column 22: expected `x`, found the end"),
            ("a {{schema:1}}+{{}}x1", "column 5: the step has schema 0, which is coarser than 1"),
        ] {
            let told = series(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(told, problem, "{text}");
        }
    }
}
