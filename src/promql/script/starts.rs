//! When the counters of loaded samples began: lines `series@st` above that of a series, with one offset to the time of each
//! sample: `a@st -1m-30sx2 _` is one minute, one and a half, and two before three samples, and nothing for a fourth.

use super::series_notation::MOST_VALUES;
use crate::options::prometheus_duration;

/// Series and offsets of such a line.
pub(super) fn read(line: &str) -> Option<(&str, &str)> {
    let (first, rest) = line.split_at(line.find([' ', '\t'])?);
    first.strip_suffix("@st").map(|series| (series, rest))
}

/// Reads offsets: milliseconds after the time of the sample.
pub(super) fn offsets(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut offsets = Vec::new();
    for word in text.split_whitespace() {
        item(word, &mut offsets)
            .ok_or_else(|| format!("`{word}` is no offset of a start, such as `_`, `-1m`, `-1mx3` or `-1m-30sx3`"))?;
    }
    Ok(offsets)
}

fn item(word: &str, offsets: &mut Vec<Option<i64>>) -> Option<()> {
    let (body, repeated) = match word.split_once('x') {
        Some((body, times)) => (body, Some(times.parse::<usize>().ok()?)),
        None => (word, None),
    };
    if repeated.unwrap_or(0).saturating_add(offsets.len()) >= MOST_VALUES {
        return None;
    }
    if body == "_" {
        offsets.extend(std::iter::repeat_n(None, repeated.unwrap_or(1)));
        return Some(());
    }
    // The sign of the step is the first one behind the first duration.
    let split = body.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map_or(body.len(), |(at, _)| at);
    let (mut offset, step) = (signed(&body[..split])?, &body[split..]);
    let (step, times) = match repeated {
        Some(times) if step.is_empty() => (0, times),
        Some(times) => (signed(step)?, times),
        None if step.is_empty() => (0, 0),
        None => return None,
    };
    for _ in 0..=times {
        offsets.push(Some(offset));
        offset = offset.saturating_add(step);
    }
    Some(())
}

fn signed(text: &str) -> Option<i64> {
    let (sign, text) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let millis = i64::try_from(prometheus_duration::parse(text).ok()?.as_millis()).ok()?;
    Some(sign * millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_unroll() {
        let expected = [None, None, Some(-60_000), Some(-90_000), Some(500), Some(500), Some(1000), Some(400)];
        assert_eq!(offsets("_x2 -1m-30sx1 500msx1 1s-600msx1").expect("read"), expected);
        for bad in ["1", "-", "1m+", "1m+1m", "x", "1mx", "-1m-1mx-1", "1m1x1", "_x99999999999"] {
            assert!(offsets(bad).is_err(), "{bad}");
        }
        assert_eq!(read("a{b=\"c\"}@st  -1m"), Some(("a{b=\"c\"}", "  -1m")));
        assert_eq!(read("a 1@st"), None);
    }
}
