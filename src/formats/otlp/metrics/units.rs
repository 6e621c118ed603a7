//! Units: OpenTelemetry writes them in UCUM's case-sensitive symbols (<https://ucum.org/ucum>), Prometheus in words
//! that end a metric's name. The words are those of Prometheus's OTLP translation.

/// Symbols of UCUM and the words for them, the common one first where two mean the same.
const UNITS: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("kBy", "kilobytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
];

/// The same behind a slash, where one of something is meant.
const PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// The words of a unit: what is measured, and what for each. Unknown symbols stand for themselves; annotations in
/// braces and the unit `1` have no words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words<'a> {
    pub main: &'a str,
    /// What comes behind `per_`.
    pub per: &'a str,
}

impl<'a> Words<'a> {
    /// The words of a unit in UCUM.
    pub fn of(unit: &'a str) -> Self {
        let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
        let word = |symbol: &'a str, table: &[(&'static str, &'static str)]| {
            let symbol = symbol.trim();
            if symbol.contains(['{', '}']) || symbol == "1" {
                return "";
            }
            table.iter().find(|(known, _)| *known == symbol).map_or(symbol, |(_, word)| word)
        };
        Self { main: word(main, &UNITS), per: word(per, &PER) }
    }
}

/// The unit in UCUM of what Prometheus calls so: `seconds` is `s`, `bytes_per_second` is `By/s`, `ratio` is `1`. What
/// is unknown stands for itself.
pub(super) fn to_ucum(words: &str, out: &mut String) {
    let (main, per) = words.split_once("_per_").unwrap_or((words, ""));
    let symbol = |word: &str, table: &[(&'static str, &'static str)]| {
        table.iter().find(|(_, known)| *known == word).map(|(symbol, _)| *symbol)
    };
    if words == "ratio" {
        return out.push('1');
    }
    out.push_str(symbol(main, &UNITS).unwrap_or(main));
    if !per.is_empty() {
        out.push('/');
        out.push_str(symbol(per, &PER).unwrap_or(per));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_become_words() {
        let cases = [
            ("s", "seconds", ""),
            ("By/s", "bytes", "second"),
            ("{request}/m", "", "minute"),
            ("1", "", ""),
            ("", "", ""),
            ("requests", "requests", ""),
            (" ms / fortnight ", "milliseconds", "fortnight"),
            ("{a/b}", "", ""),
            ("By/1", "bytes", ""),
        ];
        for (unit, main, per) in cases {
            assert_eq!(Words::of(unit), Words { main, per }, "{unit}");
        }
    }

    #[test]
    fn words_become_symbols() {
        let cases = [
            ("seconds", "s"),
            ("bytes_per_second", "By/s"),
            ("kilobytes", "kBy"),
            ("ratio", "1"),
            ("carats", "carats"),
            ("volts_per_parsec", "V/parsec"),
            ("", ""),
        ];
        for (words, unit) in cases {
            let mut ucum = String::new();
            to_ucum(words, &mut ucum);
            assert_eq!(ucum, unit, "{words}");
        }
    }
}
