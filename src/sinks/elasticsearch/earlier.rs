//! Before documents are sent a second time: which of them does the cluster have already?
//!
//! `create` refuses an id that exists, but sees only the index that is written to now. Where indices roll
//! over (a data stream, a write alias) an earlier attempt may have gone to one that was written to then.
//! So the sink lists the indices behind the name and asks those for the ids that still took writes when
//! the first attempt can have been made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::server::Call;
use super::shared::Shared;
use crate::data::UnixNanos;
use crate::delivery::sender::Attempted;
use crate::formats::elasticsearch::answer::ErrorWords;

/// The clocks of this machine and of the cluster may differ by this much.
const CLOCKS: Duration = Duration::from_secs(3600);

/// Ids asked for in one request.
const IDS_A_REQUEST: usize = 2000;

/// For each id, whether its document is stored. An empty id is that of a record without one.
pub(super) async fn stored(shared: &Arc<Shared>, ids: &[String], since: UnixNanos) -> Result<Vec<bool>, Attempted> {
    let mut stored = vec![false; ids.len()];
    if ids.iter().all(String::is_empty) {
        return Ok(stored);
    }
    let Some(indices) = indices(shared, since).await? else { return Ok(stored) };
    for index in indices {
        let open: Vec<usize> = (0..ids.len()).filter(|&at| !stored[at] && !ids[at].is_empty()).collect();
        for part in open.chunks(IDS_A_REQUEST) {
            let Some(found) = ask(shared, &index, part.iter().map(|&at| ids[at].as_str())).await? else {
                return Ok(stored);
            };
            for (&at, found) in part.iter().zip(found) {
                stored[at] = found;
            }
        }
    }
    Ok(stored)
}

#[derive(Deserialize)]
struct Index {
    settings: Settings,
}

#[derive(Deserialize)]
struct Settings {
    index: Creation,
}

#[derive(Deserialize)]
struct Creation {
    creation_date: String,
}

/// The indices that may hold an earlier attempt, newest first; `None` where one name is one index, which
/// `create` sees whole.
async fn indices(shared: &Arc<Shared>, since: UnixNanos) -> Result<Option<Vec<String>>, Attempted> {
    let path = [&*shared.target, "_settings", "index.creation_date"];
    let Looked::Body(body) = look(shared, Call::get(&path)).await? else { return Ok(None) };
    let listed: BTreeMap<String, Index> = serde_json::from_slice(&body).map_err(|error| unreadable(shared, &error))?;
    if listed.len() == 1 && listed.contains_key(&*shared.target) {
        return Ok(None);
    }
    let created = |index: &Index| index.settings.index.creation_date.parse::<u64>().unwrap_or(u64::MAX);
    let mut by_age: Vec<(u64, String)> = listed.iter().map(|(name, index)| (created(index), name.clone())).collect();
    by_age.sort();
    Ok(Some(took_writes(&by_age, since.minus(CLOCKS).0 / 1_000_000)))
}

/// Names of the indices that still took writes at `since` (milliseconds), newest first: one takes writes
/// until the next is made. The newest is among them: between this look and the resend it may roll over, and
/// then `create` would no longer see it.
fn took_writes(by_age: &[(u64, String)], since: u64) -> Vec<String> {
    let ended = |at: usize| by_age.get(at + 1).map_or(u64::MAX, |(created, _)| *created);
    (0..by_age.len()).rev().filter(|&at| ended(at) >= since).map(|at| by_age[at].1.clone()).collect()
}

/// Which of the ids an index has, in their order; `None` where the credentials may not ask.
async fn ask<'a>(
    shared: &Arc<Shared>,
    index: &str,
    ids: impl Iterator<Item = &'a str>,
) -> Result<Option<Vec<bool>>, Attempted> {
    #[derive(Deserialize)]
    struct Answer {
        docs: Vec<Doc>,
    }
    #[derive(Deserialize)]
    struct Doc {
        #[serde(default)]
        found: bool,
        error: Option<ErrorWords>,
    }
    let ids: Vec<&str> = ids.collect();
    let body = serde_json::json!({ "ids": ids }).to_string().into_bytes();
    let path = [index, "_mget"];
    let call = Call {
        query: &[("_source", "false"), ("filter_path", "docs.found,docs._id,docs.error.type,docs.error.reason")],
        ..Call::get(&path).json(Method::POST, body)
    };
    let body = match look(shared, call).await? {
        Looked::Body(body) => body,
        Looked::Absent => return Ok(Some(vec![false; ids.len()])),
        Looked::Forbidden => return Ok(None),
    };
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| unreadable(shared, &error))?;
    if answer.docs.len() != ids.len() {
        let reason = format!("{} answers where {} documents were asked for", answer.docs.len(), ids.len());
        return Err(Attempted::Retry { reason, after: None, progress: false });
    }
    let found = answer.docs.into_iter().map(|doc| match doc.error {
        None => Ok(doc.found),
        // It was deleted meanwhile, and an earlier attempt with it.
        Some(error) if &*error.kind == "index_not_found_exception" => Ok(false),
        Some(error) => {
            let reason = format!("cannot ask `{index}` what it has already: {}", error.words(400));
            Err(match error.is_about_target() {
                true => Attempted::Blocked { reason },
                false => Attempted::Retry { reason, after: None, progress: false },
            })
        }
    });
    found.collect::<Result<_, _>>().map(Some)
}

enum Looked {
    Body(bytes::Bytes),
    /// There is nothing of that name.
    Absent,
    /// The credentials may not read.
    Forbidden,
}

async fn look(shared: &Arc<Shared>, call: Call<'_>) -> Result<Looked, Attempted> {
    let (answer, endpoint) = shared.server.call(call).await.map_err(|trouble| trouble.attempted)?;
    match answer.status.as_u16() {
        200 => {
            shared.may_not_look.store(false, Ordering::Relaxed);
            Ok(Looked::Body(answer.body))
        }
        404 => Ok(Looked::Absent),
        403 => {
            if !shared.may_not_look.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    component = %shared.name,
                    "these credentials may not read `{}`: a rollover between a crash and the resend can store a \
                     line twice; give them the privileges `view_index_metadata` and `read`",
                    shared.target
                );
            }
            Ok(Looked::Forbidden)
        }
        _ => Err(shared.server.trouble(&answer, endpoint).await.attempted),
    }
}

fn unreadable(shared: &Shared, error: &serde_json::Error) -> Attempted {
    let reason = format!("the answer about what `{}` has cannot be read: {error}", shared.target);
    Attempted::Retry { reason, after: None, progress: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_the_indices_that_took_writes_since_then() {
        let by_age = [(100, "a".to_owned()), (200, "b".to_owned()), (300, "c".to_owned())];
        assert_eq!(took_writes(&by_age, 350), ["c"]);
        assert_eq!(took_writes(&by_age, 300), ["c", "b"]);
        assert_eq!(took_writes(&by_age, 250), ["c", "b"]);
        assert_eq!(took_writes(&by_age, 0), ["c", "b", "a"]);
    }
}
