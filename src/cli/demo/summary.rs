//! What the demo says at its end: what the shop wrote against what the output holds.

use std::fmt;
use std::path::PathBuf;

use super::ledger::Counts;
use super::pager::Paged;
use super::shop::Deeds;
use super::spans::SpanCounts;

/// The whole run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Both sides, record by record.
    pub counts: Counts,
    /// What the shop did beside.
    pub deeds: Deeds,
    /// Records that the agent read.
    pub read: u64,
    /// Records that the agent counted as dropped by the configuration.
    pub filtered: u64,
    /// Records that a sink refused for good, or a buffer shed.
    pub refused: u64,
    /// The shop's metrics.
    pub metrics: Metrics,
    /// The shop's spans on both sides.
    pub spans: SpanCounts,
    /// What was paged.
    pub paged: Paged,
    /// Each output file and its lines.
    pub outputs: Vec<(PathBuf, u64)>,
    /// The configuration.
    pub config: PathBuf,
}

/// What the samples say against what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Samples in the output.
    pub samples: u64,
    /// Orders that were accepted, and declined.
    pub happened: (u64, u64),
    /// The same by the last samples.
    pub told: (u64, u64),
}

impl Summary {
    /// Whether everything is where it should be.
    pub fn holds(&self) -> bool {
        let Counts { open, unexpected, leaked, .. } = self.counts;
        let spans = self.spans;
        let records = open == 0 && unexpected == 0 && leaked == 0 && self.refused == 0;
        records
            && self.paged.holds()
            && self.metrics.happened == self.metrics.told
            && (spans.open, spans.doubled, spans.altered, spans.leaked) == (0, 0, 0, 0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { written, dropped, found, open, unexpected, secrets, leaked } = self.counts;
        let Deeds { rotations, split, short_lived } = self.deeds;
        let mut row = |name: &str, count: u64, note: fmt::Arguments<'_>| writeln!(f, "  {name:<9} {count:>9}   {note}");
        row(
            "written",
            written,
            format_args!(
                "by the shop, {dropped} of them debug; {split} lines split, {rotations} rotations, {short_lived} pods of one second"
            ),
        )?;
        row("in", self.read, format_args!("read by the agent"))?;
        row("out", found, format_args!("found in the output, each by the time that its line was stamped with"))?;
        row("filtered", self.filtered, format_args!("dropped as the configuration says"))?;
        row("refused", self.refused, format_args!("for good, by a sink or a full buffer"))?;
        row("lost", open, format_args!("written, to be kept, and not in the output"))?;
        row("extra", unexpected, format_args!("in the output twice, or though they should not be there"))?;
        row(
            "leaked",
            leaked + self.spans.leaked,
            format_args!(
                "lines with one of the {} e-mail addresses and card numbers that the shop wrote and sent",
                secrets + self.spans.secrets
            ),
        )?;
        let Metrics { samples, happened, told } = self.metrics;
        let compared = match happened == told {
            true => "as it had".to_owned(),
            false => format!("but it had {} and {}", happened.0, happened.1),
        };
        let (accepted, declined) = told;
        row(
            "samples",
            samples,
            format_args!("of the shop's metrics: {accepted} orders accepted, {declined} declined, {compared}"),
        )?;
        let SpanCounts { requests, sent, arrived, open, doubled, altered, .. } = self.spans;
        let altered = if altered == 0 { String::new() } else { format!(", {altered} altered") };
        row(
            "spans",
            sent,
            format_args!(
                "sent over OTLP, of {requests} requests: {arrived} arrived, {open} lost, {doubled} doubled{altered}"
            ),
        )?;
        let Paged { opened, resolved, odd } = self.paged;
        let odd = if odd == 0 { String::new() } else { format!(", and {odd} that should not have come") };
        row("pages", opened as u64, format_args!("when the checkout did not answer: {resolved} resolved since{odd}"))?;
        writeln!(f)?;
        for (path, lines) in &self.outputs {
            writeln!(f, "  {lines:>9} lines in {}", path.display())?;
        }
        writeln!(f, "The configuration to start from: {}", self.config.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lost_record_is_told_and_does_not_hold() {
        let counts = Counts { written: 10, dropped: 3, found: 6, open: 1, ..Counts::default() };
        let paged = Paged { opened: 1, resolved: 1, odd: 0 };
        let summary = Summary { counts, filtered: 3, read: 9, paged, ..Summary::default() };
        assert!(!summary.holds());
        assert!(summary.to_string().contains("\n  lost              1   "), "{summary}");
        let whole = Counts { found: 7, open: 0, ..counts };
        let whole = Summary { counts: whole, ..summary };
        assert!(whole.holds());
        let metrics = Metrics { samples: 9, happened: (5, 1), told: (4, 1) };
        let wrong = Summary { metrics, ..whole };
        assert!(
            !wrong.holds() && wrong.to_string().contains("4 orders accepted, 1 declined, but it had 5 and 1"),
            "{wrong}"
        );
        let spans = SpanCounts { requests: 2, sent: 5, arrived: 4, open: 1, ..SpanCounts::default() };
        let lost = Summary { metrics: Metrics::default(), spans, ..wrong };
        let told = lost.to_string();
        assert!(!lost.holds() && told.contains("of 2 requests: 4 arrived, 1 lost, 0 doubled\n"), "{told}");
    }
}
