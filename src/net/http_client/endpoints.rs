//! Several addresses of one destination: requests go round, and one that fails is left alone for a while.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

/// The addresses of one destination. Requests go round; one that fails is left alone for a while.
#[derive(Debug)]
pub struct Endpoints {
    urls: Vec<Url>,
    next: AtomicUsize,
    cooling: Mutex<Vec<Cooling>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cooling {
    until: Option<Instant>,
    failures: u32,
}

const COOL_DOWN: Duration = Duration::from_secs(2);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(60);

impl Endpoints {
    /// These addresses; at least one.
    pub fn new(urls: Vec<Url>) -> Self {
        assert!(!urls.is_empty(), "a destination has at least one endpoint");
        let cooling = Mutex::new(vec![Cooling::default(); urls.len()]);
        Self { urls, next: AtomicUsize::new(0), cooling }
    }

    /// The endpoint for the next request: the next in turn that is not cooling down, else the one that
    /// will have cooled down first.
    pub fn pick(&self) -> (usize, &Url) {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let cooling = self.cooling.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (0..self.urls.len()).map(|i| first.wrapping_add(i) % self.urls.len());
        let wait = |index: usize| cooling[index].until.map_or(Duration::ZERO, |until| until.duration_since(now));
        let index = turn.min_by_key(|&index| wait(index)).unwrap_or(0);
        (index, &self.urls[index])
    }

    /// The first in the order of the configuration that is not cooling down, else the one that will have cooled down
    /// first: the others stand by.
    pub fn first(&self) -> (usize, &Url) {
        let now = Instant::now();
        let cooling = self.cooling.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = |index: usize| cooling[index].until.map_or(Duration::ZERO, |until| until.duration_since(now));
        let index = (0..self.urls.len()).min_by_key(|&index| wait(index)).unwrap_or(0);
        (index, &self.urls[index])
    }

    /// An endpoint answered.
    pub fn works(&self, index: usize) {
        self.cooling.lock().unwrap_or_else(PoisonError::into_inner)[index] = Cooling::default();
    }

    /// An endpoint could not be reached or did not answer: the others go first for a while.
    pub fn failed(&self, index: usize) {
        let mut cooling = self.cooling.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = &mut cooling[index];
        let wait = COOL_DOWN.saturating_mul(1 << entry.failures.min(5)).min(LONGEST_COOL_DOWN);
        *entry = Cooling { until: Some(Instant::now() + wait), failures: entry.failures + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(count: usize) -> Endpoints {
        Endpoints::new((0..count).map(|i| format!("http://127.0.0.1:{}", 9200 + i).parse().expect("valid")).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn requests_go_round_and_leave_out_what_failed() {
        let endpoints = endpoints(3);
        let picks = |n: usize| (0..n).map(|_| endpoints.pick().0).collect::<Vec<_>>();
        assert_eq!(picks(4), [0, 1, 2, 0]);
        endpoints.failed(1);
        assert!(!picks(6).contains(&1));
        tokio::time::advance(COOL_DOWN * 2).await;
        assert!(picks(6).contains(&1), "it has cooled down");
        for index in 0..3 {
            endpoints.failed(index);
        }
        endpoints.works(2);
        assert_eq!(picks(2), [2, 2]);
        assert_eq!(endpoints.first().0, 2);
        endpoints.works(0);
        assert_eq!(endpoints.first().0, 0, "the first that works, not the next in turn");
    }
}
