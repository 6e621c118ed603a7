//! From what is written to what it means, or everything that is wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{GroupBy, InhibitRuleOptions, Route, RouteId, RouteOptions, Routing, RoutingOptions};
use crate::alerting::inhibit::InhibitRule;
use crate::alerting::matcher::{self, Matcher, Matchers, Op};
use crate::alerting::mute::{IntervalId, Intervals};
use crate::options::suggest;
use crate::options::{Code, Problem, PrometheusDuration, Span, Spanned};

/// There is no root, or it names no receiver.
const NO_ROOT: Code = Code("TW1001");
/// The root takes not every alert.
const CHOOSY_ROOT: Code = Code("TW1002");
/// No such receiver.
const NO_RECEIVER: Code = Code("TW1003");
/// No matcher.
const BAD_MATCHER: Code = Code("TW1004");
/// No grouping.
const BAD_GROUPING: Code = Code("TW1005");
/// An interval of nothing.
const NO_TIME: Code = Code("TW1006");
/// No such interval.
const NO_INTERVAL: Code = Code("TW1007");
/// No label can be called so.
const BAD_LABEL: Code = Code("TW1011");
/// A warning: a repetition that comes late.
const LATE_REPEAT: Code = Code("TW1012");

impl RoutingOptions {
    /// What the options mean, for receivers of these names.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(&self, receivers: &[&str], resolve_timeout: Duration) -> Result<Routing, Vec<Problem>> {
        let mut problems = Vec::new();
        let intervals = Intervals::read(self.mute_time_intervals.iter().chain(&self.time_intervals), &mut problems);
        let inhibit_rules = self.inhibit_rules.iter().map(|rule| inhibit_rule(rule, &mut problems)).collect();
        let mut reader = Reader { receivers, intervals: &intervals, routes: Vec::new(), problems };
        match &self.route {
            Some(root) => reader.root(root),
            None => {
                let problem = Problem::new(NO_ROOT, Span::UNKNOWN, "there is no `route`, so that no receiver is told");
                reader.problems.push(problem.help("write `route: { receiver: NAME }`"));
            }
        }
        let Reader { routes, problems, .. } = reader;
        if problems.is_empty() {
            Ok(Routing { routes, inhibit_rules, intervals, resolve_timeout })
        } else {
            Err(problems)
        }
    }

    /// What is unusual and works.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        if let Some(root) = &self.route {
            late_repeats(root, Pace::default(), &mut warnings);
        }
        warnings
    }
}

/// What routes below take over where they say nothing themselves.
#[derive(Clone, Copy, Debug)]
struct Pace {
    wait: Duration,
    interval: Duration,
    repeat: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            interval: Duration::from_secs(5 * 60),
            repeat: Duration::from_secs(4 * 3600),
        }
    }
}

impl Pace {
    fn below(self, written: &RouteOptions) -> Self {
        let of =
            |given: &Option<Spanned<PrometheusDuration>>, above| given.as_ref().map_or(above, |given| given.value.0);
        Self {
            wait: of(&written.group_wait, self.wait),
            interval: of(&written.group_interval, self.interval),
            repeat: of(&written.repeat_interval, self.repeat),
        }
    }
}

/// A group is looked at every `group_interval`, and repeated at the first look behind `repeat_interval`.
fn late_repeats(written: &Spanned<RouteOptions>, above: Pace, warnings: &mut Vec<Problem>) {
    let pace = above.below(&written.value);
    let own = written.value.repeat_interval.as_ref().or(written.value.group_interval.as_ref());
    if let Some(own) = own.filter(|_| pace.repeat < pace.interval) {
        let text = |duration| PrometheusDuration(duration).to_string();
        let message = format!(
            "`repeat_interval` is {} and `group_interval` {}: groups are repeated every {}",
            text(pace.repeat),
            text(pace.interval),
            text(pace.interval)
        );
        let help = "write a `repeat_interval` that is a multiple of `group_interval`";
        warnings.push(Problem::new(LATE_REPEAT, own.span, message).help(help));
    }
    written.value.routes.iter().for_each(|route| late_repeats(route, pace, warnings));
}

struct Reader<'a> {
    receivers: &'a [&'a str],
    intervals: &'a Intervals,
    routes: Vec<Route>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn root(&mut self, written: &Spanned<RouteOptions>) {
        let route = &written.value;
        if route.receiver.as_ref().is_none_or(|receiver| receiver.is_empty()) {
            let problem = Problem::new(NO_ROOT, written.span, "the root `route` names no `receiver`");
            self.problems.push(problem.help("name the receiver of alerts that no route below takes"));
        }
        let place = |list: &[Spanned<String>]| list.first().map(|first| first.span);
        let old = || route.equal.values().chain(route.pattern.values()).next().map(|first| first.span);
        for (what, at) in [
            ("matchers", place(&route.matchers).or_else(old)),
            ("mute_time_intervals", place(&route.mute_time_intervals)),
            ("active_time_intervals", place(&route.active_time_intervals)),
        ] {
            if let Some(at) = at {
                let message = format!("the root `route` has `{what}`, but it has to take every alert at any time");
                let help = format!("move `{what}` to a route in its `routes`");
                self.problems.push(Problem::new(CHOOSY_ROOT, at, message).help(help));
            }
        }
        if route.continues {
            let message = "the root `route` says `continue`, but nothing stands behind it";
            self.problems.push(Problem::new(CHOOSY_ROOT, written.span, message).help("take the line out"));
        }
        self.add(written, None);
    }

    fn add(&mut self, written: &Spanned<RouteOptions>, above: Option<RouteId>) -> RouteId {
        let options = &written.value;
        let matchers = self.matchers(options);
        let group_by = options.group_by.as_ref().map(|names| self.group_by(names));
        let pace = above.map_or_else(Pace::default, |above| {
            let above = &self.routes[above.0];
            Pace { wait: above.group_wait, interval: above.group_interval, repeat: above.repeat_interval }
        });
        let pace = pace.below(options);
        self.times(options);
        for name in options.labels.keys().filter(|name| name.is_empty()) {
            let message = format!("`{name}` is no name of a label");
            self.problems.push(Problem::new(BAD_LABEL, written.span, message));
        }
        let receiver = self.receiver(options);
        let mute = self.intervals(&options.mute_time_intervals);
        let active = self.intervals(&options.active_time_intervals);
        let above = above.map(|above| &self.routes[above.0]);
        let mut labels = above.map(|above| above.labels.clone()).unwrap_or_default();
        labels.extend(options.labels.clone());
        let inherited = || above.map_or(GroupBy::Labels(Box::default()), |above| above.group_by.clone());
        let route = Route {
            receiver: receiver.or_else(|| above.map(|above| above.receiver.clone())).unwrap_or_default(),
            group_by: group_by.unwrap_or_else(inherited),
            group_wait: pace.wait,
            group_interval: pace.interval,
            repeat_interval: pace.repeat,
            labels,
            key: above.map_or_else(|| matchers.to_string(), |above| format!("{}/{matchers}", above.key)).into(),
            mute,
            active,
            matchers,
            continues: options.continues,
            children: Vec::new(),
        };
        let id = RouteId(self.routes.len());
        self.routes.push(route);
        let children = options.routes.iter().map(|below| self.add(below, Some(id))).collect();
        self.routes[id.0].children = children;
        id
    }

    fn matchers(&mut self, options: &RouteOptions) -> Matchers {
        Matchers::sorted(matchers(&options.matchers, &options.equal, &options.pattern, &mut self.problems))
    }

    fn group_by(&mut self, names: &[Spanned<String>]) -> GroupBy {
        let mut labels: Vec<Box<str>> = Vec::new();
        for name in names.iter().filter(|name| *name.value != *"...") {
            if name.is_empty() {
                self.problems.push(Problem::new(BAD_GROUPING, name.span, "`group_by` has a label without a name"));
            } else if labels.iter().any(|known| **known == *name.value) {
                let message = format!("`group_by` has the label `{}` twice", name.value);
                self.problems.push(Problem::new(BAD_GROUPING, name.span, message));
            } else {
                labels.push(name.value.as_str().into());
            }
        }
        match names.iter().find(|name| *name.value == *"...") {
            Some(all) if !labels.is_empty() => {
                let message = "`group_by` has `...`, which means all labels, and others beside it";
                let help = "write ['...'] alone, or leave it out";
                self.problems.push(Problem::new(BAD_GROUPING, all.span, message).help(help));
                GroupBy::Everything
            }
            Some(_) => GroupBy::Everything,
            None => GroupBy::Labels(labels.into()),
        }
    }

    fn times(&mut self, options: &RouteOptions) {
        for (what, time) in [("group_interval", &options.group_interval), ("repeat_interval", &options.repeat_interval)]
        {
            if let Some(time) = time.as_ref().filter(|time| time.value.0.is_zero()) {
                let problem = Problem::new(NO_TIME, time.span, format!("`{what}` is 0"));
                self.problems.push(problem.help("write a time such as 5m"));
            }
        }
    }

    fn receiver(&mut self, options: &RouteOptions) -> Option<Box<str>> {
        let receiver = options.receiver.as_ref().filter(|receiver| !receiver.is_empty())?;
        if !self.receivers.contains(&&*receiver.value) {
            let problem =
                Problem::new(NO_RECEIVER, receiver.span, format!("there is no receiver `{}`", receiver.value));
            let help = similar(&receiver.value, self.receivers.iter().copied(), "receivers");
            self.problems.push(problem.help(help));
        }
        Some(receiver.value.as_str().into())
    }

    fn intervals(&mut self, names: &[Spanned<String>]) -> Box<[IntervalId]> {
        let mut find = |name: &Spanned<String>| {
            let found = self.intervals.find(name);
            if found.is_none() {
                let problem =
                    Problem::new(NO_INTERVAL, name.span, format!("there is no time interval `{}`", name.value));
                let help = similar(name, self.intervals.names(), "time_intervals");
                self.problems.push(problem.help(help));
            }
            found
        };
        names.iter().filter_map(&mut find).collect()
    }
}

fn inhibit_rule(written: &Spanned<InhibitRuleOptions>, problems: &mut Vec<Problem>) -> InhibitRule {
    let rule = &written.value;
    for label in rule.equal.iter().filter(|label| label.is_empty()) {
        problems.push(Problem::new(BAD_LABEL, label.span, "`equal` has a label without a name"));
    }
    InhibitRule {
        name: rule.name.as_str().into(),
        source: Matchers::as_given(matchers(
            &rule.source_matchers,
            &rule.source_match,
            &rule.source_match_re,
            problems,
        )),
        target: Matchers::as_given(matchers(
            &rule.target_matchers,
            &rule.target_match,
            &rule.target_match_re,
            problems,
        )),
        equal: rule.equal.iter().map(|label| label.value.as_str().into()).collect(),
    }
}

/// Matchers in their three forms.
fn matchers(
    texts: &[Spanned<String>],
    equal: &BTreeMap<String, Spanned<String>>,
    pattern: &BTreeMap<String, Spanned<String>>,
    problems: &mut Vec<Problem>,
) -> Vec<Matcher> {
    let mut matchers = Vec::new();
    let pairs = equal.iter().map(|pair| (Op::Equal, pair)).chain(pattern.iter().map(|pair| (Op::Matches, pair)));
    for (op, (name, value)) in pairs {
        if !is_classic_name(name) {
            let message = format!("`{name}` is no name of a label here");
            let help = "write it in `matchers`, where names may have any characters, in double quotes";
            problems.push(Problem::new(BAD_LABEL, value.span, message).help(help));
        }
        match Matcher::new(op, name, value) {
            Ok(matcher) => matchers.push(matcher),
            Err(error) => problems.push(Problem::new(BAD_MATCHER, value.span, error.to_string())),
        }
    }
    for text in texts {
        match matcher::parse(text) {
            Ok(more) => matchers.extend(more),
            Err(error) => {
                let problem = Problem::new(BAD_MATCHER, text.span, error.why).within(error.at.0, error.at.1);
                problems.push(problem.help("write a matcher such as severity=\"page\" or team=~\"a|b\""));
            }
        }
    }
    matchers
}

fn is_classic_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone, key: &str) -> String {
    match suggest::nearest(name, known.clone()) {
        Some(close) => format!("do you mean `{close}`?"),
        None => {
            let all: Vec<String> = known.map(|known| format!("`{known}`")).collect();
            match all.is_empty() {
                true => format!("add it to `{key}`"),
                false => format!("`{key}` has {}", all.join(", ")),
            }
        }
    }
}
