//! What an evaluation must come to, as the lines below it say.

use regex::Regex;

use super::cursor::Cursor;
use super::series_notation::Series;

/// Values that must come out.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// These series and no other.
    Series(Vec<Series>),
    /// A number without labels.
    Scalar(f64),
    /// A text.
    Text(String),
}

/// The times of the values of each series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Points {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
}

impl Points {
    pub(super) fn count(self) -> u64 {
        u64::try_from((self.end - self.start) / self.step).unwrap_or(0).saturating_add(1)
    }

    pub(super) fn time(self, place: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(i64::try_from(place).unwrap_or(i64::MAX)))
    }
}

/// What a message must say.
#[derive(Clone, Debug)]
pub(super) enum Words {
    /// Anything.
    Any,
    /// Exactly this.
    Exactly(String),
    /// Something that fits a pattern.
    Pattern(Regex),
}

impl Words {
    pub(super) fn fit(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(text) => text == message,
            Self::Pattern(pattern) => pattern.is_match(message),
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::Any => "any".into(),
            Self::Exactly(text) => text.clone(),
            Self::Pattern(pattern) => format!("one that fits {pattern}"),
        }
    }
}

/// What is said of warnings, or of infos.
#[derive(Clone, Debug, Default)]
pub(super) enum Notes {
    /// Nothing.
    #[default]
    Whatever,
    /// There must be none.
    None,
    /// Each of these must be met, and each note must meet one of these.
    Some(Vec<Words>),
}

/// All that is said of an evaluation.
#[derive(Clone, Debug)]
pub(super) struct Expectations {
    pub(super) value: Expected,
    /// Times of the values, if there may be several.
    pub(super) points: Option<Points>,
    /// Whether the series must come in the order in which they are written.
    pub(super) ordered: bool,
    /// What the error must say, if the evaluation must fail.
    pub(super) failure: Option<Words>,
    /// Whether `expect fail` stands there; the command's word says so too, but may be said once more.
    fails_by_line: bool,
    pub(super) warnings: Notes,
    pub(super) infos: Notes,
}

impl Expectations {
    /// What the command's own word says.
    pub(super) fn of_command(word: &str) -> Self {
        let any = |wanted: &str| if word == wanted { Notes::Some(vec![Words::Any]) } else { Notes::Whatever };
        Self {
            value: Expected::Series(Vec::new()),
            points: None,
            ordered: word == "eval_ordered",
            failure: (word == "eval_fail").then_some(Words::Any),
            fails_by_line: false,
            warnings: any("eval_warn"),
            infos: any("eval_info"),
        }
    }

    /// `expected_fail_message …` and `expected_fail_regexp …`, the old form.
    pub(super) fn failure(&mut self, line: &str) -> Result<(), String> {
        let words = if let Some(text) = line.strip_prefix("expected_fail_message") {
            Words::Exactly(text.trim().into())
        } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
            self::pattern(pattern)?
        } else {
            return Err(format!("expected `expected_fail_message` or `expected_fail_regexp`, found `{line}`"));
        };
        self.failure = Some(words);
        Ok(())
    }

    /// `expect fail`, `expect warn` and their like.
    pub(super) fn line(&mut self, line: &str) -> Result<(), String> {
        let rest = line.strip_prefix("expect").unwrap_or(line).trim();
        let (kind, rest) = rest.split_at(rest.find([' ', '\t']).unwrap_or(rest.len()));
        let words = words(rest.trim_start())?;
        match (kind, words) {
            ("fail", words) if !self.fails_by_line => {
                self.failure = Some(words);
                self.fails_by_line = true;
            }
            ("fail", _) => return Err("an evaluation fails once; `expect fail` is there already".into()),
            ("warn", words) => some(&mut self.warnings, words, kind)?,
            ("info", words) => some(&mut self.infos, words, kind)?,
            ("no_warn", Words::Any) => none(&mut self.warnings, kind)?,
            ("no_info", Words::Any) => none(&mut self.infos, kind)?,
            ("ordered", Words::Any) => self.ordered = true,
            ("no_warn" | "no_info" | "ordered", _) => return Err(format!("`expect {kind}` takes no words")),
            _ => {
                let kinds = "`fail`, `warn`, `no_warn`, `info`, `no_info`, `ordered`, `string` or `range vector`";
                return Err(format!("expected {kinds}, found `{kind}`"));
            }
        }
        Ok(())
    }

    /// `expect string "…"`.
    pub(super) fn text(&mut self, rest: &str) -> Result<(), String> {
        let mut cursor = Cursor::new(rest);
        let blank = cursor.blanks();
        match cursor.quoted() {
            Ok(text) if blank && cursor.is_done() => self.value(Expected::Text(text)),
            _ => Err("`expect string` takes one text in quotes".into()),
        }
    }

    /// Sets what comes out, which is one thing.
    pub(super) fn value(&mut self, value: Expected) -> Result<(), String> {
        match &self.value {
            Expected::Series(series) if series.is_empty() => {}
            _ => return Err("one value is expected already".into()),
        }
        self.value = value;
        Ok(())
    }

    /// Adds a series to those that come out.
    pub(super) fn series(&mut self, more: Series) -> Result<(), String> {
        let Expected::Series(series) = &mut self.value else { return Err("one value is expected already".into()) };
        if series.iter().any(|known| known.labels == more.labels) {
            return Err("the series is expected twice".into());
        }
        series.push(more);
        Ok(())
    }
}

fn words(text: &str) -> Result<Words, String> {
    match text.split_once(':') {
        _ if text.is_empty() => Ok(Words::Any),
        Some(("msg", text)) => Ok(Words::Exactly(text.trim().into())),
        Some(("regex", text)) => pattern(text),
        _ => Err(format!("expected `msg:` or `regex:`, found `{text}`")),
    }
}

fn pattern(text: &str) -> Result<Words, String> {
    Regex::new(text.trim()).map(Words::Pattern).map_err(|error| format!("`{}` is no pattern: {error}", text.trim()))
}

fn some(notes: &mut Notes, words: Words, kind: &str) -> Result<(), String> {
    match notes {
        Notes::Some(all) => all.push(words),
        Notes::Whatever => *notes = Notes::Some(vec![words]),
        Notes::None => return Err(format!("`{kind}` and `no_{kind}` exclude each other")),
    }
    Ok(())
}

fn none(notes: &mut Notes, kind: &str) -> Result<(), String> {
    match notes {
        Notes::Some(_) => Err(format!("`{kind}` and `{}` exclude each other", kind.trim_start_matches("no_"))),
        _ => {
            *notes = Notes::None;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_contradict_or_say_nothing_are_refused() {
        let mut all = Expectations::of_command("eval");
        for (line, problem) in [
            ("expect warn", ""),
            ("expect warn msg: PromQL warning: a (1:2)", ""),
            ("expect no_warn", "`no_warn` and `warn` exclude each other"),
            ("expect no_info", ""),
            ("expect info regex: a", "`info` and `no_info` exclude each other"),
            ("expect fail regex:a(", "`a(` is no pattern"),
            ("expect fail msg:a", ""),
            ("expect fail", "an evaluation fails once; `expect fail` is there already"),
            ("expect ordered msg: a", "`expect ordered` takes no words"),
            ("expect\tordered", ""),
            ("expect fail words", "expected `msg:` or `regex:`, found `words`"),
            (
                "expect",
                "expected `fail`, `warn`, `no_warn`, `info`, `no_info`, `ordered`, `string` or `range vector`, found ``",
            ),
        ] {
            let told = all.line(line).err().unwrap_or_default();
            assert!(told.starts_with(problem) && told.is_empty() == problem.is_empty(), "{line}: {told}");
        }
        let mut fails = Expectations::of_command("eval_fail");
        assert!(fails.line("expect fail msg: a").is_ok() && fails.line("expect fail").is_err());
        assert!(matches!(&fails.failure, Some(Words::Exactly(words)) if words == "a"));
        assert!(all.ordered && matches!(all.failure, Some(Words::Exactly(_))) && matches!(all.infos, Notes::None));
        assert!(all.text(" \"a\" ").is_err() && all.text("\"a\"").is_err() && all.text(" `a`").is_ok());
        assert_eq!(all.text(" `a`"), Err("one value is expected already".into()));
    }
}
