//! What is true of every request, and of bytes that are none.

use proptest::prelude::*;

use super::any_request::{any_request, points};
use super::*;
use crate::formats::protobuf::{push_bytes, push_fixed64, push_message};

/// A request with one gauge, whose parts are written by hand.
fn by_hand(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    push_message(1, &mut out, |out| push_message(2, out, |out| push_message(2, out, write)));
    out
}

fn refused(message: &[u8]) -> String {
    Source::default().bytes(message).map(|decoded| decoded.points).expect_err("not a request").to_string()
}

#[test]
fn what_is_there_twice_is_refused() {
    let point = |out: &mut Vec<u8>| push_message(1, out, |out| push_fixed64(3, SECOND, out));
    let gauge = |out: &mut Vec<u8>| push_message(5, out, point);
    let twice = by_hand(|out| {
        gauge(out);
        gauge(out);
    });
    assert_eq!(refused(&twice), "the field `data` stands more than once");
    let kinds = by_hand(|out| {
        gauge(out);
        push_message(7, out, point);
    });
    assert_eq!(refused(&kinds), "the field `data` stands more than once");
    let mut resources = Vec::new();
    push_message(1, &mut resources, |out| {
        push_bytes(1, b"", out);
        push_bytes(1, b"", out);
    });
    assert_eq!(refused(&resources), "the field `resource` stands more than once");
    let mut scopes = Vec::new();
    push_message(1, &mut scopes, |out| {
        push_message(2, out, |out| {
            push_bytes(1, b"", out);
            push_bytes(1, b"", out);
        });
    });
    assert_eq!(refused(&scopes), "the field `scope` stands more than once");
    let buckets = by_hand(|out| {
        push_bytes(1, b"m", out);
        push_message(10, out, |out| {
            push_message(1, out, |out| {
                push_bytes(8, b"", out);
                push_bytes(8, b"", out);
            });
            out.extend_from_slice(b"\x10\x02");
        });
    });
    assert_eq!(refused(&buckets), "the field `positive` stands more than once");
}

#[test]
fn what_is_no_protobuf_is_refused() {
    let name = by_hand(|out| push_bytes(1, b"\xff", out));
    assert_eq!(refused(&name), "a string is not valid UTF-8");
    let time = by_hand(|out| push_message(5, out, |out| push_message(1, out, |out| push_bytes(3, b"", out))));
    assert_eq!(refused(&time), "a field has the wrong type");
    assert_eq!(refused(b"\x0a\x7f"), "it ends within a field");
    assert_eq!(refused(b"\x0b\x0c"), "a field's tag is wrong");
}

#[test]
fn a_small_request_cannot_become_a_large_batch() {
    // One long job stands for every point.
    let long = "x".repeat(100_000);
    let points = (0..2000).map(|index| number(1.0, 1, &[("i", &index.to_string())])).collect();
    let request = request_of(&[("service.name", &long)], None, vec![metric("m", "", gauge(points))]);
    let decoded = Source::default().read(&request);
    assert!(decoded.points > 0 && decoded.points + decoded.refused.points == 2000);
    assert_eq!(decoded.refused.reasons[0].reason, Reason::TooMuch);
    // A byte a bucket.
    let wide = opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets {
        offset: 0,
        bucket_counts: vec![1; 2 << 20],
    };
    let point = ExponentialHistogramDataPoint {
        time_unix_nano: SECOND,
        count: 2 << 20,
        scale: 20,
        positive: Some(wide),
        ..Default::default()
    };
    let decoded = Source::default().read(&super::request(vec![metric("e", "", exponential(CUMULATIVE, vec![point]))]));
    assert_eq!((decoded.points, decoded.refused.reasons[0].reason), (0, Reason::TooMuch));
}

proptest! {
    #[test]
    fn every_point_is_taken_or_refused(request in any_request()) {
        let mut source = Source::default();
        let decoded = source.read(&request);
        prop_assert_eq!(decoded.points + decoded.refused.points, points(&request));
        let reasons: u64 = decoded.refused.reasons.iter().map(|of| of.points).sum();
        prop_assert_eq!(reasons, decoded.refused.points);
        if let Some(batch) = &decoded.batch {
            let columns = batch.columns();
            prop_assert!(columns.created.is_sorted_by_key(|(at, _)| *at));
            prop_assert!(columns.histograms.is_sorted_by_key(|(at, _)| *at));
            prop_assert!(columns.exemplars.is_sorted_by_key(|exemplar| exemplar.sample));
            for labels in batch.series().refs().iter().map(|series| source.table.read().labels(*series).encoded().to_vec()) {
                prop_assert!(crate::data::Labels::checked(&labels).is_some());
            }
        }
    }

    /// What is known says what is new.
    #[test]
    fn known_points_say_the_same(request in any_request(), second in any_request()) {
        // Sums of deltas change with each request: without them.
        let still = |mut request: ExportMetricsServiceRequest| {
            let scopes = request.resource_metrics.iter_mut().flat_map(|of| &mut of.scope_metrics);
            for metric in scopes.flat_map(|of| &mut of.metrics) {
                match metric.data.as_mut().expect("data") {
                    Data::Sum(of) => of.aggregation_temporality = CUMULATIVE,
                    Data::Histogram(of) => of.aggregation_temporality = CUMULATIVE,
                    Data::ExponentialHistogram(of) => of.aggregation_temporality = CUMULATIVE,
                    Data::Gauge(_) | Data::Summary(_) => {}
                }
            }
            request
        };
        let (request, second) = (still(request), still(second));
        let mut both = request.clone();
        both.resource_metrics.extend(second.resource_metrics.clone());
        let mut source = Source::default();
        for request in [&request, &second, &both, &request, &both, &both] {
            prop_assert_eq!(source.told(request), Source::default().told(request));
        }
    }

    #[test]
    fn truncated_and_flipped_requests_harm_nobody(
        request in any_request(), cut in any::<proptest::sample::Index>(), at in any::<proptest::sample::Index>(), bit in 0..8_u32,
    ) {
        let whole = request.encode_to_vec();
        if whole.is_empty() {
            return Ok(());
        }
        let mut source = Source::default();
        let expected = source.told(&request);
        let _ = source.bytes(&whole[..cut.index(whole.len())]);
        let mut flipped = whole.clone();
        flipped[at.index(whole.len())] ^= 1_u8 << bit;
        let _ = source.bytes(&flipped);
        // The table and what is known of points are as good as before; what was added up is another matter.
        source.deltas = Mutex::new(DeltaToCumulative::new(DeltaLimits::default()));
        prop_assert_eq!(source.told(&request), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Source::default().bytes(&bytes);
    }
}
