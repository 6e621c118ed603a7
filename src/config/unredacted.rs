//! Warns where pages show what records say before secrets are taken out of them, although they are on another way.

use super::codes;
use crate::options::Problem;
use crate::pipeline::TransformPlan;
use crate::pipeline::graph::{Component, Graph, Role};

/// A warning for each component that shows records of a source which are redacted on another way alone.
pub(super) fn shown(graph: &Graph) -> Vec<Problem> {
    let all = &graph.components;
    let mut found = Vec::new();
    for (at, component) in all.iter().enumerate() {
        let Some(span) = transform(component).and_then(|plan| plan.shows_records()) else { continue };
        // What reaches it without passing a `redact`.
        let bare = before(all, at, |component| !redacts(component));
        let mut others = all.iter().enumerate().filter(|(_, other)| redacts(other));
        let shared = others.find_map(|(other, redacting)| {
            let there = before(all, other, |_| true);
            let source = (0..all.len()).find(|at| bare[*at] && there[*at] && all[*at].inputs.is_empty())?;
            Some((redacting, &all[source]))
        });
        if let Some((redacting, source)) = shared {
            let message =
                format!("pages would show lines of `{}` as they are before `{}` redacts them", source.id, redacting.id);
            let help = format!("let `{}` read what comes behind the `redact`", component.id);
            found.push(Problem::new(codes::LINES_UNREDACTED, span, message).help(help));
        }
    }
    found
}

/// Which components feed one by ways on which all components pass `through`, their ends included.
fn before(all: &[Component], of: usize, through: impl Fn(&Component) -> bool) -> Vec<bool> {
    let mut reached = vec![false; all.len()];
    let mut open = vec![of];
    while let Some(at) = open.pop() {
        for input in &all[at].inputs {
            let feeder = input.component;
            if !reached[feeder] && through(&all[feeder]) {
                reached[feeder] = true;
                open.push(feeder);
            }
        }
    }
    reached
}

fn transform(component: &Component) -> Option<&dyn TransformPlan> {
    if let Role::Transform(plan) = &component.role { Some(&**plan) } else { None }
}

fn redacts(component: &Component) -> bool {
    transform(component).is_some_and(|plan| plan.redacts())
}
