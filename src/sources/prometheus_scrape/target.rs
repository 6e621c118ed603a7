//! From what a discovery found to a target: defaults of the job, relabelling, address and path, as
//! Prometheus's `PopulateLabels` does it.

use std::time::Duration;

use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use super::config::Job;
use crate::data::target_group::ADDRESS;
use crate::data::{LabelSet, TargetGroup};
use crate::options::prometheus_duration;
use crate::relabel::{Scratch, Verdict};

const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";
const META: &str = "__meta_";

/// Something to scrape.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// What was found, before relabelling.
    pub discovered: LabelSet,
    /// The labels of its series.
    pub labels: LabelSet,
    /// Where its exposition is.
    pub url: Url,
    /// Time between two scrapes.
    pub interval: Duration,
    /// Time for one scrape.
    pub timeout: Duration,
}

/// What relabelling made of a discovered target.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is scraped.
    Target(Box<Target>),
    /// The rules drop it.
    Dropped(LabelSet),
}

impl Target {
    /// A number by which a target is known again: its labels and where it is.
    pub fn id(&self) -> u64 {
        let mut bytes = Vec::new();
        self.labels.encode(&mut bytes);
        bytes.extend_from_slice(self.url.as_str().as_bytes());
        xxh3_64(&bytes)
    }

    /// A number of its labels: targets of a job that have the same may have the same series.
    pub fn labels_id(&self) -> u64 {
        let mut bytes = Vec::new();
        self.labels.encode(&mut bytes);
        xxh3_64(&bytes)
    }
}

/// Makes targets of a group; each error says which target it cost.
pub(super) fn targets(
    job: &Job,
    group: &TargetGroup,
    scratch: &mut Scratch,
    mut found: impl FnMut(Result<Outcome, String>),
) {
    for target in &group.targets {
        let mut labels = group.labels.clone();
        labels.extend(target.iter());
        found(populate(job, labels, scratch));
    }
}

fn populate(job: &Job, mut labels: LabelSet, scratch: &mut Scratch) -> Result<Outcome, String> {
    let mut default = |name: &str, value: &str| {
        if labels.get(name).is_empty() {
            labels.set(name, value);
        }
    };
    default("job", &job.name);
    default(INTERVAL, &prometheus_duration::text(job.interval));
    default(TIMEOUT, &prometheus_duration::text(job.timeout));
    default(METRICS_PATH, &job.metrics_path);
    default(SCHEME, &job.scheme);
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            labels.set(&format!("{PARAM}{name}"), first);
        }
    }
    let discovered = labels.clone();
    if job.relabel.apply(&mut labels, scratch) == Verdict::Dropped {
        return Ok(Outcome::Dropped(discovered));
    }
    let words = |what: &str| format!("the target {discovered:?} is left out: {what}");
    let address = labels.get(ADDRESS).to_owned();
    if address.is_empty() {
        return Err(words("it has no `__address__` after relabelling"));
    }
    if address.contains('/') {
        return Err(words(&format!("`{address}` is not a host and a port")));
    }
    let time = |name: &str| {
        let text = labels.get(name);
        prometheus_duration::parse(text).map_err(|error| words(&format!("`{name}` is `{text}`: {error}")))
    };
    let (interval, timeout) = (time(INTERVAL)?, time(TIMEOUT)?);
    if interval.is_zero() || timeout.is_zero() {
        return Err(words("interval and timeout of its scrapes must be longer than 0"));
    }
    if timeout > interval {
        return Err(words("the timeout of its scrapes is longer than their interval"));
    }
    let url = url(job, &labels, &address).map_err(|error| words(&error))?;
    labels.retain(|name, _| !name.starts_with(META));
    if labels.get("instance").is_empty() {
        labels.set("instance", &address);
    }
    labels.retain(|name, _| !name.starts_with("__"));
    Ok(Outcome::Target(Box::new(Target { discovered, labels, url, interval, timeout })))
}

fn url(job: &Job, labels: &LabelSet, address: &str) -> Result<Url, String> {
    let (scheme, path) = (labels.get(SCHEME), labels.get(METRICS_PATH));
    if !matches!(scheme, "http" | "https") {
        return Err(format!("its scheme is `{scheme}`, not http or https"));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    // A path may bring a query of its own.
    let mut url = Url::parse(&format!("{scheme}://{address}{slash}{path}"))
        .map_err(|error| format!("`{address}` is not an address: {error}"))?;
    let mut params: Vec<(String, String)> = Vec::new();
    for (name, values) in &job.params {
        params.extend(values.iter().map(|value| (name.clone(), value.clone())));
    }
    for (name, value) in labels.iter() {
        let Some(name) = name.strip_prefix(PARAM) else { continue };
        match params.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value.to_owned(),
            None => params.push((name.to_owned(), value.to_owned())),
        }
    }
    // As in Prometheus, sorted by name.
    params.sort_by(|a, b| a.0.cmp(&b.0));
    if !params.is_empty() {
        url.query_pairs_mut().extend_pairs(params);
    }
    Ok(url)
}
