//! Answers and faults in the envelope of Prometheus's API.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::json;
use crate::promql::{Annotations, EvalError, ParseError};
use crate::series::SelectError;

/// Most warnings, and most infos, that an answer holds.
const MOST_NOTES: usize = 10;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    BadData,
    Execution,
    Timeout,
    NotFound,
    Internal,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::NotFound => "not_found",
            Self::Internal => "internal",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Fault {
    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self { kind: Kind::BadData, message: message.into() }
    }

    pub(super) fn execution(message: impl Into<String>) -> Self {
        Self { kind: Kind::Execution, message: message.into() }
    }

    pub(super) fn timeout(message: impl Into<String>) -> Self {
        Self { kind: Kind::Timeout, message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { kind: Kind::NotFound, message: message.into() }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self { kind: Kind::Internal, message: message.into() }
    }

    pub(super) fn parameter(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {problem}"))
    }

    /// The same, said of a parameter unless it says so itself.
    pub(super) fn of_parameter(self, name: &str) -> Self {
        if self.message.starts_with("invalid parameter") { self } else { Self::parameter(name, self.message) }
    }

    /// A text that is no query, with the place of what is wrong: line and column.
    pub(super) fn not_parsed(text: &str, error: &ParseError) -> String {
        let Some(at) = &error.at else { return format!("unknown position: parse error: {}", error.message) };
        let before = text.get(..at.start.min(text.len())).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
        format!("{line}:{column}: parse error: {}", error.message)
    }
}

impl From<EvalError> for Fault {
    fn from(error: EvalError) -> Self {
        let message = error.to_string();
        match error {
            EvalError::Timeout => Self::timeout(message),
            EvalError::Samples(_) => Self::internal(message),
            _ => Self::execution(message),
        }
    }
}

impl From<SelectError> for Fault {
    fn from(error: SelectError) -> Self {
        Self::internal(error.to_string())
    }
}

/// An answer: its data as JSON, and what its reader should know.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered {
    /// JSON; empty where there is nothing to say.
    pub(super) data: Vec<u8>,
    pub(super) notes: Annotations,
}

impl Answered {
    pub(super) fn of(data: Vec<u8>) -> Self {
        Self { data, notes: Annotations::default() }
    }

    /// The limit left some out.
    pub(super) fn truncated(mut self, truncated: bool) -> Self {
        if truncated {
            self.notes.warnings.insert("results truncated due to limit".into());
        }
        self
    }
}

pub(super) fn respond(answered: Result<Answered, Fault>) -> Response {
    let (status, body) = match answered {
        Ok(answered) if answered.data.is_empty() => return StatusCode::NO_CONTENT.into_response(),
        Ok(Answered { data, notes }) => {
            let mut body = Vec::with_capacity(data.len() + 64);
            body.extend_from_slice(b"{\"status\":\"success\",\"data\":");
            body.extend_from_slice(&data);
            said("warnings", "warning", &notes.warnings, &mut body);
            said("infos", "info", &notes.infos, &mut body);
            body.push(b'}');
            (StatusCode::OK, body)
        }
        Err(Fault { kind, message }) => {
            let mut body = Vec::new();
            body.extend_from_slice(b"{\"status\":\"error\",\"errorType\":");
            json::text(kind.name(), &mut body);
            body.extend_from_slice(b",\"error\":");
            json::text(&message, &mut body);
            body.push(b'}');
            (kind.status(), body)
        }
    };
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn said(member: &str, what: &str, notes: &BTreeSet<String>, out: &mut Vec<u8>) {
    if notes.is_empty() {
        return;
    }
    out.push(b',');
    json::text(member, out);
    out.extend_from_slice(b":[");
    let more = notes.len().saturating_sub(MOST_NOTES);
    let more = (more > 0).then(|| format!("{more} more {what} annotations omitted"));
    let all = notes.iter().take(MOST_NOTES).map(String::as_str).chain(more.as_deref());
    json::list(all, out, json::text);
    out.push(b']');
}
