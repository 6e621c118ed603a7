//! `tailwater run`: the agent, until it is told to stop.

use std::path::PathBuf;

use crate::app::serve::serve;
use crate::app::{Agent, Rejected};
use crate::config::{self, Plan};
use crate::registry::TABLES;
use crate::telemetry::{logging, options};

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
        // Watched from before the first load, so that no change falls between the two.
        let (watch, changed) = config::watch::watch(paths.clone());
        let loader = Box::new(move || {
            let plan = config::load(&paths, TABLES)?;
            log.apply(log_options(&plan));
            watch.values(&plan.value_files);
            Ok(plan)
        });
        for warning in &first.warnings.0 {
            let (code, place) = (warning.problem.code.0, warning.place.as_ref().map(ToString::to_string));
            tracing::warn!(code, place, "configuration: {}", warning.problem.message);
        }
        let files = first.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(version, config = %files, data_dir = %first.data_dir.display(), "tailwater starts");
        let agent = Agent::start(loader).await?;
        serve(agent, changed, std::future::pending()).await.map_err(|error| Failed::Process(error.to_string()))?;
        tracing::info!("stopped");
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
    /// The command line asks for what is not there.
    #[error("{0}")]
    Usage(String),
}

fn log_options(plan: &Plan) -> logging::Log {
    plan.sections.get::<options::Options>(options::SECTION.name).map(|options| options.log).unwrap_or_default()
}
