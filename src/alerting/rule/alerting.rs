//! Alerting rules: each element of the result is an alert. It is pending until it has been there for `for`, fires then, and
//! resolves once it is gone; what `gone` means is [`super::super::missing_input`]'s business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::alert::Alert;
use super::super::missing_input::{Lost, MissingInput};
use super::super::results::Row;
use super::super::rule_file::{AlertRule, Kind, Label};
use super::found::{Elements, Found};
use super::hold::Hold;
use super::occurrences::Counted;
use super::{Alerting, Evaluating, Instance, Phase, Rule, RuleError, Sight, Since, Text, Texts};
use crate::data::labels::Labels;
use crate::data::{LabelSet, UnixNanos};
use crate::promql::Query;

/// How long a resolved alert is kept and said again, so that whoever was away hears of its end.
const RESOLVED_RETENTION: Duration = Duration::from_mins(15);

/// A firing alert counts as resolved if nobody speaks of it for this many times the pause between two.
const MISSED_RESENDS: u32 = 4;

/// What Go's `url.QueryEscape` leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

impl Alerting {
    /// The alerts of a rule that has none yet.
    pub fn new(labels: &[Label], rule: &AlertRule, query: &Query) -> Self {
        let text = utf8_percent_encode(&query.to_string(), UNRESERVED).to_string().replace(' ', "+");
        let texts = |labels: &[Label]| {
            labels.iter().map(|label| (label.name.clone(), Text::new(&rule.name, &label.value))).collect()
        };
        Self {
            texts: Arc::new(Texts { labels: texts(labels), annotations: texts(&rule.annotations) }),
            alerts: BTreeMap::new(),
            forgotten: Vec::new(),
            link: format!("/graph?g0.expr={text}&g0.tab=1"),
        }
    }
}

impl Rule {
    /// Moves the alerts on by what was found.
    pub(super) fn alert(
        &mut self,
        cx: &Evaluating<'_>,
        found: Result<Elements, RuleError>,
    ) -> Result<Vec<Row>, RuleError> {
        let Self { written, alerting, evaluated, restored, resumed, .. } = self;
        let (Kind::Alert(rule), Some(alerting)) = (&written.kind, alerting) else { return found.map(|_| Vec::new()) };
        let query = &written.query;
        let hold = Hold::new(cx, query);
        if *restored && let Some(last) = *evaluated {
            alerting.was_away(cx, cx.steady.since(last.steady.plus(cx.interval)));
        }
        let mut found = found.inspect_err(|_| alerting.could_not_look(rule, cx))?;
        let sight = cx.settling.map(|sight| match sight {
            Sight::After(since) => Sight::After(resumed.map_or(since, |resumed| since.min(resumed))),
            Sight::Nothing => Sight::Nothing,
        });
        alerting.take(&mut found, cx, |element| hold.as_ref().is_none_or(|hold| hold.begins(element, sight)));
        let now = Since { wall: cx.at, steady: cx.steady };
        let active = alerting.settle(rule, &found, now, |alert| hold.as_ref().and_then(|hold| hold.lost(alert, now)));
        if cx.limit > 0 && active > cx.limit {
            alerting.forgotten.extend(std::mem::take(&mut alerting.alerts).into_keys());
            return Err(RuleError::Limit { limit: cx.limit, found: active, what: "alerts" });
        }
        Ok(self.rows_of_alerts())
    }

    /// The alerts that are to be handed on. Under `hold` also where the evaluation failed: that is lost evidence, and whoever
    /// hears nothing of an alert takes that for its end.
    pub fn due(&mut self, cx: &Evaluating<'_>, failed: bool, out: &mut Vec<Alert>) {
        let Self { written, alerting: Some(alerting), .. } = self else { return };
        let settings = cx.settings;
        let valid_for = MISSED_RESENDS * cx.interval.max(settings.resend_delay);
        let mut fire = Vec::new();
        for (labels, alert) in &mut alerting.alerts {
            let is_known = !failed || settings.missing_input == MissingInput::Hold;
            if !is_known || !alert.is_due(cx.steady, settings.resend_delay) {
                continue;
            }
            alert.sent = Some(cx.steady);
            let (starts_at, ends_at) = match alert.phase {
                Phase::Pending => continue,
                Phase::Firing { fired } => {
                    fire.push((out.len(), &alert.element));
                    (fired, UnixNanos(cx.at.0 + valid_for.as_nanos() as u64))
                }
                Phase::Resolved { fired, resolved } => (fired, resolved.wall),
            };
            let mut labels = Labels::of_encoded(labels).to_set();
            for (name, value) in settings.external_labels.iter() {
                if !labels.has(name) {
                    labels.set(name, value);
                }
            }
            out.push(Alert {
                labels,
                annotations: alert.annotations.clone(),
                starts_at: starts_at.into(),
                ends_at: ends_at.into(),
                generator_url: format!("{}{}", settings.external_url, alerting.link),
                value: alert.value,
                occurrences: Vec::new(),
            });
        }
        if fire.is_empty() {
            return;
        }
        let elements: Vec<&LabelSet> = fire.iter().map(|(_, element)| *element).collect();
        let counted = Counted::by(&written.query, &elements, cx);
        fire.iter().for_each(|(place, element)| out[*place].occurrences = counted.latest(element));
    }
}

impl Alerting {
    /// Begins alerts of what is found and not known, if it may, and says of the others what is new.
    fn take(&mut self, found: &mut Elements, cx: &Evaluating<'_>, begins: impl Fn(&LabelSet) -> bool) {
        found.retain(|key, Found { annotations, element, value }| {
            let (annotations, element, value) = (std::mem::take(annotations), std::mem::take(element), *value);
            if let Some(alert) = self.alerts.get_mut(key).filter(|alert| alert.is_active()) {
                (alert.value, alert.annotations, alert.element) = (value, annotations, element);
                return true;
            }
            if !begins(&element) {
                return false;
            }
            self.alerts.insert(
                key.into(),
                Instance {
                    annotations,
                    element,
                    value,
                    phase: Phase::Pending,
                    active_at: cx.at,
                    counts_from: cx.steady,
                    keeps_firing: None,
                    held: None,
                    sent: None,
                    sent_journalled: None,
                    changed: true,
                    writes: None,
                },
            );
            true
        });
    }

    /// Moves every alert on, where `lost` says why one that is missing is held. Returns how many are pending or fire.
    fn settle(
        &mut self,
        rule: &AlertRule,
        there: &Elements,
        now: Since,
        lost: impl Fn(&Instance) -> Option<Lost>,
    ) -> usize {
        let mut active = 0;
        let mut gone = Vec::new();
        for (key, alert) in &mut self.alerts {
            if there.contains(key) {
                alert.let_go(now.steady);
                alert.changed |= alert.keeps_firing.take().is_some();
            } else if alert.is_missing(rule, now, &lost) == Missing::Gone {
                gone.push(key.clone());
                continue;
            }
            if !alert.is_active() {
                continue;
            }
            active += 1;
            if alert.held.is_some() {
                continue;
            }
            let counted = now.steady.since(alert.counts_from);
            match alert.phase {
                Phase::Pending if counted >= rule.for_ => alert.turn(Phase::Firing { fired: now.wall }),
                // Its `for` was made longer.
                Phase::Firing { .. } if counted < rule.for_ => {
                    alert.turn(Phase::Pending);
                    (alert.sent, alert.keeps_firing) = (None, None);
                }
                _ => {}
            }
        }
        for key in gone {
            self.alerts.remove(&key);
            self.forgotten.push(key);
        }
        active
    }

    /// This process begins `lost` later than it should have looked again. Under `hold` that is lost evidence; in
    /// Prometheus's way it is only not part of any `for`.
    fn was_away(&mut self, cx: &Evaluating<'_>, lost: Duration) {
        if lost.is_zero() {
            return;
        }
        let from =
            Since { wall: UnixNanos(cx.at.0.saturating_sub(lost.as_nanos() as u64)), steady: cx.steady.minus(lost) };
        for alert in self.alerts.values_mut().filter(|alert| alert.is_active() && alert.keeps_firing.is_none()) {
            match cx.settings.missing_input {
                MissingInput::Hold => alert.hold(from, Lost::Away),
                MissingInput::Prometheus => {
                    alert.counts_from = alert.counts_from.plus(lost);
                    alert.changed = true;
                }
            }
        }
    }

    /// The evaluation failed, which says nothing of any alert: under `hold` each is held for its time, and ends then.
    fn could_not_look(&mut self, rule: &AlertRule, cx: &Evaluating<'_>) {
        if cx.settings.missing_input == MissingInput::Prometheus {
            return;
        }
        let now = Since { wall: cx.at, steady: cx.steady };
        self.settle(rule, &Elements::default(), now, |alert| {
            let held = alert.held.as_ref().map(|held| now.steady.since(held.since.steady));
            // A restart has the time to look for itself.
            let lasts = cx.settling.is_some() || held.is_none_or(|held| held < cx.settings.hold_for);
            lasts.then_some(Lost::Evaluation)
        });
    }
}

/// What becomes of an alert that is not in the result.
#[derive(PartialEq, Eq)]
enum Missing {
    /// It is still an alert, or was one not long ago.
    Kept,
    /// There is nothing left to say of it.
    Gone,
}

impl Instance {
    fn is_missing(&mut self, rule: &AlertRule, now: Since, lost: impl Fn(&Self) -> Option<Lost>) -> Missing {
        if self.is_active()
            && self.keeps_firing.is_none()
            && let Some(why) = lost(self)
        {
            self.hold(now, why);
            return Missing::Kept;
        }
        self.held = None;
        match self.phase {
            Phase::Pending => return Missing::Gone,
            Phase::Firing { fired } => {
                if !rule.keep_firing_for.is_zero() {
                    let since = *self.keeps_firing.get_or_insert_with(|| {
                        self.changed = true;
                        now
                    });
                    if now.steady.since(since.steady) < rule.keep_firing_for {
                        return Missing::Kept;
                    }
                }
                self.turn(Phase::Resolved { fired, resolved: now });
            }
            Phase::Resolved { resolved, .. } => {
                let told = self.sent.is_some_and(|sent| sent >= resolved.steady);
                if told && now.steady.since(resolved.steady) > RESOLVED_RETENTION {
                    return Missing::Gone;
                }
            }
        }
        Missing::Kept
    }
}
