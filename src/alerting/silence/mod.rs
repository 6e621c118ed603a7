//! Silences: for a while nobody is told of alerts whose labels fulfil some matchers. What they are and how they may be
//! changed is Alertmanager's: a silence that is in force keeps its matchers and its beginning, and what would change them
//! expires it and makes a new one, so that what was silenced when can be told later.

mod book;
mod record;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use book::{KIND, SilenceBook, SilenceBookError};
pub use wire::{MatcherJson, PostableSilence, SilenceJson, StateJson, time_text};

use super::matcher::{Matcher, Matchers};
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

/// How long a silence is kept after it ended, to be looked at.
pub const RETENTION: Duration = Duration::from_secs(120 * 3600);

/// Most silences. Those that ended are among them only as long as there is place.
pub const MOST: usize = 10_000;

/// Most bytes of the texts of one.
pub const MOST_BYTES: usize = 32 << 10;

/// Most bytes that the matchers of one may hold.
pub const MOST_HELD: usize = 8 << 20;

/// Most bytes that all of them may hold. Those that ended are among them only as long as there is place.
pub const MOST_HELD_BY_ALL: usize = 256 << 20;

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// A random UUID.
    pub id: Arc<str>,
    /// What labels fulfil that are silenced, in the order in which they were given.
    pub matchers: Matchers,
    /// When it begins.
    pub starts_at: UnixMillis,
    /// When it ends.
    pub ends_at: UnixMillis,
    /// When it was changed last.
    pub updated_at: UnixMillis,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Whatever else is to be known of it.
    pub annotations: BTreeMap<String, String>,
}

/// Where a silence is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceState {
    /// In force.
    Active,
    /// It has not begun.
    Pending,
    /// It has ended.
    Expired,
}

/// What somebody wants to be silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceRequest {
    /// Which silence is to be changed; empty for a new one.
    pub id: String,
    /// What labels have to fulfil.
    pub matchers: Vec<Matcher>,
    /// When it is to begin.
    pub starts_at: UnixMillis,
    /// When it is to end.
    pub ends_at: UnixMillis,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Whatever else is to be known of it.
    pub annotations: BTreeMap<String, String>,
}

/// Why silences are as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// No such silence.
    #[error("silence not found")]
    NotFound,
    /// It makes no sense, or is too much.
    #[error("{0}")]
    Invalid(String),
}

/// For how long, in milliseconds, one that ended counts as ended only now: whoever looks a little late judges by the time
/// at which it was due.
const MOMENT: i64 = 60_000;

/// All silences, those that ended a while ago included. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Silences(BTreeMap<Arc<str>, Arc<Silence>>);

/// Silences that a change made or changed, in the order in which they are journalled.
pub type Changed = Vec<Arc<Silence>>;

impl Silence {
    /// Where it is in its life.
    pub fn state(&self, now: UnixMillis) -> SilenceState {
        if now < self.starts_at {
            SilenceState::Pending
        } else if now < self.ends_at {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }

    /// Whether it can become `wanted` without changing what was silenced until now.
    fn can_become(&self, wanted: &SilenceRequest, now: UnixMillis) -> bool {
        let second = |time: UnixMillis| time.0.div_euclid(1000);
        self.matchers.iter().eq(&wanted.matchers)
            && match self.state(now) {
                SilenceState::Active => second(self.starts_at) == second(wanted.starts_at) && wanted.ends_at >= now,
                SilenceState::Pending => wanted.starts_at >= now,
                SilenceState::Expired => false,
            }
    }

    /// Most bytes that it holds, about.
    fn held_bytes(&self) -> usize {
        let annotations =
            self.annotations.iter().map(|(name, value)| 2 * size_of::<String>() + name.len() + value.len());
        size_of::<Self>()
            + self.id.len()
            + self.created_by.len()
            + self.comment.len()
            + annotations.sum::<usize>()
            + self.matchers.iter().map(Matcher::held_bytes).sum::<usize>()
    }
}

/// Takes what the matchers of a silence hold together from what they may hold.
fn hold(left: &mut usize, matcher: &Matcher) -> Result<(), SilenceError> {
    *left = left.checked_sub(matcher.held_bytes()).ok_or_else(|| {
        let why = "the silence's matchers take too much memory; write fewer or simpler patterns";
        SilenceError::Invalid(why.to_owned())
    })?;
    Ok(())
}

impl SilenceRequest {
    fn check(&self, now: UnixMillis) -> Result<(), SilenceError> {
        let invalid = |why: &str| Err(SilenceError::Invalid(why.to_owned()));
        if self.matchers.is_empty() {
            return invalid("a silence needs a matcher, such as alertname=\"Down\"");
        }
        if self.matchers.iter().any(|matcher| matcher.name().is_empty()) {
            return invalid("a matcher has no name of a label");
        }
        if Matchers::as_given(self.matchers.clone()).is_met_by_absence() {
            return invalid(
                "at least one matcher must not match the empty string, or the silence is one of everything",
            );
        }
        let mut left = MOST_HELD;
        self.matchers.iter().try_for_each(|matcher| hold(&mut left, matcher))?;
        if self.starts_at >= self.ends_at {
            return invalid("start time must be before end time");
        }
        if self.ends_at < now {
            return invalid("end time can't be in the past");
        }
        let texts = self.annotations.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + self.matchers.iter().map(|matcher| matcher.name().len() + matcher.value().len()).sum::<usize>()
            + self.created_by.len()
            + self.comment.len();
        if texts > MOST_BYTES {
            return Err(SilenceError::Invalid(format!(
                "the silence has {texts} bytes of text, more than {MOST_BYTES}"
            )));
        }
        Ok(())
    }

    fn into_silence(self, id: Arc<str>, now: UnixMillis) -> Arc<Silence> {
        Arc::new(Silence {
            id,
            matchers: Matchers::as_given(self.matchers),
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            updated_at: now,
            created_by: self.created_by,
            comment: self.comment,
            annotations: self.annotations,
        })
    }
}

impl Silences {
    /// Makes a silence or changes one; returns its id, which is `fresh` where a new one came to be.
    ///
    /// # Errors
    /// Where it cannot be so; everything is then as it was.
    pub fn set(
        &mut self,
        wanted: SilenceRequest,
        fresh: impl FnOnce() -> String,
        now: UnixMillis,
    ) -> Result<(Arc<str>, Changed), SilenceError> {
        wanted.check(now)?;
        let known = match &*wanted.id {
            "" => None,
            id => Some(self.get(id).cloned().ok_or(SilenceError::NotFound)?),
        };
        let mut changed = Vec::new();
        if let Some(known) = &known {
            if known.can_become(&wanted, now) {
                changed.push(wanted.into_silence(known.id.clone(), now));
                self.check_place(&changed[0], now)?;
                self.keep(&changed);
                self.make_place(now);
                return Ok((known.id.clone(), changed));
            }
            changed.extend(expired(known, now));
        }
        let mut wanted = wanted;
        wanted.starts_at = wanted.starts_at.max(now);
        let id: Arc<str> = fresh().into();
        let made = wanted.into_silence(id.clone(), now);
        self.check_place(&made, now)?;
        changed.push(made);
        self.keep(&changed);
        self.make_place(now);
        Ok((id, changed))
    }

    /// Ends a silence now; one that has ended stays as it is.
    ///
    /// # Errors
    /// Where there is none.
    pub fn expire(&mut self, id: &str, now: UnixMillis) -> Result<Changed, SilenceError> {
        let known = self.get(id).ok_or(SilenceError::NotFound)?;
        let changed: Changed = expired(known, now).into_iter().collect();
        self.keep(&changed);
        Ok(changed)
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Arc<Silence>> {
        self.0.get(id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Silence>> {
        self.0.values()
    }

    /// Those that have not ended, or only a moment ago: what many alerts are judged by. Those that ended are kept for days.
    #[must_use]
    pub fn but_for_old(&self, now: UnixMillis) -> Self {
        let stays = |known: &&Arc<Silence>| known.ends_at.0.saturating_add(MOMENT) > now.0;
        Self(self.iter().filter(stays).map(|known| (known.id.clone(), known.clone())).collect())
    }

    /// Those in force that silence an alert with these labels.
    pub fn silencing<'a>(&'a self, labels: &'a LabelSet, now: UnixMillis) -> impl Iterator<Item = &'a Arc<Silence>> {
        self.iter().filter(move |known| known.state(now) == SilenceState::Active && known.matchers.match_all(labels))
    }

    /// Those that have a matcher like each of `filter`: in force first, the next to end first; then those to come, the next
    /// first; then those that ended, the last first.
    pub fn list(&self, filter: &[Matcher], now: UnixMillis) -> Vec<Arc<Silence>> {
        let fits = |known: &&Arc<Silence>| filter.iter().all(|wanted| known.matchers.iter().any(|has| has == wanted));
        let mut found: Vec<Arc<Silence>> = self.iter().filter(fits).cloned().collect();
        found.sort_by_key(|known| {
            let state = known.state(now);
            let within = match state {
                SilenceState::Active => known.ends_at.0,
                SilenceState::Pending => known.starts_at.0,
                SilenceState::Expired => -known.ends_at.0,
            };
            (state, within)
        });
        found
    }

    /// Forgets those that ended longer ago than they are kept.
    pub fn forget_old(&mut self, now: UnixMillis) {
        self.0.retain(|_, known| known.ends_at.0.saturating_add(RETENTION.as_millis() as i64) > now.0);
    }

    /// Whether there is place for a silence beside, or instead of, those that have not ended.
    fn check_place(&self, silence: &Silence, now: UnixMillis) -> Result<(), SilenceError> {
        let others = self.iter().filter(|known| known.ends_at > now && known.id != silence.id);
        let (mut count, mut held) = (1, silence.held_bytes());
        others.for_each(|known| (count, held) = (count + 1, held + known.held_bytes()));
        let full = if count > MOST {
            format!("there are {MOST} silences that have not ended")
        } else if held > MOST_HELD_BY_ALL {
            format!("the silences that have not ended hold {} MiB of memory", MOST_HELD_BY_ALL >> 20)
        } else {
            return Ok(());
        };
        Err(SilenceError::Invalid(format!("{full}, and there is no place for more; end some first")))
    }

    /// Forgets those that ended, the first to end first, as far as there are too many or they hold too much.
    fn make_place(&mut self, now: UnixMillis) {
        let mut held: usize = self.iter().map(|known| known.held_bytes()).sum();
        if self.0.len() <= MOST && held <= MOST_HELD_BY_ALL {
            return;
        }
        let mut ended: Vec<_> = self.iter().filter(|known| known.ends_at <= now).cloned().collect();
        ended.sort_by_key(|known| known.ends_at);
        for known in ended {
            if self.0.len() <= MOST && held <= MOST_HELD_BY_ALL {
                break;
            }
            held -= known.held_bytes();
            self.0.remove(&known.id);
        }
    }

    fn keep(&mut self, changed: &Changed) {
        self.0.extend(changed.iter().map(|silence| (silence.id.clone(), silence.clone())));
    }
}

/// The silence as it is when it ends now; `None` where it has ended.
fn expired(known: &Silence, now: UnixMillis) -> Option<Arc<Silence>> {
    let starts_at = match known.state(now) {
        SilenceState::Expired => return None,
        SilenceState::Active => known.starts_at,
        SilenceState::Pending => now,
    };
    Some(Arc::new(Silence { starts_at, ends_at: now, updated_at: now, ..known.clone() }))
}
