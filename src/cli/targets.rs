//! `tailwater targets`: what a running agent scrapes, and how that goes.

use std::fmt::Write;

use clap::Args;

use super::Format;
use super::agent::AgentArgs;
use super::run::Failed;
use super::table::table;
use crate::admin::targets::{ActiveTarget, Answer, TargetList};

/// Which agent is asked for what.
#[derive(Debug, Args)]
pub struct TargetsArgs {
    #[command(flatten)]
    agent: AgentArgs,
    /// Only the targets of this job
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Only targets that are not up
    #[arg(long)]
    failing: bool,
    /// What is printed: a table, or Prometheus's JSON
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Asks the agent; returns what to print.
pub fn targets(args: &TargetsArgs) -> Result<String, Failed> {
    let unreadable = |error: serde_json::Error| args.agent.failed(format!("this is no Tailwater: {error}"));
    let list = |job: Option<&str>| -> Result<Answer<TargetList>, Failed> {
        let query: Vec<_> = job.map(|job| ("scrapePool", job)).into_iter().collect();
        serde_json::from_slice(&args.agent.get("api/v1/targets", &query)?).map_err(unreadable)
    };
    let job = args.job.as_deref();
    let mut answer = list(job)?;
    if let Some(job) = job
        && !answer.data.jobs().contains(job)
    {
        return Err(no_job(job, &list(None)?.data));
    }
    if args.failing {
        answer.data.active_targets.retain(|target| target.health != "up");
    }
    match args.format {
        Format::Text => Ok(shown(&answer.data)),
        Format::Json => Ok(format!("{}\n", serde_json::to_string(&answer).map_err(unreadable)?)),
    }
}

fn no_job(job: &str, list: &TargetList) -> Failed {
    let known: Vec<_> = list.jobs().into_iter().map(|job| format!("`{job}`")).collect();
    let known = if known.is_empty() { "it has none".into() } else { format!("its jobs: {}", known.join(", ")) };
    Failed::Usage(format!("the agent has no job `{job}`; {known}"))
}

const COLUMNS: [&str; 6] = ["job", "health", "target", "last scrape", "took", "error"];

/// A table of the active targets, and what was dropped.
fn shown(list: &TargetList) -> String {
    let mut out = table(COLUMNS, list.active_targets.iter().map(cells));
    let count = |health: &str| list.active_targets.iter().filter(|target| target.health == health).count();
    let dropped: usize = list.dropped_target_counts.values().sum();
    let _ = writeln!(
        out,
        "\n{} up, {} down, {} not scraped yet, {dropped} dropped by relabelling",
        count("up"),
        count("down"),
        count("unknown")
    );
    out
}

fn cells(target: &ActiveTarget) -> [String; COLUMNS.len()] {
    let scraped = target.health != "unknown";
    let dash = |text: String| if scraped { text } else { "-".to_owned() };
    [
        target.scrape_pool.clone(),
        target.health.clone(),
        target.scrape_url.clone(),
        dash(target.last_scrape.clone()),
        dash(format!("{:.0} ms", target.last_scrape_duration * 1000.0)),
        target.last_error.replace('\n', " "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_which_targets_fail_and_why() {
        let target = |health: &str, error: &str| ActiveTarget {
            discovered_labels: Default::default(),
            labels: Default::default(),
            scrape_pool: "web".into(),
            scrape_url: "http://web-1:9100/metrics".into(),
            global_url: String::new(),
            last_error: error.into(),
            last_scrape: "2026-11-24T01:02:03.000Z".into(),
            last_scrape_duration: 0.012,
            health: health.into(),
            scrape_interval: "15s".into(),
            scrape_timeout: "10s".into(),
        };
        let list = TargetList {
            active_targets: vec![target("up", ""), target("down", "connection\nrefused"), target("unknown", "")],
            dropped_target_counts: [("web".to_owned(), 2), ("idle".to_owned(), 0)].into(),
            ..TargetList::default()
        };
        let expected = "\
job  health   target                     last scrape               took   error
web  up       http://web-1:9100/metrics  2026-11-24T01:02:03.000Z  12 ms
web  down     http://web-1:9100/metrics  2026-11-24T01:02:03.000Z  12 ms  connection refused
web  unknown  http://web-1:9100/metrics  -                         -

1 up, 1 down, 1 not scraped yet, 2 dropped by relabelling
";
        assert_eq!(shown(&list), expected);
        let told = no_job("wep", &list).to_string();
        assert_eq!(told, "the agent has no job `wep`; its jobs: `idle`, `web`");
    }
}
