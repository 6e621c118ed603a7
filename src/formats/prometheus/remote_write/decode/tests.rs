//! Requests that are small and say much: what they may take of memory is bounded before it is taken.

use super::*;
use crate::formats::prometheus::remote_write::limits::SHOWN;
use crate::formats::protobuf::{push_bytes, push_fixed64, push_message, push_uint};

const LIMITS: Limits = Limits { labels: 64, series_text: 1000, text: 10_000 };

/// Counts what comes, and keeps why something did not.
#[derive(Default)]
struct Seen {
    taken: Counts,
    labels: usize,
    refused: Vec<(String, Counts)>,
}

impl Receive for Seen {
    fn series(&mut self, labels: Labels<'_>, _: Option<ReadMetadata<'_>>) {
        self.labels += labels.encoded().len();
    }
    fn number(&mut self, _: f64, _: UnixMillis, _: Option<UnixMillis>) {
        self.taken.samples += 1;
    }
    fn histogram(&mut self, _: Histogram, _: UnixMillis, _: Option<UnixMillis>) {}
    fn exemplar(&mut self, labels: Labels<'_>, _: f64, _: UnixMillis) {
        self.labels += labels.encoded().len();
        self.taken.exemplars += 1;
    }
    fn metadata(&mut self, _: ReadMetadata<'_>) {}
    fn refused(&mut self, reason: String, had: Counts) {
        self.refused.push((reason, had));
    }
}

fn seen(version: Version, message: &[u8], limits: Limits) -> Seen {
    let mut seen = Seen::default();
    decode(version, message, limits, &mut seen).expect("a request");
    seen
}

fn push_symbols<'s>(symbols: impl IntoIterator<Item = &'s str>, out: &mut Vec<u8>) {
    symbols.into_iter().for_each(|symbol| push_bytes(4, symbol.as_bytes(), out));
}

/// A series of 2.0 with one sample, and exemplars with these labels.
fn push_series(references: &[u8], exemplars: &[&[u8]], out: &mut Vec<u8>) {
    push_message(5, out, |out| {
        push_bytes(1, references, out);
        push_message(2, out, |out| push_fixed64(1, 1.5_f64.to_bits(), out));
        for references in exemplars {
            push_message(4, out, |out| push_bytes(1, references, out));
        }
    });
}

#[test]
fn one_long_symbol_in_many_labels_is_refused_before_it_is_written_out() {
    let long = "x".repeat(1 << 20);
    let names: Vec<_> = (0..63).map(|index| format!("l{index:02}")).collect();
    let mut message = Vec::new();
    push_symbols(["", "__name__", &long].into_iter().chain(names.iter().map(String::as_str)), &mut message);
    let references: Vec<u8> = [1, 2].into_iter().chain((0..63).flat_map(|index| [3 + index, 2])).collect();
    push_series(&references, &[], &mut message);
    let mut seen = seen(Version::V2, &message, Limits::of_labels(64));
    assert_eq!((seen.taken, seen.labels), (Counts::default(), 0));
    let (reason, had) = seen.refused.pop().expect("a reason");
    assert_eq!(had, Counts { samples: 1, ..Counts::default() });
    assert!(reason.contains("bytes where at most 65536 are taken") && reason.len() < 2 * SHOWN, "{}", reason.len());
}

#[test]
fn labels_beyond_their_number_are_counted_and_not_kept() {
    let mut message = Vec::new();
    push_symbols(["", "__name__", "up"], &mut message);
    push_series(&[1, 2].repeat(1000), &[], &mut message);
    push_message(5, &mut message, |out| push_bytes(1, &[1, 2].repeat(65), out));
    let seen_v2 = seen(Version::V2, &message, LIMITS);
    let mut message = Vec::new();
    push_message(1, &mut message, |out| {
        push_message(1, out, |out| {
            push_bytes(1, b"__name__", out);
            push_bytes(2, b"up", out);
        });
        (0..999).for_each(|_| push_bytes(1, b"", out));
        push_message(2, out, |out| push_uint(2, 1, out));
    });
    let seen_v1 = seen(Version::V1, &message, LIMITS);
    for seen in [&seen_v1, &seen_v2] {
        let (reason, had) = &seen.refused[0];
        assert!(reason.starts_with("up{") && reason.ends_with("1000 labels where at most 64 are taken"), "{reason}");
        assert_eq!((had.samples, seen.taken.samples), (1, 0));
    }
    let mut few = Few::of(3);
    (0..10).for_each(|item| few.push(item));
    assert_eq!((few.kept.len(), few.count, few.are_all()), (3, 10, false));
}

#[test]
fn the_labels_of_a_request_are_taken_up_to_a_limit() {
    let text = "x".repeat(900);
    let names: Vec<_> = (0..20).map(|index| format!("up{index}")).collect();
    let mut message = Vec::new();
    push_symbols(["", "__name__", "long", &text].into_iter().chain(names.iter().map(String::as_str)), &mut message);
    (0..20).for_each(|index| push_series(&[1, 4 + index, 2, 3], &[], &mut message));
    let seen = seen(Version::V2, &message, LIMITS);
    assert_eq!((seen.taken.samples, seen.refused.len()), (10, 10), "each has some bytes more than 900");
    assert!(seen.labels <= LIMITS.text + 20 * 10, "{}", seen.labels);
    assert!(
        seen.refused[0].0.contains("the labels of the request have more than 10000 bytes"),
        "{:?}",
        seen.refused[0]
    );
}

#[test]
fn exemplars_have_the_limits_of_openmetrics_and_count_for_the_request() {
    // Characters, not bytes.
    let (fits, long) = ("ä".repeat(126), "ä".repeat(127));
    let mut message = Vec::new();
    push_symbols(["", "__name__", "up", "id", &fits, &long], &mut message);
    push_series(&[1, 2], &[&[3, 4], &[3, 5], &[3, 5], &[3, 4].repeat(200)], &mut message);
    let first = seen(Version::V2, &message, LIMITS);
    assert_eq!(first.taken, Counts { samples: 1, exemplars: 1, histograms: 0 });
    let [(reason, had)] = first.refused.as_slice() else { panic!("{:?}", first.refused) };
    assert_eq!(had, &Counts { exemplars: 3, ..Counts::default() });
    assert_eq!(reason, "up{}: 3 exemplars whose labels have more than 128 characters");

    push_series(&[1, 2], &[&[3, 4][..]; 100], &mut message);
    let second = seen(Version::V2, &message, LIMITS);
    assert_eq!((second.taken.samples, second.taken.exemplars), (2, 39), "each has 254 bytes");
    let (reason, had) = &second.refused[1];
    assert!(reason.contains("the labels of the request have more than 10000 bytes"), "{reason}");
    assert_eq!(had.exemplars, 62);
}
