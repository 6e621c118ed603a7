//! The file of tests, from YAML to values. Scalars are taken as promtool's YAML library takes them: whatever is written may
//! be a text. Unknown keys are always wrong.

use std::sync::Arc;
use std::time::Duration;

use crate::data::{LabelSet, UnixNanos};
use crate::formats::yaml::{self, Entry, Node, Value};
use crate::options::{Span, prometheus_duration};

/// A file of tests.
#[derive(Debug)]
pub(super) struct TestFile {
    pub rule_files: Vec<String>,
    pub evaluation_interval: Duration,
    pub group_eval_order: Vec<String>,
    pub fuzzy_compare: bool,
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Debug, Default)]
pub(super) struct Test {
    pub name: String,
    pub interval: Option<Duration>,
    /// Each with its values.
    pub input_series: Vec<(String, String)>,
    pub alerts: Vec<AlertTest>,
    pub expressions: Vec<ExpressionTest>,
    pub external_labels: LabelSet,
    pub external_url: String,
    pub start: UnixNanos,
}

/// What is expected of the alerts of a name.
#[derive(Debug, Default)]
pub(super) struct AlertTest {
    pub at: Duration,
    pub name: String,
    /// Labels and annotations of each.
    pub expected: Vec<(LabelSet, LabelSet)>,
}

/// What is expected of an expression.
#[derive(Debug, Default)]
pub(super) struct ExpressionTest {
    pub expr: String,
    pub at: Duration,
    pub expected: Vec<Sample>,
}

/// A sample that is expected.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub labels: String,
    pub value: f64,
    /// A native histogram; `value` means nothing then. May be empty.
    pub histogram: String,
}

/// Reads a file, or tells everything that is wrong with it, each with its line.
pub(super) fn read(text: &str) -> Result<TestFile, Vec<String>> {
    let mut reader = Reader { text, faults: Vec::new() };
    let first = yaml::parse_first(1, text).map_err(|problems| {
        problems.iter().map(|problem| reader.fault(problem.span, &problem.message)).collect::<Vec<_>>()
    })?;
    let mut file = TestFile {
        rule_files: Vec::new(),
        evaluation_interval: Duration::ZERO,
        group_eval_order: Vec::new(),
        fuzzy_compare: false,
        tests: Vec::new(),
    };
    if let Some(root) = &first.root {
        reader.file(root, &mut file);
    }
    if file.evaluation_interval.is_zero() {
        file.evaluation_interval = Duration::from_mins(1);
    }
    if reader.faults.is_empty() { Ok(file) } else { Err(reader.faults) }
}

struct Reader<'t> {
    text: &'t str,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn file(&mut self, root: &Node, file: &mut TestFile) {
        const KEYS: [&str; 5] = ["rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare"];
        for Entry { key, node, .. } in self.mapping(root, "a file of tests", &KEYS) {
            match &**key {
                "rule_files" => file.rule_files = self.texts(node, key),
                "evaluation_interval" => file.evaluation_interval = self.duration(node, key),
                "group_eval_order" => file.group_eval_order = self.texts(node, key),
                "fuzzy_compare" => file.fuzzy_compare = self.truth(node, key),
                "tests" => file.tests = self.list(node, key).iter().map(|node| self.test(node)).collect(),
                _ => {}
            }
        }
    }

    fn test(&mut self, node: &Node) -> Test {
        const KEYS: [&str; 8] = [
            "name",
            "interval",
            "input_series",
            "alert_rule_test",
            "promql_expr_test",
            "external_labels",
            "external_url",
            "start_timestamp",
        ];
        let mut test = Test::default();
        for Entry { key, node, .. } in self.mapping(node, "a test", &KEYS) {
            match &**key {
                "name" => test.name = self.word(node, key),
                "interval" => test.interval = Some(self.duration(node, key)).filter(|interval| !interval.is_zero()),
                "input_series" => {
                    test.input_series = self.list(node, key).iter().map(|node| self.series(node)).collect();
                }
                "alert_rule_test" => test.alerts = self.list(node, key).iter().map(|node| self.alert(node)).collect(),
                "promql_expr_test" => {
                    test.expressions = self.list(node, key).iter().map(|node| self.expression(node)).collect();
                }
                "external_labels" => test.external_labels = self.labels(node, key),
                "external_url" => test.external_url = self.word(node, key),
                "start_timestamp" => test.start = self.time(node, key),
                _ => {}
            }
        }
        test
    }

    fn series(&mut self, node: &Node) -> (String, String) {
        let mut series = (String::new(), String::new());
        for Entry { key, node, .. } in self.mapping(node, "a series", &["series", "values"]) {
            match &**key {
                "series" => series.0 = self.word(node, key),
                "values" => series.1 = self.word(node, key),
                _ => {}
            }
        }
        series
    }

    fn alert(&mut self, node: &Node) -> AlertTest {
        let mut test = AlertTest::default();
        for Entry { key, node, .. } in self.mapping(node, "a test of alerts", &["eval_time", "alertname", "exp_alerts"])
        {
            match &**key {
                "eval_time" => test.at = self.duration(node, key),
                "alertname" => test.name = self.word(node, key),
                "exp_alerts" => test.expected = self.list(node, key).iter().map(|node| self.expected(node)).collect(),
                _ => {}
            }
        }
        test
    }

    fn expected(&mut self, node: &Node) -> (LabelSet, LabelSet) {
        let mut expected = (LabelSet::new(), LabelSet::new());
        for Entry { key, node, .. } in self.mapping(node, "an alert", &["exp_labels", "exp_annotations"]) {
            match &**key {
                "exp_labels" => expected.0 = self.labels(node, key),
                "exp_annotations" => expected.1 = self.labels(node, key),
                _ => {}
            }
        }
        expected
    }

    fn expression(&mut self, node: &Node) -> ExpressionTest {
        let mut test = ExpressionTest::default();
        for Entry { key, node, .. } in
            self.mapping(node, "a test of an expression", &["expr", "eval_time", "exp_samples"])
        {
            match &**key {
                "expr" => test.expr = self.word(node, key),
                "eval_time" => test.at = self.duration(node, key),
                "exp_samples" => test.expected = self.list(node, key).iter().map(|node| self.sample(node)).collect(),
                _ => {}
            }
        }
        test
    }

    fn sample(&mut self, node: &Node) -> Sample {
        let mut sample = Sample::default();
        for Entry { key, node, .. } in self.mapping(node, "a sample", &["labels", "value", "histogram"]) {
            match &**key {
                "labels" => sample.labels = self.word(node, key),
                "value" => sample.value = self.number(node, key),
                "histogram" => sample.histogram = self.word(node, key),
                _ => {}
            }
        }
        sample
    }

    fn fault(&self, span: Span, message: &str) -> String {
        let before = self.text.as_bytes().get(..span.start as usize).unwrap_or(self.text.as_bytes());
        format!("{}: {message}", 1 + memchr::memchr_iter(b'\n', before).count())
    }

    fn wrong(&mut self, node: &Node, message: &str) {
        let fault = self.fault(node.span, message);
        self.faults.push(fault);
    }

    /// The entries of a mapping; none where nothing is written.
    fn mapping<'n>(&mut self, node: &'n Node, what: &str, keys: &[&str]) -> &'n [Entry] {
        match &node.value {
            Value::Map(entries) => {
                for entry in entries.iter().filter(|entry| !keys.contains(&&*entry.key)) {
                    let known = keys.join(", ");
                    let message = format!("unknown key `{}` in {what}; there are: {known}", entry.key);
                    let fault = self.fault(entry.key_span, &message);
                    self.faults.push(fault);
                }
                entries
            }
            _ if node.is_null() => &[],
            _ => {
                self.wrong(node, &format!("{what} is a mapping, found {}", node.kind()));
                &[]
            }
        }
    }

    fn list<'n>(&mut self, node: &'n Node, key: &str) -> &'n [Arc<Node>] {
        match &node.value {
            Value::List(items) => items,
            _ if node.is_null() => &[],
            _ => {
                self.wrong(node, &format!("`{key}` takes a list, found {}", node.kind()));
                &[]
            }
        }
    }

    fn word(&mut self, node: &Node, key: &str) -> String {
        match &node.value {
            _ if node.is_null() => String::new(),
            Value::Scalar(scalar) => scalar.text.to_string(),
            _ => {
                self.wrong(node, &format!("`{key}` takes a text, found {}", node.kind()));
                String::new()
            }
        }
    }

    fn texts(&mut self, node: &Node, key: &str) -> Vec<String> {
        self.list(node, key).iter().map(|node| self.word(node, key)).collect()
    }

    fn labels(&mut self, node: &Node, key: &str) -> LabelSet {
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            _ if node.is_null() => &[],
            _ => {
                self.wrong(node, &format!("`{key}` takes a mapping of texts, found {}", node.kind()));
                &[]
            }
        };
        entries.iter().map(|entry| (entry.key.to_string(), self.word(&entry.node, &entry.key))).collect()
    }

    fn duration(&mut self, node: &Node, key: &str) -> Duration {
        let text = self.word(node, key);
        if node.is_null() {
            return Duration::ZERO;
        }
        prometheus_duration::parse(&text).unwrap_or_else(|error| {
            self.wrong(node, &format!("`{key}`: {text:?} is no duration; {error}"));
            Duration::ZERO
        })
    }

    fn truth(&mut self, node: &Node, key: &str) -> bool {
        match self.word(node, key).to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => true,
            "" | "false" | "no" | "off" | "n" => false,
            other => {
                self.wrong(node, &format!("`{key}`: {other:?} is neither true nor false"));
                false
            }
        }
    }

    fn number(&mut self, node: &Node, key: &str) -> f64 {
        let text = self.word(node, key);
        let read = match text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
            "" if node.is_null() => Some(0.0),
            ".nan" => Some(f64::NAN),
            ".inf" => Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
            digits if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
                text.replace('_', "").parse().ok()
            }
            _ => None,
        };
        read.unwrap_or_else(|| {
            self.wrong(node, &format!("`{key}`: {text:?} is no number"));
            0.0
        })
    }

    /// Seconds since 1970, or RFC 3339.
    fn time(&mut self, node: &Node, key: &str) -> UnixNanos {
        let text = self.word(node, key);
        let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..9e9).contains(seconds));
        let millis = seconds.map(|seconds| UnixNanos((seconds * 1000.0).round() as u64 * 1_000_000));
        millis.or_else(|| UnixNanos::parse_rfc3339(text.as_bytes())).unwrap_or_else(|| {
            self.wrong(
                node,
                &format!("`{key}`: {text:?} is neither seconds since 1970 nor a time such as 2026-11-23T00:00:00Z"),
            );
            UnixNanos(0)
        })
    }
}
