//! Loading rules: groups that do the same as before go on, others begin anew with the state of their rules, and what no
//! rule writes any more ends.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::super::group::Group;
use super::super::moment::{Moment, Timeline};
use super::super::rule::{Instance, Rule, Settings, Sight, Since};
use super::super::rule_file::RuleFile;
use super::super::state::{Identity, Left};
use super::{Leaving, Memory, Rules};
use crate::data::UnixMillis;

/// What a rule that ran, here or in an earlier process, leaves to whoever is like it.
struct Legacy {
    identity: Identity,
    alerts: BTreeMap<Box<[u8]>, Instance>,
    series: HashSet<Box<[u8]>>,
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

impl Rules {
    /// Loads rules. They keep their alerts by group, name and labels, as in Prometheus; the first load takes over what an
    /// earlier process left.
    pub fn load(&mut self, settings: Settings, files: &[RuleFile], now: Moment) {
        self.settings = settings;
        let groups =
            files.iter().flat_map(|file| file.groups.iter().map(move |group| (file.path.to_string_lossy(), group)));
        let mut loaded: Vec<_> =
            groups.map(|(path, group)| Group::new(&path, group, &self.settings, now.wall)).collect();
        let mut legacies = self.left(now);
        let mut ending = Ending::default();
        let mut kept = HashSet::new();
        for old in std::mem::take(&mut self.groups) {
            match loaded.iter().position(|new| new.is_same(&old)) {
                Some(same) => {
                    kept.insert(same);
                    // Whoever was asked may not be there to answer any more.
                    loaded[same] = Group { asked: None, ..old };
                }
                None => {
                    self.metrics.forget(&old);
                    legacies.extend(ending.take(old));
                }
            }
        }
        let mut begun: Vec<&mut Group> = loaded
            .iter_mut()
            .enumerate()
            .filter(|(number, _)| !kept.contains(number))
            .map(|(_, group)| group)
            .collect();
        for is_like in LIKENESSES {
            for group in &mut begun {
                let Group { file, name, rules, .. } = &mut **group;
                for rule in rules.iter_mut().filter(|rule| rule.evaluated.is_none()) {
                    let wanted = Identity::of(file, name, &rule.written);
                    if let Some(found) = legacies.iter().position(|legacy| is_like(&legacy.identity, &wanted)) {
                        rule.inherit(legacies.remove(found));
                    }
                }
            }
        }
        begun.iter_mut().for_each(|group| group.resume(now.wall));
        legacies.into_iter().for_each(|legacy| ending.add(&legacy.identity, legacy.series));
        self.leaving.extend(ending.hand_to(&mut loaded, now));
        loaded.iter_mut().for_each(|group| self.metrics.count(group));
        self.groups = loaded;
        self.learn_recorded();
        self.journal(None);
    }

    /// What an earlier process left; time begins behind it.
    fn left(&mut self, now: Moment) -> Vec<Legacy> {
        let found = match std::mem::replace(&mut self.memory, Memory::None) {
            Memory::Left(place, mut found) => {
                self.memory = Memory::Closed(place, std::mem::take(&mut found.restored));
                found
            }
            memory => {
                self.memory = memory;
                Default::default()
            }
        };
        if self.timeline.is_none() {
            self.timeline = Some(Timeline::begin(now, found.last.map(|last| (last.wall, last.steady))));
            if let Some(last) = found.last {
                self.settle(Sight::After(last.wall), now);
            }
        }
        let legacy = |Left { identity, alerts, evaluated }| Legacy {
            identity,
            alerts,
            series: HashSet::new(),
            evaluated,
            is_restored: true,
        };
        found.rules.into_iter().map(legacy).collect()
    }
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
            self.series.series = self.rows_of_alerts().into_iter().map(|row| row.labels).collect();
        }
    }
}

/// Series that no rule of a load has taken over, by the file and the name of the group that had them, with its interval.
#[derive(Default)]
struct Ending(BTreeMap<(Box<str>, Box<str>), (Duration, SeriesLeft)>);

/// Labels of series.
type SeriesLeft = Vec<Box<[u8]>>;

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

    fn add(&mut self, identity: &Identity, series: HashSet<Box<[u8]>>) {
        if let Some((_, known)) = self.0.get_mut(&(identity.file.clone(), identity.group.clone())) {
            known.extend(series);
        }
    }

    /// A group that is still there ends them with its next evaluation. Where it is gone, whoever has it under another name
    /// has two intervals to write them first.
    fn hand_to(self, groups: &mut [Group], now: Moment) -> Vec<Leaving> {
        let mut leaving = Vec::new();
        for ((file, name), (interval, series)) in self.0 {
            match groups.iter_mut().find(|group| group.file == file && group.name == name) {
                Some(group) => group.retired.extend(series),
                None => {
                    leaving.push(Leaving { due: now.running + 2 * interval, at: UnixMillis::from(now.wall), series })
                }
            }
        }
        leaving
    }
}
