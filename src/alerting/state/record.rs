//! The records of the journal of alerts, as bytes. See [`super`] for the format.

use super::super::missing_input::Lost;
use super::super::moment::Steady;
use super::super::rule::{Held, Instance, Phase, Since};
use super::super::rule_file::{self, Label};
use crate::data::labels::Labels;
use crate::data::{LabelSet, UnixNanos};

/// Version of the records.
const VERSION: u8 = 1;

/// Where a rule stands: its group, and its place in it.
pub(super) type RuleId = (u32, u32);

/// Which rule it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Identity {
    /// The file of its group.
    pub file: Box<str>,
    /// Its group.
    pub group: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its query as it was written.
    pub expr: Box<str>,
    /// Its labels as they were written.
    pub labels: Vec<Label>,
}

impl Identity {
    /// That of a rule of a group of a file.
    pub fn of(file: &str, group: &str, rule: &rule_file::Rule) -> Self {
        Self {
            file: file.into(),
            group: group.into(),
            name: rule.name().into(),
            expr: rule.query.text().into(),
            labels: rule.labels.clone(),
        }
    }
}

/// A record that was read.
#[derive(Debug)]
pub(super) enum Record<'a> {
    Rule(RuleId, Identity),
    Alert(RuleId, &'a [u8], Box<Instance>),
    Gone(RuleId, &'a [u8]),
    Evaluated(u32, Since),
}

const RULE: u8 = 1;
const ALERT: u8 = 2;
const GONE: u8 = 3;
const EVALUATED: u8 = 4;

/// A record being written.
struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u8) -> Self {
        Self(vec![VERSION, kind])
    }

    fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    fn small(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn wall(mut self, time: UnixNanos) -> Self {
        self.0.extend_from_slice(&time.0.to_le_bytes());
        self
    }

    fn steady(mut self, time: Steady) -> Self {
        self.0.extend_from_slice(&time.0.to_le_bytes());
        self
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let mut long = self.small(bytes.len() as u32);
        long.0.extend_from_slice(bytes);
        long
    }

    fn labels(self, labels: &LabelSet) -> Self {
        let mut encoded = Vec::new();
        labels.encode(&mut encoded);
        self.bytes(&encoded)
    }

    fn rule(self, (group, rule): RuleId) -> Self {
        self.small(group).small(rule)
    }

    fn since(self, since: Option<Since>) -> Self {
        match since {
            None => self.byte(0),
            Some(Since { wall, steady }) => self.byte(1).wall(wall).steady(steady),
        }
    }
}

pub(super) fn rule(id: RuleId, identity: &Identity) -> Vec<u8> {
    let Identity { file, group, name, expr, labels } = identity;
    let texts = [file, group, name, expr];
    let writer = texts.iter().fold(Writer::new(RULE).rule(id), |writer, text| writer.bytes(text.as_bytes()));
    let writer = writer.small(labels.len() as u32);
    labels.iter().fold(writer, |writer, label| writer.bytes(label.name.as_bytes()).bytes(label.value.as_bytes())).0
}

pub(super) fn alert(id: RuleId, labels: &[u8], alert: &Instance) -> Vec<u8> {
    let mut writer = Writer::new(ALERT).rule(id).bytes(labels).labels(&alert.annotations).labels(&alert.element);
    writer.0.extend_from_slice(&alert.value.to_le_bytes());
    let writer = writer.wall(alert.active_at).steady(alert.counts_from);
    let writer = match alert.phase {
        Phase::Pending => writer.byte(1),
        Phase::Firing { fired } => writer.byte(2).wall(fired),
        Phase::Resolved { fired, resolved } => writer.byte(3).wall(fired).wall(resolved.wall).steady(resolved.steady),
    };
    let writer = writer.since(alert.keeps_firing).since(alert.held.as_ref().map(|held| held.since));
    let writer = match &alert.held {
        None => writer,
        Some(held) => why(writer, &held.why),
    };
    match alert.sent_journalled {
        None => writer.byte(0).0,
        Some(sent) => writer.byte(1).steady(sent).0,
    }
}

fn why(writer: Writer, why: &Lost) -> Writer {
    let (code, texts): (u8, [&str; 2]) = match why {
        Lost::ScrapeFailed(job, instance) => (1, [job, instance]),
        Lost::ScrapeNotTold(job, instance) => (2, [job, instance]),
        Lost::Silent(series) => (3, [series, ""]),
        Lost::Refilling(series) => (4, [series, ""]),
        Lost::Nothing => (5, ["", ""]),
        Lost::Away => (6, ["", ""]),
        Lost::Evaluation => (7, ["", ""]),
        Lost::ClockSetBack => (8, ["", ""]),
        Lost::ClockStepped => (9, ["", ""]),
    };
    texts.iter().fold(writer.byte(code), |writer, text| writer.bytes(text.as_bytes()))
}

pub(super) fn gone(id: RuleId, labels: &[u8]) -> Vec<u8> {
    Writer::new(GONE).rule(id).bytes(labels).0
}

pub(super) fn evaluated(group: u32, at: Since) -> Vec<u8> {
    Writer::new(EVALUATED).small(group).wall(at.wall).steady(at.steady).0
}

/// A record being read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn small(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn wall(&mut self) -> Option<UnixNanos> {
        self.array().map(|bytes| UnixNanos(u64::from_le_bytes(bytes)))
    }

    fn steady(&mut self) -> Option<Steady> {
        self.array().map(|bytes| Steady(i64::from_le_bytes(bytes)))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.small()? as usize;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<Box<str>> {
        std::str::from_utf8(self.bytes()?).ok().map(Into::into)
    }

    fn labels(&mut self) -> Option<LabelSet> {
        Some(Labels::of_encoded(self.bytes()?).to_set())
    }

    fn rule(&mut self) -> Option<RuleId> {
        Some((self.small()?, self.small()?))
    }

    fn since(&mut self) -> Option<Option<Since>> {
        Some(match self.byte()? {
            0 => None,
            _ => Some(Since { wall: self.wall()?, steady: self.steady()? }),
        })
    }

    fn identity(&mut self) -> Option<Identity> {
        let (file, group, name, expr) = (self.text()?, self.text()?, self.text()?, self.text()?);
        let count = self.small()?;
        let labels =
            (0..count).map(|_| Some(Label { name: self.text()?, value: self.text()? })).collect::<Option<_>>()?;
        Some(Identity { file, group, name, expr, labels })
    }

    fn alert(&mut self) -> Option<Instance> {
        let (annotations, element) = (self.labels()?, self.labels()?);
        let value = f64::from_le_bytes(self.array()?);
        let (active_at, counts_from) = (self.wall()?, self.steady()?);
        let phase = match self.byte()? {
            1 => Phase::Pending,
            2 => Phase::Firing { fired: self.wall()? },
            3 => {
                Phase::Resolved { fired: self.wall()?, resolved: Since { wall: self.wall()?, steady: self.steady()? } }
            }
            _ => return None,
        };
        let keeps_firing = self.since()?;
        let held = match self.since()? {
            None => None,
            Some(since) => Some(Held { since, why: self.why()? }),
        };
        let sent = match self.byte()? {
            0 => None,
            _ => Some(self.steady()?),
        };
        let sent_journalled = sent;
        Some(Instance {
            annotations,
            element,
            value,
            phase,
            active_at,
            counts_from,
            keeps_firing,
            held,
            sent,
            sent_journalled,
            changed: false,
            writes: None,
        })
    }

    fn why(&mut self) -> Option<Lost> {
        let (code, first, second) = (self.byte()?, self.text()?, self.text()?);
        Some(match code {
            1 => Lost::ScrapeFailed(first, second),
            2 => Lost::ScrapeNotTold(first, second),
            3 => Lost::Silent(first),
            4 => Lost::Refilling(first),
            5 => Lost::Nothing,
            7 => Lost::Evaluation,
            8 => Lost::ClockSetBack,
            9 => Lost::ClockStepped,
            _ => Lost::Away,
        })
    }
}

/// Reads a record; `None` for one that this release does not know.
pub(super) fn read(record: &[u8]) -> Option<Record<'_>> {
    let mut reader = Reader(record);
    let (version, kind) = (reader.byte()?, reader.byte()?);
    if version != VERSION {
        return None;
    }
    Some(match kind {
        RULE => Record::Rule(reader.rule()?, reader.identity()?),
        ALERT => Record::Alert(reader.rule()?, reader.bytes()?, Box::new(reader.alert()?)),
        GONE => Record::Gone(reader.rule()?, reader.bytes()?),
        EVALUATED => Record::Evaluated(reader.small()?, Since { wall: reader.wall()?, steady: reader.steady()? }),
        _ => return None,
    })
}
