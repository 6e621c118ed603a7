//! What a source leaves to its successor when a reload replaces it: the series of its targets. They go on in
//! the new source, or end there with staleness markers if their target or job is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::report::Reporting;
use crate::data::series_table::SeriesList;
use crate::data::{Resource, UnixMillis};
use crate::telemetry::ComponentMetrics;

/// What is left of a target's loop.
#[derive(Debug)]
pub(super) struct Remains {
    /// The target, by its job and its id.
    pub target: (String, u64),
    /// Its series that end with markers; `None` where they have ended already.
    pub series: Option<Arc<SeriesList>>,
    /// The series of its reports.
    pub reporting: Reporting,
    /// What its samples are about.
    pub resource: Arc<Resource>,
    /// The time of its last scrape.
    pub last: UnixMillis,
}

/// Remains that no loop has taken yet.
#[derive(Debug, Default)]
pub(super) struct Estate(Mutex<HashMap<(String, u64), Remains>>);

impl Estate {
    /// What the source of this name left behind.
    pub fn of(metrics: &ComponentMetrics) -> Self {
        let left = metrics.legacy.take().and_then(|left| left.downcast::<Vec<Remains>>().ok());
        let left = left.map(|left| *left).unwrap_or_default();
        Self(Mutex::new(left.into_iter().map(|remains| (remains.target.clone(), remains)).collect()))
    }

    /// Leaves remains to the next source of this name.
    pub fn leave(remains: Vec<Remains>, metrics: &ComponentMetrics) {
        metrics.legacy.leave(Box::new(remains));
    }

    /// The remains of a target, to be gone on with.
    pub fn take(&self, job: &str, id: u64) -> Option<Remains> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(job.to_owned(), id))
    }

    /// The remains of targets of a job that are left over: they are gone.
    pub fn left_over(&self, job: &str) -> Vec<Remains> {
        self.extract(|name| name == job)
    }

    /// The remains of jobs that are not among `jobs`: they are gone.
    pub fn of_other_jobs(&self, jobs: &[&str]) -> Vec<Remains> {
        self.extract(|name| !jobs.contains(&name))
    }

    fn extract(&self, wanted: impl Fn(&str) -> bool) -> Vec<Remains> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extract_if(|(name, _), _| wanted(name)).map(|(_, remains)| remains).collect()
    }
}
