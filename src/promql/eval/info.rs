//! `info`: series get the labels of info metrics about the same target, such as `target_info`, as of each step.

use std::collections::BTreeSet;

use super::super::query::{EvalError, ValueType};
use super::super::tree::{At, Call, Expr, Node, Shift};
use super::rows::{ABSENT, Ids, Metric, Rows, is_absent, is_metadata};
use super::select::Reading;
use super::{Evaluator, Steps, Times};
use crate::data::labels::{LabelSet, Labels, METRIC_NAME};
use crate::series::{MatchOp, Matcher};

/// The labels by which info metrics and series find each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The info metric that is meant where none is named.
const TARGET_INFO: &str = "target_info";

/// What `info` is asked for.
struct Wanted<'a> {
    /// Conditions on the info metrics' names.
    names: Vec<Matcher>,
    /// Conditions on their labels; none means that all labels are wanted.
    data: Vec<&'a Matcher>,
}

impl<'a> Wanted<'a> {
    fn of(call: &'a Call) -> Self {
        let matchers: &[Matcher] = match call.arguments.get(1).map(|argument| &argument.bare().node) {
            Some(Node::Select(selected)) => &selected.matchers,
            _ => &[],
        };
        let (names, data): (Vec<_>, Vec<_>) = matchers.iter().partition(|matcher| &*matcher.name == METRIC_NAME);
        let mut names: Vec<Matcher> = names.into_iter().cloned().collect();
        let named = names.iter().any(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Matches(_)));
        if names.is_empty() {
            names.push(Matcher { name: METRIC_NAME.into(), op: MatchOp::Equal, value: TARGET_INFO.into() });
        } else if !named {
            // What is not wanted leaves all other info metrics.
            names.splice(0..0, pattern(METRIC_NAME, ".+_info"));
        }
        Self { names, data }
    }

    fn has(&self, label: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|matcher| &*matcher.name == label)
    }

    /// Whether series without info metrics are left out.
    fn requires_some(&self) -> bool {
        self.data.iter().any(|matcher| !matcher.matches(""))
    }
}

/// Nothing where the pattern is too large to be one.
fn pattern(label: &str, pattern: &str) -> Option<Matcher> {
    let op = MatchOp::Matches(regex::Regex::new(&format!("^(?s:{pattern})$")).ok()?);
    Some(Matcher { name: label.into(), op, value: pattern.into() })
}

impl Evaluator<'_> {
    pub(super) fn info(&mut self, call: &Call, steps: Steps) -> Result<Rows, EvalError> {
        let Some(first) = call.arguments.first() else { return self.argument(None, call, steps) };
        let wanted = Wanted::of(call);
        let times = self.info_times(first, steps)?;
        let base = self.vector(first, steps)?;
        let is_info = |row: usize| {
            let name = base.metric(row).labels().metric_name();
            wanted.names.iter().all(|matcher| matcher.matches(name))
        };
        let ignored: Vec<bool> = (0..base.len()).map(is_info).collect();
        let mut infos = Vec::new();
        for about in about(&base, &ignored) {
            let data = wanted.data.iter().map(|matcher| (*matcher).clone());
            let matchers: Vec<Matcher> = about.matchers().chain(data).chain(wanted.names.clone()).collect();
            infos.push(self.read_at(&matchers, times, Reading::Info, |labels| about.has(labels))?);
        }
        let known = Known::new(&infos);
        let mut out = base.like();
        for (row, is_ignored) in ignored.into_iter().enumerate() {
            self.budget.check()?;
            if is_ignored {
                out.push(base.metric(row).clone(), base.drops_name(row), base.values(row), base.cells(row).to_vec())?;
            } else {
                enrich(&base, row, &known, &wanted, &mut out)?;
            }
        }
        out.merge()?.compact()
    }

    /// When info metrics are read: as the selectors of the argument are, if they agree.
    fn info_times(&self, argument: &Expr, steps: Steps) -> Result<Times, EvalError> {
        let mut references = References::default();
        references.inspect(argument, &mut Vec::new(), self)?;
        let (time, offset) = match references.first {
            Some(first) if !references.differ && !references.free => first,
            _ => (None, 0),
        };
        Ok(Times {
            first: time.unwrap_or(steps.start).saturating_sub(offset),
            step: if time.is_some() { 0 } else { steps.step },
            count: steps.count,
        })
    }
}

/// When the selectors of an expression read, and by how much that is shifted.
#[derive(Default)]
struct References {
    first: Option<(Option<i64>, i64)>,
    differ: bool,
    /// Whether a part reads nothing, and so is of the time of the evaluation.
    free: bool,
}

impl References {
    fn inspect<'e>(
        &mut self,
        expr: &'e Expr,
        around: &mut Vec<&'e Shift>,
        evaluator: &Evaluator<'_>,
    ) -> Result<bool, EvalError> {
        if !matches!(expr.value_type, ValueType::Vector | ValueType::Matrix) {
            return Ok(false);
        }
        let reads = match &expr.node {
            Node::Select(selected) | Node::Range(selected, _) => {
                let mut reference = evaluator.reference(&selected.shift)?;
                for shift in around.iter().rev() {
                    if reference.0.is_some() {
                        break;
                    }
                    let outer = evaluator.reference(shift)?;
                    reference = (outer.0, reference.1 + outer.1);
                }
                let agree = |a: (Option<i64>, i64), b: (Option<i64>, i64)| match (a.0, b.0) {
                    (Some(left), Some(right)) => left - a.1 == right - b.1,
                    (None, None) => a.1 == b.1,
                    _ => false,
                };
                match self.first {
                    None => self.first = Some(reference),
                    Some(first) => self.differ |= !agree(first, reference),
                }
                return Ok(true);
            }
            Node::Subquery(subquery) => {
                around.push(&subquery.shift);
                let reads = self.inspect(&subquery.inner, around, evaluator);
                around.pop();
                reads?
            }
            Node::Call(call) => {
                let arguments = if call.function.name == "info" { 1 } else { call.arguments.len() };
                let mut reads = false;
                for argument in call.arguments.iter().take(arguments) {
                    reads |= self.inspect(argument, around, evaluator)?;
                }
                reads
            }
            Node::Aggregate(aggregate) => self.inspect(&aggregate.inner, around, evaluator)?,
            Node::Binary(binary) => {
                let left = self.inspect(&binary.left, around, evaluator)?;
                self.inspect(&binary.right, around, evaluator)? || left
            }
            Node::Negate(inner) | Node::Paren(inner) => self.inspect(inner, around, evaluator)?,
            Node::Number { .. } | Node::Text(_) | Node::Bytes(_) => false,
        };
        self.free |= !reads;
        Ok(reads)
    }
}

impl Evaluator<'_> {
    fn reference(&self, shift: &Shift) -> Result<(Option<i64>, i64), EvalError> {
        let offset = match &shift.offset {
            Some(offset) => offset.signed(self.clock).map_err(EvalError::Duration)?,
            None => 0,
        };
        let time = shift.at.map(|at| match at {
            At::Time(time) => time,
            At::Start => self.start,
            At::End => self.end,
        });
        Ok((time, offset))
    }
}

/// More values than these are not looked for by a pattern: all info series are gone through then.
const MOST_ALTERNATIVES: usize = 1000;

/// The same of their bytes.
const MOST_ALTERNATIVE_BYTES: usize = 1 << 20;

/// The values that the identifying labels of some series have, in the order of [`IDENTIFYING`]; none where they lack one.
#[derive(Default)]
struct About<'a>([BTreeSet<&'a str>; 2]);

/// Whom series are about: for each set of identifying labels that they have, their values.
fn about<'a>(base: &'a Rows, ignored: &[bool]) -> Vec<About<'a>> {
    let mut all: [About<'a>; 4] = Default::default();
    for row in (0..base.len()).filter(|row| !ignored[*row]) {
        let labels = base.metric(row).labels();
        let [instance, job] = IDENTIFYING.map(|name| labels.get(name));
        let About(values) = &mut all[usize::from(instance.is_some()) + 2 * usize::from(job.is_some())];
        values[0].extend(instance);
        values[1].extend(job);
    }
    all.into_iter().skip(1).filter(|About(values)| values.iter().any(|values| !values.is_empty())).collect()
}

impl About<'_> {
    /// Conditions on info series, as far as they can be written; [`About::has`] tells exactly.
    fn matchers(&self) -> impl Iterator<Item = Matcher> {
        IDENTIFYING.iter().zip(&self.0).filter_map(|(name, values)| {
            if values.is_empty() {
                return Some(Matcher { name: (*name).into(), op: MatchOp::Equal, value: "".into() });
            }
            let bytes: usize = values.iter().map(|value| value.len()).sum();
            if values.len() > MOST_ALTERNATIVES || bytes > MOST_ALTERNATIVE_BYTES {
                return None;
            }
            let values: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
            pattern(name, &values.join("|"))
        })
    }

    /// Whether an info series may be about one of them.
    fn has(&self, labels: Labels<'_>) -> bool {
        IDENTIFYING.iter().zip(&self.0).all(|(name, values)| match labels.get(name).unwrap_or("") {
            "" => values.is_empty(),
            value => values.contains(value),
        })
    }
}

/// The info series, by their name and whom they are about.
struct Known<'a> {
    rows: Vec<(&'a Rows, usize)>,
    names: Vec<&'a str>,
    signatures: Ids,
    /// For each signature the places of its series.
    of: Vec<Vec<usize>>,
}

impl<'a> Known<'a> {
    fn new(infos: &'a [Rows]) -> Self {
        let mut known = Self { rows: Vec::new(), names: Vec::new(), signatures: Ids::default(), of: Vec::new() };
        for rows in infos {
            for row in 0..rows.len() {
                let name = rows.metric(row).labels().metric_name();
                if !known.names.contains(&name) {
                    known.names.push(name);
                }
                let id = known.signatures.of_bytes(&signature(name, rows.metric(row)));
                known.of.resize(known.signatures.len(), Vec::new());
                known.of[id].push(known.rows.len());
                known.rows.push((rows, row));
            }
        }
        known
    }

    /// The newest of these series at a step.
    fn newest(&self, places: &[usize], step: usize) -> Result<Option<usize>, EvalError> {
        let mut newest: Option<(f64, usize)> = None;
        for place in places {
            let (rows, row) = self.rows[*place];
            let time = rows.values(row)[step];
            match newest {
                _ if is_absent(time) => {}
                Some((known, other)) if known == time => {
                    let shown = |place: usize| super::join::shown(self.rows[place].0.metric(self.rows[place].1));
                    let at = (time * 1000.0) as i64;
                    return Err(EvalError::Query(format!(
                        "found duplicate series for info metric: existing {} @ {at}, new {} @ {at}",
                        shown(other),
                        shown(*place)
                    )));
                }
                Some((known, _)) if known > time => {}
                _ => newest = Some((time, *place)),
            }
        }
        Ok(newest.map(|(_, place)| place))
    }
}

/// What info series and the series that they are about have in common.
fn signature(name: &str, metric: &Metric) -> Vec<u8> {
    let labels = metric.labels();
    let mut set: LabelSet = IDENTIFYING.iter().map(|label| (*label, labels.get(label).unwrap_or(""))).collect();
    set.set(METRIC_NAME, name);
    let mut encoded = Vec::new();
    set.encode(&mut encoded);
    encoded
}

/// Writes a series with the labels of the info series about it: a row for each different set of them over the steps.
fn enrich(base: &Rows, row: usize, known: &Known<'_>, wanted: &Wanted<'_>, out: &mut Rows) -> Result<(), EvalError> {
    let metric = base.metric(row);
    let candidates = known.names.iter().map(|name| known.signatures.find(&signature(name, metric)));
    let candidates: Vec<&[usize]> = candidates.flatten().map(|id| known.of[id].as_slice()).collect();
    // What was found at a step, and the row that it makes.
    let mut made: Vec<(Vec<usize>, Vec<bool>)> = Vec::new();
    for step in (0..base.steps()).filter(|step| base.is_present(row, *step)) {
        let mut found = Vec::new();
        for places in &candidates {
            found.extend(known.newest(places, step)?);
        }
        if found.is_empty() && wanted.requires_some() {
            continue;
        }
        let place = made.iter().position(|(known, _)| *known == found).unwrap_or_else(|| {
            made.push((found, vec![false; base.steps()]));
            made.len() - 1
        });
        made[place].1[step] = true;
    }
    for (found, steps) in made {
        let mut added = LabelSet::new();
        for place in found {
            let (rows, row) = known.rows[place];
            for (name, value) in rows.metric(row).labels().iter() {
                if is_metadata(name) || !wanted.has(name) {
                    continue;
                }
                if !matches!(added.get(name), "") && added.get(name) != value {
                    return Err(EvalError::Query(format!("conflicting label: {name}")));
                }
                if metric.labels().get(name).is_none() {
                    added.set(name, value);
                }
            }
        }
        let mut labels = metric.labels().to_set();
        labels.extend(added.iter());
        let mut encoded = Vec::new();
        labels.encode(&mut encoded);
        let values = out.open()?.iter_mut().zip(base.values(row)).zip(&steps);
        values.for_each(|((to, value), wanted)| *to = if *wanted { *value } else { ABSENT });
        let cells = base.cells(row).iter().filter(|(step, _)| steps[*step as usize]).cloned().collect();
        out.close(Metric::new(&encoded), base.drops_name(row), cells)?;
    }
    Ok(())
}
