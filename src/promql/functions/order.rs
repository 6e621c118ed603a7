//! The orders of `sort` and `sort_by_label`.

use std::cmp::Ordering;

use crate::data::labels::LabelSet;

/// By value; what is no number comes last in either direction.
pub fn by_value(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) if descending => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// By the values of the named labels one after the other, in natural order, then by all labels.
pub fn by_labels<'a>(a: &LabelSet, b: &LabelSet, names: impl IntoIterator<Item = &'a str>) -> Ordering {
    let named = names.into_iter().map(|name| natural(a.get(name), b.get(name)));
    named.fold(Ordering::Equal, Ordering::then).then_with(|| a.cmp(b))
}

/// As people order texts: runs of digits by their number, all else by its bytes.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while !left.is_empty() && !right.is_empty() {
        let (mine, theirs);
        (mine, left) = run(left);
        (theirs, right) = run(right);
        let order = if mine[0].is_ascii_digit() && theirs[0].is_ascii_digit() {
            by_number(mine, theirs)
        } else {
            mine.cmp(theirs)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The digits, or all but digits, at a text's start, and the rest.
fn run(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text[0].is_ascii_digit();
    let end = text.iter().position(|byte| byte.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

fn by_number(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &'_ [u8]| digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_numbers() {
        let ordered = [
            "",
            "1",
            "2",
            "010",
            "10",
            "10a",
            "99999999999999999999999",
            "a",
            "node",
            "node2",
            "node02b",
            "node10",
            "z",
        ];
        for (place, a) in ordered.iter().enumerate() {
            for (other, b) in ordered.iter().enumerate() {
                assert_eq!(natural(a, b), place.cmp(&other), "{a} and {b}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_last() {
        let mut values = [f64::NAN, 2.0, f64::NEG_INFINITY, 3.0];
        values.sort_by(|a, b| by_value(*a, *b, false));
        assert!(values[3].is_nan() && values[..3] == [f64::NEG_INFINITY, 2.0, 3.0]);
        values.sort_by(|a, b| by_value(*a, *b, true));
        assert!(values[3].is_nan() && values[..3] == [3.0, 2.0, f64::NEG_INFINITY]);
    }

    #[test]
    fn labels_are_compared_one_after_the_other() {
        let series = |pod: &str, zone: &str| [("pod", pod), ("zone", zone)].into_iter().collect::<LabelSet>();
        let (a, b) = (series("web-10", "a"), series("web-9", "b"));
        assert_eq!(by_labels(&a, &b, ["pod"]), Ordering::Greater);
        assert_eq!(by_labels(&a, &b, ["zone", "pod"]), Ordering::Less);
        assert_eq!(by_labels(&a, &b, ["none"]), a.cmp(&b));
    }
}
