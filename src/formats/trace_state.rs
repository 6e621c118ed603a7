//! Consistent probability sampling in W3C's `tracestate`, by OpenTelemetry's "TraceState: Probability Sampling":
//! <https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>.
//!
//! `ot=th:c` says that a span was kept because its randomness, a number of 56 bits, is at least the threshold
//! `0xc0000000000000`: it stands for 2⁵⁶ / (2⁵⁶ - threshold) spans. Its randomness is `rv`, or the end of its trace id.

/// Number of thresholds.
const THRESHOLDS: u64 = 1 << 56;

/// Hexadecimal digits of a threshold.
const DIGITS: usize = 14;

/// Entries that a `tracestate` may have.
const MOST_ENTRIES: usize = 32;

/// Which of 2⁵⁶ random numbers are let through: those from this one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

impl Threshold {
    /// Lets so many percent through; at least one number of all.
    pub fn of_percent(percent: f64) -> Self {
        let passes = (percent / 100.0 * THRESHOLDS as f64).round().clamp(1.0, THRESHOLDS as f64);
        Self(THRESHOLDS - passes as u64)
    }

    /// Whether it lets everything through.
    pub fn passes_all(self) -> bool {
        self.0 == 0
    }

    /// Whether it lets this randomness through.
    pub fn passes(self, randomness: u64) -> bool {
        randomness >= self.0
    }

    fn write(self, out: &mut Vec<u8>) {
        let digits = DIGITS - (self.0.trailing_zeros() as usize / 4).min(DIGITS - 1);
        let digit = |at: usize| b"0123456789abcdef"[(self.0 >> (4 * (DIGITS - 1 - at)) & 15) as usize];
        out.extend((0..digits).map(digit));
    }
}

/// What the entry `ot` says. What is not valid is as if it were not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampling {
    /// What the span passed already.
    pub threshold: Option<Threshold>,
    /// A randomness that is not that of the trace id.
    pub randomness: Option<u64>,
}

impl Sampling {
    /// Reads a `tracestate`.
    pub fn of(state: &[u8]) -> Self {
        let mut sampling = Self::default();
        let Some(ours) = entries(state).find_map(ours) else { return sampling };
        for part in ours.split(|byte| *byte == b';') {
            if let Some(digits) = part.strip_prefix(b"th:") {
                let padded = |number: u64| Threshold(number << (4 * (DIGITS - digits.len())));
                sampling.threshold = hex(digits).map(padded);
            } else if let Some(digits) = part.strip_prefix(b"rv:") {
                sampling.randomness = hex(digits).filter(|_| digits.len() == DIGITS);
            }
        }
        sampling
    }

    /// How many spans a span of this trace stands for, itself included. Where its randomness cannot have passed the
    /// threshold, that is wrong, and it stands for itself.
    pub fn adjusted_count(self, trace_id: &[u8; 16]) -> f64 {
        let random = self.randomness.unwrap_or_else(|| randomness(trace_id));
        let threshold = self.threshold.filter(|threshold| threshold.passes(random));
        threshold.map_or(1.0, |threshold| THRESHOLDS as f64 / (THRESHOLDS - threshold.0) as f64)
    }
}

/// The randomness of a trace id that no `rv` replaces: its last 56 bits.
pub fn randomness(trace_id: &[u8; 16]) -> u64 {
    let [.., a, b, c, d, e, f, g] = *trace_id;
    u64::from_be_bytes([0, a, b, c, d, e, f, g])
}

/// Appends `state` with this threshold. The entry `ot` comes first, as the one that was changed last.
pub fn write(state: &[u8], threshold: Threshold, out: &mut Vec<u8>) {
    out.extend_from_slice(b"ot=th:");
    threshold.write(out);
    let known = entries(state).find_map(ours).unwrap_or_default();
    for part in known.split(|byte| *byte == b';').filter(|part| !part.is_empty() && !part.starts_with(b"th:")) {
        out.push(b';');
        out.extend_from_slice(part);
    }
    for entry in entries(state).filter(|entry| ours(entry).is_none()).take(MOST_ENTRIES - 1) {
        out.push(b',');
        out.extend_from_slice(entry);
    }
}

fn entries(state: &[u8]) -> impl Iterator<Item = &[u8]> {
    state.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

fn ours(entry: &[u8]) -> Option<&[u8]> {
    entry.strip_prefix(b"ot=")
}

/// One to fourteen digits, in lower case as the specification wants them.
fn hex(digits: &[u8]) -> Option<u64> {
    let valid = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.is_empty() || digits.len() > DIGITS || !digits.iter().all(valid) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(state: &str, threshold: Threshold) -> String {
        let mut out = Vec::new();
        write(state.as_bytes(), threshold, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn thresholds_are_the_specifications() {
        for (percent, text) in [
            (100.0, "0"),
            (50.0, "8"),
            (25.0, "c"),
            (12.5, "e"),
            (10.0, "e6666666666666"),
            (1.0, "fd70a3d70a3d71"),
            (1e-30, "ffffffffffffff"),
        ] {
            assert_eq!(written("", Threshold::of_percent(percent)), format!("ot=th:{text}"), "{percent} %");
        }
    }

    #[test]
    fn an_entry_is_read_as_far_as_it_is_valid() {
        let read = |state: &str| {
            let Sampling { threshold, randomness } = Sampling::of(state.as_bytes());
            (threshold.map(|threshold| threshold.0), randomness)
        };
        assert_eq!(read("a=b, ot=th:8;rv:00000000000001 ,c=d"), (Some(1 << 55), Some(1)));
        assert_eq!(read("ot=rv:ffffffffffffff;th:0"), (Some(0), Some(THRESHOLDS - 1)));
        assert_eq!(read("ot=x:1;th:c0000000000001"), (Some(0xc0_0000_0000_0001), None));
        for bad in ["", "ot=", "ot=th:", "ot=th:C", "ot=th:123456789abcdef", "ot=rv:1", "to=th:8", "ot=th:-1"] {
            assert_eq!(read(bad), (None, None), "{bad}");
        }
    }

    #[test]
    fn a_threshold_says_how_many_spans_one_stands_for() {
        for (state, count) in [
            ("", 1.0),
            ("ot=th:0", 1.0),
            ("ot=th:8", 2.0),
            ("ot=th:c", 4.0),
            ("ot=rv:ff23456789abcd;th:fd70a4", 16_777_216.0 / 167_772.0),
            ("rojo=th:8, ot=th:c;rv:f0000000000000 ,congo=t", 4.0),
            // Neither can be.
            ("ot=rv:0123456789abcd;th:fd70a4", 1.0),
            ("ot=th:ffffffffffffff", 1.0),
            ("ot=th:000000000000001", 1.0),
            ("ot=th:", 1.0),
            ("ot=th:C", 1.0),
            ("ot=p:8;r:62", 1.0),
        ] {
            let found = Sampling::of(state.as_bytes()).adjusted_count(&[0xf3; 16]);
            assert!((found - count).abs() / count < 1e-6, "{state}: {found}");
        }
    }

    #[test]
    fn everything_else_in_the_state_stays() {
        let half = Threshold::of_percent(50.0);
        assert_eq!(written("a=b,c=d", half), "ot=th:8,a=b,c=d");
        assert_eq!(written("a=b, ot=rv:00000000000001;th:4;x:1, c=d", half), "ot=th:8;rv:00000000000001;x:1,a=b,c=d");
        let many: Vec<_> = (0..40).map(|n| format!("k{n}=v")).collect();
        assert_eq!(written(&many.join(","), half).split(',').count(), 32);
    }

    #[test]
    fn randomness_is_the_end_of_the_trace_id() {
        let id = *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04\x05\x06\x07";
        assert_eq!(randomness(&id), 0x01_0203_0405_0607);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(percent in 0.0001_f64..100.0, state in "[a-z=:;, 0-9]{0,40}") {
            let threshold = Threshold::of_percent(percent);
            let text = written(&state, threshold);
            prop_assert_eq!(Sampling::of(text.as_bytes()).threshold, Some(threshold));
            let share = (THRESHOLDS - threshold.0) as f64 / THRESHOLDS as f64;
            prop_assert!((share * 100.0 - percent).abs() < 1e-9);
        }

        #[test]
        fn no_bytes_make_it_panic(state in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Sampling::of(&state);
            write(&state, Threshold(1), &mut Vec::new());
        }
    }
}
