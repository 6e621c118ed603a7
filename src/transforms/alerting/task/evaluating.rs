//! The loop of the rules: has evaluated what is due, and hands on what that makes. It waits for no evaluation, no destination
//! and no disk, so that it can say at any time which groups are late. Only where the wall clock was stepped does it look into
//! groups, and waits for what an evaluation has found to be taken.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::under_way::UnderWay;
use super::waiting::{Waiting, opened};
use crate::alerting::dead_mans_switch::Pulses;
use crate::alerting::paging::Dispatch;
use crate::alerting::running::Opening;
use crate::alerting::{Evaluated, Running};
use crate::data::Batch;
use crate::delivery::Message;
use crate::delivery::lost::CountLost;
use crate::pipeline::outlet::{NotNow, Outlet};
use crate::telemetry::ComponentMetrics;

/// Longest sleep between two looks at what is due: the wall clock may be set meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// What the loop of the rules needs.
pub(super) struct Evaluating {
    pub running: Arc<Running>,
    pub under_way: UnderWay,
    pub outlet: Outlet,
    pub metrics: Arc<ComponentMetrics>,
    pub pulses: Option<Arc<Pulses>>,
    /// Where alerts wait as long as nobody dispatches them.
    pub door: Option<Waiting>,
    /// When health was looked at last.
    pub looked: Option<Instant>,
    pub is_unwell: bool,
    pub stop: CancellationToken,
}

impl Evaluating {
    /// Ends when it is told to, with the attempt to open the journals that is under way then.
    pub async fn run(mut self) -> Option<Opening> {
        let lost = Arc::new(CountLost(self.metrics.clone()));
        loop {
            self.under_way.begin();
            self.try_door();
            self.look_around();
            // Where no thread is free, an evaluation that ends is what is waited for.
            let next = self.running.rules().next_due().filter(|_| self.under_way.has_room());
            let wait = next.map_or(LOOK, |due| due.saturating_sub(self.running.clock().now().running)).min(LOOK);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                opened = opened(&mut self.door) => self.begin_to_dispatch(opened),
                evaluated = self.under_way.ended() => {
                    if let Some(evaluated) = evaluated {
                        self.hand_on(evaluated, &lost);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
        for evaluated in self.under_way.end().await {
            self.hand_on(evaluated, &lost);
        }
        self.door.and_then(|waiting| waiting.opening)
    }

    /// Hands on what an evaluation has made, and reports that it was done.
    fn hand_on(&mut self, evaluated: Evaluated, lost: &Arc<CountLost>) {
        let Evaluated { metrics, alerts, group, ends } = evaluated;
        if let Some(dispatch) = self.running.dispatch() {
            dispatch.put(alerts);
        } else if let Some(waiting) = &self.door {
            waiting.door.put(alerts);
        }
        for batch in metrics {
            self.offer(Batch::Metrics(batch), lost);
        }
        if let (Some((file, name)), Some(pulses)) = (group, self.pulses()) {
            pulses.evaluated((&file, &name), Instant::now());
        }
        drop(ends);
    }

    /// Once in a while: says which groups are evaluated in time, if alerts have somebody who dispatches them, and whether
    /// people can be told.
    fn look_around(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        self.look_after_health();
        self.beat();
    }

    fn beat(&self) {
        if let Some(pulses) = self.pulses() {
            let (due, now) = (self.running.rules().due(), self.running.clock().now().running);
            pulses.beat(due.iter().map(|(file, name, due)| (&**file, &**name, *due)), now, Instant::now());
        }
    }

    /// By what work is reported, as long as alerts have somebody who dispatches them.
    fn pulses(&self) -> Option<&Pulses> {
        let dispatched = self.door.is_none() && self.running.dispatch().is_none_or(|dispatch| dispatch.is_running());
        self.pulses.as_deref().filter(|_| dispatched)
    }

    /// Tries again to give alerts their way to people.
    fn try_door(&mut self) {
        if let Some(opened) = opened(&mut self.door).now_or_never() {
            self.begin_to_dispatch(opened);
        }
        if let Some(waiting) = &mut self.door {
            waiting.try_again();
        }
    }

    fn begin_to_dispatch(&mut self, opened: Option<Dispatch>) {
        let Some(dispatch) = opened else { return };
        if let Some(waiting) = self.door.take() {
            waiting.door.pass_on(&dispatch, waiting.is_earlier);
        }
        self.running.set_dispatch(Some(Arc::new(dispatch)));
        tracing::info!("alerts are dispatched now");
    }

    /// Says whether people can be told of alerts.
    fn look_after_health(&mut self) {
        let mut complaints = self.running.dispatch().map(|dispatch| dispatch.complaints()).unwrap_or_default();
        complaints.extend(self.running.rules().trouble());
        complaints.extend(self.running.store().trouble().map(str::to_owned));
        let wait = self.door.as_ref().map(|waiting| waiting.why.clone());
        complaints.extend(wait.as_ref().map(|why| format!("alerts wait: {why}")));
        self.running.set_alerts_wait(wait);
        if !complaints.is_empty() {
            self.metrics.health.unhealthy(complaints.join("; "));
        } else if self.is_unwell {
            self.metrics.health.healthy();
        }
        self.is_unwell = !complaints.is_empty();
    }

    /// Hands on what rules wrote. It is there for queries already, so that nothing waits for who else wants it.
    fn offer(&mut self, batch: Batch, lost: &Arc<CountLost>) {
        let Ok(ack) = self.outlet.try_ack(lost.clone(), batch.count() as u64, false) else { return };
        match self.outlet.offer(Message::new(batch, ack)) {
            Ok(()) | Err(NotNow::Closed | NotNow::Gone(_)) => {}
        }
    }
}
