//! Answers and faults in the envelope of Prometheus's API.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::json;
use crate::promql::{Annotations, EvalError};
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
}

impl From<EvalError> for Fault {
    fn from(error: EvalError) -> Self {
        let message = error.to_string();
        match error {
            EvalError::Timeout => Self::timeout(message),
            EvalError::Samples(_) => Self::internal(message),
            EvalError::Duration(_) => Self::parameter("query", message),
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
    /// The body up to the end of the data; empty where there is nothing to say.
    body: Vec<u8>,
    pub(super) notes: Annotations,
}

impl Answered {
    /// An answer whose data is written next. It is written where it is sent from, as it may be large.
    pub(super) fn new(notes: Annotations) -> Self {
        Self { body: b"{\"status\":\"success\",\"data\":".to_vec(), notes }
    }

    pub(super) fn of(data: &[u8]) -> Self {
        let mut answered = Self::new(Annotations::default());
        answered.body.extend_from_slice(data);
        answered
    }

    /// Where the data is written.
    pub(super) fn data(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }

    /// All of the body that was not taken yet.
    pub(super) fn finish(mut self) -> Vec<u8> {
        said("warnings", "warning", &self.notes.warnings, &mut self.body);
        said("infos", "info", &self.notes.infos, &mut self.body);
        self.body.push(b'}');
        self.body
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
    match answered {
        Ok(answered) if answered.body.is_empty() => StatusCode::NO_CONTENT.into_response(),
        Ok(answered) => success(answered.finish()),
        Err(Fault { kind, message }) => {
            let mut body = Vec::new();
            body.extend_from_slice(b"{\"status\":\"error\",\"errorType\":");
            json::text(kind.name(), &mut body);
            body.extend_from_slice(b",\"error\":");
            json::text(&message, &mut body);
            body.push(b'}');
            (kind.status(), [(CONTENT_TYPE, "application/json")], body).into_response()
        }
    }
}

/// The response that an answer is the body of.
pub(super) fn success(body: impl IntoResponse) -> Response {
    (StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response()
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
