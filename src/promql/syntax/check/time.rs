//! What follows an operand and says which time it is about: `[5m]`, `[1h:5m]`, `offset`, `@`, `anchored`, `smoothed`.

use super::super::super::functions::Extension;
use super::super::super::query::ValueType;
use super::super::length::Reader;
use super::super::refusal::Refusal;
use super::{Check, Kind, Operand, Shift};

/// What a duration is made of, as messages name it.
const DURATION: &str = "number, duration, step(), or range()";

impl Check<'_> {
    /// All modifiers behind an operand.
    pub(super) fn modifiers(&mut self, mut operand: Operand) -> Result<Operand, Refusal> {
        loop {
            if self.is("[")? {
                operand = self.brackets(operand)?;
            } else if self.is("@")? {
                self.pin(&mut operand)?;
            } else if self.is_word(&["offset"])? {
                self.offset(&mut operand)?;
            } else if self.is_word(&["anchored"])? {
                self.extension(&mut operand, "anchored", Extension::Anchored)?;
            } else if self.is_word(&["smoothed"])? {
                self.extension(&mut operand, "smoothed", Extension::Smoothed)?;
            } else {
                return Ok(operand);
            }
        }
    }

    fn brackets(&mut self, mut operand: Operand) -> Result<Operand, Refusal> {
        let bracket = self.at;
        self.at += 1;
        self.length().map_err(|refusal| refusal.within("subquery or range selector", DURATION))?;
        if self.take("]")? {
            let shift = match &operand.kind {
                Kind::Instant { shift: Shift { offset: true, .. }, .. } => {
                    Err("no offset modifiers allowed before range")
                }
                Kind::Instant { shift: Shift { pinned: true, .. }, .. } => Err("no @ modifiers allowed before range"),
                Kind::Instant { shift, .. } => Ok(*shift),
                _ => Err("ranges only allowed for vector selectors"),
            };
            let shift = shift.or_else(|message| self.refuse(bracket, message))?;
            return Ok(Operand { value_type: ValueType::Matrix, kind: Kind::Range(shift), ..operand });
        }
        if !self.take(":")? {
            return Err(self.unexpected().within("subquery or range", "\":\" or \"]\""));
        }
        if !self.take("]")? {
            let step = "number, duration, step(), range(), or \"]\"";
            self.length().map_err(|refusal| refusal.within("subquery selector", step))?;
            if !self.take("]")? {
                return Err(self.unexpected().within("subquery selector", "\"]\""));
            }
        }
        let name = match operand.value_type {
            ValueType::Vector => "",
            ValueType::Matrix => "matrix",
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
        };
        let message = format!("subquery is only allowed on instant vector, got {name} instead");
        let first = operand.first;
        operand.keep(|| (!name.is_empty()).then(|| self.error(first, message)));
        Ok(Operand { value_type: ValueType::Matrix, kind: Kind::Subquery(Shift::default()), ..operand })
    }

    fn length(&mut self) -> Result<(), Refusal> {
        let mut reader = Reader { tokens: self.tokens, at: self.at };
        reader.length()?;
        self.at = reader.at;
        Ok(())
    }

    fn offset(&mut self, operand: &mut Operand) -> Result<(), Refusal> {
        let mut reader = Reader { tokens: self.tokens, at: self.at + 1 };
        reader.offset().map_err(|refusal| refusal.within("offset", DURATION))?;
        self.at = reader.at;
        let first = operand.first;
        let shift = self.shift(operand, "offset")?;
        if std::mem::replace(&mut shift.offset, true) {
            return self.refuse(first, "offset may not be set multiple times");
        }
        Ok(())
    }

    fn pin(&mut self, operand: &mut Operand) -> Result<(), Refusal> {
        self.at += 1;
        let time = self.time().map_err(|refusal| refusal.within("@", "timestamp"))?;
        let first = operand.first;
        if let Some(time) = time.filter(|time| !time.is_finite() || time.abs() >= i64::MAX as f64) {
            let time = match time {
                f64::INFINITY => "+Inf".to_owned(),
                f64::NEG_INFINITY => "-Inf".to_owned(),
                time => format!("{time:.6}"),
            };
            return self.refuse(first, format!("timestamp out of bounds for @ modifier: {time}"));
        }
        let shift = self.shift(operand, "@")?;
        if std::mem::replace(&mut shift.pinned, true) {
            return self.refuse(first, "@ <timestamp> may not be set multiple times");
        }
        Ok(())
    }

    /// Seconds since 1970; nothing for `start()` and `end()`.
    fn time(&mut self) -> Result<Option<f64>, Refusal> {
        if self.is_word(&["start", "end"])? {
            self.at += 1;
            self.expect("(")?;
            self.expect(")")?;
            return Ok(None);
        }
        let negative = self.is("-")?;
        self.at += usize::from(negative || self.is("+")?);
        let seconds = self.number()?;
        Ok(Some(if negative { -seconds } else { seconds }))
    }

    fn shift<'a>(&self, operand: &'a mut Operand, modifier: &str) -> Result<&'a mut Shift, Refusal> {
        match &mut operand.kind {
            Kind::Instant { shift, .. } | Kind::Range(shift) | Kind::Subquery(shift) => Ok(shift),
            Kind::Other => {
                let may = "an instant vector selector or range vector selector or a subquery";
                self.refuse(operand.first, format!("{modifier} modifier must be preceded by {may}"))
            }
        }
    }

    fn extension(&mut self, operand: &mut Operand, word: &str, extension: Extension) -> Result<(), Refusal> {
        let first = operand.first;
        let known = match &mut operand.kind {
            Kind::Instant { shift, .. } | Kind::Range(shift) => &mut shift.extension,
            Kind::Subquery(_) => return self.refuse(first, format!("{word} modifier is not supported for subqueries")),
            Kind::Other => return self.refuse(first, format!("{word} modifier not implemented")),
        };
        if *known != Extension::None && *known != extension {
            return self.refuse(first, "anchored and smoothed modifiers cannot be used together");
        }
        *known = extension;
        self.at += 1;
        Ok(())
    }
}
