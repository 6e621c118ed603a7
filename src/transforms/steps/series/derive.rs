//! From a list of series to what the steps make of it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, Weak};

use super::verdicts::{Then, Verdict};
use super::{Fate, Worker};
use crate::data::labels::METRIC_NAME;
use crate::data::metrics::Family;
use crate::data::series_table::{FamilyId, ListBuilder, Series, SeriesList, SeriesRef, SeriesTable};
use crate::data::{LabelSet, Labels, MetricBatch, Resource, Selection};
use crate::expression::Open;

/// What the steps made of a list.
#[derive(Debug)]
pub(super) struct Derived {
    /// The list it is about; once that is gone, this goes too.
    pub source: Weak<SeriesList>,
    /// The resource it is about, where that matters.
    resource: Option<Arc<Resource>>,
    /// The new names, place by place; `None` where all stay the same. Who is taken out keeps its old name.
    pub list: Option<Arc<SeriesList>>,
    /// Who is left; `None` for all.
    pub kept: Option<Selection>,
    /// Places, ascending, whose samples are refused.
    pub refused: Vec<(u32, Why)>,
    /// Places whose values are asked about.
    pub runs: Vec<Run>,
    /// What they are asked.
    pub open: Vec<Open>,
    /// When it was used last, by the worker's clock.
    pub used: u64,
}

/// Why samples of a series are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Another series has its new labels.
    Collided,
    /// The series table is full.
    Full,
}

/// Neighbours of whom the same is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub from: u32,
    pub to: u32,
    pub open: u16,
}

impl Derived {
    /// Whether it holds for batches of this resource.
    pub fn is_for(&self, resource: &Arc<Resource>) -> bool {
        self.resource.as_ref().is_none_or(|known| Arc::ptr_eq(known, resource))
    }

    /// Whether series that found the table full may find room now.
    pub fn is_worth_another_look(&self, table: &SeriesTable) -> bool {
        self.refused.iter().any(|(_, why)| *why == Why::Full) && table.read().len() < table.limit()
    }

    /// Bytes of memory that it holds, labels not counted.
    pub fn bytes(&self) -> usize {
        let places = self.list.as_ref().map_or(0, |list| list.len()) * size_of::<SeriesRef>();
        let kept = self.kept.as_ref().map_or(0, |kept| kept.len() / 8);
        size_of::<Self>() + places + kept + self.refused.len() * 8 + self.runs.len() * size_of::<Run>()
    }
}

/// A place of the list while it is being derived.
enum Place {
    Same,
    Dropped,
    /// Labels among the text, and the metadata: the number that they have, or what it is to be.
    Edited {
        labels: Range<usize>,
        family: Result<FamilyId, Family>,
    },
}

impl Worker {
    /// Decides about every series of the batch's list that was not decided about before.
    pub(super) fn derive(&mut self, batch: &MetricBatch) -> (Derived, Option<String>) {
        let source = batch.series();
        let verdicts = self.verdicts.clone();
        let mut verdicts = verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut places, mut fresh, mut opens) = (Vec::with_capacity(source.len()), Vec::new(), Vec::new());
        let (mut text, mut labels) = (Vec::new(), LabelSet::new());
        {
            let table = self.table.read();
            for (place, &series) in source.refs().iter().enumerate() {
                let known = if self.reads_resource { None } else { verdicts.get(series, &table) };
                if let Some(verdict) = known {
                    opens.push(verdict.open.map(|number| verdicts.open(number).clone()));
                    places.push(match verdict.then {
                        Then::Same => Place::Same,
                        Then::Dropped => Place::Dropped,
                        Then::Other(other) => Place::Edited {
                            labels: append(table.labels(other), &mut text),
                            family: Ok(table.family_id(other)),
                        },
                    });
                    continue;
                }
                let old = table.labels(series);
                labels.clear();
                labels.extend(old.iter());
                let (made, open) = match self.steps.judge(&mut labels, &batch.resource) {
                    Fate::Dropped => (Place::Dropped, None),
                    Fate::Kept { edited: false, open } => (Place::Same, open),
                    Fate::Kept { edited: true, open } => {
                        let start = text.len();
                        labels.encode(&mut text);
                        (Place::Edited { labels: start..text.len(), family: family(&table, series, &labels) }, open)
                    }
                };
                fresh.push(place);
                places.push(made);
                opens.push(open);
            }
        }
        let (list, full) = self.list(source, &places, &text);
        let derived = Derived {
            source: Arc::downgrade(source),
            resource: self.reads_resource.then(|| batch.resource.clone()),
            kept: kept(&places),
            refused: Vec::new(),
            runs: Vec::new(),
            open: Vec::new(),
            used: 0,
            list,
        };
        if !self.reads_resource {
            for place in fresh {
                let then = match &places[place] {
                    Place::Same => Then::Same,
                    Place::Dropped => Then::Dropped,
                    Place::Edited { .. } if full.contains(&(place as u32)) => continue,
                    Place::Edited { .. } => match &derived.list {
                        Some(list) => Then::Other(list.refs()[place]),
                        None => continue,
                    },
                };
                let open = match &opens[place] {
                    None => None,
                    Some(open) => match verdicts.number(open) {
                        Some(number) => Some(number),
                        None => continue,
                    },
                };
                verdicts.set(source.refs()[place], Verdict { then, open });
            }
        }
        drop(verdicts);
        let derived = derived.with_refused(source, &full).with_open(&opens);
        let told = self.told(source, &derived);
        (derived, told)
    }

    /// The list of new names, and the places for which the table had no room.
    fn list(&self, source: &SeriesList, places: &[Place], text: &[u8]) -> (Option<Arc<SeriesList>>, Vec<u32>) {
        if !places.iter().any(|place| matches!(place, Place::Edited { .. })) {
            return (None, Vec::new());
        }
        let mut builder = ListBuilder::default();
        for (place, &series) in places.iter().zip(source.refs()) {
            match place {
                Place::Same | Place::Dropped => builder.known(series),
                Place::Edited { labels, family } => {
                    let family = match family {
                        Ok(known) => *known,
                        Err(new) => self.table.family(new),
                    };
                    builder.encoded(Labels::of_encoded(&text[labels.clone()]), family);
                }
            }
        }
        let resolved = self.table.list_with_repeats(&builder);
        if resolved.refused.is_empty() {
            return (Some(resolved.list), Vec::new());
        }
        // A list has one series a sample: who found no room keeps its old name and is refused.
        let full: Vec<u32> = resolved.refused.iter().map(|&place| place as u32).collect();
        let mut found = resolved.list.refs().iter();
        builder.clear();
        for (place, &series) in source.refs().iter().enumerate() {
            let refused = full.binary_search(&(place as u32)).is_ok();
            builder.known(if refused { series } else { found.next().copied().unwrap_or(series) });
        }
        (Some(self.table.list_with_repeats(&builder).list), full)
    }

    fn told(&self, source: &SeriesList, derived: &Derived) -> Option<String> {
        let table = self.table.read();
        let count = |wanted| derived.refused.iter().filter(move |(_, why)| *why == wanted);
        if let Some((place, _)) = count(Why::Collided).next() {
            let old = table.labels(source.refs()[*place as usize]);
            let collided = count(Why::Collided).count();
            return Some(format!(
                "{collided} series are refused: the steps give them the labels of other series of the same batch, {old} \
                 for example; keep a label that tells them apart"
            ));
        }
        let full = count(Why::Full).count();
        (full > 0).then(|| {
            let limit = self.table.limit();
            format!("{full} series that the steps make are refused: the limit of {limit} active series is reached")
        })
    }
}

impl Derived {
    fn with_refused(mut self, source: &SeriesList, full: &[u32]) -> Self {
        let Some(list) = &self.list else { return self };
        let is_kept = |place: usize| self.kept.as_ref().is_none_or(|kept| kept.contains(place));
        let mut owners: HashMap<SeriesRef, SeriesRef> = HashMap::with_capacity(list.len());
        for (place, (&new, &old)) in list.refs().iter().zip(source.refs()).enumerate() {
            if full.binary_search(&(place as u32)).is_ok() {
                self.refused.push((place as u32, Why::Full));
            } else if is_kept(place) && *owners.entry(new).or_insert(old) != old {
                self.refused.push((place as u32, Why::Collided));
            }
        }
        self
    }

    fn with_open(mut self, opens: &[Option<Open>]) -> Self {
        for (place, open) in opens.iter().enumerate() {
            let Some(open) = open else { continue };
            let known = self.open.iter().position(|known| known == open);
            let number = known.unwrap_or_else(|| {
                self.open.push(open.clone());
                self.open.len() - 1
            });
            let (place, open) = (place as u32, number as u16);
            match self.runs.last_mut() {
                Some(run) if run.to == place && run.open == open => run.to += 1,
                _ => self.runs.push(Run { from: place, to: place + 1, open }),
            }
        }
        self
    }
}

fn append(labels: Labels<'_>, text: &mut Vec<u8>) -> Range<usize> {
    let start = text.len();
    text.extend_from_slice(labels.encoded());
    start..text.len()
}

fn kept(places: &[Place]) -> Option<Selection> {
    let dropped = |place: &Place| matches!(place, Place::Dropped);
    places.iter().any(dropped).then(|| {
        let mut kept = Selection::all(places.len());
        let dropped = places.iter().enumerate().filter(|(_, place)| dropped(place));
        dropped.for_each(|(place, _)| kept.remove(place));
        kept
    })
}

/// Metadata of a series after an edit: another name is another family, of the same kind and words.
fn family(table: &Series<'_>, series: SeriesRef, edited: &LabelSet) -> Result<FamilyId, Family> {
    let (old, new) = (table.labels(series).metric_name(), edited.get(METRIC_NAME));
    let family = table.family(series);
    if old == new || family.name.is_empty() {
        return Ok(table.family_id(series));
    }
    let suffix = old.strip_prefix(&*family.name).unwrap_or_default();
    let name = new.strip_suffix(suffix).filter(|name| !name.is_empty()).unwrap_or(new);
    let unit = if name.ends_with(&*family.unit) { family.unit.clone() } else { Box::default() };
    Err(Family { name: name.into(), unit, ..family.clone() })
}
