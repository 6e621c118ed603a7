//! Which metadata the series of an exposition have: that of the family whose comments came last, as far as
//! their names belong to it.

use std::sync::Arc;

use crate::data::metrics::{Family, MetricKind};
use crate::data::series_table::{FamilyId, SeriesRef, SeriesTable};
use crate::formats::prometheus::{Entry, series};

/// The family whose samples come next.
#[derive(Debug, Default)]
pub(super) struct FamilyContext {
    family: Family,
    id: Option<FamilyId>,
}

impl FamilyContext {
    /// Takes notice of a comment.
    pub fn read(&mut self, entry: &Entry<'_>) {
        match *entry {
            Entry::Type { name, kind } => self.enter(name).kind = kind,
            Entry::Help { name, text } => self.enter(name).help = series::unescape(text).unwrap_or_default().into(),
            Entry::Unit { name, unit } => self.enter(name).unit = String::from_utf8_lossy(unit).into(),
            _ => {}
        }
    }

    fn enter(&mut self, name: &[u8]) -> &mut Family {
        self.id = None;
        if self.family.name.as_bytes() != name {
            let name = series::unescape(name).unwrap_or_default().into();
            self.family = Family { name, ..Family::default() };
        }
        &mut self.family
    }

    /// Metadata of a metric.
    pub fn of(&mut self, table: &Arc<SeriesTable>, metric: &str) -> FamilyId {
        if !belongs(metric, &self.family) {
            return FamilyId::default();
        }
        *self.id.get_or_insert_with(|| table.family(&self.family))
    }

    /// Metadata of a series that is known; what it had where the family says nothing.
    pub fn of_known(&mut self, table: &Arc<SeriesTable>, known: SeriesRef) -> FamilyId {
        let (before, here) = {
            let series = table.read();
            let metric = series.labels(known).metric_name();
            (series.family_id(known), belongs(metric, &self.family))
        };
        if here { *self.id.get_or_insert_with(|| table.family(&self.family)) } else { before }
    }
}

/// Whether a metric is of the family: by its name, or with a suffix that the family's kind has.
fn belongs(metric: &str, family: &Family) -> bool {
    let Some(suffix) = metric.strip_prefix(&*family.name) else { return false };
    if family.name.is_empty() {
        return false;
    }
    suffix.is_empty()
        || match family.kind {
            MetricKind::Counter => matches!(suffix, "_total" | "_created"),
            MetricKind::Histogram => matches!(suffix, "_bucket" | "_sum" | "_count" | "_created"),
            MetricKind::GaugeHistogram => matches!(suffix, "_bucket" | "_gsum" | "_gcount" | "_sum" | "_count"),
            MetricKind::Summary => matches!(suffix, "_sum" | "_count" | "_created"),
            MetricKind::Info => suffix == "_info",
            MetricKind::Gauge | MetricKind::StateSet | MetricKind::Unknown => false,
        }
}
