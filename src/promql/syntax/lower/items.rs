//! From the numbers and names of the plain text back to what they stand for.

use promql_parser::label as grammar_label;
use promql_parser::parser as grammar;

use super::super::super::functions::{Extension, Place};
use super::super::super::query::ParseError;
use super::super::super::tree::LabelList;
use super::super::length::Length;
use super::super::plain::{Item, What};
use super::Lowering;

impl Lowering<'_> {
    pub(super) fn item(&self, plain: &str) -> Option<&Item> {
        self.items.get(plain.parse::<usize>().ok()?.checked_sub(1)?)
    }

    pub(super) fn fill(&self, number: f64) -> Result<f64, ParseError> {
        match self.items.get((number.abs() as usize).wrapping_sub(1)) {
            Some(Item { what: What::Number(value, _), .. }) => Ok(if number < 0.0 { -value } else { *value }),
            _ => Err(self.lost()),
        }
    }

    pub(super) fn list(&self, modifier: grammar::LabelModifier) -> Result<LabelList, ParseError> {
        Ok(match modifier {
            grammar::LabelModifier::Include(labels) => LabelList { these: true, names: self.labels(labels)? },
            grammar::LabelModifier::Exclude(labels) => LabelList { these: false, names: self.labels(labels)? },
        })
    }

    pub(super) fn labels(&self, labels: grammar_label::Labels) -> Result<Vec<Box<str>>, ParseError> {
        labels.labels.iter().map(|label| Ok(self.label(label)?.1.into())).collect()
    }

    /// A label's name in the plain text: the number of a text, that of a name, or a keyword.
    pub(super) fn label(&self, plain: &str) -> Result<(Option<Place>, String), ParseError> {
        let (place, name) = if plain.starts_with(|char: char| char.is_ascii_digit()) {
            let (place, name) = self.text(plain)?;
            (Some(place), name)
        } else {
            self.name(plain)?
        };
        Ok((place, name))
    }

    pub(super) fn name(&self, plain: &str) -> Result<(Option<Place>, String), ParseError> {
        let index = plain.strip_prefix('i').and_then(|digits| digits.parse::<usize>().ok());
        match index.and_then(|index| self.items.get(index.wrapping_sub(1))) {
            Some(Item { token, what: What::Name(name) }) => Ok((Some(self.place(*token)), name.clone())),
            Some(_) => Err(self.lost()),
            None => Ok((None, plain.to_owned())),
        }
    }

    pub(super) fn text(&self, plain: &str) -> Result<(Place, String), ParseError> {
        match self.item(plain) {
            Some(Item { token, what: What::Text(Some(text)) }) => Ok((self.place(*token), text.clone())),
            Some(Item { token, what: What::Text(None) }) => {
                Err(self.error(self.place(*token), format!("{} is not UTF-8", self.source(*token))))
            }
            _ => Err(self.lost()),
        }
    }

    pub(super) fn length(&self, index: u128) -> Result<(Place, Length, Extension), ParseError> {
        match usize::try_from(index).ok().and_then(|index| self.items.get(index.wrapping_sub(1))) {
            Some(Item { token, what: What::Length(length, extension) }) => {
                Ok((self.place(*token), length.clone(), *extension))
            }
            _ => Err(self.lost()),
        }
    }
}
