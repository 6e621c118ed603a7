//! The result as Markdown: on the terminal, and at full size in `benches/results/<date>-<machine>.md`.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::corpus::Corpus;
use crate::paced::Paced;
use crate::reference::Expected;
use crate::throughput::Row;

/// Collects what was measured.
#[derive(Debug)]
pub struct Report {
    text: String,
}

const NAMES: [&str; 4] = [
    "tail → CRI → parse_json → drop by level → blackhole",
    "the same → Elasticsearch bulk, uncompressed",
    "with redact and set → Elasticsearch, uncompressed",
    "drop → Elasticsearch bulk, gzip",
];

/// Bytes of a MiB.
pub const MIB: f64 = 1024.0 * 1024.0;

impl Report {
    /// An empty report about this machine and this subcommand with its options.
    pub fn new(title: &str, command: &str) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut report = Self { text: String::new() };
        report.line(&format!("# {title}\n"));
        report.line(&format!("- tailwater {}, {}", env!("CARGO_PKG_VERSION"), jiff::Zoned::now().date()));
        report.line(&format!("- {}, {cores} cores, Linux {}", cpu.trim_start_matches([' ', '\t', ':']), kernel.trim()));
        report.line(&format!("- `cargo bench --bench end_to_end -- {command}`"));
        report
    }

    /// Adds a line, and shows it at once.
    pub fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// What the rows are measured on.
    pub fn corpus(&mut self, corpus: &Corpus, expected: &Expected) {
        let (records, kept) = (expected.records(), expected.kept());
        self.line(&format!(
            "- corpus: {:.0} MiB in {} files, {records} records ({:.0} bytes each), {} of them JSON objects; a reference \
             parser drops {}",
            corpus.bytes as f64 / MIB,
            corpus.files.len(),
            corpus.bytes as f64 / records as f64,
            expected.objects,
            records - kept
        ));
    }

    /// The table of throughput; each row's runs are sorted by cost.
    pub fn rows(&mut self, corpus: &Corpus, scan: Duration, rows: &[Vec<Row>]) {
        let gib = corpus.bytes as f64 / (MIB * 1024.0);
        let scan = scan.as_secs_f64();
        let aims = [4.0 * scan, 6.0 * scan, 10.0 * scan];
        self.line(
            "\n| path | MB/s of CPU | MB/s of wall | CPU s/GiB (all runs) | × read + newline | aim | peak RSS MiB |",
        );
        self.line("|---|---|---|---|---|---|---|");
        let megabytes = corpus.bytes as f64 / 1e6;
        self.line(&format!("| `read` + newline search | {:.0} | | {:.3} | 1.0 | | |", megabytes / scan, scan / gib));
        let mut gzip_aim = None;
        for (index, runs) in rows.iter().enumerate() {
            let row = &runs[runs.len() / 2];
            let cpu = row.cpu.as_secs_f64();
            if let Some(compression) = row.compression {
                gzip_aim = Some((1.3 * (cpu + compression.as_secs_f64()), compression.as_secs_f64()));
            }
            let aim = match (index, gzip_aim) {
                (3, Some((aim, _))) => aim,
                _ => aims.get(index).copied().unwrap_or(f64::NAN),
            };
            let mut all = String::new();
            for run in runs {
                let _ = write!(all, " {:.3}", run.cpu.as_secs_f64() / gib);
            }
            let peak = runs.iter().map(|run| run.peak_rss).max().unwrap_or(0) as f64 / MIB;
            self.line(&format!(
                "| {} | {:.0} | {:.0} | {:.3} ({}) | {:.1} | {:.1} {} | {peak:.0} |",
                NAMES[index],
                megabytes / cpu,
                megabytes / row.wall.as_secs_f64(),
                cpu / gib,
                all.trim_start(),
                cpu / scan,
                aim / scan,
                if cpu <= aim { "met" } else { "missed" },
            ));
        }
        if let Some((_, compression)) = gzip_aim {
            self.line(&format!("\nLevel-1 gzip of the same bulk bytes: {:.3} CPU s/GiB of input.", compression / gib));
        }
        let delivered: Vec<_> = rows.iter().skip(1).flatten().map(|row| &row.arrived).collect();
        self.line(&format!(
            "In every run 0 lost, 0 doubled, and dropped exactly what the reference parser drops; {} documents in {} requests \
             a run.",
            delivered.first().map_or(0, |summary| summary.documents),
            delivered.first().map_or(0, |summary| summary.requests)
        ));
    }

    /// The same corpus in 200 files.
    pub fn many(&mut self, row: &Row) {
        let peak = row.peak_rss as f64 / MIB;
        self.line(&format!("\n200 files, uncompressed: peak RSS {peak:.0} MiB (aim: under 96), 0 lost, 0 doubled."));
    }

    /// 200 files with a line a second each.
    pub fn idle(&mut self, run: &Paced) {
        self.line(&format!(
            "\n200 files with a line a second each, the sink's defaults: {:.2} % of a core (aim: 1), peak RSS {:.1} MiB (aim: \
             20), {:.2} requests/s (aim: 1); from write to accepted p50 {:.2} s, p99 {:.2} s (aim: under 2); {} lines, 0 lost, \
             0 doubled.",
            run.cpu * 100.0,
            run.peak_rss as f64 / MIB,
            run.requests,
            run.p50.as_secs_f64(),
            run.p99.as_secs_f64(),
            run.lines
        ));
    }

    /// 50 others beside one that never stops.
    pub fn fair(&mut self, run: &Paced) {
        self.line(&format!(
            "\n50 containers with a line a second each beside one at line speed ({} lines, gzip): from write to accepted p50 \
             {:.2} s, p99 {:.2} s (aim: under 2).",
            run.loud,
            run.p50.as_secs_f64(),
            run.p99.as_secs_f64()
        ));
    }

    /// Writes the report, if it is one to keep, to a file of this machine and day whose name ends as given.
    pub fn finish(self, keep: bool, end: &str) -> Result<(), Box<dyn Error>> {
        if keep {
            let cpu = self.text.lines().nth(3).unwrap_or("- unknown").trim_start_matches("- ");
            let words = cpu.split(',').next().unwrap_or("unknown").split(|c: char| !c.is_ascii_alphanumeric());
            let machine = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-").to_lowercase();
            let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
            let file = results.join(format!("{}-{machine}{end}.md", jiff::Zoned::now().date()));
            fs::create_dir_all(results)?;
            fs::write(&file, self.text)?;
            println!("\nwritten to {}", file.display());
        }
        Ok(())
    }
}
