//! Native histograms as scripts write them: `{{schema:1 sum:3 count:22 buckets:[5 10 7]}}`.

use super::cursor::{Cursor, NotationError};
use crate::data::histogram::{BucketSpan, Counts, Histogram, ResetHint};
use crate::formats::go::Shortest;
use crate::promql::histogram::{FloatHistogram, TestForm};

/// A histogram, and whether it was written what became of its counter; where it was not, nothing is said of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    pub(super) histogram: Histogram,
    pub(super) hint_given: bool,
}

/// Keys, each at most once.
const KEYS: [&str; 11] = [
    "schema",
    "sum",
    "count",
    "z_bucket",
    "z_bucket_w",
    "custom_values",
    "buckets",
    "offset",
    "n_buckets",
    "n_offset",
    "counter_reset_hint",
];

/// Reads a histogram whose `{{` is behind the cursor.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Written, NotationError> {
    let mut histogram = Histogram {
        schema: 0,
        zero_threshold: 0.0,
        sum: 0.0,
        counts: Counts::Float { count: 0.0, zero: 0.0, positive: Vec::new(), negative: Vec::new() },
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        reset_hint: ResetHint::Unknown,
    };
    let (mut all, mut of_zero, mut above, mut below) = (0.0, 0.0, Vec::new(), Vec::new());
    let (mut first_above, mut first_below) = (0, 0);
    let mut seen = [false; KEYS.len()];
    let mut separated = true;
    loop {
        separated |= cursor.blanks();
        if cursor.take("}}") {
            break;
        }
        let start = cursor.clone();
        let key = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_ascii_lowercase();
        let known = KEYS.iter().position(|known| *known == key);
        let known =
            known.filter(|_| separated).ok_or_else(|| start.expected("a key such as `sum` or `buckets`, or `}}`"))?;
        if std::mem::replace(&mut seen[known], true) {
            return Err(start.problem(format!("`{key}` is given twice")));
        }
        cursor.expect(":")?;
        match KEYS[known] {
            "schema" => histogram.schema = whole(cursor)?,
            "sum" => histogram.sum = cursor.number()?,
            "count" => all = cursor.number()?,
            "z_bucket" => of_zero = cursor.number()?,
            "z_bucket_w" => histogram.zero_threshold = cursor.number()?,
            "custom_values" => histogram.custom_bounds = list(cursor)?,
            "buckets" => above = list(cursor)?,
            "offset" => first_above = whole(cursor)?,
            "n_buckets" => below = list(cursor)?,
            "n_offset" => first_below = whole(cursor)?,
            _ => histogram.reset_hint = hint(cursor)?,
        }
        separated = false;
    }
    histogram.positive_spans = spans(first_above, above.len());
    histogram.negative_spans = spans(first_below, below.len());
    histogram.counts = Counts::Float { count: all, zero: of_zero, positive: above, negative: below };
    Ok(Written { histogram, hint_given: seen[KEYS.len() - 1] })
}

fn spans(offset: i32, buckets: usize) -> Vec<BucketSpan> {
    match u32::try_from(buckets) {
        Ok(0) | Err(_) => Vec::new(),
        Ok(length) => vec![BucketSpan { offset, length }],
    }
}

fn whole(cursor: &mut Cursor<'_>) -> Result<i32, NotationError> {
    let start = cursor.clone();
    let negative = cursor.take("-");
    let value = i64::try_from(cursor.whole()?).ok();
    let value = value.and_then(|value| i32::try_from(if negative { -value } else { value }).ok());
    value.ok_or_else(|| start.expected("a whole number of 32 bits"))
}

fn list(cursor: &mut Cursor<'_>) -> Result<Vec<f64>, NotationError> {
    cursor.expect("[")?;
    cursor.blanks();
    let mut values = vec![cursor.number()?];
    loop {
        let separated = cursor.blanks();
        if cursor.take("]") {
            return Ok(values);
        }
        if !separated {
            return Err(cursor.expected("a blank or `]`"));
        }
        values.push(cursor.number()?);
    }
}

fn hint(cursor: &mut Cursor<'_>) -> Result<ResetHint, NotationError> {
    let start = cursor.clone();
    match cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_ascii_lowercase().as_str() {
        "unknown" => Ok(ResetHint::Unknown),
        "reset" => Ok(ResetHint::Yes),
        "not_reset" => Ok(ResetHint::No),
        "gauge" => Ok(ResetHint::Gauge),
        _ => Err(start.expected("`unknown`, `reset`, `not_reset` or `gauge`")),
    }
}

/// A histogram so that a script can have it.
pub(super) fn text(histogram: &Histogram) -> String {
    TestForm(&FloatHistogram::from(histogram)).to_string()
}

/// A number as Prometheus writes it.
pub(super) fn number(value: f64) -> String {
    Shortest(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::histogram::CUSTOM_BOUNDS;

    fn read_whole(text: &str) -> Result<Written, NotationError> {
        let mut cursor = Cursor::new(text);
        cursor.expect("{{")?;
        let written = read(&mut cursor)?;
        if cursor.is_done() { Ok(written) } else { Err(cursor.expected("the end")) }
    }

    #[test]
    fn every_key_is_read() {
        let text = "{{schema:2 sum:-1.5 count:12 z_bucket:2 z_bucket_w:0.001 counter_reset_hint:gauge offset:-3 \
                    buckets:[1 2] n_offset:4 n_buckets:[3 +Inf]}}";
        let Written { histogram, hint_given } = read_whole(text).expect("read");
        assert!(hint_given);
        assert_eq!((histogram.schema, histogram.sum, histogram.zero_threshold), (2, -1.5, 0.001));
        assert_eq!(histogram.positive_spans, [BucketSpan { offset: -3, length: 2 }]);
        assert_eq!(histogram.negative_spans, [BucketSpan { offset: 4, length: 2 }]);
        let counts =
            Counts::Float { count: 12.0, zero: 2.0, positive: vec![1.0, 2.0], negative: vec![3.0, f64::INFINITY] };
        assert_eq!((histogram.counts, histogram.reset_hint), (counts, ResetHint::Gauge));
        let custom = read_whole("{{SCHEMA:-53 custom_values:[5 10 ] buckets:[1 4] }}").expect("read");
        assert_eq!((custom.histogram.schema, custom.histogram.custom_bounds), (CUSTOM_BOUNDS, vec![5.0, 10.0]));
        assert!(!custom.hint_given && read_whole("{{}}").is_ok() && read_whole("{{ }}").is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (text, problem) in [
            ("{{sum:1 sum:2}}", "column 9: `sum` is given twice"),
            ("{{total:1}}", "column 3: expected a key such as `sum` or `buckets`, or `}}`, found `total:1}}`"),
            ("{{sum 1}}", "column 6: expected `:`, found a blank"),
            ("{{buckets:[]}}", "column 12: expected a number, found `]}}`"),
            ("{{buckets:[1,2]}}", "column 13: expected a blank or `]`, found `,2]}}`"),
            ("{{schema:1.5}}", "column 11: expected a key such as `sum` or `buckets`, or `}}`, found `.5}}`"),
            ("{{offset:3000000000}}", "column 10: expected a whole number of 32 bits, found `3000000000}}`"),
            (
                "{{counter_reset_hint:maybe}}",
                "column 22: expected `unknown`, `reset`, `not_reset` or `gauge`, found `maybe}}`",
            ),
            ("{{sum:1", "column 8: expected a key such as `sum` or `buckets`, or `}}`, found the end"),
        ] {
            assert_eq!(read_whole(text).expect_err("refused").to_string(), problem, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(
            schema in -4i32..=8, sum in -1e3f64..1e3, count in 0.0f64..1e3, zero in 0.0f64..9.0, hint in 0usize..4,
            above in proptest::collection::vec(0.5f64..9.0, 0..5), below in proptest::collection::vec(0.5f64..9.0, 0..5),
            offset in -9i32..9,
        ) {
            let histogram = Histogram {
                schema,
                zero_threshold: zero / 2.0,
                sum,
                positive_spans: spans(offset, above.len()),
                negative_spans: spans(-offset, below.len()),
                counts: Counts::Float { count, zero, positive: above, negative: below },
                custom_bounds: Vec::new(),
                reset_hint: [ResetHint::Unknown, ResetHint::Yes, ResetHint::No, ResetHint::Gauge][hint],
            };
            let text = text(&histogram);
            proptest::prop_assert_eq!(read_whole(&text).map(|written| written.histogram), Ok(histogram), "{}", text);
        }
    }
}
