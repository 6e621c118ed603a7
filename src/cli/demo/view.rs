//! The live view as text: a table of the components, then a record before and after. Nothing here reads a
//! clock or a terminal.

use std::fmt::Write;
use std::time::Duration;

use super::ledger::{Counts, Sample};
use super::spans::SpanCounts;
use crate::telemetry::{Flow, TargetCounts};

/// What the view shows of one moment.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Since the shop opened.
    pub elapsed: Duration,
    /// Every component in the order of the graph.
    pub rows: Vec<Row>,
    /// What is scraped.
    pub scrapes: Option<Scrapes>,
    /// What was counted of spans on both sides.
    pub spans: SpanCounts,
    /// What was counted on both sides.
    pub counts: Counts,
    /// Median and 99th percentile of the time from write to output.
    pub delay: Option<(Duration, Duration)>,
    /// A record on both sides.
    pub sample: Option<Sample>,
}

/// The metrics of the shop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scrapes {
    /// How the targets do.
    pub targets: TargetCounts,
    /// Samples in a second.
    pub samples: f64,
    /// Orders whose payment was accepted, and declined, so far.
    pub orders: (u64, u64),
}

impl Scrapes {
    fn line(&self) -> String {
        let Self { targets: TargetCounts { up, down, unknown, .. }, samples, orders: (accepted, declined) } = self;
        let all = up + down + unknown;
        format!("targets {up} of {all} up   {samples:.0} samples/s   orders {accepted} accepted, {declined} declined")
    }
}

/// One component.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Its name in the configuration.
    pub name: String,
    /// What flows through it in a second.
    pub rates: Flow<f64>,
    /// Records that the configuration dropped, so far.
    pub filtered: u64,
    /// Age of the record handled last.
    pub lag: Duration,
    /// Bytes that it has not read yet.
    pub lag_bytes: u64,
    /// Why it cannot work, if so.
    pub unhealthy: Option<String>,
}

/// Lines that a record takes at most, before and after.
const SAMPLE_LINES: usize = 4;

/// The view as lines of at most `width` characters.
pub fn table(frame: &Frame, width: usize) -> Vec<String> {
    let Counts { written, found, open, .. } = frame.counts;
    let mut lines = vec![
        format!("{:>4} s   shop wrote {written}   output holds {found}   on the way {open}", frame.elapsed.as_secs()),
        String::new(),
        format!(
            "{:<24} {:>7} {:>7} {:>9} {:>9} {:>8} {:>9}",
            "component", "in/s", "out/s", "B/s in", "B/s out", "filtered", "lag"
        ),
    ];
    for row in &frame.rows {
        let Flow { records_in, records_out, bytes_in, bytes_out } = source_reads_what_it_sends(row.rates);
        lines.push(format!(
            "{:<24} {records_in:>7.0} {records_out:>7.0} {:>9} {:>9} {:>8} {:>9}",
            row.name,
            size(bytes_in),
            size(bytes_out),
            row.filtered,
            lag(row)
        ));
        if let Some(reason) = &row.unhealthy {
            lines.push(format!("  unhealthy: {reason}"));
        }
    }
    lines.extend(frame.scrapes.as_ref().map(Scrapes::line));
    let SpanCounts { requests, sent, arrived, open, doubled, .. } = frame.spans;
    lines.push(format!(
        "spans {sent} sent, of {requests} requests   {arrived} arrived   {open} on the way   {doubled} doubled"
    ));
    if let Some((median, worst)) = frame.delay {
        lines.push(format!("from write to output: median {}, p99 {}", time(median), time(worst)));
    }
    let mut lines: Vec<_> = lines.iter().map(|line| clip(line, width)).collect();
    if let Some(Sample { before, after }) = &frame.sample {
        lines.push(String::new());
        lines.extend(folded("before  ", before, width));
        lines.extend(folded("after   ", &without_resource(after), width));
    }
    lines
}

/// The view as one line, for a log.
pub fn line(frame: &Frame) -> String {
    let mut text = format!("{:>4} s  shop wrote {}", frame.elapsed.as_secs(), frame.counts.written);
    for row in &frame.rows {
        let Flow { records_in, records_out, .. } = source_reads_what_it_sends(row.rates);
        // Writing into a string does not fail.
        let _ = write!(text, "  {} {records_in:.0}/s>{records_out:.0}/s", row.name);
        if let Some(reason) = &row.unhealthy {
            let _ = write!(text, " (unhealthy: {reason})");
        }
    }
    if let Some(Scrapes { targets: TargetCounts { up, down, unknown, .. }, .. }) = &frame.scrapes {
        let _ = write!(text, "  targets {up} of {} up", up + down + unknown);
    }
    let _ = write!(text, "  spans {} sent {} arrived", frame.spans.sent, frame.spans.arrived);
    if let Some((median, worst)) = frame.delay {
        let _ = write!(text, "  lag {} p99 {}", time(median), time(worst));
    }
    text
}

/// What a source reads is counted where it hands it on.
fn source_reads_what_it_sends(rates: Flow<f64>) -> Flow<f64> {
    let read = |entered: f64, left: f64| if entered == 0.0 { left } else { entered };
    Flow {
        records_in: read(rates.records_in, rates.records_out),
        bytes_in: read(rates.bytes_in, rates.bytes_out),
        ..rates
    }
}

fn lag(row: &Row) -> String {
    match (row.lag_bytes, row.lag) {
        (0, Duration::ZERO) => "-".to_owned(),
        (0, lag) => time(lag),
        (bytes, _) => format!("{}B", size(bytes as f64)),
    }
}

/// `950`, `12.3k`, `4.5M`.
fn size(amount: f64) -> String {
    match amount {
        _ if amount < 1e3 => format!("{amount:.0}"),
        _ if amount < 1e6 => format!("{:.1}k", amount / 1e3),
        _ if amount < 1e9 => format!("{:.1}M", amount / 1e6),
        _ => format!("{:.1}G", amount / 1e9),
    }
}

fn time(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..10_000 => format!("{millis} ms"),
        _ => format!("{} s", duration.as_secs()),
    }
}

fn clip(line: &str, width: usize) -> String {
    line.chars().take(width).collect()
}

/// A document with its resource left out: it is long, and not what changes.
fn without_resource(document: &str) -> String {
    const KEY: &str = r#""resource":{"#;
    const END: &str = "}}";
    let parts = document.split_once(KEY).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    parts.map_or_else(|| document.to_owned(), |(before, after)| format!("{before}{KEY}…}}{after}"))
}

/// Text behind a label, folded to the width; what is too long ends in an ellipsis. Nothing in it reaches
/// the terminal as a command.
fn folded(label: &str, text: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(label.len()).max(8);
    let safe: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut = safe.len() > room * SAMPLE_LINES;
    let mut lines: Vec<String> = safe.chunks(room).take(SAMPLE_LINES).map(|part| part.iter().collect()).collect();
    if let Some(last) = lines.last_mut().filter(|_| cut) {
        last.pop();
        last.push('…');
    }
    let indent = " ".repeat(label.len());
    lines.iter().enumerate().map(|(n, line)| format!("{}{line}", if n == 0 { label } else { &indent })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> String {
        let attributes = "x".repeat(400);
        format!(
            r#"{{"@timestamp":"t","resource":{{"attributes":{{"k8s.pod.name":"web-1"}}}},"attributes":"{attributes}"}}"#
        )
    }

    fn frame() -> Frame {
        let rates = Flow { records_in: 0.0, records_out: 203.4, bytes_in: 0.0, bytes_out: 61_234.0 };
        let steps = Flow { records_in: 203.4, records_out: 160.0, bytes_in: 61_234.0, bytes_out: 48_000.0 };
        Frame {
            elapsed: Duration::from_millis(12_700),
            rows: vec![
                Row { name: "kubernetes_logs/shop".into(), rates, lag_bytes: 1500, ..Row::default() },
                Row { name: "steps/clean".into(), rates: steps, filtered: 512, ..Row::default() },
                Row {
                    name: "file/records".into(),
                    lag: Duration::from_millis(112),
                    unhealthy: Some("No space left on device".into()),
                    ..Row::default()
                },
            ],
            scrapes: Some(Scrapes {
                targets: TargetCounts { up: 1, down: 1, ..TargetCounts::default() },
                samples: 24.4,
                orders: (37, 4),
            }),
            spans: SpanCounts { requests: 610, sent: 1430, arrived: 1421, open: 9, ..SpanCounts::default() },
            counts: Counts { written: 2584, found: 2061, open: 11, ..Counts::default() },
            delay: Some((Duration::from_millis(105), Duration::from_millis(240))),
            sample: Some(Sample { before: "a\tb\u{1b}[2Jc".into(), after: document() }),
        }
    }

    #[test]
    fn the_table_shows_every_component_and_fits() {
        let lines = table(&frame(), 80);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        let text = lines.join("\n");
        for expected in [
            "  12 s   shop wrote 2584   output holds 2061   on the way 11",
            "component                   in/s   out/s    B/s in   B/s out filtered       lag",
            "kubernetes_logs/shop         203     203     61.2k     61.2k        0     1.5kB",
            "steps/clean                  203     160     61.2k     48.0k      512         -",
            "file/records                   0       0         0         0        0    112 ms",
            "  unhealthy: No space left on device",
            "targets 1 of 2 up   24 samples/s   orders 37 accepted, 4 declined",
            "spans 1430 sent, of 610 requests   1421 arrived   9 on the way   0 doubled",
            "from write to output: median 105 ms, p99 240 ms",
            "before  a b [2Jc",
            r#"after   {"@timestamp":"t","resource":{…},"attributes":"xxx"#,
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert_eq!(lines.iter().filter(|line| line.contains("xxx")).count(), SAMPLE_LINES);
        assert!(lines.last().is_some_and(|line| line.ends_with('…')));
    }

    #[test]
    fn the_line_is_one_line() {
        let text = line(&frame());
        assert!(!text.contains('\n'));
        assert!(text.contains("steps/clean 203/s>160/s"), "{text}");
        assert!(text.contains("file/records 0/s>0/s (unhealthy: No space left on device)"), "{text}");
        assert!(text.ends_with("targets 1 of 2 up  spans 1430 sent 1421 arrived  lag 105 ms p99 240 ms"), "{text}");
    }
}
