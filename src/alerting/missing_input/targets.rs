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
    /// What the `up` of a target says of an input that ended or went silent at `time`.
    pub(super) fn lost_of_target(
        &self,
        job: Box<str>,
        instance: Box<str>,
        time: i64,
        ending: Ending,
    ) -> Result<Option<Lost>, SelectError> {
        Ok(match (self.up(&job, &instance)?, ending) {
            (Some((_, Up::Ended)), _) => None,
            (Some((at, _)), Ending::Marked) if at < time => Some(Lost::ScrapeNotTold(job, instance)),
            (Some((_, Up::Failed)), _) => Some(Lost::ScrapeFailed(job, instance)),
            (Some((_, Up::Silent)), _) => {
                Some(Lost::Silent(format!("up{{instance={instance:?}, job={job:?}}}").into()))
            }
            (Some((at, Up::Succeeded)), Ending::Silent(series)) if at <= time => Some(Lost::Silent(series)),
            (Some((_, Up::Succeeded)), _) => None,
            // Nobody scrapes it: what was pushed ends by its marker alone.
            (None, Ending::Marked) => None,
            (None, Ending::Silent(series)) => Some(Lost::Silent(series)),
        })
    }

    /// The last sample of the `up` of a target.
    fn up(&self, job: &str, instance: &str) -> Result<Option<(i64, Up)>, SelectError> {
        let target = (job.into(), instance.into());
        if let Some(known) = self.read.ups.borrow().get(&target) {
            return Ok(*known);
        }
        let mut up = None;
        let matchers = [equal(METRIC_NAME, "up"), equal("job", job), equal("instance", instance)];
        self.each_up(&matchers, &mut |_, at, state| {
            if up.is_none_or(|(known, _)| known < at) {
                up = Some((at, state));
            }
        })?;
        self.read.ups.borrow_mut().insert(target, up);
        Ok(up)
    }

    /// What is known where nothing that the rule reads is there: whether its targets are scraped.
    pub(super) fn lost_without_inputs(&self, query: &Query, element: &LabelSet) -> Result<Option<Lost>, SelectError> {
        let (mut any, mut lost) = (false, None);
        for (number, selector) in query.selectors().enumerate().filter(|(_, selector)| selector.pinned.is_none()) {
            let question = Question::new(query, number, element, i64::MIN);
            let said = self.read.targets.get_or_read(question, || self.lost_of_targets(selector.matchers, element))?;
            let (any_of_selector, lost_of_selector) = &*said;
            any |= any_of_selector;
            lost = lost.or_else(|| lost_of_selector.clone());
        }
        Ok(if any { lost } else { Some(Lost::Nothing) })
    }

    /// Whether there are targets of a selector, and what of them is lost.
    fn lost_of_targets(&self, selector: &[Matcher], element: &LabelSet) -> Result<(bool, Option<Lost>), SelectError> {
        let (mut any, mut lost) = (false, None);
        let of_target = |name: &str| matches!(name, "job" | "instance");
        let mut matchers = vec![equal(METRIC_NAME, "up")];
        matchers.extend(selector.iter().filter(|matcher| of_target(&matcher.name)).cloned());
        let narrow = element.iter().filter(|(name, _)| of_target(name));
        matchers.extend(narrow.map(|(name, value)| equal(name, value)));
        self.each_up(&matchers, &mut |labels, _, state| {
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

    fn each_up(&self, matchers: &[Matcher], visit: &mut dyn FnMut(Labels<'_>, i64, Up)) -> Result<(), SelectError> {
        let back = millis(self.lookback.saturating_add(self.hold_for));
        let select = Select { matchers, after: self.at.0.saturating_sub(back), until: self.at.0 };
        self.store.select(select, &mut |labels, columns| {
            let (Some(&at), Some(&value)) = (columns.times.last(), columns.values.last()) else { return Ok(()) };
            let state = match value {
                value if is_stale(value) => Up::Ended,
                _ if at <= self.at.0 - millis(self.lookback) => Up::Silent,
                0.0 => Up::Failed,
                _ => Up::Succeeded,
            };
            visit(labels, at, state);
            Ok(())
        })
    }
}
