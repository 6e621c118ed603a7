//! `tailwater validate`: everything that is wrong with a configuration, at once, before anything runs.

use std::path::PathBuf;

use super::Format;
use crate::app::check::check;
use crate::config::{self, Errors, Plan};
use crate::pipeline::graph::Role;
use crate::registry::TABLES;

/// What was found.
pub struct Findings {
    /// What is wrong; nothing if the agent would run.
    pub errors: Errors,
    /// What is unusual.
    pub warnings: Errors,
    /// What the configuration holds, in one line, and a line for each part that holds more; empty where it is wrong.
    pub summary: String,
}

/// Checks files and folders as `run` would.
pub fn validate(paths: &[PathBuf]) -> Findings {
    let wrong = |errors, warnings| Findings { errors, warnings, summary: String::new() };
    match config::load(paths, TABLES) {
        Err(errors) => wrong(errors, Errors(Vec::new())),
        Ok(plan) => match check(&plan) {
            Err(errors) => wrong(errors, plan.warnings),
            Ok(()) => Findings { errors: Errors(Vec::new()), summary: summary(&plan), warnings: plan.warnings },
        },
    }
}

impl Findings {
    /// The findings as a text for people, or one JSON object for machines.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => {
                let count = self.errors.0.len();
                let end = match count {
                    0 => format!("{}\n", self.summary),
                    1 => "1 error\n".into(),
                    _ => format!("{count} errors\n"),
                };
                format!("{}{}{end}", self.errors.render("error"), self.warnings.render("warning"))
            }
            Format::Json => {
                let valid = self.errors.0.is_empty();
                let (errors, warnings) = (self.errors.to_json(), self.warnings.to_json());
                format!("{}\n", serde_json::json!({ "valid": valid, "errors": errors, "warnings": warnings }))
            }
        }
    }
}

fn summary(plan: &Plan) -> String {
    let count = |kind: fn(&Role) -> bool| plan.graph.components.iter().filter(|c| kind(&c.role)).count();
    let parts = [
        (count(|role| matches!(role, Role::Source(_))), "source"),
        (count(|role| matches!(role, Role::Transform(_))), "transform"),
        (count(|role| matches!(role, Role::Sink(_))), "sink"),
        (plan.tests.len(), "test"),
    ];
    let parts = parts.map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
    let mut summary = format!("the configuration is valid: {}", parts.join(", "));
    for component in &plan.graph.components {
        if let Some(contents) = component.role.plan().contents() {
            summary += &format!("\n{}: {contents}", component.id);
        }
    }
    summary
}
