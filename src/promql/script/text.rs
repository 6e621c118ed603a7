//! A script as commands: what to load, what to forget, what to evaluate and what must come out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::cursor::{NotationError, literal};
use super::expect::{Expectations, Expected, Points};
use super::series_notation::{self, Item, Series};
use super::starts;
use crate::data::labels::LabelSet;
use crate::options::prometheus_duration;
use crate::promql::When;

/// A script, read.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) commands: Vec<Command>,
}

/// A script that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ScriptError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Forget everything that was loaded.
    Clear,
    /// Load series beside what there is.
    Load(Load),
    /// Evaluate an expression.
    Eval(Eval),
}

#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Milliseconds between two values.
    pub(super) step: i64,
    /// Whether classic histograms are loaded as native ones as well.
    pub(super) with_native: bool,
    pub(super) series: Vec<Loaded>,
}

#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) line: usize,
    pub(super) series: Series,
    /// When the counter of each value began, in milliseconds after the time of the value; empty where nothing was said.
    pub(super) starts: Vec<Option<i64>>,
}

#[derive(Clone, Debug)]
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) expression: String,
    pub(super) when: When,
    pub(super) expectations: Expectations,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// At the first line that makes no sense. Whether its expressions are PromQL is seen when they are evaluated.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut lines = Lines { lines: text.lines().map(line).collect(), next: 0 };
        let mut commands = Vec::new();
        while let Some((number, line)) = lines.next_line() {
            if line.is_empty() {
                continue;
            }
            let word = line.split([' ', '\t']).next().unwrap_or(line);
            let command = match word.to_ascii_lowercase().as_str() {
                "clear" if word.len() == line.len() => Ok(Command::Clear),
                "load" | "load_with_nhcb" => load(word, &line[word.len()..], &mut lines).map(Command::Load),
                "eval" | "eval_fail" | "eval_warn" | "eval_info" | "eval_ordered" => {
                    eval(number, word, &line[word.len()..], &mut lines).map(Command::Eval)
                }
                _ => Err(format!("expected `load`, `clear` or `eval`, found `{line}`").into()),
            };
            commands.push(
                command.map_err(|Fault { line, problem }| ScriptError { line: line.unwrap_or(number), problem })?,
            );
        }
        Ok(Self { commands })
    }

    /// Number of evaluations.
    pub fn evaluations(&self) -> usize {
        self.commands.iter().filter(|command| matches!(command, Command::Eval(_))).count()
    }
}

/// What is wrong, and in which line if it is not that of the command.
struct Fault {
    line: Option<usize>,
    problem: String,
}

impl From<String> for Fault {
    fn from(problem: String) -> Self {
        Self { line: None, problem }
    }
}

fn at(line: usize) -> impl Fn(NotationError) -> Fault {
    move |error| Fault { line: Some(line), problem: error.to_string() }
}

struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Option<(usize, &'a str)> {
        let line = *self.lines.get(self.next)?;
        self.next += 1;
        Some((self.next, line))
    }

    /// The next line of a block, which ends at an empty line and at a comment.
    fn in_block(&mut self) -> Option<(usize, &'a str)> {
        self.next_line().filter(|(_, line)| !line.is_empty())
    }
}

/// A line without the blanks around it; a comment is an empty line.
fn line(text: &str) -> &str {
    let text = text.trim();
    if text.starts_with('#') { "" } else { text }
}

fn load(word: &str, rest: &str, lines: &mut Lines<'_>) -> Result<Load, Fault> {
    let step = rest.trim();
    let mut load = Load {
        step: duration(step).map_err(|problem| format!("`{word}` takes the step between two values: {problem}"))?,
        with_native: word.len() > "load".len(),
        series: Vec::new(),
    };
    let mut places = BTreeMap::new();
    let mut pending: Option<(usize, LabelSet, Vec<Option<i64>>)> = None;
    while let Some((line, text)) = lines.in_block() {
        let fault = |problem: String| Fault { line: Some(line), problem };
        if let Some((labels, offsets)) = starts::read(text) {
            if pending.is_some() {
                break;
            }
            let labels = series_notation::metric(labels).map_err(at(line))?;
            pending = Some((line, labels, starts::offsets(offsets).map_err(fault)?));
            continue;
        }
        let series = series_notation::series(text).map_err(at(line))?;
        let starts = match pending.take() {
            Some((above, labels, _)) if labels != series.labels => {
                return Err(Fault {
                    line: Some(above),
                    problem: "`@st` is of another series than the line below it".into(),
                });
            }
            Some((above, _, starts)) if starts.len() != series.values.len() => {
                let problem = format!("`@st` has {} times for {} values", starts.len(), series.values.len());
                return Err(Fault { line: Some(above), problem });
            }
            Some((.., starts)) => starts,
            None => Vec::new(),
        };
        let loaded = Loaded { line, series, starts };
        // As in Prometheus, the same series again takes the place of the one above.
        match places.entry(loaded.series.labels.clone()) {
            Entry::Occupied(place) => load.series[*place.get()] = loaded,
            Entry::Vacant(place) => {
                place.insert(load.series.len());
                load.series.push(loaded);
            }
        }
    }
    match pending {
        Some((above, ..)) => Err(Fault { line: Some(above), problem: "`@st` has no series below it".into() }),
        None => Ok(load),
    }
}

fn eval(line: usize, word: &str, rest: &str, lines: &mut Lines<'_>) -> Result<Eval, Fault> {
    let (kind, rest) = first_word(rest);
    let (when, expression) = match kind {
        "instant" => {
            let (time, rest) = after("at", rest)?;
            (When::Instant(duration(time)?), rest)
        }
        "range" if word != "eval_ordered" => {
            let (start, rest) = after("from", rest)?;
            let (end, rest) = after("to", rest)?;
            let (step, rest) = after("step", rest)?;
            (range(start, end, step)?, rest)
        }
        "range" => {
            return Err("the result of a range has no order; only that of `eval_ordered instant` has"
                .to_owned()
                .into());
        }
        _ => {
            let forms = format!("`{word} instant at <time> …` or `{word} range from <time> to <time> step <step> …`");
            return Err(format!("expected {forms}, found `{word} {kind}`").into());
        }
    };
    if expression.is_empty() {
        return Err("an expression is missing".to_owned().into());
    }
    let mut expectations = Expectations::of_command(word);
    let mut when = when;
    let mut points = match when {
        When::Instant(_) => None,
        When::Range { start, end, step } => Some(Points { start, end, step }),
    };
    while let Some((line, text)) = lines.in_block() {
        let fault = |problem: String| Fault { line: Some(line), problem };
        if word == "eval_fail" && text.starts_with("expected_fail_") {
            expectations.failure(text).map_err(fault)?;
            break;
        }
        if let Some(rest) = text.strip_prefix("expect range vector") {
            if !matches!(when, When::Instant(_)) {
                return Err(fault("`expect range vector` is for instant evaluations".into()));
            }
            let (from, rest) = after("from", rest).map_err(fault)?;
            let (to, rest) = after("to", rest).map_err(fault)?;
            let (every, rest) = after("step", rest).map_err(fault)?;
            let When::Range { start, end, step } = range(from, to, every).map_err(fault)? else { continue };
            if !rest.is_empty() {
                return Err(fault(format!("`{rest}` is too much")));
            }
            points = Some(Points { start, end, step });
            // The end is the time of the evaluation, whatever `at` says.
            when = When::Instant(end);
        } else if let Some(rest) = text.strip_prefix("expect string") {
            expectations.text(rest).map_err(fault)?;
        } else if text.split([' ', '\t']).next() == Some("expect") {
            expectations.line(text).map_err(fault)?;
        } else if let Some(value) = literal(text) {
            expectations.value(Expected::Scalar(value)).map_err(fault)?;
            break;
        } else {
            let series = series_notation::series(text).map_err(at(line))?;
            let most = points.map_or(1, |points| points.count());
            if series.values.len() as u64 > most {
                let hint =
                    if points.is_none() { "; `expect range vector` gives the times of a range vector" } else { "" };
                let values = series.values.len();
                return Err(fault(format!("{values} values are expected where there can be {most}{hint}")));
            }
            if points.is_none() && !matches!(series.values.as_slice(), [Item::Float(_) | Item::Histogram { .. }]) {
                return Err(fault("a series of an instant evaluation has one value".into()));
            }
            expectations.series(series).map_err(fault)?;
        }
    }
    expectations.points = points;
    Ok(Eval { line, expression: expression.to_owned(), when, expectations })
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_at(text.find([' ', '\t']).unwrap_or(text.len()));
    (word, rest.trim_start())
}

/// The word behind `keyword`, and what follows.
fn after<'a>(keyword: &str, text: &'a str) -> Result<(&'a str, &'a str), String> {
    let (word, rest) = first_word(text);
    if word != keyword {
        return Err(format!("expected `{keyword}`, found `{word}`"));
    }
    Ok(first_word(rest))
}

fn range(start: &str, end: &str, step: &str) -> Result<When, String> {
    let (start, end, step) = (duration(start)?, duration(end)?, duration(step)?);
    if end < start {
        return Err("the range ends before it starts".into());
    }
    if step == 0 {
        return Err("the step is zero".into());
    }
    Ok(When::Range { start, end, step })
}

/// Milliseconds.
fn duration(text: &str) -> Result<i64, String> {
    let duration = prometheus_duration::parse(text).map_err(|problem| format!("`{text}`: {problem}"))?;
    i64::try_from(duration.as_millis()).map_err(|_| format!("`{text}` is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Script::parse(text).expect_err("refused").to_string()
    }

    #[test]
    fn every_command_is_read() {
        let script = Script::parse(
            "# a comment\nload 1m\n  a{b=\"c\"} 9 9\n  a{b=\"c\"}@st -1m _ 0sx1\n  a{b=\"c\"} 1 2 3x1\n\nclear\n\
             eval instant at 1m a + b\n\texpect no_warn\n\t{b=\"c\"} 2\n\neval range from 0 to 2m step 1m a\n  a 1 _ 2\n\
             # another\neval_ordered instant at 0 a\n\nload_with_nhcb 5s\n",
        )
        .expect("read");
        assert_eq!(script.evaluations(), 3);
        let [Command::Load(load), Command::Clear, Command::Eval(first), Command::Eval(second), _, Command::Load(last)] =
            script.commands.as_slice()
        else {
            panic!("{script:?}")
        };
        assert_eq!((load.step, load.series[0].line, load.with_native), (60_000, 5, false));
        assert_eq!(load.series[0].starts, [Some(-60_000), None, Some(0), Some(0)]);
        assert_eq!((first.line, first.when, first.expression.as_str()), (8, When::Instant(60_000), "a + b"));
        assert_eq!(second.when, When::Range { start: 0, end: 120_000, step: 60_000 });
        assert!(last.with_native && last.series.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_line() {
        for (text, expected) in [
            ("\nlaod 1m\n", "line 2: expected `load`, `clear` or `eval`, found `laod 1m`"),
            ("clear all", "line 1: expected `load`, `clear` or `eval`, found `clear all`"),
            (
                "load 1 m\n a 1",
                "line 1: `load` takes the step between two values: `1 m`: write a duration such as 30s, 1m30s or 500ms",
            ),
            ("load 1m\n a 1 b", "line 2: column 5: expected `_`, `stale`, a histogram or a number, found `b`"),
            ("load 1m\n # this ends the block\n a 1", "line 3: expected `load`, `clear` or `eval`, found `a 1`"),
            ("load 1m\n a@st 1m\n b 1", "line 2: `@st` is of another series than the line below it"),
            ("load 1m\n a@st 1m 1m\n a 1", "line 2: `@st` has 2 times for 1 values"),
            ("load 1m\n a@st 1m\n", "line 2: `@st` has no series below it"),
            (
                "eval at 1m a",
                "line 1: expected `eval instant at <time> …` or `eval range from <time> to <time> step <step> …`, found `eval at`",
            ),
            ("eval instant 1m a", "line 1: expected `at`, found `1m`"),
            ("eval instant at 1m", "line 1: an expression is missing"),
            ("eval range from 2m to 1m step 1m a", "line 1: the range ends before it starts"),
            ("eval range from 0 to 1m step 0 a", "line 1: the step is zero"),
            (
                "eval_ordered range from 0 to 1m step 1m a",
                "line 1: the result of a range has no order; only that of `eval_ordered instant` has",
            ),
            (
                "eval instant at 0 a\n a 1 2",
                "line 2: 2 values are expected where there can be 1; `expect range vector` gives the times of a range vector",
            ),
            ("eval instant at 0 a\n a _", "line 2: a series of an instant evaluation has one value"),
            ("eval range from 0 to 1m step 1m a\n a 1x2", "line 2: 3 values are expected where there can be 2"),
            (
                "eval range from 0 to 1m step 1m a\n expect range vector from 0 to 1m step 1m",
                "line 2: `expect range vector` is for instant evaluations",
            ),
            ("eval instant at 0 a\n a 1\n a 2", "line 3: the series is expected twice"),
            ("eval instant at 0 1\n 1\n 2", "line 3: expected `load`, `clear` or `eval`, found `2`"),
        ] {
            assert_eq!(problem(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]
        #[test]
        fn no_text_panics(text in "((load|eval(_fail|_ordered)?|clear|expect)( (1m|instant at 1m|range from 0 to 1m step 1m|fail|warn|string))?[ -~é\n]{0,40}\n?){0,6}") {
            let _ = Script::parse(&text);
        }

        #[test]
        fn no_series_panics(text in "[a-c{}\"'`=,_ x0-9.+-]{0,40}|a (\\{\\{[a-z_]{0,8}:?[\\[\\]0-9 .-]{0,9}\\}\\}[x+-]?[0-9]{0,3}){0,3}") {
            let _ = series_notation::series(&text);
            let _ = starts::offsets(&text);
        }
    }
}
