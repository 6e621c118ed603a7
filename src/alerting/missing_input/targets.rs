//! What the `up` of a target tells of why a series is gone.

use super::inputs::Question;
use super::{Ending, Inquiry, Lost, equal, millis};
use crate::data::labels::{LabelSet, Labels, METRIC_NAME};
use crate::data::metrics::is_stale;
use crate::promql::Query;
use crate::series::{Matcher, Select, SelectError};

/// Job and instance.
pub(super) type Target = (Box<str>, Box<str>);

/// What the last sample of an `up` says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Up {
    Succeeded,
    Failed,
    /// Discovery has dropped the target.
    Ended,
    /// Nobody has scraped for longer than a query looks back.
    Silent,
}

impl Inquiry<'_> {
    /// What the `up` of a target says at a time of an input that ended or went silent at another.
    pub(super) fn lost_of_target(
        &self,
        job: Box<str>,
        instance: Box<str>,
        at: i64,
        (time, ending): (i64, Ending),
    ) -> Result<Option<Lost>, SelectError> {
        let told = self.up(&job, &instance, at)?;
        if let Ending::Within = ending {
            return Ok(match told {
                Some((_, Up::Ended)) => None,
                Some((told, Up::Failed)) if told > time => Some(Lost::ScrapeFailed(job, instance)),
                // A restart leaves the ranges to run empty until something is scraped.
                told => self.is_before_away(told.map_or(time, |(told, _)| told.max(time)), at).then_some(Lost::Away),
            });
        }
        Ok(match (told, ending) {
            (Some((_, Up::Ended)), _) => None,
            (Some((at, _)), Ending::Marked) if at < time => Some(Lost::ScrapeNotTold(job, instance)),
            (Some((_, Up::Failed)), _) => Some(Lost::ScrapeFailed(job, instance)),
            (Some((_, Up::Silent)), _) => {
                Some(Lost::Silent(format!("up{{instance={instance:?}, job={job:?}}}").into()))
            }
            (Some((at, Up::Succeeded)), Ending::Silent(series)) if at <= time => Some(Lost::Silent(series)),
            (Some((_, Up::Succeeded)), _) => None,
            // Nobody scrapes it: what was pushed ends by its marker alone.
            (None, Ending::Silent(series)) => Some(Lost::Silent(series)),
            (None, _) => None,
        })
    }

    /// Whether a sample, the last one at a time, was seen before the agent was away.
    fn is_before_away(&self, sample: i64, at: i64) -> bool {
        self.since.is_some_and(|since| sample <= since.0 && since.0 < at)
    }

    /// The last sample of the `up` of a target at a time.
    fn up(&self, job: &str, instance: &str, at: i64) -> Result<Option<(i64, Up)>, SelectError> {
        let target = ((job.into(), instance.into()), at);
        if let Some(known) = self.read.ups.borrow().get(&target) {
            return Ok(*known);
        }
        let mut up = None;
        let matchers = [equal(METRIC_NAME, "up"), equal("job", job), equal("instance", instance)];
        self.each_up(&matchers, at, &mut |_, at, state| {
            if up.is_none_or(|(known, _)| known < at) {
                up = Some((at, state));
            }
        })?;
        self.read.ups.borrow_mut().insert(target, up);
        Ok(up)
    }

    /// What is known where nothing that the rule reads is there: whether its targets are scraped.
    pub(super) fn lost_without_inputs(
        &self,
        query: &Query,
        element: &LabelSet,
        at: i64,
    ) -> Result<Option<Lost>, SelectError> {
        let (mut any, mut lost) = (false, None);
        let evidence = query.evidence();
        for (number, evidence) in evidence.iter().enumerate().filter(|(_, one)| one.selector.pinned.is_none()) {
            let at = at.saturating_sub(millis(evidence.selector.offset));
            for of in evidence.ending(element) {
                let question = Question::new(query, number, &of, at);
                let ask = || self.lost_of_targets(evidence.selector.matchers, &of, at);
                let said = self.read.targets.get_or_read(question, ask)?;
                let (any_of_selector, lost_of_selector) = &*said;
                any |= any_of_selector;
                lost = lost.or_else(|| lost_of_selector.clone());
            }
        }
        Ok(if any { lost } else { Some(Lost::Nothing) })
    }

    /// Whether there are targets of a selector, and what of them is lost.
    fn lost_of_targets(
        &self,
        selector: &[Matcher],
        element: &LabelSet,
        at: i64,
    ) -> Result<(bool, Option<Lost>), SelectError> {
        let (mut any, mut lost) = (false, None);
        let of_target = |name: &str| matches!(name, "job" | "instance");
        let mut matchers = vec![equal(METRIC_NAME, "up")];
        matchers.extend(selector.iter().filter(|matcher| of_target(&matcher.name)).cloned());
        let narrow = element.iter().filter(|(name, _)| of_target(name));
        matchers.extend(narrow.map(|(name, value)| equal(name, value)));
        self.each_up(&matchers, at, &mut |labels, _, state| {
            any = true;
            let of = |name| labels.get(name).unwrap_or("").into();
            lost = lost.take().or(match state {
                Up::Succeeded | Up::Ended => None,
                Up::Failed => Some(Lost::ScrapeFailed(of("job"), of("instance"))),
                Up::Silent => Some(Lost::Silent(labels.to_string().into())),
            });
        })?;
        Ok((any, lost))
    }

    fn each_up(
        &self,
        matchers: &[Matcher],
        until: i64,
        visit: &mut dyn FnMut(Labels<'_>, i64, Up),
    ) -> Result<(), SelectError> {
        let back = millis(self.lookback.saturating_add(self.hold_for));
        let select = Select { matchers, after: until.saturating_sub(back), until };
        self.store.select(select, &mut |labels, columns| {
            let (Some(&at), Some(&value)) = (columns.times.last(), columns.values.last()) else { return Ok(()) };
            let state = match value {
                value if is_stale(value) => Up::Ended,
                _ if at <= until - millis(self.lookback) => Up::Silent,
                0.0 => Up::Failed,
                _ => Up::Succeeded,
            };
            visit(labels, at, state);
            Ok(())
        })
    }
}
