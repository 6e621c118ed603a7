//! The thread that drives the dispatcher and the outbox: it keeps what they say, makes the attempts, and wakes when
//! something is due.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Shared;
use super::core::Step;
use super::inbox::{Post, PostError};
use super::keeper::{Keeper, Work};
use crate::alerting::notifier::{PageKind, Refusal};
use crate::alerting::outbox::{Attempt, Event};

/// Longest sleep, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// How often it is looked what is wrong and what waits: that goes through all that is remembered, and there may be many turns.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a page waits for the disk. One that is not kept is better sent than not sent.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

/// How often a journal that could not be written is begun again.
const DISK_AGAIN: Duration = Duration::from_secs(5);

/// How long requests under way have to be answered when the agent ends.
const LAST_MOMENT: Duration = Duration::from_secs(3);

/// What is told of it.
const LEFT_OPEN: &str = "there is no way any more to where this alert was told, since the configuration has it no more: close by \
                         hand what is open there";

type Done = (Attempt, Result<(), Refusal>);

pub(super) fn spawn(shared: Arc<Shared>, keeper: Keeper, stopped: oneshot::Receiver<()>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("paging".into()).spawn(move || {
        let _closes = Closes(shared.clone());
        runtime.block_on(run(shared, Disk::new(keeper), stopped));
        // A disk that hangs must not keep the agent from ending.
        runtime.shutdown_background();
    })
}

/// Closes the inbox when the thread ends, also where it panics: whoever waits for it learns that.
struct Closes(Arc<Shared>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.inbox().close();
    }
}

async fn run(shared: Arc<Shared>, mut disk: Disk, mut stopped: oneshot::Receiver<()>) {
    let mut sending: JoinSet<Done> = JoinSet::new();
    let mut looked: Option<Instant> = None;
    loop {
        let (step, posts) = step(&shared);
        let kept = disk.keep(&shared, step.records, step.is_durable || !posts.is_empty()).await;
        for post in posts {
            // Whoever hung up needs no answer.
            let _ = post.answer.send(kept.clone().map_err(PostError::NotKept));
        }
        step.attempts.into_iter().for_each(|attempt| send(&shared, &mut sending, attempt));
        let sleep = {
            let core = shared.core();
            let now = shared.clock.now();
            shared.metrics.update(&core, &shared.silences.read(), now);
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
                looked = Some(Instant::now());
                *shared.complaints.lock().unwrap_or_else(PoisonError::into_inner) = core.complaints(now);
                *shared.held_back.lock().unwrap_or_else(PoisonError::into_inner) = core.held_back(now);
            }
            let due = core.next_due().0.saturating_sub(now.0).max(0);
            Duration::from_millis(due as u64).min(LONGEST_SLEEP)
        };
        tokio::select! {
            () = shared.bell.notified() => {}
            () = tokio::time::sleep(sleep) => {}
            Some(done) = sending.join_next(), if !sending.is_empty() => settle(&shared, &mut sending, done),
            _ = &mut stopped => break,
        }
    }
    let last_answers = async {
        while let Some(done) = sending.join_next().await {
            settle(&shared, &mut sending, done);
        }
    };
    let _ = tokio::time::timeout(LAST_MOMENT, last_answers).await;
    let records = shared.core().outbox.take_records();
    disk.tried = None;
    // What is wrong is told by now.
    let _ = disk.keep(&shared, records, true).await;
}

/// What is to be done, and who waits for its records to be kept.
fn step(shared: &Shared) -> (Step, Vec<Post>) {
    let set_by = shared.clock.look();
    let now = shared.clock.now();
    let (alerts, refused, posts) = {
        let mut inbox = shared.inbox();
        let (alerts, refused) = inbox.take();
        (alerts, refused, inbox.take_posts())
    };
    let silences = shared.silences.read().but_for_old(now);
    let mut core = shared.core();
    if let Some(by) = set_by {
        tracing::warn!("the clock was set by {by} ms; groups and pages go on in their pace");
        core.shift(by, now);
    }
    core.dispatcher.count_refused(refused);
    core.put(alerts, now);
    let posts = posts.into_iter().filter_map(|post| match post.refused + core.without_place(&post.alerts) {
        0 => Some(post),
        some => {
            let _ = post.answer.send(Err(PostError::NoPlace(some)));
            None
        }
    });
    let posts = posts.collect();
    let step = core.step(&silences, now);
    drop(core);
    for event in &step.events {
        match event {
            Event::Waits { lane, about, why, next } => {
                let pause = Duration::from_millis(u64::try_from(next.0 - now.0).unwrap_or(0));
                let pause = crate::options::Duration(pause);
                tracing::warn!(receiver = %lane.receiver, kind = lane.kind(), alertname = about, next_attempt_in = %pause, "a page was not taken and waits for its next attempt: {why}");
            }
            Event::Arrives { lane, about } => {
                tracing::info!(receiver = %lane.receiver, kind = lane.kind(), alertname = about, "pages arrive again");
            }
            Event::Refused { lane, key, about, why } => {
                tracing::error!(receiver = %lane.receiver, kind = lane.kind(), alertname = about, key = %key, "a page was refused for good and is not sent again: {why}");
            }
            Event::GivenUp { lane, key, about, kind: PageKind::Resolve, .. } => {
                tracing::error!(receiver = %lane.receiver, kind = lane.kind(), alertname = about, key = %key, "a page that says that something is over is given up: close it by hand");
            }
            Event::GivenUp { lane, key, about, kind: PageKind::Trigger, .. } => {
                tracing::warn!(receiver = %lane.receiver, kind = lane.kind(), alertname = about, key = %key, "an old page is not sent again; what still holds is told anew");
            }
            Event::GivenUp { lane, key, about, kind: PageKind::Acknowledge, .. } => {
                tracing::warn!(receiver = %lane.receiver, kind = lane.kind(), alertname = about, key = %key, "an old page that says that somebody takes care of an alert is not sent again");
            }
            Event::LeftOpen { lane, about } => {
                shared.metrics.count_left_open(lane);
                tracing::warn!(receiver = %lane.receiver, kind = lane.kind(), alertname = about, "{}", LEFT_OPEN);
            }
            Event::OverUnsent { lane, key, about } => {
                tracing::info!(receiver = %lane.receiver, kind = lane.kind(), alertname = about, key = %key, "an alert was over before anybody was told of it");
            }
        }
    }
    (step, posts)
}

fn send(shared: &Arc<Shared>, sending: &mut JoinSet<Done>, attempt: Attempt) {
    let (notifier, patience) = {
        let core = shared.core();
        (core.notifier(&attempt.lane), core.outbox.settings().timeout)
    };
    sending.spawn(async move {
        let later = |why: String| Err(Refusal::ForNow { why, after: None });
        let Some(notifier) = notifier else {
            return (attempt, later("the configuration has no such receiver".into()));
        };
        let page = attempt.page.clone();
        let request = tokio::spawn(async move { tokio::time::timeout(patience, notifier.send(&page)).await });
        let result = match request.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => later(format!("no answer within {patience:?}")),
            Err(_) => later("sending panicked".into()),
        };
        (attempt, result)
    });
}

/// Hears of everything that is done.
fn settle(shared: &Shared, sending: &mut JoinSet<Done>, first: Result<Done, tokio::task::JoinError>) {
    let now = shared.clock.now();
    let mut core = shared.core();
    let mut next = Some(first);
    while let Some(done) = next {
        match done {
            Ok((attempt, result)) => {
                if let Err(Refusal::ForNow { why, .. } | Refusal::OfKey(why)) = &result {
                    tracing::debug!(receiver = %attempt.lane, key = %attempt.page.key, "a page is sent again: {why}");
                }
                core.done(&attempt, result, now);
            }
            Err(error) => tracing::error!("a request was lost: {error}"),
        }
        next = sending.try_join_next();
    }
}

/// The journal, which is written where blocking is allowed.
struct Disk {
    keeper: Option<Keeper>,
    busy: Option<tokio::task::JoinHandle<(Keeper, io::Result<()>)>>,
    /// Whether records were left out while the disk was busy.
    left_out: bool,
    /// When it was written last; `None` where it is to be written now.
    tried: Option<Instant>,
}

impl Disk {
    fn new(keeper: Keeper) -> Self {
        Self { keeper: Some(keeper), busy: None, left_out: false, tried: None }
    }

    /// Keeps records. Returns when they are kept, or when that takes too long or fails; whatever is missing then is made
    /// up for later.
    ///
    /// # Errors
    /// Where something is missing, in words.
    async fn keep(&mut self, shared: &Arc<Shared>, records: Vec<Vec<u8>>, is_durable: bool) -> Result<(), String> {
        self.finish(shared, Duration::ZERO).await;
        let Some(keeper) = &self.keeper else {
            self.left_out |= !records.is_empty();
            return Self::missing(shared);
        };
        let is_behind = keeper.is_behind() || self.left_out;
        let again = is_behind && self.tried.is_none_or(|tried| tried.elapsed() >= DISK_AGAIN);
        if !again && (is_behind || records.is_empty()) {
            self.left_out |= !records.is_empty();
            return if is_behind { Self::missing(shared) } else { Ok(()) };
        }
        let work = if is_behind || keeper.wants_state() || shared.core().wants_state {
            Work::State(shared.core().state())
        } else {
            Work::Records { records, is_durable }
        };
        let Some(mut keeper) = self.keeper.take() else { return Self::missing(shared) };
        self.left_out = false;
        self.tried = Some(Instant::now());
        self.busy = Some(tokio::task::spawn_blocking(move || {
            let kept = keeper.keep(work);
            (keeper, kept)
        }));
        self.finish(shared, DISK_PATIENCE).await;
        let is_kept = self.keeper.as_ref().is_some_and(|keeper| !keeper.is_behind());
        if is_kept { Ok(()) } else { Self::missing(shared) }
    }

    /// What is wrong with the journal.
    fn missing(shared: &Shared) -> Result<(), String> {
        let complaint = shared.journal_complaint.lock().unwrap_or_else(PoisonError::into_inner);
        Err(complaint.clone().unwrap_or_else(|| "the journal of pages is behind".to_owned()))
    }

    async fn finish(&mut self, shared: &Shared, patience: Duration) {
        let Some(busy) = &mut self.busy else { return };
        let complaint = match tokio::time::timeout(patience, busy).await {
            Err(_) => Some("the disk does not answer: pages are sent, and may be sent again after a crash".to_owned()),
            Ok(Ok((keeper, kept))) => {
                (self.keeper, self.busy) = (Some(keeper), None);
                kept.err().map(|error| {
                    format!("the journal of pages cannot be written, so they may be sent again after a crash: {error}")
                })
            }
            Ok(Err(_)) => {
                self.busy = None;
                Some("writing the journal of pages panicked; it is written no more".to_owned())
            }
        };
        let mut shown = shared.journal_complaint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(complaint) = complaint.as_ref().filter(|complaint| shown.as_ref() != Some(complaint)) {
            tracing::error!("{complaint}");
        }
        *shown = complaint;
    }
}
