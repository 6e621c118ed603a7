//! What a receiver's answer means: read once, from status, headers and the receiver's own words.

use http::HeaderMap;

use crate::delivery::sender::StatusClass;
use crate::formats::prometheus::remote_write::{Counts, Version, WRITTEN_HEADERS};

/// What an answer means for the samples of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The receiver has them all.
    Taken,
    /// The receiver has some of them, and refuses the others for good.
    TakenInPart(Counts),
    /// The receiver knows only 1.0.
    OnlyV1,
    /// It cannot now.
    Later,
    /// It takes nothing from us as things are.
    Blocked,
    /// It takes no body of this size.
    TooLarge,
    /// It refuses the request for good, and has none of it.
    Refused,
}

/// The meaning of an answer to a request that had `sent`.
pub(super) fn read(version: Version, status: u16, headers: &HeaderMap, sent: Counts) -> Meaning {
    let written = written(headers);
    match (StatusClass::of(status), version) {
        (StatusClass::Done, Version::V1) => Meaning::Taken,
        // A receiver of 1.0 that does not look at the content type finds an empty message in 2.0.
        (StatusClass::Done, Version::V2) => match written {
            None => Meaning::OnlyV1,
            Some(written) if written.all_samples() >= sent.all_samples() => Meaning::Taken,
            Some(written) => Meaning::TakenInPart(written),
        },
        (_, Version::V2) if status == 415 => Meaning::OnlyV1,
        (StatusClass::Retry, _) => Meaning::Later,
        (StatusClass::Blocked, _) => Meaning::Blocked,
        (StatusClass::TooLarge, _) => Meaning::TooLarge,
        (StatusClass::Refused, Version::V1) => Meaning::Refused,
        (StatusClass::Refused, Version::V2) => written.map_or(Meaning::Refused, Meaning::TakenInPart),
    }
}

/// What the receiver says that it took; `None` where it says nothing. A header that is missing beside others
/// means none.
fn written(headers: &HeaderMap) -> Option<Counts> {
    let [samples, histograms, exemplars] = WRITTEN_HEADERS
        .map(|name| headers.get(name).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok()));
    samples.or(histograms).or(exemplars)?;
    let or_none = Option::unwrap_or_default;
    Some(Counts { samples: or_none(samples), histograms: or_none(histograms), exemplars: or_none(exemplars) })
}

/// Words by which receivers refuse a sample because they have it, or a later one, already: Prometheus, Thanos,
/// Mimir and what descends from Cortex. Words about age are not among them: a sample that came too late for the
/// receiver may well never have been stored.
const ALREADY: [&str; 5] =
    ["out of order", "out-of-order", "duplicate sample", "duplicate-timestamp", "duplicate timestamp"];

/// Whether a refusal is about the order of samples, as it is where they were sent before.
pub(super) fn is_about_order(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ALREADY.iter().any(|known| words.contains(known))
}

/// How many of the samples that are missing of a request that was sent before are stored already, by the
/// receiver's own words. Prometheus has a line for each sample that it refuses, so where some lines say something
/// else, only as many samples as have a line about order are; others tell their first reason alone.
pub(super) fn stored(body: &[u8], missing: u64) -> u64 {
    let text = String::from_utf8_lossy(body);
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let about_order = lines().filter(|line| is_about_order(line)).count();
    if about_order > 0 && about_order == lines().count() { missing } else { missing.min(about_order as u64) }
}

/// Bytes of an answer that are quoted.
const QUOTED: usize = 500;

/// The receiver's words, on one line.
pub(super) fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(QUOTED)]);
    let words: Vec<_> = text.split_whitespace().collect();
    if words.is_empty() { "no reason given".into() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn the_headers_of_2_0_say_what_was_taken() {
        let sent = Counts { samples: 5, histograms: 2, exemplars: 1 };
        let [samples, histograms, exemplars] = WRITTEN_HEADERS;
        let all = headers(&[(samples, "5"), (histograms, "2"), (exemplars, "0")]);
        let some = headers(&[(samples, "4")]);
        let part = Counts { samples: 4, ..Counts::default() };
        let read = |version, status, headers: &HeaderMap| read(version, status, headers, sent);
        assert_eq!(read(Version::V2, 204, &all), Meaning::Taken);
        assert_eq!(read(Version::V2, 200, &some), Meaning::TakenInPart(part));
        assert_eq!(read(Version::V2, 400, &some), Meaning::TakenInPart(part));
        assert_eq!(read(Version::V2, 400, &headers(&[])), Meaning::Refused);
        assert_eq!(read(Version::V2, 204, &headers(&[])), Meaning::OnlyV1);
        assert_eq!(read(Version::V2, 415, &headers(&[])), Meaning::OnlyV1);
        assert_eq!(read(Version::V1, 415, &headers(&[])), Meaning::Blocked);
        assert_eq!(read(Version::V1, 204, &headers(&[])), Meaning::Taken);
        assert_eq!(read(Version::V1, 400, &some), Meaning::Refused);
        assert_eq!(read(Version::V2, 503, &all), Meaning::Later);
        for status in [401, 403, 404, 407] {
            assert_eq!(read(Version::V2, status, &headers(&[])), Meaning::Blocked);
        }
    }

    #[test]
    fn refusals_of_what_is_stored_are_known_by_their_words() {
        for words in [
            "out of order sample for series {__name__=\"up\"}",
            "duplicate sample for timestamp",
            "user=x: err: the sample has been rejected because another sample with a more recent timestamp has \
             already been ingested and out-of-order samples are not allowed (err-mimir-sample-out-of-order)",
            "err-mimir-sample-duplicate-timestamp",
        ] {
            assert!(is_about_order(words), "{words}");
        }
        for words in ["invalid metric name", "too old sample", "out of bounds", "err-mimir-sample-timestamp-too-old"] {
            assert!(!is_about_order(words), "{words}");
        }
    }

    #[test]
    fn as_many_are_stored_as_the_lines_say() {
        let (order, other) = ("out of order sample for series a\n", "too old sample for series b\n");
        assert_eq!(stored(order.as_bytes(), 7), 7, "the first reason stands for all");
        assert_eq!(stored(format!("{order}{order}\n").as_bytes(), 2), 2);
        assert_eq!(stored(format!("{order}{other}{order}").as_bytes(), 3), 2);
        assert_eq!(stored(format!("{order}{other}").as_bytes(), 1), 1, "never more than are missing");
        assert_eq!(stored(other.as_bytes(), 3), 0);
        assert_eq!(stored(b"", 3), 0);
    }

    #[test]
    fn words_are_one_line() {
        assert_eq!(words(b"a\nb  c\n"), "a b c");
        assert_eq!(words(b" "), "no reason given");
    }
}
