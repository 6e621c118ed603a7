//! The source `prometheus_scrape`: metrics fetched from targets, in Prometheus's words.
//!
//! A pool (`pool`) for each job of the configuration ([`config`]) follows its [`discovery`] and has a
//! loop (`scrape`) for each target. A scrape is compared with the one before it (`prediction`), so that a series
//! is read and relabelled once in its life.

mod bench;
mod clock;
pub mod config;
mod differences;
pub mod discovery;
mod family;
mod gathered;
mod output;
mod pauses;
mod pool;
mod prediction;
mod report;
mod scrape;
mod series_rules;
mod succession;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use crate::data::{Budget, LabelSet, SeriesTable, Signal, UnixMillis};
use crate::net::http_client::HttpClient;
use crate::pipeline::component::{PrepareContext, Source, SourceContext};
use crate::pipeline::{Descriptor, Outputs, PrepareError, SourcePlan, Task};
use bench::Benches;
use clock::Wall;
use config::{Discovery, Job, Options, Scope, Shard};
use discovery::Discover;
use discovery::dns::Dns;
use discovery::file::File;
use discovery::http::Http;
use discovery::kubernetes::Kubernetes;
use discovery::static_config::Static;
use pool::{Pool, Shared};
use succession::Estate;

/// The kind of source.
pub const DESCRIPTOR: Descriptor<dyn SourcePlan> = Descriptor {
    name: "prometheus_scrape",
    summary: "Scrapes metrics from targets that service discovery finds, in Prometheus's words.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| generator.subschema_for::<Options>(),
};

impl SourcePlan for Options {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Metrics)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        let plan =
            self.plan().map_err(|_| PrepareError("the options are wrong; `tailwater validate` says where".into()))?;
        let mut jobs = Vec::with_capacity(plan.jobs.len());
        for job in plan.jobs {
            let client = HttpClient::patient(&job.client)
                .map_err(|error| PrepareError(format!("job `{}`: {error}", job.name)))?;
            let discoveries = discoveries(&job, cx.identity.node.as_deref())?;
            jobs.push(Prepared { job: Arc::new(job), client, discoveries });
        }
        let labels = format!("{:?}{:?}", cx.identity.node, cx.identity.external_labels);
        Ok(Box::new(Scrape {
            jobs,
            external: Arc::new(plan.external_labels),
            shard: plan.shard,
            table: cx.series.clone(),
            budget: cx.memory.share(Signal::Metrics),
            bodies: cx.memory.scrapes(),
            workers: cx.workers,
            seed: xxh3_64(labels.as_bytes()),
        }))
    }
}

/// Discoveries of a job, each with its name in it.
type Discoveries = Vec<(String, Box<dyn Discover>)>;

fn discoveries(job: &Job, this_node: Option<&str>) -> Result<Discoveries, PrepareError> {
    let node = this_node.filter(|_| job.scope == Scope::Node);
    let wrong = |error: String| PrepareError(format!("job `{}`: {error}", job.name));
    let mut found = Discoveries::new();
    for discovery in &job.discoveries {
        let ready: Box<dyn Discover> = match discovery {
            Discovery::Static(configs) => Box::new(Static::new(configs)),
            Discovery::File(config) => Box::new(File::new(config).map_err(wrong)?),
            Discovery::Http(config) => Box::new(Http::new(config).map_err(|error| wrong(error.to_string()))?),
            Discovery::Dns(config) => Box::new(Dns::new(config)),
            Discovery::Kubernetes(_) if job.scope == Scope::Node && node.is_none() => {
                let words = "what runs on this node is to be scraped, and which node this is is not known: set \
                             `NODE_NAME` or `identity.node`, or give the job `scope: cluster`";
                return Err(wrong(words.into()));
            }
            Discovery::Kubernetes(config) => Box::new(Kubernetes::new(config, node).map_err(wrong)?),
        };
        let index = found.iter().filter(|(name, _)| name.starts_with(discovery.key())).count();
        found.push((format!("{}[{index}]", discovery.key()), ready));
    }
    Ok(found)
}

/// The source, ready to run.
struct Scrape {
    jobs: Vec<Prepared>,
    external: Arc<LabelSet>,
    shard: Option<Shard>,
    table: Arc<SeriesTable>,
    budget: Arc<Budget>,
    bodies: Arc<Budget>,
    workers: usize,
    seed: u64,
}

struct Prepared {
    job: Arc<Job>,
    client: HttpClient,
    discoveries: Discoveries,
}

impl Source for Scrape {
    fn start(self: Box<Self>, cx: SourceContext) -> Task {
        Box::pin(async move {
            let (outputs, workers) = output::start(&cx.outlets[0], self.workers, &self.budget, &cx.metrics);
            cx.metrics.targets.retain(|name| self.jobs.iter().any(|prepared| prepared.job.name == name));
            let shared = Shared {
                table: self.table,
                benches: Arc::new(Benches::new(self.bodies)),
                outputs: outputs.into(),
                metrics: cx.metrics.clone(),
                external: self.external,
                shard: self.shard,
                troubles: Arc::default(),
                estate: Arc::new(Estate::of(&cx.metrics)),
                wall: Wall::new(UnixMillis::now),
                seed: self.seed,
                gone_for_good: Arc::new(AtomicBool::new(false)),
            };
            // What is left of jobs that are gone ends here; the pools see to the rest.
            let jobs: Vec<_> = self.jobs.iter().map(|prepared| prepared.job.name.as_str()).collect();
            for remains in shared.estate.of_other_jobs(&jobs) {
                remains.finish(&shared.outputs);
            }
            let stop = CancellationToken::new();
            let pools: Vec<_> = self
                .jobs
                .into_iter()
                .map(|prepared| {
                    let Prepared { job, client, discoveries } = prepared;
                    let found = discovery::start(&job.name, discoveries, Default::default(), &cx.metrics, &stop);
                    Pool::new(job, client, shared.clone()).run(found, stop.clone())
                })
                .collect();
            let gone_for_good = shared.gone_for_good.clone();
            drop(shared);
            let watch = async {
                cx.shutdown.cancelled().await;
                gone_for_good.store(cx.removed.is_cancelled(), Ordering::Release);
                stop.cancel();
            };
            // A job without targets is no reason for a source to end: it is the shutdown that ends it.
            let (remains, ()) = tokio::join!(join_all(pools), watch);
            Estate::leave(remains.into_iter().flatten().collect(), &cx.metrics);
            // What was scraped is handed on before the source has stopped.
            for worker in workers {
                let _ = worker.await;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
