//! What Elasticsearch answers to a bulk request, item by item.
//!
//! The request asks (by `filter_path`) for nothing but status and error of each item, so the usual answer
//! is a run of equal text that is recognised without parsing. Anything else is read with care.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What to ask for: everything this module reads, and nothing else.
pub const FILTER_PATH: &str =
    "errors,error.type,error.reason,status,items.*.status,items.*.error.type,items.*.error.reason";

/// The answer to one bulk request.
#[derive(Debug, PartialEq, Eq)]
pub enum BulkAnswer {
    /// Every item was taken, now or before; this many.
    AllDone(usize),
    /// One answer an item, in the order of the request.
    Items(Vec<ItemAnswer>),
}

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemAnswer {
    /// It is stored, now or from an earlier attempt (409 on `create`).
    Done,
    /// Not now: 429 or a server's error.
    Retry(Box<str>),
    /// The server will not take anything from us as things are: credentials, index, block.
    Blocked(Box<str>),
    /// This document will never be taken as it is.
    Refused(Box<str>),
}

/// The words of an error: its type, which holds nothing of the document, and the server's reason, which may.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct ErrorWords {
    /// Such as `document_parsing_exception`.
    #[serde(default, rename = "type")]
    pub kind: Box<str>,
    /// In the server's words.
    #[serde(default)]
    pub reason: Box<str>,
}

/// The answer is not a whole bulk answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not that of a bulk request: {0}")]
pub struct NotAnAnswer(String);

impl BulkAnswer {
    /// Reads the body of a 200.
    pub fn parse(body: &[u8]) -> Result<Self, NotAnAnswer> {
        if let Some(count) = all_created(body) {
            return Ok(Self::AllDone(count));
        }
        let answer: Parsed = serde_json::from_slice(body).map_err(|error| NotAnAnswer(error.to_string()))?;
        let items = answer.items.ok_or_else(|| NotAnAnswer("it has no `items`".into()))?.0;
        Ok(Self::Items(items))
    }

    /// Number of items answered.
    pub fn len(&self) -> usize {
        match self {
            Self::AllDone(count) => *count,
            Self::Items(items) => items.len(),
        }
    }

    /// Whether no item was answered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The words of an error for the whole request; nothing where the body has none that can be read.
pub fn whole_error(body: &[u8]) -> ErrorWords {
    #[derive(serde::Deserialize)]
    struct Whole {
        error: Option<MaybeWords>,
    }
    let whole = serde_json::from_slice::<Whole>(body).ok();
    whole.and_then(|whole| whole.error).map(|words| words.0).unwrap_or_default()
}

/// The number of items of an answer that says of each that it was created, and nothing else.
fn all_created(body: &[u8]) -> Option<usize> {
    const ITEM: &[u8] = br#"{"create":{"status":201}}"#;
    let mut rest = body.strip_prefix(br#"{"errors":false,"items":["#)?.strip_suffix(b"]}")?;
    let mut count = 0;
    loop {
        rest = rest.strip_prefix(ITEM)?;
        count += 1;
        match rest.split_first() {
            None => return Some(count),
            Some((b',', more)) => rest = more,
            Some(_) => return None,
        }
    }
}

#[derive(serde::Deserialize)]
struct Parsed {
    items: Option<Items>,
}

struct Items(Vec<ItemAnswer>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Items;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the items of a bulk answer")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<Item>()? {
                    items.push(item.0);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(Visit)
    }
}

/// `{"create":{"status":…,"error":…}}`
struct Item(ItemAnswer);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Inner {
            status: u16,
            error: Option<MaybeWords>,
        }
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Item;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("one item of a bulk answer")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
                let missing = || serde::de::Error::custom("an item without an action");
                let (IgnoredAny, inner) = map.next_entry::<IgnoredAny, Inner>()?.ok_or_else(missing)?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Item(classify(inner.status, &inner.error.map(|e| e.0).unwrap_or_default())))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

/// Older servers and proxies answer with an error that is only a string.
struct MaybeWords(ErrorWords);

impl<'de> Deserialize<'de> for MaybeWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(match value {
            serde_json::Value::String(reason) => ErrorWords { kind: "".into(), reason: reason.into() },
            other => serde_json::from_value(other).unwrap_or_default(),
        }))
    }
}

/// What the status and the error of one item mean.
fn classify(status: u16, error: &ErrorWords) -> ItemAnswer {
    let words = || error.words(status);
    match status {
        200..300 | 409 => ItemAnswer::Done,
        429 | 500..600 => ItemAnswer::Retry(words()),
        // About us or about the index, not about the document.
        401 | 403 | 404 => ItemAnswer::Blocked(words()),
        _ if error.is_about_target() => ItemAnswer::Blocked(words()),
        _ => ItemAnswer::Refused(words()),
    }
}

/// Most bytes of a reason that are kept: Elasticsearch quotes a value that it refuses, however long it is.
const LONGEST_REASON: usize = 1024;

impl ErrorWords {
    /// Type and reason in one line, a long reason cut short.
    pub fn words(&self, status: u16) -> Box<str> {
        let end = self.reason.floor_char_boundary(LONGEST_REASON);
        let more = if end < self.reason.len() { "…" } else { "" };
        match (&*self.kind, &self.reason[..end]) {
            ("", "") => format!("status {status}").into(),
            ("", reason) => format!("{reason}{more}").into(),
            (kind, "") => kind.into(),
            (kind, reason) => format!("{kind}: {reason}{more}").into(),
        }
    }

    /// Whether the error says that the place written to is wrong, whatever the document.
    pub fn is_about_target(&self) -> bool {
        const OF_TARGET: [&str; 6] = [
            "invalid_index_name_exception",
            "index_not_found_exception",
            "index_closed_exception",
            "cluster_block_exception",
            "security_exception",
            "validation_exception",
        ];
        OF_TARGET.contains(&&*self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_errors_is_counted() {
        let body = br#"{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#;
        assert_eq!(BulkAnswer::parse(body).expect("whole"), BulkAnswer::AllDone(2));
        for cut in 0..body.len() {
            assert!(BulkAnswer::parse(&body[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn an_unfiltered_answer_is_read_too() {
        let body = br#"{"took":3,"errors":false,"items":[{"create":{"_index":"logs","_id":"a","status":201}}]}"#;
        assert_eq!(BulkAnswer::parse(body).expect("whole"), BulkAnswer::Items(vec![ItemAnswer::Done]));
    }

    #[test]
    fn every_item_is_classified_by_itself() {
        let item = |status: u16, kind: &str| {
            format!(r#"{{"create":{{"status":{status},"error":{{"type":"{kind}","reason":"why","caused_by":{{}}}}}}}}"#)
        };
        let items = [
            r#"{"create":{"status":201}}"#.to_owned(),
            item(409, "version_conflict_engine_exception"),
            item(429, "es_rejected_execution_exception"),
            item(503, "unavailable_shards_exception"),
            item(403, "cluster_block_exception"),
            item(404, "index_not_found_exception"),
            item(400, "document_parsing_exception"),
            item(400, "invalid_index_name_exception"),
        ];
        let body = format!(r#"{{"errors":true,"items":[{}]}}"#, items.join(","));
        let BulkAnswer::Items(answers) = BulkAnswer::parse(body.as_bytes()).expect("whole") else { panic!("items") };
        use ItemAnswer::{Blocked, Done, Refused, Retry};
        assert!(matches!(
            answers.as_slice(),
            [Done, Done, Retry(_), Retry(_), Blocked(_), Blocked(_), Refused(_), Blocked(_)]
        ));
        assert_eq!(answers[6], Refused("document_parsing_exception: why".into()));
    }

    #[test]
    fn words_of_a_whole_error() {
        let words = whole_error(br#"{"error":{"type":"a","reason":"b"},"status":400}"#);
        assert_eq!(&*words.words(400), "a: b");
        assert_eq!(&*whole_error(b"<html>").words(502), "status 502");
        assert_eq!(&*whole_error(br#"{"error":"no"}"#).words(400), "no");
        let long = ErrorWords { kind: "k".into(), reason: "é".repeat(100_000).into() };
        assert!(long.words(400).len() < 2 * LONGEST_REASON);
    }
}
