//! How many spans a span stands for that is one of a sample: the threshold of consistent probability sampling in its W3C
//! trace state (<https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/>, `ot=th:…`).

/// Randomness of a trace id in bits, and so of a threshold.
const RANDOM_BITS: u32 = 56;

/// Most digits of a threshold; zeros at its end are left out.
const MOST_DIGITS: usize = RANDOM_BITS as usize / 4;

/// The adjusted count of a span with this trace state: 2^56 / (2^56 - threshold). A trace state without a threshold, or
/// with one that is none, is that of a span that stands for itself.
pub fn adjusted_count(trace_state: &[u8]) -> f64 {
    threshold(trace_state).map_or(1.0, |threshold| {
        let all = 1_u64 << RANDOM_BITS;
        all as f64 / (all - threshold) as f64
    })
}

/// The threshold below which the randomness of a trace makes that it is dropped.
fn threshold(trace_state: &[u8]) -> Option<u64> {
    let members = trace_state.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let ours = members.filter_map(|member| member.strip_prefix(b"ot=")).next()?;
    let digits = ours.split(|byte| *byte == b';').find_map(|sub| sub.strip_prefix(b"th:"))?;
    if digits.is_empty() || digits.len() > MOST_DIGITS {
        return None;
    }
    let hex = digits.iter().try_fold(0_u64, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })?;
    Some(hex << (4 * (MOST_DIGITS - digits.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_says_how_many_spans_one_stands_for() {
        for (state, count) in [
            ("", 1.0),
            ("ot=th:0", 1.0),
            ("ot=th:8", 2.0),
            ("ot=th:c", 4.0),
            ("ot=rv:0123456789abcd;th:fd70a4", 16_777_216.0 / 167_772.0),
            ("rojo=th:8, ot=th:c;rv:1 ,congo=t", 4.0),
            ("ot=th:ffffffffffffff", (1_u64 << 56) as f64),
            ("ot=th:000000000000001", 1.0),
            ("ot=th:", 1.0),
            ("ot=th:C", 1.0),
            ("ot=p:8;r:62", 1.0),
        ] {
            let found = adjusted_count(state.as_bytes());
            assert!((found - count).abs() / count < 1e-6, "{state}: {found}");
        }
    }
}
