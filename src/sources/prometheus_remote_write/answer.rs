//! What a sender is told about its request.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::formats::prometheus::remote_write::{Counts, Version, WRITTEN_HEADERS};
use crate::pipeline::pushed::Became;

/// Seconds after which a sender may come again.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// Reasons that an answer quotes.
const QUOTED: usize = 10;

/// What of a request was refused, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// How much.
    pub counts: Counts,
    /// How many reasons there were, of which the first are kept.
    pub reasons: u64,
    words: Vec<String>,
}

impl Refused {
    pub fn add(&mut self, reason: String, had: Counts) {
        self.counts.samples += had.samples;
        self.counts.histograms += had.histograms;
        self.counts.exemplars += had.exemplars;
        self.reasons += 1;
        if self.words.len() < QUOTED {
            self.words.push(reason);
        }
    }

    /// All of it in words.
    pub fn words(&self) -> String {
        let mut words = self.words.join("\n");
        let more = self.reasons - self.words.len() as u64;
        if more > 0 {
            words.push_str(&format!("\nand {more} more"));
        }
        words
    }
}

/// The answer to a request of which `taken` was handed on.
pub(super) fn answer(version: Version, became: &Became, taken: Counts, refused: &Refused) -> Response {
    match became {
        Became::Later(why) => later(version, why),
        Became::Taken { refused: count @ 1.., reason } => {
            let mut all = refused.clone();
            all.add(format!("{count} samples were refused: {reason}"), Counts::default());
            // Which they are nobody knows: where some were taken, as many count as written as are not refused.
            let left = taken.all_samples().saturating_sub(*count);
            let written =
                if left == 0 { Counts::default() } else { Counts { samples: taken.samples.min(left), ..taken } };
            respond(StatusCode::BAD_REQUEST, version, written, all.words())
        }
        Became::Taken { .. } if refused.reasons > 0 => {
            respond(StatusCode::BAD_REQUEST, version, taken, refused.words())
        }
        Became::Taken { .. } => respond(StatusCode::NO_CONTENT, version, taken, String::new()),
    }
}

/// Nothing was taken: once more, later.
pub(super) fn later(version: Version, why: &str) -> Response {
    let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, version, Counts::default(), why.into());
    response.headers_mut().insert(RETRY_AFTER, AGAIN);
    response
}

/// An answer with what 2.0 wants said about what was written.
pub(super) fn respond(status: StatusCode, version: Version, written: Counts, words: String) -> Response {
    let mut headers = HeaderMap::new();
    if version == Version::V2 {
        let counts = [written.samples, written.histograms, written.exemplars];
        for (name, count) in WRITTEN_HEADERS.into_iter().zip(counts) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(count));
        }
    }
    if words.is_empty() {
        return (status, headers).into_response();
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    (status, headers, format!("{words}\n")).into_response()
}
