//! What the report says of traces.

use super::{Contender, Row, requests};
use crate::report::{MIB, Report};

impl Report {
    /// What is sent.
    pub fn traces_load(&mut self, bytes: f64, connections: usize, in_flight: usize) {
        let (spans, a_span) = (requests::SPANS, bytes / requests::SPANS as f64);
        self.line(&format!(
            "- OTLP over gRPC in and out, uncompressed: {spans} spans a request, {a_span:.0} bytes a span, {connections} \
             connections with {in_flight} requests under way"
        ));
        self.line("- who forwards has one core; the load and the receiver have the other");
    }

    /// Everything measured; the rows of each in the order of their cost.
    pub fn traces_rows(&mut self, contenders: &[Contender], measured: &[Vec<Row>]) {
        let median = |rows: &[Row]| rows[rows.len() / 2];
        let of = |wanted| contenders.iter().position(|known| *known == wanted).map(|at| median(&measured[at]));
        let times = |row: &Row, base: Option<Row>| {
            base.map_or_else(String::new, |base| format!("{:.2}", row.nanos_a_span() / base.nanos_a_span()))
        };
        self.line("\n| forwarder | spans a CPU second | ns a span | × tonic | × condition | peak RSS MiB | requests a second of CPU | all runs, ns |");
        self.line("|---|---|---|---|---|---|---|---|");
        for (contender, rows) in contenders.iter().zip(measured) {
            let row = median(rows);
            let all: Vec<_> = rows.iter().map(|row| format!("{:.0}", row.nanos_a_span())).collect();
            self.line(&format!(
                "| {} | {:.0} | {:.0} | {} | {} | {:.1} | {:.0} | {} |",
                contender.name(),
                1e9 / row.nanos_a_span(),
                row.nanos_a_span(),
                times(&row, of(Contender::Forwarder)),
                times(&row, of(Contender::Condition)),
                rows.iter().map(|row| row.peak_rss).max().unwrap_or(0) as f64 / MIB,
                row.received.requests as f64 / row.cpu.as_secs_f64(),
                all.join(" "),
            ));
        }
    }
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Forwarder => "tonic, raw bytes",
            Self::Bare => "tailwater, nothing between",
            Self::Condition => "tailwater, a condition on every span",
            Self::Edit => "tailwater, the condition and an edit of every span",
        }
    }
}
