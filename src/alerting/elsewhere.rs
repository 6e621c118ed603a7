//! Queries that the store does not answer, because they read further back than it goes. Whoever does may take its time or
//! never answer, so nobody waits for that inside an evaluation: a group asks first, others are evaluated meanwhile, and it
//! is evaluated once the answers are there.

use std::collections::HashMap;

use super::results::{Row, Store, Wanted};
use crate::data::labels::Labels;
use crate::data::{UnixMillis, UnixNanos};
use crate::promql::{EvalError, Evaluation, Limits, Query};
use crate::series::{Columns, Refusal, Samples, Select, SelectError, SeriesExemplars};

/// Which questions an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub(super) u64);

/// What a group has to know before it can be evaluated.
#[derive(Clone, Debug)]
pub struct Questions {
    /// Whom the answers are for.
    pub ticket: Ticket,
    /// The time of the queries.
    pub at: UnixMillis,
    /// Queries of its rules, each once.
    pub queries: Vec<Query>,
    /// What an answer may take.
    pub limits: Limits,
}

/// What came of them, by the text of the query.
#[derive(Debug, Default)]
pub struct Answers(HashMap<Box<str>, Result<Evaluation, EvalError>>);

impl Answers {
    /// What came of a query, if it was asked.
    pub fn get(&self, query: &Query) -> Option<Result<Evaluation, EvalError>> {
        self.0.get(query.text()).cloned()
    }
}

impl FromIterator<(Box<str>, Result<Evaluation, EvalError>)> for Answers {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Result<Evaluation, EvalError>)>>(answers: I) -> Self {
        Self(answers.into_iter().collect())
    }
}

/// A group that has asked, and is not evaluated yet.
#[derive(Debug)]
pub(super) struct Asked {
    pub ticket: Ticket,
    /// The time of its evaluation.
    pub at: UnixNanos,
    /// What the clocks said when it asked.
    pub began: super::moment::Moment,
    /// There once somebody answered.
    pub answers: Option<Answers>,
}

/// The store, with the answers of somebody else.
pub(super) struct Answered<'a> {
    pub store: &'a dyn Store,
    pub answers: &'a Answers,
}

impl Samples for Answered<'_> {
    fn select(
        &self,
        what: Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        self.store.select(what, visit)
    }
}

impl Store for Answered<'_> {
    fn evaluate(&self, query: &Query, at: UnixMillis, limits: &Limits) -> Result<Evaluation, EvalError> {
        let is_elsewhere = self.store.is_elsewhere(query);
        let answered = is_elsewhere.then(|| self.answers.get(query)).flatten();
        answered.unwrap_or_else(|| self.store.evaluate(query, at, limits))
    }

    fn is_elsewhere(&self, query: &Query) -> bool {
        self.store.is_elsewhere(query)
    }

    fn append(&self, time: UnixMillis, rows: &[Row], now: UnixMillis) -> Vec<(Refusal, u64)> {
        self.store.append(time, rows, now)
    }

    fn exemplars(&self, wanted: Wanted<'_>, from: i64, until: i64, limit: usize) -> Vec<SeriesExemplars> {
        self.store.exemplars(wanted, from, until, limit)
    }
}
