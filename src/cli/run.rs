//! `tailwater run`: the agent, until it is told to stop.

use std::path::PathBuf;

use crate::app::serve::serve;
use crate::app::{Agent, Rejected};
use crate::config::{self, Plan};
use crate::registry::TABLES;
use crate::telemetry::logging;

/// Runs the agent with these files and folders.
pub fn run(paths: Vec<PathBuf>) -> Result<(), Failed> {
    let first = config::load(&paths, TABLES).map_err(Rejected::Config)?;
    let log = logging::init(log_options(&first)).map_err(|error| Failed::Process(error.to_string()))?;
    let workers = crate::app::limits::Limits::detect().workers;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|error| Failed::Process(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async move {
        let loader = Box::new(move || {
            let plan = config::load(&paths, TABLES)?;
            log.apply(log_options(&plan));
            Ok(plan)
        });
        let agent = Agent::start(loader).await?;
        let (_changes, changed) = tokio::sync::mpsc::channel(1);
        serve(agent, changed, std::future::pending()).await.map_err(|error| Failed::Process(error.to_string()))?;
        Ok(())
    })
}

/// Why the agent did not run.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The configuration was not taken.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The process lacks something.
    #[error("{0}")]
    Process(String),
}

fn log_options(plan: &Plan) -> logging::Log {
    plan.sections.get::<logging::Options>(logging::SECTION.name).copied().unwrap_or_default().log
}
