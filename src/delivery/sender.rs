//! What a sink does with an answer: done, again later, or held until somebody helps. The words of the
//! server go to the component's health; how many requests are in flight follows what the server takes.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::complaints::Complaints;
use super::journey::Leg;
use super::retry::Backoff;
use crate::telemetry::ComponentMetrics;

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempted {
    /// Nothing is left to do.
    Done,
    /// All of it was withdrawn before the server had said anything.
    Withdrawn,
    /// The server cannot now: again later.
    Retry {
        /// In the server's words.
        reason: String,
        /// How long the server asks to wait.
        after: Option<Duration>,
        /// Whether a part was taken: then the waits start over.
        progress: bool,
    },
    /// The server takes nothing from us as things are (credentials, a missing index, a block): held until
    /// that changes, whatever it takes.
    Blocked {
        /// In the server's words, and what to check.
        reason: String,
    },
}

/// One piece of work, tried until it is done.
pub trait Work: Send {
    /// Tries once.
    fn attempt(&mut self) -> impl Future<Output = Attempted> + Send;

    /// Requests that begin now, of those batches that are followed.
    fn legs(&self, _metrics: &ComponentMetrics) -> Vec<Leg> {
        Vec::new()
    }

    /// Waits until something of the work is withdrawn, so that the next attempt would be another one.
    fn withdrawn(&self) -> impl Future<Output = ()> + Send;
}

/// What an HTTP status says about a request as a whole (RFC 9110, and what servers of this field do).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 2xx: read the answer.
    Done,
    /// 429 and the server's own errors.
    Retry,
    /// Answers about us, not about the data.
    Blocked,
    /// 413: send less at once.
    TooLarge,
    /// Every other answer is about the data.
    Refused,
}

impl StatusClass {
    /// The class of a status.
    pub const fn of(status: u16) -> Self {
        match status {
            200..300 => Self::Done,
            408 | 425 | 429 | 500..600 => Self::Retry,
            // A redirection means that the address is not that of the server.
            300..=399 | 401 | 403..=407 | 411 | 414 | 415 | 417 | 421 | 426 | 431 | 451 => Self::Blocked,
            413 => Self::TooLarge,
            _ => Self::Refused,
        }
    }
}

/// The complaint of a sender that cannot deliver.
const SENDING: &str = "sending";

/// Failures of one piece of work from which on the component is unhealthy: a server that says once that
/// it is busy is not worth a page.
const UNHEALTHY_FROM: u32 = 3;

/// Work that is withdrawn after this long was not answered: its sender waits no longer than that, so that no timeout
/// would ever tell of a server that hangs.
const UNANSWERED: Duration = Duration::from_secs(1);

/// Shared by the requests of one sink.
#[derive(Debug)]
pub struct Sender {
    metrics: Arc<ComponentMetrics>,
    complaints: Arc<Complaints>,
    topic: Cow<'static, str>,
    concurrency: Concurrency,
    random: Mutex<fastrand::Rng>,
}

impl Sender {
    /// A sender with at most `most` requests in flight; `random` gives the jitter of waits.
    pub fn new(
        metrics: Arc<ComponentMetrics>,
        complaints: Arc<Complaints>,
        most: usize,
        random: fastrand::Rng,
    ) -> Self {
        let (topic, concurrency) = (SENDING.into(), Concurrency::new(most));
        Self { metrics, complaints, topic, concurrency, random: Mutex::new(random) }
    }

    /// The same to one of several servers, each of which may work or not.
    #[must_use]
    pub fn towards(self, server: &str) -> Self {
        Self { topic: Self::topic(server).into(), ..self }
    }

    /// What a sender [towards](Self::towards) a server complains about.
    pub fn topic(server: &str) -> String {
        format!("{SENDING} to {server}")
    }

    /// How many requests may be in flight now.
    pub fn allowed(&self) -> usize {
        self.concurrency.allowed()
    }

    /// Tries until the work is done. It never gives up: what is to be given up, the work settles itself.
    pub async fn run(&self, work: &mut impl Work) {
        let random = self.random.lock().unwrap_or_else(PoisonError::into_inner).fork();
        let mut backoff = Backoff::new(random);
        loop {
            let legs = work.legs(&self.metrics);
            let began = tokio::time::Instant::now();
            let attempted = work.attempt().await;
            legs.into_iter().for_each(|leg| leg.attempted(&attempted));
            let wait = match attempted {
                Attempted::Withdrawn => {
                    let waited = began.elapsed();
                    if waited >= UNANSWERED {
                        let words =
                            format!("no answer within {} s, in which its sender takes it back", waited.as_secs());
                        self.complaints.raise(self.topic.clone(), words.clone());
                        self.metrics.error(words);
                    }
                    return;
                }
                Attempted::Done => {
                    self.concurrency.succeeded();
                    self.complaints.over(&self.topic);
                    return;
                }
                Attempted::Retry { reason, after, progress } => {
                    self.concurrency.failed();
                    if progress {
                        backoff.reset();
                        self.complaints.over(&self.topic);
                    }
                    let wait = backoff.next(after);
                    if backoff.failures() >= UNHEALTHY_FROM {
                        self.complaints.raise(self.topic.clone(), reason.clone());
                    }
                    self.metrics.error(reason);
                    wait
                }
                Attempted::Blocked { reason } => {
                    self.complaints.raise(self.topic.clone(), reason.clone());
                    self.metrics.error(reason);
                    backoff.next(None)
                }
            };
            self.metrics.retries.inc();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = work.withdrawn() => {}
            }
        }
    }
}

/// Additive increase, multiplicative decrease: one more request in flight for as many successes as are
/// allowed, half of them after a failure.
#[derive(Debug)]
struct Concurrency {
    most: f64,
    allowed: Mutex<f64>,
}

impl Concurrency {
    fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self { most, allowed: Mutex::new(most) }
    }

    fn allowed(&self) -> usize {
        *self.allowed.lock().unwrap_or_else(PoisonError::into_inner) as usize
    }

    fn succeeded(&self) {
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        *allowed = (*allowed + 1.0 / *allowed).min(self.most);
    }

    fn failed(&self) {
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        *allowed = (*allowed / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::telemetry::Telemetry;

    struct Script(Vec<Attempted>, Vec<Instant>);

    impl Work for Script {
        async fn attempt(&mut self) -> Attempted {
            self.1.push(Instant::now());
            self.0.remove(0)
        }

        async fn withdrawn(&self) {
            std::future::pending().await
        }
    }

    fn retry(after: Option<u64>) -> Attempted {
        Attempted::Retry { reason: "busy".into(), after: after.map(Duration::from_secs), progress: false }
    }

    fn sender(metrics: &Arc<ComponentMetrics>) -> Sender {
        let complaints = Arc::new(Complaints::new(metrics.clone()));
        Sender::new(metrics.clone(), complaints, 4, fastrand::Rng::with_seed(7))
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_asked_and_fewer_requests_follow_a_failure() {
        let metrics = Telemetry::new().component("sink", "x");
        let sender = sender(&metrics);
        let mut work = Script(vec![retry(Some(20)), retry(None), Attempted::Done], Vec::new());
        sender.run(&mut work).await;
        assert!(work.1[1] - work.1[0] >= Duration::from_secs(20));
        assert_eq!(metrics.retries.get(), 2);
        assert!(sender.allowed() < 4);
        for _ in 0..20 {
            sender.run(&mut Script(vec![Attempted::Done], Vec::new())).await;
        }
        assert_eq!(sender.allowed(), 4, "successes bring them back");
    }

    #[test]
    fn answers_about_the_request_itself_give_up_no_data() {
        for status in [301, 401, 403, 404, 405, 406, 407, 411, 414, 415, 431] {
            assert_eq!(StatusClass::of(status), StatusClass::Blocked, "{status}");
        }
        for status in [400, 409, 422] {
            assert_eq!(StatusClass::of(status), StatusClass::Refused, "{status}");
        }
        for status in [408, 429, 500, 503] {
            assert_eq!(StatusClass::of(status), StatusClass::Retry, "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_sender_says_why_until_it_works() {
        let metrics = Telemetry::new().component("sink", "x");
        let sender = sender(&metrics);
        let blocked = Attempted::Blocked { reason: "401: check api_key".into() };
        let mut work = Script(vec![blocked, Attempted::Done], Vec::new());
        let run = sender.run(&mut work);
        tokio::pin!(run);
        assert!(futures_util::poll!(&mut run).is_pending());
        assert_eq!(metrics.health.status().unhealthy.as_deref(), Some("401: check api_key"));
        run.await;
        assert_eq!(metrics.health.status().unhealthy, None);
    }
}
