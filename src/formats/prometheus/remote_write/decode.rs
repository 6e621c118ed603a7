//! Reading requests of both versions, series by series. What one series has wrong costs that series: the
//! reason is handed on and the next is read. What is wrong with the message itself ends it.

use super::histogram;
use super::limits::{Beyond, EXEMPLAR_CHARACTERS, Few, Limit, Limits, encode_checked, full, show, text_of};
use super::{Counts, Version};
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
    let mut reader = Reader { limits, text: 0, symbols: Vec::new(), labels: Vec::new(), exemplar: Vec::new() };
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
    /// Bytes of labels so far.
    text: usize,
    symbols: Vec<&'a str>,
    /// Labels of the current series, encoded.
    labels: Vec<u8>,
    /// Labels of the current exemplar, encoded.
    exemplar: Vec<u8>,
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
        let (mut pairs, mut had) = (Few::of(self.limits.labels), Counts::default());
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
        if let Err(reason) = self.check_labels(&pairs.kept, pairs.count) {
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
        let mut beyond = Beyond::default();
        for message in exemplars {
            let (mut pairs, mut value, mut time) = (Few::of(self.limits.labels), 0.0, UnixMillis(0));
            let mut fields = Fields::of(message);
            while let Some((number, field)) = fields.field()? {
                match number {
                    1 => pairs.push(pair_v1(field.bytes()?)?),
                    2 => value = field.double()?,
                    3 => time = UnixMillis(field.varint()? as i64),
                    _ => {}
                }
            }
            match self.exemplar(&pairs.kept, pairs.are_all()) {
                Ok(labels) => to.exemplar(labels, value, time),
                Err(limit) => beyond.add(limit),
            }
        }
        self.refuse_exemplars(beyond, to);
        Ok(())
    }

    /// Encodes the labels of a series, `count` in all, where they are within the limits.
    fn check_labels(&mut self, pairs: &[(&str, &str)], count: usize) -> Result<(), String> {
        self.labels.clear();
        let (limits, bytes) = (self.limits, text_of(pairs));
        if count > limits.labels {
            show(pairs, &mut self.labels);
            return Err(format!("{count} labels where at most {} are taken", limits.labels));
        }
        if bytes > limits.series_text {
            show(pairs, &mut self.labels);
            return Err(format!("labels of {bytes} bytes where at most {} are taken", limits.series_text));
        }
        if self.text + bytes > limits.text {
            show(pairs, &mut self.labels);
            return Err(full(limits));
        }
        self.text += bytes;
        encode_checked(pairs, &mut self.labels)
    }

    /// Encodes the labels of an exemplar, or says what limit they are beyond. They are sorted here: no receiver minds
    /// their order.
    fn exemplar(&mut self, pairs: &[(&str, &str)], all: bool) -> Result<Labels<'_>, Limit> {
        let bytes = text_of(pairs);
        let characters =
            || pairs.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum::<usize>();
        // No character has more than four bytes.
        if !all || bytes > 4 * EXEMPLAR_CHARACTERS || characters() > EXEMPLAR_CHARACTERS {
            return Err(Limit::Characters);
        }
        if self.text + bytes > self.limits.text {
            return Err(Limit::Text);
        }
        self.text += bytes;
        self.exemplar.clear();
        let set: crate::data::LabelSet = pairs.iter().copied().collect();
        set.encode(&mut self.exemplar);
        Ok(Labels::of_encoded(&self.exemplar))
    }

    /// Tells once a series what exemplars of it were refused.
    fn refuse_exemplars(&self, beyond: Beyond, to: &mut impl Receive) {
        let long = format!("{} exemplars whose labels have more than {EXEMPLAR_CHARACTERS} characters", beyond.long);
        for (exemplars, reason) in [(beyond.long, long), (beyond.full, full(self.limits))] {
            if exemplars > 0 {
                to.refused(shown(&self.labels, &reason), Counts { exemplars, ..Counts::default() });
            }
        }
    }

    fn symbol(&self, reference: u32) -> Result<&'a str, DecodeError> {
        let found = self.symbols.get(reference as usize).copied();
        found.ok_or(DecodeError::Symbol(reference, self.symbols.len()))
    }

    /// References to the labels of a series or an exemplar, as many as may be.
    fn references(&self) -> Few<u32> {
        Few::of(self.limits.labels.saturating_mul(2))
    }

    fn pairs(&self, references: &[u32]) -> Result<Vec<(&'a str, &'a str)>, DecodeError> {
        let (pairs, _) = references.as_chunks::<2>();
        pairs.iter().map(|[name, value]| Ok((self.symbol(*name)?, self.symbol(*value)?))).collect()
    }

    fn series_v2(&mut self, message: &'a [u8], to: &mut impl Receive) -> Result<(), DecodeError> {
        let wire = |error| DecodeError::Wire(error, Version::V2);
        let (mut references, mut had, mut metadata, mut created) = (self.references(), Counts::default(), None, None);
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
        let pairs = self.pairs(&references.kept)?;
        let reason = if references.count % 2 == 1 {
            self.labels.clear();
            Err("an odd number of references to labels".to_owned())
        } else {
            self.check_labels(&pairs, references.count / 2)
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
        let mut beyond = Beyond::default();
        for message in exemplars {
            let (mut references, mut value, mut time) = (self.references(), 0.0, UnixMillis(0));
            let mut fields = Fields::of(message);
            while let Some((number, field)) = fields.field().map_err(wire)? {
                match number {
                    1 => field.each_varint(|reference| references.push(narrow(reference))).map_err(wire)?,
                    2 => value = field.double().map_err(wire)?,
                    3 => time = UnixMillis(field.varint().map_err(wire)? as i64),
                    _ => {}
                }
            }
            let pairs = self.pairs(&references.kept)?;
            match self.exemplar(&pairs, references.are_all()) {
                Ok(labels) => to.exemplar(labels, value, time),
                Err(limit) => beyond.add(limit),
            }
        }
        self.refuse_exemplars(beyond, to);
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

#[cfg(test)]
mod tests;
