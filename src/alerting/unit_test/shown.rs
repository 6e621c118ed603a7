//! How promtool writes what it compares.

use std::fmt::Write;
use std::time::Duration;

use crate::data::LabelSet;
use crate::data::histogram::Histogram;
use crate::promql::script;

/// Labels and annotations of an alert.
pub(super) type Pair = (LabelSet, LabelSet);

/// Labels as Go's `labels.Labels` prints itself.
pub(super) fn labels(labels: &LabelSet) -> String {
    let mut text = String::from("{");
    for (number, (name, value)) in labels.iter().enumerate() {
        let separator = if number == 0 { "" } else { ", " };
        let is_plain = name
            .bytes()
            .enumerate()
            .all(|(at, byte)| byte.is_ascii_alphabetic() || byte == b'_' || (at > 0 && byte.is_ascii_digit()));
        let _ = if is_plain {
            write!(text, "{separator}{name}={value:?}")
        } else {
            write!(text, "{separator}{name:?}={value:?}")
        };
    }
    text.push('}');
    text
}

/// Alerts, each with its number.
pub(super) fn alerts(alerts: &[Pair]) -> String {
    if alerts.is_empty() {
        return "[]".into();
    }
    let alert = |(number, (of, annotations)): (usize, &Pair)| {
        let text = format!("\nLabels:{}\nAnnotations:{}", labels(of), labels(annotations));
        format!("{number}:{}", indented(&text, "  "))
    };
    let alerts: Vec<String> = alerts.iter().enumerate().map(alert).collect();
    format!("[\n{}\n]", alerts.join(",\n"))
}

/// The same, line by line: those of what was expected with `-`, those of what came with `+`, common ones without.
pub(super) fn difference(expected: &[Pair], got: &[Pair]) -> String {
    let lines = |pairs: &[Pair]| -> Vec<String> {
        let lines = |(of, annotations): &Pair| {
            let line = |kind: &'static str| move |(name, value): (&str, &str)| format!("{kind} {name}: {value:?}");
            let all = of.iter().map(line("label")).chain(annotations.iter().map(line("annotation")));
            std::iter::once("alert".to_owned()).chain(all).collect::<Vec<_>>()
        };
        pairs.iter().flat_map(lines).collect()
    };
    let (expected, got) = (lines(expected), lines(got));
    // What both have in their longest common subsequence.
    let mut common = vec![vec![0usize; got.len() + 1]; expected.len() + 1];
    for (left, line) in expected.iter().enumerate().rev() {
        for (right, other) in got.iter().enumerate().rev() {
            common[left][right] = if line == other {
                common[left + 1][right + 1] + 1
            } else {
                common[left + 1][right].max(common[left][right + 1])
            };
        }
    }
    let (mut left, mut right, mut text) = (0, 0, String::new());
    while left < expected.len() || right < got.len() {
        let (sign, line) = if left < expected.len() && right < got.len() && expected[left] == got[right] {
            (left, right) = (left + 1, right + 1);
            (' ', &got[right - 1])
        } else if left < expected.len() && (right == got.len() || common[left + 1][right] >= common[left][right + 1]) {
            left += 1;
            ('-', &expected[left - 1])
        } else {
            right += 1;
            ('+', &got[right - 1])
        };
        let _ = write!(text, "\n{sign} {line}");
    }
    text
}

/// Lines but the first behind an indent.
pub(super) fn indented(text: &str, indent: &str) -> String {
    text.replace('\n', &format!("\n{indent}"))
}

/// A number as Go's `FormatFloat(value, 'E', -1, 64)` writes it.
pub(super) fn number(value: f64) -> String {
    super::super::status::exponent(value).replace('e', "E")
}

/// A histogram as tests write it.
pub(super) fn histogram(histogram: &Histogram) -> String {
    script::histogram_text(histogram)
}

/// A time as Go's `time.Duration` prints it: `1h0m0s`.
pub(super) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".into();
    }
    let fraction = |whole: u128, rest: u128, digits: usize, unit: &str| {
        let rest = format!("{rest:0digits$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { format!("{whole}{unit}") } else { format!("{whole}.{rest}{unit}") }
    };
    match nanos {
        ..=999 => return format!("{nanos}ns"),
        1_000..=999_999 => return fraction(nanos / 1_000, nanos % 1_000, 3, "µs"),
        1_000_000..=999_999_999 => return fraction(nanos / 1_000_000, nanos % 1_000_000, 6, "ms"),
        _ => {}
    }
    let (minutes, rest) = (duration.as_secs() / 60, duration.as_secs() % 60);
    let seconds = fraction(rest.into(), duration.subsec_nanos().into(), 9, "s");
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}
