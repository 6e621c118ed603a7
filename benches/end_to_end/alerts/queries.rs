//! Range queries of the shapes that Prometheus's own benchmark has, over 10,000 series and 100 steps.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use super::contender::{Contender, Running};
use super::{Options, history};
use crate::process;
use crate::report::Report;

/// What is asked.
const QUERIES: &[&str] = &[
    "b",
    "rate(a_total[5m])",
    "rate(a_total[1m])",
    "increase(a_total[5m])",
    "sum by (group) (b)",
    "sum by (group) (rate(a_total[5m]))",
    "sum(rate(a_total[5m]))",
    "avg_over_time(b[5m])",
    "max_over_time(b[5m])",
    "topk(5, b)",
    "count_values('v', c > bool 500)",
    "histogram_quantile(0.9, rate(h_bucket[5m]))",
    "histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))",
    "b + c",
    "b - on (l) c",
    "b and c > 500",
    "sum by (group) (b) / on (group) group_left () sum by (group) (c)",
    "b * on (group) group_left () sum by (group) (c)",
    "abs(b - 500)",
    "b > 900",
];

/// What one of them took each time.
struct Row {
    query: &'static str,
    times: [Vec<Duration>; 2],
    bytes: usize,
}

/// Measures and reports.
pub fn measure(options: &Options, root: &Path, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let mut running = Vec::new();
    for contender in Contender::ALL {
        running.push(contender.start(root, None, None, 60)?);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64;
    let end = now - now % history::STEP;
    history::write(&running.iter().map(|one| one.write.as_str()).collect::<Vec<_>>(), end, options.seed)?;
    report.line(&format!(
        "\nRange queries over {} series and 100 steps of {} s, by HTTP; median of {}:\n",
        history::SERIES,
        history::STEP,
        options.repeat
    ));
    report.line("| query | tailwater ms | prometheus ms | × | answer MB |");
    report.line("|---|---|---|---|---|");
    let mut rows = Vec::new();
    for query in QUERIES {
        let mut row = Row { query, times: Default::default(), bytes: 0 };
        for turn in 0..options.repeat.max(1) {
            let mut answers = Vec::new();
            for (one, times) in running.iter_mut().zip(&mut row.times) {
                let (took, body) = ask(one, query, end)?;
                times.push(took);
                answers.push(body);
            }
            if turn == 0 {
                row.bytes = answers[0].len();
                same(query, &answers[0], &answers[1])?;
            }
        }
        rows.push(row);
    }
    for Row { query, times, bytes } in &mut rows {
        times.iter_mut().for_each(|times| times.sort());
        let [own, theirs] = times.each_ref().map(|times| times[times.len() / 2].as_secs_f64() * 1e3);
        report.line(&format!(
            "| `{query}` | {own:.1} | {theirs:.1} | {:.2} | {:.1} |",
            theirs / own,
            *bytes as f64 / 1e6
        ));
    }
    for (contender, one) in Contender::ALL.into_iter().zip(running) {
        report.line(&format!(
            "\n{}: processor time {:.1} s in all, peak RSS {:.0} MiB.",
            contender.name(),
            one.process.cpu()?.as_secs_f64(),
            one.process.peak_rss()? as f64 / crate::report::MIB
        ));
        one.process.stop()?;
    }
    Ok(())
}

fn ask(one: &mut Running, query: &str, end: i64) -> Result<(Duration, Vec<u8>), Box<dyn Error>> {
    let mut encoded = String::new();
    for byte in query.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => encoded.push(byte as char),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    let start = end - 99 * history::STEP;
    let path = format!("/api/v1/query_range?query={encoded}&start={start}&end={end}&step={}", history::STEP);
    let from = Instant::now();
    let body = process::get(&one.api, &path).map_err(|error| format!("{query}: {error}"))?;
    Ok((from.elapsed(), body))
}

/// Fails unless both answers hold the same series with the same values.
fn same(query: &str, own: &[u8], theirs: &[u8]) -> Result<(), Box<dyn Error>> {
    let series = |body: &[u8]| -> Result<Vec<(String, Json)>, Box<dyn Error>> {
        let answer: Json = serde_json::from_slice(body)?;
        let result = answer["data"]["result"].as_array().ok_or("an answer without a result")?;
        let mut series: Vec<_> = result.iter().map(|one| (one["metric"].to_string(), one["values"].clone())).collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(series)
    };
    let (own, theirs) = (series(own)?, series(theirs)?);
    if own.len() != theirs.len() {
        return Err(format!("{query}: {} series, Prometheus has {}", own.len(), theirs.len()).into());
    }
    let value = |point: &Json| point[1].as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    for ((labels, a), (other, b)) in own.iter().zip(&theirs) {
        let (a, b) = (a.as_array().map_or(&[][..], Vec::as_slice), b.as_array().map_or(&[][..], Vec::as_slice));
        let equal = |(a, b): (&Json, &Json)| {
            let (x, y) = (value(a), value(b));
            a[0] == b[0] && ((x - y).abs() <= 1e-9 * x.abs().max(y.abs()) || (x.is_nan() && y.is_nan()))
        };
        if labels != other || a.len() != b.len() || !a.iter().zip(b).all(equal) {
            return Err(format!("{query}: {labels} {a:?}\nPrometheus: {other} {b:?}").into());
        }
    }
    Ok(())
}
