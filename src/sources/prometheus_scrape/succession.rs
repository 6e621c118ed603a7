//! What the loop of a target leaves when it ends: the series that it had. They go on where another loop has the
//! same labels, in this source or in the one that replaces it at a reload, and end with staleness markers where
//! none has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::clock::Moment;
use super::output::Output;
use super::report::ended;
use crate::data::series_table::{ListBuilder, SeriesList, SeriesTable};
use crate::data::{Resource, UnixMillis};
use crate::telemetry::ComponentMetrics;

/// Whose loop it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    /// Name of the job.
    pub job: String,
    /// Number of the target.
    pub target: u64,
    /// Number of its labels: whoever has the same may have the same series.
    pub labels: u64,
}

/// What is left of a target's loop.
#[derive(Debug)]
pub(super) struct Remains {
    /// Whose it is.
    pub origin: Origin,
    /// The series that end with the target, those of its reports among them.
    pub series: Arc<SeriesList>,
    /// What its samples are about.
    pub resource: Arc<Resource>,
    /// Its last scrape.
    pub last: Moment,
}

impl Remains {
    /// Both as one.
    pub fn and(mut self, other: &Self) -> Self {
        self.series = union(self.series.table(), &[&self.series, &other.series]);
        self.last = Moment::later(Some(self.last), Some(other.last)).unwrap_or(self.last);
        self
    }

    /// Ends everything, right behind the last scrape: whoever scrapes the same series from now on has later samples.
    pub fn finish(&self, outputs: &[Output]) {
        if !self.series.is_empty() {
            let time = UnixMillis(self.last.wall.0 + 1);
            Output::of(outputs, self.origin.labels).send(ended(&self.series, &self.resource, time));
        }
    }
}

/// A list of the series of all these lists, each once.
pub(super) fn union(table: &Arc<SeriesTable>, lists: &[&Arc<SeriesList>]) -> Arc<SeriesList> {
    let mut builder = ListBuilder::default();
    lists.iter().flat_map(|list| list.refs()).for_each(|series| builder.known(*series));
    table.list(&builder).list
}

/// Where a loop finds what others have left to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Inheritance(Arc<Mutex<Option<Remains>>>);

impl Inheritance {
    /// Begins with what a predecessor has left.
    pub fn of(remains: Option<Remains>) -> Self {
        Self(Arc::new(Mutex::new(remains)))
    }

    /// Adds what is left of another loop.
    pub fn add(&self, remains: Remains) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(match kept.take() {
            Some(before) => before.and(&remains),
            None => remains,
        });
    }

    /// Takes all of it.
    pub fn take(&self) -> Option<Remains> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The last scrape of those that left it.
    pub fn last(&self) -> Option<Moment> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|remains| remains.last)
    }
}

/// What a source leaves to its successor, as far as no loop has taken it yet.
#[derive(Debug, Default)]
pub(super) struct Estate(Mutex<HashMap<Origin, Remains>>);

impl Estate {
    /// What the source of this name left behind.
    pub fn of(metrics: &ComponentMetrics) -> Self {
        let left = metrics.legacy.take().and_then(|left| left.downcast::<Vec<Remains>>().ok());
        let mut estate: HashMap<Origin, Remains> = HashMap::new();
        for remains in left.map(|left| *left).unwrap_or_default() {
            let remains = match estate.remove(&remains.origin) {
                Some(other) => remains.and(&other),
                None => remains,
            };
            estate.insert(remains.origin.clone(), remains);
        }
        Self(Mutex::new(estate))
    }

    /// Leaves remains to the next source of this name.
    pub fn leave(remains: Vec<Remains>, metrics: &ComponentMetrics) {
        metrics.legacy.leave(Box::new(remains));
    }

    /// The remains of a target, to be gone on with.
    pub fn take(&self, origin: &Origin) -> Option<Remains> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(origin)
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
        all.extract_if(|origin, _| wanted(&origin.job)).map(|(_, remains)| remains).collect()
    }
}
