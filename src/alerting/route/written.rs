//! The ways of alerts as an Alertmanager's configuration has them, for tools that ask a running one for its own: `amtool config
//! routes` reads it from `/api/v2/status`. Only what Alertmanager has had since its version 0.25 is there, and of receivers
//! only the names: whom they send to is nobody's business.

use std::fmt::{Display, Formatter, Result, Write};

use super::{GroupBy, Route, RouteId, Routing};
use crate::alerting::matcher::Matchers;
use crate::options::PrometheusDuration;

/// That configuration, as YAML.
#[derive(Debug)]
pub struct Written<'a, R> {
    /// The ways.
    pub routing: &'a Routing,
    /// Names of the receivers.
    pub receivers: &'a [R],
}

/// A text as YAML has it in double quotes, which are JSON's.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", serde_json::Value::from(self.0))
    }
}

/// `["a", "b"]`
fn list(f: &mut Formatter<'_>, texts: impl IntoIterator<Item = impl AsRef<str>>) -> Result {
    f.write_char('[')?;
    for (index, text) in texts.into_iter().enumerate() {
        write!(f, "{}{}", if index == 0 { "" } else { ", " }, Text(text.as_ref()))?;
    }
    f.write_str("]\n")
}

fn matchers(f: &mut Formatter<'_>, of: &Matchers) -> Result {
    list(f, of.iter().map(ToString::to_string))
}

impl<R: AsRef<str>> Display for Written<'_, R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let routing = self.routing;
        writeln!(f, "global:\n  resolve_timeout: {}\nroute:", PrometheusDuration(routing.resolve_timeout))?;
        route(f, routing, RouteId(0), 1)?;
        for (index, rule) in routing.inhibit_rules.iter().enumerate() {
            f.write_str(if index == 0 { "inhibit_rules:\n- source_matchers: " } else { "- source_matchers: " })?;
            matchers(f, &rule.source)?;
            f.write_str("  target_matchers: ")?;
            matchers(f, &rule.target)?;
            f.write_str("  equal: ")?;
            list(f, &rule.equal)?;
        }
        f.write_str("receivers:\n")?;
        self.receivers.iter().try_for_each(|name| writeln!(f, "- name: {}", Text(name.as_ref())))?;
        write!(f, "{}", routing.intervals)
    }
}

fn route(f: &mut Formatter<'_>, routing: &Routing, id: RouteId, depth: usize) -> Result {
    let route: &Route = routing.route(id);
    let pad = "  ".repeat(depth);
    writeln!(f, "{pad}receiver: {}", Text(&route.receiver))?;
    write!(f, "{pad}group_by: ")?;
    match &route.group_by {
        GroupBy::Everything => list(f, ["..."])?,
        GroupBy::Labels(labels) => list(f, labels)?,
    }
    for (name, time) in [
        ("group_wait", route.group_wait),
        ("group_interval", route.group_interval),
        ("repeat_interval", route.repeat_interval),
    ] {
        writeln!(f, "{pad}{name}: {}", PrometheusDuration(time))?;
    }
    if route.matchers.iter().len() > 0 {
        write!(f, "{pad}matchers: ")?;
        matchers(f, &route.matchers)?;
    }
    for (name, intervals) in [("mute_time_intervals", &route.mute), ("active_time_intervals", &route.active)] {
        if !intervals.is_empty() {
            write!(f, "{pad}{name}: ")?;
            list(f, intervals.iter().map(|id| routing.intervals.name(*id)))?;
        }
    }
    if route.continues {
        writeln!(f, "{pad}continue: true")?;
    }
    if !route.children.is_empty() {
        writeln!(f, "{pad}routes:")?;
    }
    for child in &route.children {
        writeln!(f, "{pad}-")?;
        self::route(f, routing, *child, depth + 1)?;
    }
    Ok(())
}
