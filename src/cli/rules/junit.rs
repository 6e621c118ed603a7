//! What became of tests in the XML of JUnit, as `promtool test rules --junit` writes it: a suite a file, a case a test.

use std::fmt::Write;
use std::path::Path;

use crate::alerting::unit_test::Outcome;
use crate::data::UnixNanos;

/// A report that is being written.
#[derive(Debug, Default)]
pub(super) struct Report(String);

impl Report {
    /// Adds a file of tests, which began at this time.
    pub fn add(&mut self, file: &Path, began: UnixNanos, outcome: &Outcome) {
        let mut time = Vec::new();
        began.write_rfc3339(&mut time);
        let time = String::from_utf8_lossy(&time);
        let time = time.split(['.', 'Z']).next().unwrap_or_default();
        let errors = usize::from(!outcome.faults.is_empty());
        let failures = outcome.tests.iter().map(|test| test.failures.len()).sum::<usize>();
        // Writing to a string cannot fail; so it is below.
        let _ = write!(
            self.0,
            r#"<testsuite name="{}" tests="{}" failures="{failures}" errors="{errors}" skipped="0" timestamp="{time}">"#,
            escaped(&file.to_string_lossy()),
            outcome.tests.len() + errors
        );
        for test in &outcome.tests {
            let _ = write!(self.0, r#"<testcase name="{}">"#, escaped(&test.name));
            for failure in &test.failures {
                let _ = write!(self.0, "<failure>{}</failure>", escaped(failure));
            }
            self.0.push_str("</testcase>");
        }
        if errors > 0 {
            let why = escaped(&outcome.faults.join("\n"));
            let _ = write!(self.0, r#"<testcase name="unknown"><error>{why}</error></testcase>"#);
        }
        self.0.push_str("</testsuite>");
    }

    /// The document.
    pub fn finish(self) -> String {
        format!("<testsuites>{}</testsuites>", self.0)
    }
}

/// Text between tags or quotes. What XML 1.0 cannot hold at all becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::unit_test::Tested;

    #[test]
    fn a_file_is_a_suite_and_a_test_a_case() {
        let tested = |name: &str, failures: &[&str]| Tested {
            name: name.into(),
            failures: failures.iter().map(|failure| (*failure).to_owned()).collect(),
        };
        let tests = vec![tested("a & \"b\"", &[]), tested("unnamed#1", &["got:\n <1>", "\u{1}"])];
        let mut report = Report::default();
        let began = UnixNanos(1_700_000_000_123_000_000);
        report.add(Path::new("a.yml"), began, &Outcome { tests, ..Outcome::default() });
        let faults = vec!["no such file".to_owned()];
        report.add(Path::new("b.yml"), began, &Outcome { faults, ..Outcome::default() });
        assert_eq!(
            report.finish(),
            "<testsuites>\
             <testsuite name=\"a.yml\" tests=\"2\" failures=\"2\" errors=\"0\" skipped=\"0\" \
             timestamp=\"2023-11-14T22:13:20\">\
             <testcase name=\"a &amp; &#34;b&#34;\"></testcase>\
             <testcase name=\"unnamed#1\"><failure>got:&#xA; &lt;1&gt;</failure><failure>\u{fffd}</failure></testcase>\
             </testsuite>\
             <testsuite name=\"b.yml\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" \
             timestamp=\"2023-11-14T22:13:20\">\
             <testcase name=\"unknown\"><error>no such file</error></testcase></testsuite></testsuites>"
        );
    }
}
