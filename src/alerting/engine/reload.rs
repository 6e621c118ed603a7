//! Loading rules: groups that do the same as before go on, others begin anew with the state of their rules, and what no
//! rule writes any more ends.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::group::{Group, Recorded, Shared};
use super::super::moment::{Moment, Timeline};
use super::super::rule::{Instance, Rule, Settings, Sight, Since};
use super::super::rule_file::{Kind, RuleFile};
use super::super::state::{Found, Identity, Left};
use super::{Leaving, Loaded, Member, Rules};
use crate::data::UnixMillis;

/// What a rule that ran, here or in an earlier process, leaves to whoever is like it.
struct Legacy {
    identity: Identity,
    alerts: BTreeMap<Box<[u8]>, Instance>,
    series: Arc<HashSet<Arc<[u8]>>>,
    evaluated: Option<Since>,
    is_restored: bool,
}

/// How much a rule and one that ran have in common, the most first: each is tried for all rules before the next one, so that
/// of two rules of the same name and labels each finds its own.
const LIKENESSES: [fn(&Identity, &Identity) -> bool; 4] =
    [|a, b| a == b, |a, b| is_alike(a, b) && a.expr == b.expr, |a, b| is_alike(a, b) && a.file == b.file, is_alike];

/// What makes a rule the same one for Prometheus, whichever file its group is in.
fn is_alike(a: &Identity, b: &Identity) -> bool {
    (&a.group, &a.name, &a.labels) == (&b.group, &b.name, &b.labels)
}

/// A group as it is loaded.
enum Loading {
    /// One that does the same goes on.
    Kept(Member),
    /// It begins.
    New(Box<Group>),
}

impl Rules {
    /// Loads rules. They keep their alerts by group, name and labels, as in Prometheus; the first load takes over what an
    /// earlier process left. An evaluation that goes on changes nothing any more, and what is left of it is due once more.
    pub fn load(&self, settings: Settings, files: &[RuleFile], now: Moment) {
        let mut journal = self.journal();
        let mut loaded = self.loaded();
        loaded.settings = Arc::new(settings);
        let mut legacies = loaded.begin_behind(journal.left(), now);
        let groups =
            files.iter().flat_map(|file| file.groups.iter().map(move |group| (file.path.to_string_lossy(), group)));
        let new = |(path, group): (Cow<'_, str>, _)| Group::new(&path, group, &loaded.settings);
        let mut groups: Vec<Loading> = groups.map(new).map(Box::new).map(Loading::New).collect();
        let mut ending = Ending::default();
        for mut old in std::mem::take(&mut loaded.members) {
            if old.schedule.interrupt() {
                old.group.hold().interrupt();
            }
            let is_same = |new: &Loading| matches!(new, Loading::New(new) if new.is_same(&old.group.hold()));
            match groups.iter().position(is_same) {
                Some(same) => groups[same] = Loading::Kept(old),
                None => {
                    let group = old.group.take();
                    self.metrics.forget(&group);
                    self.troubles.forget(&(old.file, old.name));
                    legacies.extend(ending.take(group));
                }
            }
        }
        inherit(&mut groups, &mut legacies);
        legacies.into_iter().for_each(|legacy| ending.add(&legacy.identity, &legacy.series));
        loaded.members = groups.into_iter().map(|group| group.member(now)).collect();
        let leaving = ending.hand_to(&loaded.members, now);
        loaded.leaving.extend(leaving);
        loaded.members.iter().for_each(|member| self.metrics.count(&mut member.group.hold()));
        loaded.recorded = Arc::new(recorded(&loaded.members));
        let shared = loaded.shared();
        drop(loaded);
        journal.write(&shared, None, &self.metrics);
        self.is_journal_failing.store(journal.is_failing(), Ordering::Relaxed);
    }
}

impl Loaded {
    /// Time begins behind what an earlier process left. Returns its rules.
    fn begin_behind(&mut self, found: Found, now: Moment) -> Vec<Legacy> {
        if self.timeline.is_none() {
            self.timeline = Some(Timeline::begin(now, found.last.map(|last| (last.wall, last.steady))));
            if let Some(last) = found.last {
                self.settle(Sight::After(last.wall), now, false);
            }
        }
        let legacy = |Left { identity, alerts, evaluated }| Legacy {
            identity,
            alerts,
            series: Arc::default(),
            evaluated,
            is_restored: true,
        };
        found.rules.into_iter().map(legacy).collect()
    }
}

impl Loading {
    fn new_group(&mut self) -> Option<&mut Group> {
        match self {
            Self::Kept(_) => None,
            Self::New(group) => Some(group),
        }
    }

    fn member(self, now: Moment) -> Member {
        let mut group = match self {
            Self::Kept(member) => return member,
            Self::New(group) => *group,
        };
        let mut schedule = group.schedule(now.wall);
        schedule.resume(group.resumed(), now.wall);
        group.evaluated = group.rules.iter().filter_map(|rule| rule.evaluated).max_by_key(|at| at.steady);
        let (file, name) = ((&*group.file).into(), (&*group.name).into());
        Member { file, name, schedule, group: Arc::new(Shared::new(group)) }
    }
}

/// Groups that begin take over what is left by rules that are like theirs.
fn inherit(groups: &mut [Loading], legacies: &mut Vec<Legacy>) {
    for is_like in LIKENESSES {
        for group in groups.iter_mut().filter_map(Loading::new_group) {
            let Group { file, name, rules, .. } = group;
            for rule in rules.iter_mut().filter(|rule| rule.evaluated.is_none()) {
                let wanted = Identity::of(file, name, &rule.written);
                if let Some(found) = legacies.iter().position(|legacy| is_like(&legacy.identity, &wanted)) {
                    rule.inherit(legacies.remove(found));
                }
            }
        }
    }
}

/// Recording rules by what they record.
fn recorded(members: &[Member]) -> Recorded {
    let mut recorded = Recorded::new();
    for member in members {
        for rule in &member.group.hold().rules {
            if let Kind::Record { name } = &rule.written.kind {
                recorded.entry(name.clone()).or_default().push(rule.written.query.clone());
            }
        }
    }
    recorded
}

impl Rule {
    fn inherit(&mut self, legacy: Legacy) {
        (self.evaluated, self.restored) = (legacy.evaluated, legacy.is_restored);
        self.series.series = legacy.series;
        if let Some(alerting) = &mut self.alerting {
            alerting.alerts = legacy.alerts;
        }
        if legacy.is_restored {
            self.resumed = legacy.evaluated.map(|at| at.wall);
            // What its alerts wrote ends with them.
            self.series.series = Arc::new(self.rows_of_alerts().into_iter().map(|row| row.labels).collect());
        }
    }
}

/// Series that no rule of a load has taken over, by the file and the name of the group that had them, with its interval.
#[derive(Default)]
struct Ending(BTreeMap<(Box<str>, Box<str>), (Duration, SeriesLeft)>);

/// Labels of series.
type SeriesLeft = Vec<Arc<[u8]>>;

impl Ending {
    /// Takes a group apart.
    fn take(&mut self, group: Group) -> Vec<Legacy> {
        let Group { file, name, interval, retired, rules, .. } = group;
        let legacy = |rule: Rule| Legacy {
            identity: Identity::of(&file, &name, &rule.written),
            alerts: rule.alerting.map(|alerting| alerting.alerts).unwrap_or_default(),
            series: rule.series.series,
            evaluated: rule.evaluated,
            is_restored: rule.restored,
        };
        let legacies = rules.into_iter().map(legacy).collect();
        self.0.insert((file, name), (interval, retired));
        legacies
    }

    fn add(&mut self, identity: &Identity, series: &HashSet<Arc<[u8]>>) {
        if let Some((_, known)) = self.0.get_mut(&(identity.file.clone(), identity.group.clone())) {
            known.extend(series.iter().cloned());
        }
    }

    /// A group that is still there ends them with its next evaluation. Where it is gone, whoever has it under another name
    /// has two intervals to write them first.
    fn hand_to(self, members: &[Member], now: Moment) -> Vec<Leaving> {
        let mut leaving = Vec::new();
        for ((file, name), (interval, series)) in self.0 {
            match members.iter().find(|member| *member.file == *file && *member.name == *name) {
                Some(member) => member.group.hold().retired.extend(series),
                None => {
                    leaving.push(Leaving { due: now.running + 2 * interval, at: UnixMillis::from(now.wall), series })
                }
            }
        }
        leaving
    }
}
