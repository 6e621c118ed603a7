//! Reading requests of both versions, series by series. What one series has wrong costs that series: the
//! reason is handed on and the next is read. What is wrong with the message itself ends it.

use super::histogram;
use super::{Counts, Version};
use crate::data::labels::{METRIC_NAME, encode_label};
use crate::data::{Histogram, Labels, MetricKind, UnixMillis};
use crate::formats::protobuf::{Fields, WireError};

/// Why a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is no such message.
    #[error("the body is not a `{message}`: {0}", message = .1.message())]
    Wire(WireError, Version),
    /// It refers to a symbol that it does not have.
    #[error("the body refers to symbol {0} and has {1}")]
    Symbol(u32, usize),
}

/// Limits of what is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most labels of a series.
    pub labels: usize,
}

/// What a request says about a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadMetadata<'a> {
    /// The family's name: empty in 2.0, which says it of a series.
    pub family: &'a str,
    /// Its kind.
    pub kind: MetricKind,
    /// What it is.
    pub help: &'a str,
    /// Its unit.
    pub unit: &'a str,
}

/// Takes what is read.
pub trait Receive {
    /// A series; what follows is of it.
    fn series(&mut self, labels: Labels<'_>, metadata: Option<ReadMetadata<'_>>);
    /// A number.
    fn number(&mut self, value: f64, time: UnixMillis, start: Option<UnixMillis>);
    /// A native histogram, valid.
    fn histogram(&mut self, histogram: Histogram, time: UnixMillis, start: Option<UnixMillis>);
    /// An exemplar of the series.
    fn exemplar(&mut self, labels: Labels<'_>, value: f64, time: UnixMillis);
    /// Metadata that stands by itself, in 1.0.
    fn metadata(&mut self, metadata: ReadMetadata<'_>);
    /// Something was refused, for this reason; it had so much.
    fn refused(&mut self, reason: String, had: Counts);
}

/// Reads a request.
pub fn decode(version: Version, message: &[u8], limits: Limits, to: &mut impl Receive) -> Result<(), DecodeError> {
    let mut reader = Reader { limits, symbols: Vec::new(), labels: Vec::new(), exemplar: Vec::new() };
    let wire = |error| DecodeError::Wire(error, version);
    match version {
        Version::V1 => {
            let mut fields = Fields::of(message);
            while let Some((number, value)) = fields.field().map_err(wire)? {
                match number {
                    1 => reader.series_v1(value.bytes().map_err(wire)?, to).map_err(wire)?,
                    3 => to.metadata(metadata_v1(value.bytes().map_err(wire)?).map_err(wire)?),
                    _ => {}
                }
            }
            Ok(())
        }
        Version::V2 => {
            // The specification has symbols first; whoever sends them last is read as well.
            let mut fields = Fields::of(message);
            while let Some((number, value)) = fields.field().map_err(wire)? {
                if number == 4 {
                    reader.symbols.push(value.text().map_err(wire)?);
                }
            }
            let mut fields = Fields::of(message);
            while let Some((number, value)) = fields.field().map_err(wire)? {
                if number == 5 {
                    reader.series_v2(value.bytes().map_err(wire)?, to)?;
                }
            }
            Ok(())
        }
    }
}

struct Reader<'a> {
    limits: Limits,
    symbols: Vec<&'a str>,
    /// Labels of the current series, encoded.
    labels: Vec<u8>,
    /// Labels of the current exemplar, encoded.
    exemplar: Vec<u8>,
}

/// Encodes labels; an error in words where the specification forbids them.
fn check_labels<'l>(
    pairs: impl Iterator<Item = (&'l str, &'l str)>,
    limits: Limits,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    out.clear();
    let (mut before, mut count, mut named): (Option<&str>, usize, bool) = (None, 0, false);
    for (name, value) in pairs {
        count += 1;
        if name.is_empty() {
            return Err("a label has an empty name".into());
        }
        match before {
            Some(before) if before == name => return Err(format!("label `{name}` stands twice")),
            Some(before) if before > name => return Err(format!("labels are not sorted: `{before}` before `{name}`")),
            _ => {}
        }
        before = Some(name);
        named |= name == METRIC_NAME && !value.is_empty();
        // An empty value means that there is no such label.
        if !value.is_empty() {
            encode_label(name.as_bytes(), value.as_bytes(), out);
        }
    }
    if count > limits.labels {
        return Err(format!("{count} labels where at most {} are taken", limits.labels));
    }
    if named { Ok(()) } else { Err("there is no metric name".into()) }
}

fn shown(labels: &[u8], reason: &str) -> String {
    match labels.is_empty() {
        true => format!("a series: {reason}"),
        false => format!("{}: {reason}", Labels::of_encoded(labels)),
    }
}

fn pair_v1(message: &[u8]) -> Result<(&str, &str), WireError> {
    let (mut name, mut value) = ("", "");
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.field()? {
        match number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Ok((name, value))
}

struct ReadSample {
    value: f64,
    time: UnixMillis,
    start: Option<UnixMillis>,
}

fn sample(message: &[u8]) -> Result<ReadSample, WireError> {
    let mut sample = ReadSample { value: 0.0, time: UnixMillis(0), start: None };
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        match number {
            1 => sample.value = value.double()?,
            2 => sample.time = UnixMillis(value.varint()? as i64),
            3 => sample.start = Some(UnixMillis(value.varint()? as i64)).filter(|start| start.0 != 0),
            _ => {}
        }
    }
    Ok(sample)
}

fn kind(number: u64) -> MetricKind {
    use MetricKind::*;
    let kinds = [Unknown, Counter, Gauge, Histogram, GaugeHistogram, Summary, Info, StateSet];
    usize::try_from(number).ok().and_then(|number| kinds.get(number)).copied().unwrap_or_default()
}

fn metadata_v1(message: &[u8]) -> Result<ReadMetadata<'_>, WireError> {
    let mut metadata = ReadMetadata::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.field()? {
        match number {
            1 => metadata.kind = kind(value.varint()?),
            2 => metadata.family = value.text()?,
            4 => metadata.help = value.text()?,
            5 => metadata.unit = value.text()?,
            _ => {}
        }
    }
    Ok(metadata)
}

/// Hands on a histogram, or why not.
fn hand_on(message: &[u8], labels: &[u8], to: &mut impl Receive) -> Result<(), WireError> {
    let read = histogram::read(message)?;
    if read.histogram.is_valid() {
        to.histogram(read.histogram, read.time, read.start);
    } else {
        let had = Counts { histograms: 1, ..Counts::default() };
        to.refused(shown(labels, "buckets, spans or schema of a histogram do not fit together"), had);
    }
    Ok(())
}

impl<'a> Reader<'a> {
    fn series_v1(&mut self, message: &'a [u8], to: &mut impl Receive) -> Result<(), WireError> {
        let (mut pairs, mut had) = (Vec::new(), Counts::default());
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => pairs.push(pair_v1(value.bytes()?)?),
                2 => had.samples += 1,
                3 => had.exemplars += 1,
                4 => had.histograms += 1,
                _ => {}
            }
        }
        if let Err(reason) = check_labels(pairs.into_iter(), self.limits, &mut self.labels) {
            to.refused(shown(&self.labels, &reason), had);
            return Ok(());
        }
        to.series(Labels::of_encoded(&self.labels), None);
        let mut fields = Fields::of(message);
        let mut exemplars = Vec::new();
        while let Some((number, value)) = fields.field()? {
            match number {
                2 => {
                    let sample = sample(value.bytes()?)?;
                    to.number(sample.value, sample.time, None);
                }
                3 => exemplars.push(value.bytes()?),
                4 => hand_on(value.bytes()?, &self.labels, to)?,
                _ => {}
            }
        }
        for message in exemplars {
            let (mut pairs, mut value, mut time) = (Vec::new(), 0.0, UnixMillis(0));
            let mut fields = Fields::of(message);
            while let Some((number, field)) = fields.field()? {
                match number {
                    1 => pairs.push(pair_v1(field.bytes()?)?),
                    2 => value = field.double()?,
                    3 => time = UnixMillis(field.varint()? as i64),
                    _ => {}
                }
            }
            self.exemplar(&pairs, value, time, to);
        }
        Ok(())
    }

    /// Labels of exemplars are sorted here: no receiver minds their order.
    fn exemplar(&mut self, pairs: &[(&str, &str)], value: f64, time: UnixMillis, to: &mut impl Receive) {
        self.exemplar.clear();
        let set: crate::data::LabelSet = pairs.iter().copied().collect();
        set.encode(&mut self.exemplar);
        to.exemplar(Labels::of_encoded(&self.exemplar), value, time);
    }

    fn symbol(&self, reference: u32) -> Result<&'a str, DecodeError> {
        let found = self.symbols.get(reference as usize).copied();
        found.ok_or(DecodeError::Symbol(reference, self.symbols.len()))
    }

    fn pairs(&self, references: &[u32]) -> Result<Vec<(&'a str, &'a str)>, DecodeError> {
        let (pairs, _) = references.as_chunks::<2>();
        pairs.iter().map(|[name, value]| Ok((self.symbol(*name)?, self.symbol(*value)?))).collect()
    }

    fn series_v2(&mut self, message: &'a [u8], to: &mut impl Receive) -> Result<(), DecodeError> {
        let wire = |error| DecodeError::Wire(error, Version::V2);
        let (mut references, mut had, mut metadata, mut created) = (Vec::new(), Counts::default(), None, None);
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.field().map_err(wire)? {
            match number {
                1 => value.each_varint(|reference| references.push(narrow(reference))).map_err(wire)?,
                2 => had.samples += 1,
                3 => had.histograms += 1,
                4 => had.exemplars += 1,
                5 => metadata = Some(self.metadata_v2(value.bytes().map_err(wire)?)?),
                // The first drafts of 2.0 had one start for a series.
                6 => created = Some(UnixMillis(value.varint().map_err(wire)? as i64)).filter(|time| time.0 != 0),
                _ => {}
            }
        }
        let reason = if references.len() % 2 == 1 {
            Err("an odd number of references to labels".to_owned())
        } else {
            check_labels(self.pairs(&references)?.into_iter(), self.limits, &mut self.labels)
        };
        // Prometheus sends exemplars as series of their own, although the specification wants a sample with them.
        let reason = reason.and_then(|()| match (had.samples, had.histograms, had.exemplars) {
            (0, 0, 0) => Err("neither samples nor histograms".to_owned()),
            (1.., 1.., _) => Err("both samples and histograms".to_owned()),
            _ => Ok(()),
        });
        if let Err(reason) = reason {
            to.refused(shown(&self.labels, &reason), had);
            return Ok(());
        }
        to.series(Labels::of_encoded(&self.labels), metadata);
        let mut fields = Fields::of(message);
        let mut exemplars = Vec::new();
        while let Some((number, value)) = fields.field().map_err(wire)? {
            match number {
                2 => {
                    let sample = sample(value.bytes().map_err(wire)?).map_err(wire)?;
                    to.number(sample.value, sample.time, sample.start.or(created));
                }
                3 => hand_on(value.bytes().map_err(wire)?, &self.labels, to).map_err(wire)?,
                4 => exemplars.push(value.bytes().map_err(wire)?),
                _ => {}
            }
        }
        for message in exemplars {
            let (mut references, mut value, mut time) = (Vec::new(), 0.0, UnixMillis(0));
            let mut fields = Fields::of(message);
            while let Some((number, field)) = fields.field().map_err(wire)? {
                match number {
                    1 => field.each_varint(|reference| references.push(narrow(reference))).map_err(wire)?,
                    2 => value = field.double().map_err(wire)?,
                    3 => time = UnixMillis(field.varint().map_err(wire)? as i64),
                    _ => {}
                }
            }
            let pairs = self.pairs(&references)?;
            self.exemplar(&pairs, value, time, to);
        }
        Ok(())
    }

    fn metadata_v2(&self, message: &[u8]) -> Result<ReadMetadata<'a>, DecodeError> {
        let wire = |error| DecodeError::Wire(error, Version::V2);
        let mut metadata = ReadMetadata::default();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.field().map_err(wire)? {
            match number {
                1 => metadata.kind = kind(value.varint().map_err(wire)?),
                3 => metadata.help = self.symbol(narrow(value.varint().map_err(wire)?))?,
                4 => metadata.unit = self.symbol(narrow(value.varint().map_err(wire)?))?,
                _ => {}
            }
        }
        Ok(metadata)
    }
}

/// A reference that does not fit is one that no request has.
fn narrow(reference: u64) -> u32 {
    u32::try_from(reference).unwrap_or(u32::MAX)
}
