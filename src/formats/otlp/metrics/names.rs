//! Names of metrics and labels as Prometheus has them, by the strategies of its `otlp.translation_strategy`
//! (<https://prometheus.io/docs/prometheus/latest/configuration/configuration/>, 3.x), of which the first two are what
//! OpenTelemetry's specification asks for
//! (<https://github.com/open-telemetry/opentelemetry-specification/blob/v1.38.0/specification/compatibility/prometheus_and_openmetrics.md>).

use super::units::Words;

/// How names of OpenTelemetry become names of Prometheus.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub enum Translation {
    /// Letters, digits and underscores; unit and kind at the end of a metric's name: `http.server.duration` in `s`
    /// is `http_server_duration_seconds`.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Letters, digits and underscores, and nothing at the end.
    UnderscoreEscapingWithoutSuffixes,
    /// As they are, with unit and kind at the end of a metric's name.
    #[serde(rename = "NoUTF8EscapingWithSuffixes")]
    NoUtf8EscapingWithSuffixes,
    /// As they are. Metrics that differ by unit or kind alone become one.
    NoTranslation,
}

/// What ends a metric's name, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// `_total`.
    Counter,
    /// `_ratio`, where the unit is 1.
    Gauge,
    /// Nothing.
    Other,
}

impl Translation {
    const fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }

    const fn suffixes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::NoUtf8EscapingWithSuffixes)
    }

    /// Writes a metric's name into `out`, which is cleared first; false where none is left of it.
    pub(super) fn metric_name(self, name: &str, unit: &str, ending: Ending, out: &mut String) -> bool {
        out.clear();
        match self {
            Self::UnderscoreEscapingWithSuffixes => joined(name, unit, ending, out),
            Self::UnderscoreEscapingWithoutSuffixes => {
                let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_');
                join(name.split(|c| !kept(c)).filter(|part| !part.is_empty()), out);
            }
            Self::NoUtf8EscapingWithSuffixes => suffixed(name, unit, ending, out),
            Self::NoTranslation => out.push_str(name),
        }
        if self.escapes() && out.starts_with(|c: char| c.is_ascii_digit()) {
            out.insert(0, '_');
        }
        // A name that was made of underscores alone is one; one that was reduced to them says nothing.
        !out.is_empty() && (*out == *name || out.contains(|c| c != '_'))
    }

    /// Writes a label's name into `out`, which is cleared first; false where none is left of it. As with
    /// Prometheus's defaults, underscores in a row stay as many as there were.
    pub(super) fn label_name(self, name: &str, out: &mut String) -> bool {
        out.clear();
        if !self.escapes() {
            out.push_str(name);
            return !name.is_empty();
        }
        out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
        if out.starts_with(|c: char| c.is_ascii_digit()) {
            out.insert_str(0, "key_");
        } else if out.starts_with('_') && !out.starts_with("__") {
            out.insert_str(0, "key");
        }
        !out.is_empty() && (*out == *name || out.contains(|c| c != '_'))
    }

    /// Writes the unit as the end of a metric's name has it into `out`, which is cleared first: nothing where it is
    /// not there. `metric` is the name.
    pub(super) fn unit(self, unit: &str, metric: &str, out: &mut String) {
        out.clear();
        if !self.suffixes() {
            return;
        }
        let words = Words::of(unit);
        if unit == "1" {
            out.push_str("ratio");
        } else if self.escapes() {
            let (main, per) = (cleaned(words.main), cleaned(words.per));
            out.push_str(&main);
            push_per(&per, out);
        } else {
            out.push_str(words.main);
            push_per(words.per, out);
        }
        let stem = metric.strip_suffix("_total").unwrap_or(metric);
        if !stem.strip_suffix(out.as_str()).is_some_and(|rest| rest.ends_with('_')) {
            out.clear();
        }
    }
}

fn push_per(per: &str, out: &mut String) {
    if !per.is_empty() {
        out.push_str(if out.is_empty() { "per_" } else { "_per_" });
        out.push_str(per);
    }
}

fn join<'a>(parts: impl Iterator<Item = &'a str>, out: &mut String) {
    for (index, part) in parts.enumerate() {
        if index > 0 {
            out.push('_');
        }
        out.push_str(part);
    }
}

/// The parts of a name between what is neither letter, digit nor colon.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|part| !part.is_empty())
}

/// A word with one underscore for whatever is neither letter, digit nor colon.
fn cleaned(word: &str) -> String {
    let mut clean = String::new();
    join(parts(word), &mut clean);
    clean
}

/// The parts of a name, the unit unless it is one of them, and the ending once and last.
fn joined(name: &str, unit: &str, ending: Ending, out: &mut String) {
    let words = Words::of(unit);
    let (main, mut per) = (cleaned(words.main), cleaned(words.per));
    if !per.is_empty() {
        per.insert_str(0, "per_");
    }
    let last = match ending {
        Ending::Counter => "total",
        Ending::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    let has = |word: &str| word.is_empty() || parts(name).any(|part| part == word);
    let unit = [main.as_str(), per.as_str()].into_iter().filter(|word| !has(word));
    let named = parts(name).chain(unit).filter(|part| last.is_empty() || *part != last);
    join(named.chain(Some(last).filter(|last| !last.is_empty())), out);
}

/// The name as it is; then unit and ending, each unless the name ends so.
fn suffixed(name: &str, unit: &str, ending: Ending, out: &mut String) {
    let words = Words::of(unit);
    let per = if words.per.is_empty() { String::new() } else { format!("per_{}", words.per) };
    let last = match ending {
        Ending::Counter => "total",
        Ending::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    // A suffix goes with the character before it, whatever divides them.
    let without = |name: &str, suffix: &str| -> usize {
        let stem = name.strip_suffix(suffix).filter(|_| !suffix.is_empty());
        let stem = stem.and_then(|stem| stem.char_indices().next_back()).map(|(at, _)| at);
        stem.filter(|at| *at > 0).unwrap_or(name.len())
    };
    let stem = &name[..without(name, last)];
    let stem = &stem[..without(stem, &per)];
    out.push_str(stem);
    let main = Some(words.main).filter(|main| !stem.ends_with(main));
    for word in main.into_iter().chain([per.as_str(), last]).filter(|word| !word.is_empty()) {
        out.push('_');
        out.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::Ending::{Counter, Gauge, Other};
    use super::Translation::*;

    #[test]
    fn metrics_are_named_by_the_strategy() {
        let cases = [
            (
                "http.server.duration",
                "s",
                Other,
                ["http_server_duration_seconds", "http_server_duration", "http.server.duration_seconds"],
            ),
            ("requests", "1", Counter, ["requests_total", "requests", "requests_total"]),
            ("requests.total", "{request}", Counter, ["requests_total", "requests_total", "requests_total"]),
            ("total.sent", "By", Counter, ["sent_bytes_total", "total_sent", "total.sent_bytes_total"]),
            (
                "memory.utilization",
                "1",
                Gauge,
                ["memory_utilization_ratio", "memory_utilization", "memory.utilization_ratio"],
            ),
            ("hit.ratio", "1", Gauge, ["hit_ratio", "hit_ratio", "hit_ratio"]),
            ("hits", "1", Other, ["hits", "hits", "hits"]),
            ("io", "By/s", Gauge, ["io_bytes_per_second", "io", "io_bytes_per_second"]),
            ("io_bytes", "By/s", Gauge, ["io_bytes_per_second", "io_bytes", "io_bytes_per_second"]),
            ("latency_seconds", "s", Other, ["latency_seconds", "latency_seconds", "latency_seconds"]),
            ("9lives", "", Gauge, ["_9lives", "_9lives", "9lives"]),
            ("a__b::c", "", Gauge, ["a_b::c", "a__b::c", "a__b::c"]),
            ("(lambda).runs(#)", "", Gauge, ["lambda_runs", "lambda_runs", "(lambda).runs(#)"]),
            ("größe", "m", Gauge, ["gr_e_meters", "gr_e", "größe_meters"]),
            ("speed", "m/s^2", Gauge, ["speed_meters_per_s_2", "speed", "speed_meters_per_s^2"]),
        ];
        let strategies =
            [UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, NoUtf8EscapingWithSuffixes];
        let mut out = String::new();
        for (name, unit, ending, expected) in cases {
            for (strategy, expected) in strategies.into_iter().zip(expected) {
                assert!(strategy.metric_name(name, unit, ending, &mut out));
                assert_eq!(out, expected, "{name} {unit} {strategy:?}");
            }
            assert!(NoTranslation.metric_name(name, unit, ending, &mut out));
            assert_eq!(out, name);
        }
        for (name, strategy) in
            [("", NoTranslation), ("", UnderscoreEscapingWithSuffixes), ("é!", UnderscoreEscapingWithSuffixes)]
        {
            assert!(!strategy.metric_name(name, "", Gauge, &mut out), "{name}");
        }
    }

    #[test]
    fn labels_are_named_by_the_strategy() {
        let cases = [
            ("http.status_code", "http_status_code"),
            ("9", "key_9"),
            ("_private", "key_private"),
            ("__reserved__", "__reserved__"),
            ("a..b", "a__b"),
            ("k8s.pod/name", "k8s_pod_name"),
        ];
        let mut out = String::new();
        for (name, expected) in cases {
            assert!(UnderscoreEscapingWithSuffixes.label_name(name, &mut out));
            assert_eq!(out, expected);
            assert!(NoUtf8EscapingWithSuffixes.label_name(name, &mut out));
            assert_eq!(out, name);
        }
        assert!(!UnderscoreEscapingWithSuffixes.label_name("..", &mut out));
        assert!(!NoTranslation.label_name("", &mut out));
    }

    #[test]
    fn a_unit_is_told_where_a_name_ends_in_it() {
        let cases = [
            (UnderscoreEscapingWithSuffixes, "By/s", "io_bytes_per_second", "bytes_per_second"),
            (UnderscoreEscapingWithSuffixes, "s", "busy_seconds_total", "seconds"),
            (UnderscoreEscapingWithSuffixes, "1", "use_ratio", "ratio"),
            (UnderscoreEscapingWithSuffixes, "1", "requests_total", ""),
            (UnderscoreEscapingWithSuffixes, "s", "seconds_since", ""),
            (NoTranslation, "s", "busy_seconds", ""),
            (NoUtf8EscapingWithSuffixes, "s", "busy.time_seconds", "seconds"),
        ];
        let mut out = String::new();
        for (strategy, unit, metric, expected) in cases {
            strategy.unit(unit, metric, &mut out);
            assert_eq!(out, expected, "{metric}");
        }
    }

    #[test]
    fn strategies_have_the_names_of_prometheus() {
        let names = [
            (UnderscoreEscapingWithSuffixes, "UnderscoreEscapingWithSuffixes"),
            (UnderscoreEscapingWithoutSuffixes, "UnderscoreEscapingWithoutSuffixes"),
            (NoUtf8EscapingWithSuffixes, "NoUTF8EscapingWithSuffixes"),
            (NoTranslation, "NoTranslation"),
        ];
        for (strategy, name) in names {
            assert_eq!(serde_json::json!(strategy), name);
        }
    }
}
