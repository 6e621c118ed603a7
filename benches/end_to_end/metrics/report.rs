//! What the report says of metrics.

use super::{Contender, Load, Row};
use crate::report::{MIB, Report};

impl Report {
    /// What is scraped.
    pub fn metrics_load(&mut self, bytes: f64) {
        self.line(&format!(
            "- targets: {} series each, 7 labels, values that move with every scrape, {bytes:.0} bytes of text a sample",
            super::SERIES_A_TARGET
        ));
        self.line("- agents share one core and each other's minutes; targets and receiver have the other core");
    }

    /// Everything measured under one load.
    pub fn metrics_rows(&mut self, load: Load, rows: &[Row]) {
        self.line(&format!(
            "\n{} targets × {} series every {} s:\n",
            load.targets, load.series_a_target, load.interval
        ));
        self.line(
            "| agent, remote write | CPU s a million samples | × this agent's | peak RSS MiB | bytes on the wire a sample | \
             × this agent's | requests/s | samples | late |",
        );
        self.line("|---|---|---|---|---|---|---|---|---|");
        for row in rows {
            let own = rows.iter().find(|own| own.agent == row.agent.compared_with());
            let times = |of: fn(&Row) -> f64| own.map_or_else(String::new, |own| format!("{:.1}", of(row) / of(own)));
            self.line(&format!(
                "| {} | {:.3} | {} | {:.1} | {:.1} | {} | {:.1} | {} | {} |",
                row.agent.path(),
                row.nanos_a_sample() / 1e3,
                times(Row::nanos_a_sample),
                row.peak_rss as f64 / MIB,
                row.wire_bytes_a_sample(),
                times(Row::wire_bytes_a_sample),
                row.received.requests as f64 / row.seconds,
                row.received.samples,
                row.received.late,
            ));
        }
    }

    /// How cost grows with the number of series.
    pub fn metrics_growth(&mut self, loads: &[(Load, Vec<Row>)]) {
        let [(small, least), more @ ..] = loads else { return };
        if more.is_empty() {
            return;
        }
        self.line("\nGrowth; memory a series is what peak RSS grew by since the first load, by series added:\n");
        self.line("| agent, remote write | series | CPU µs a sample | peak RSS MiB | bytes of memory a series |");
        self.line("|---|---|---|---|---|");
        for first in least {
            for (load, rows) in loads {
                let Some(row) = rows.iter().find(|row| row.agent == first.agent) else { continue };
                let added = (load.series() - small.series()) as f64;
                let grown = row.peak_rss as f64 - first.peak_rss as f64;
                self.line(&format!(
                    "| {} | {} | {:.3} | {:.1} | {} |",
                    row.agent.path(),
                    load.series(),
                    row.nanos_a_sample() / 1e3,
                    row.peak_rss as f64 / MIB,
                    if added > 0.0 { format!("{:.0}", grown / added) } else { String::new() },
                ));
            }
        }
    }
}

impl Contender {
    /// This agent, speaking the same version.
    fn compared_with(self) -> Self {
        match self {
            Self::Tailwater1 | Self::Prometheus1 | Self::Vmagent => Self::Tailwater1,
            Self::Tailwater2 | Self::Prometheus2 => Self::Tailwater2,
        }
    }
}

impl Row {
    fn wire_bytes_a_sample(&self) -> f64 {
        self.received.bytes as f64 / self.received.samples as f64
    }
}
