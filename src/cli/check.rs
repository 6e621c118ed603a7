//! `tailwater check`: whether what stands on standard input is valid, for whoever writes an exporter.

use std::io::Read;

use clap::Subcommand;

use super::run::Failed;
use crate::formats::prometheus::openmetrics::strict::{self, Summary, Violation};
use crate::formats::prometheus::{Entry, TextParser};

/// What is checked.
#[derive(Debug, Subcommand)]
pub enum Check {
    /// Check that standard input is a valid OpenMetrics 1.0 exposition
    ///
    /// Everything that the specification says MUST hold is checked, which is more than a scrape asks for. The
    /// first fault is told as `line:column: reason`, the column in bytes.
    #[command(after_help = "Example:
  curl -s -H 'Accept: application/openmetrics-text;version=1.0.0' localhost:9090/metrics | tailwater check openmetrics

Exit codes: 0 valid, 1 not valid, or standard input cannot be read")]
    Openmetrics,
}

/// Longest text that is read.
const LONGEST: u64 = 256 << 20;

/// Why it is not valid.
#[derive(Debug, thiserror::Error)]
#[error("{violation}{}", if *is_prometheus { HINT } else { "" })]
pub struct Invalid {
    violation: Violation,
    /// It is an exposition all the same, in another format.
    is_prometheus: bool,
}

const HINT: &str = "
this looks like Prometheus's text format: ask the exporter for OpenMetrics by the header
`Accept: application/openmetrics-text;version=1.0.0`; one that still answers so does not speak it, and is scraped as it is";

/// Reads standard input and says what it is.
pub fn check(what: &Check) -> Result<Result<String, Invalid>, Failed> {
    let Check::Openmetrics = what;
    let mut text = Vec::new();
    let failed = |error| Failed::Process(format!("cannot read standard input: {error}"));
    std::io::stdin().lock().take(LONGEST + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(Failed::Process(format!("standard input is longer than {} MiB", LONGEST >> 20)));
    }
    let checked = strict::check(&text);
    Ok(checked.map_err(|violation| Invalid { is_prometheus: is_prometheus(&text), violation }).map(|summary| {
        let Summary { families, samples } = summary;
        let families_word = if families == 1 { "family" } else { "families" };
        let samples_word = if samples == 1 { "sample" } else { "samples" };
        format!("the exposition is valid: {families} metric {families_word}, {samples} {samples_word}\n")
    }))
}

/// Whether it has samples, and no fault and no end, as Prometheus's text format has it.
fn is_prometheus(text: &[u8]) -> bool {
    let mut parser = TextParser::new(text);
    let mut samples = 0;
    loop {
        match parser.entry() {
            Ok(Some(Entry::Comment(b"# EOF"))) | Err(_) => return false,
            Ok(Some(Entry::Series(_))) => samples += 1,
            Ok(Some(_)) => {}
            Ok(None) => return samples > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_prometheus;

    #[test]
    fn prometheus_text_format_is_known_from_a_faulty_openmetrics() {
        for (text, expected) in [
            ("# HELP a words\n# TYPE a untyped\na{b=\"c\"} 1 1000\n\n", true),
            ("a 1\n# EOF\n", false),
            ("a 1\nb\n", false),
            ("# TYPE a counter\n", false),
            ("", false),
        ] {
            assert_eq!(is_prometheus(text.as_bytes()), expected, "{text}");
        }
    }
}
