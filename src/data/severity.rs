//! Severity of a log record: OpenTelemetry's numbers (logs data model 1.x, "Field: SeverityNumber").

/// 1 (TRACE) to 24 (FATAL4); 0 is *unspecified* and counts as missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(pub u8);

impl Severity {
    /// No severity is known.
    pub const UNSPECIFIED: Self = Self(0);

    /// The lowest number of each range, by name.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("TRACE", Self(1)),
        ("DEBUG", Self(5)),
        ("INFO", Self(9)),
        ("WARN", Self(13)),
        ("ERROR", Self(17)),
        ("FATAL", Self(21)),
    ];

    /// Whether a severity is known.
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// The short name that the data model displays: `INFO`, `INFO2`, …; empty where unspecified.
    pub const fn text(self) -> &'static str {
        const TEXT: [&str; 25] = [
            "", "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4", "INFO", "INFO2", "INFO3",
            "INFO4", "WARN", "WARN2", "WARN3", "WARN4", "ERROR", "ERROR2", "ERROR3", "ERROR4", "FATAL", "FATAL2",
            "FATAL3", "FATAL4",
        ];
        if (self.0 as usize) < TEXT.len() { TEXT[self.0 as usize] } else { "" }
    }

    /// Reads a level by the names that loggers use, in any case: `warn`, `WARNING`, `E`, `critical`, …
    pub fn from_name(name: &[u8]) -> Option<Self> {
        // Every record that has a level comes here: lowered once, then compared by length and content.
        let mut lower = [0; 16];
        let letters = lower.get_mut(..name.len())?;
        for (to, from) in letters.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        let number = match &*letters {
            b"trace" | b"verbose" | b"finest" | b"t" => 1,
            b"debug" | b"dbg" | b"fine" | b"d" => 5,
            b"info" | b"information" | b"informational" | b"i" => 9,
            b"notice" => 10,
            b"warn" | b"warning" | b"w" => 13,
            b"error" | b"err" | b"severe" | b"e" => 17,
            b"critical" | b"crit" => 18,
            b"alert" => 19,
            b"fatal" | b"panic" | b"emergency" | b"emerg" | b"f" => 21,
            _ => return None,
        };
        Some(Self(number))
    }

    /// Reads the short names that [`Severity::text`] gives, in any case, and those of [`Severity::from_name`].
    pub fn from_text(name: &[u8]) -> Option<Self> {
        let exact = (1..=24).map(Self).find(|severity| severity.text().as_bytes().eq_ignore_ascii_case(name));
        exact.or_else(|| Self::from_name(name))
    }

    /// Reads the numbers of pino and bunyan: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal.
    pub const fn from_pino(level: u64) -> Option<Self> {
        match level {
            10..=19 => Some(Self(1)),
            20..=29 => Some(Self(5)),
            30..=39 => Some(Self(9)),
            40..=49 => Some(Self(13)),
            50..=59 => Some(Self(17)),
            60..=69 => Some(Self(21)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_of_common_loggers() {
        assert_eq!(Severity::from_name(b"WARNING"), Some(Severity(13)));
        assert_eq!(Severity::from_name(b"nonsense"), None);
        assert_eq!(Severity::from_pino(30), Some(Severity(9)));
        assert_eq!(Severity::from_pino(7), None);
        assert!(Severity::NAMES.iter().all(|(name, severity)| severity.text() == *name));
    }
}
