//! 1,000 alerting rules over all series of the targets, by both at the same time.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value as Json;

use super::Options;
use super::contender::Contender;
use crate::agent::OTHER_CORE;
use crate::metrics::targets;
use crate::process::{self, Pinned};
use crate::report::{MIB, Report};

/// Rules of all groups together.
const RULES: usize = 1_000;
const RULES_A_GROUP: usize = 50;
/// Seconds between scrapes and between evaluations.
const INTERVAL: u64 = 15;
const SERIES_A_TARGET: usize = 5_000;

/// Measures and reports.
pub fn measure(options: &Options, root: &Path, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let count = options.series / SERIES_A_TARGET;
    let (_targets, port) = start_targets(root, count, options.seed)?;
    let addresses: Vec<_> = (0..count).map(|index| targets::address(index, port).to_string()).collect();
    let scrape = format!(
        "[{{ job_name: bench, scrape_interval: {INTERVAL}s, scrape_timeout: {INTERVAL}s, static_configs: [{{ targets: \
         {addresses:?} }}] }}]"
    );
    let rules = root.join("rules.yaml");
    fs::write(&rules, rule_file())?;
    let mut running = Vec::new();
    for contender in Contender::ALL {
        running.push(contender.start(root, Some(&scrape), Some(&rules), INTERVAL)?);
    }
    std::thread::sleep(Duration::from_secs(options.warm_up));
    let cpu = |running: &[super::contender::Running]| -> std::io::Result<Vec<Duration>> {
        running.iter().map(|one| one.process.cpu()).collect()
    };
    let before = cpu(&running)?;
    // Whole turns: what a scrape and an evaluation cost comes in bursts.
    let seconds = options.seconds.div_ceil(INTERVAL) * INTERVAL;
    std::thread::sleep(Duration::from_secs(seconds));
    let after = cpu(&running)?;
    let mut firing = Vec::new();
    for one in &running {
        firing.push(alerts(&one.api)?);
    }
    report.line(&format!(
        "\n{RULES} alerting rules over {} series, scraped and evaluated every {INTERVAL} s, measured for {seconds} s after \
         {} s:\n",
        options.series, options.warm_up
    ));
    report.line("| who | CPU % of a core | × | peak RSS MiB | × | alerts |");
    report.line("|---|---|---|---|---|---|");
    let used: Vec<f64> = before.iter().zip(&after).map(|(a, b)| (*b - *a).as_secs_f64()).collect();
    let mut own = None;
    for (((contender, one), used), alerts) in Contender::ALL.into_iter().zip(running).zip(used).zip(firing) {
        let peak = one.process.peak_rss()? as f64 / MIB;
        let (own_used, own_peak) = *own.get_or_insert((used, peak));
        report.line(&format!(
            "| {} | {:.1} | {:.2} | {peak:.0} | {:.2} | {alerts} |",
            contender.name(),
            used / seconds as f64 * 100.0,
            used / own_used,
            peak / own_peak,
        ));
        one.process.stop()?;
    }
    report.line("\nAims: Prometheus takes at least 2 × the processor time and 3 × the memory.");
    Ok(())
}

/// Number of alerts that are pending or firing.
fn alerts(api: &str) -> Result<usize, Box<dyn Error>> {
    let answer: Json = serde_json::from_slice(&process::get(api, "/api/v1/alerts")?)?;
    Ok(answer["data"]["alerts"].as_array().map_or(0, Vec::len))
}

/// Ten rules for each of the hundred families of a target; together they read every series, and a few fire.
fn rule_file() -> String {
    let mut text = String::from("groups:\n");
    for rule in 0..RULES {
        if rule % RULES_A_GROUP == 0 {
            // Writing into a string does not fail.
            let _ = write!(text, "- name: group-{:02}\n  rules:\n", rule / RULES_A_GROUP);
        }
        let (family, part) = (rule / 10, rule % 10);
        let name = targets::family_name(family);
        let expr = match targets::family_kind(family) {
            "counter" => format!("sum by (pod) (rate({name}{{part=\"{part}\"}}[5m])) > {}", 1_000 + part),
            "gauge" => format!("max by (pod) ({name}{{part=\"{part}\"}}) > {}", 9_900 + 10 * part),
            _ => format!("histogram_quantile(0.{}, sum by (pod, le) (rate({name}_bucket[5m]))) > 100", 90 + part),
        };
        let _ = write!(
            text,
            "  - alert: Bench{rule:04}\n    expr: {expr}\n    for: 1m\n    labels: {{ severity: page }}\n    annotations: {{ \
             summary: '{{{{ $labels.pod }}}} is at {{{{ $value | humanize }}}}' }}\n"
        );
    }
    text
}

fn start_targets(folder: &Path, count: usize, seed: u64) -> Result<(Pinned, u16), Box<dyn Error>> {
    let address = process::free_address()?;
    let port = address.rsplit(':').next().unwrap_or_default().to_owned();
    let program: PathBuf = std::env::current_exe()?;
    let (count, series, seed) = (count.to_string(), SERIES_A_TARGET.to_string(), seed.to_string());
    let arguments = ["targets", "--port", &port, "--count", &count, "--series", &series, "--seed", &seed];
    let mut process = Pinned::start(OTHER_CORE, &program, &arguments, &folder.join("targets.log"))?;
    process::wait_ready(&mut process, &address, "/metrics")?;
    Ok((process, port.parse()?))
}
