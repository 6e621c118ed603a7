//! What Prometheus and Alertmanager do with texts in the same way.

use regex::{Regex, RegexBuilder};

use super::{Call, Function, Type, escape, text};
use crate::alerting::template::format::quote;
use crate::alerting::template::value::Value;
use crate::relabel::{dialect, simple_case};

use Type::{Any, String as Text};

pub(super) const TO_UPPER: Function = Function::new("toUpper", &[Text], |_, a| {
    Ok(text(a, 0).chars().map(|c| simple_case(c, c.to_uppercase())).collect::<String>().into())
});

pub(super) const TO_LOWER: Function = Function::new("toLower", &[Text], |_, a| {
    Ok(text(a, 0).chars().map(|c| simple_case(c, c.to_lowercase())).collect::<String>().into())
});

pub(super) const MATCH: Function = Function::new("match", &[Text, Text], |call, arguments| {
    let (pattern, text) = (text(arguments, 0), text(arguments, 1));
    regex(call, pattern, text).map(|regex| Value::Bool(regex.is_match(text)))
});

pub(super) const REPLACE: Function = Function::new("reReplaceAll", &[Text, Text, Text], |call, arguments| {
    let (pattern, text) = (text(arguments, 0), text(arguments, 2));
    let regex = regex(call, pattern, text).map_err(|why| format!("regexp: Compile({}): {why}", backticked(pattern)))?;
    replaced(call, &regex, super::text(arguments, 1), text)
});

pub(super) const SAFE_HTML: Function =
    Function::new("safeHtml", &[Text], |_, arguments| Ok(Value::Html(text(arguments, 0).into())));

pub(super) const HUMANIZE_DURATION: Function = Function::new("humanizeDuration", &[Any], |_, arguments| {
    super::humanize::number(&arguments[0]).map(|seconds| super::humanize::duration(seconds).into())
});

pub(super) const URL_QUERY_ESCAPE: Function =
    Function::new("urlQueryEscape", &[Text], |_, arguments| Ok(escape::query(text(arguments, 0)).into()));

/// Largest compiled pattern.
const MAX_PATTERN: usize = 1 << 17;

/// Steps that it takes to compile a pattern.
const COMPILING: u64 = 2_000;

/// Steps that it takes to look at a byte of a text by a pattern of the worst kind.
const LOOKING: u64 = 4;

/// A pattern, paid for with the search of a text.
fn regex(call: &mut Call<'_>, pattern: &str, text: &str) -> Result<Regex, String> {
    call.take(COMPILING + LOOKING * text.len() as u64)?;
    let wrong = |why: &str| format!("error parsing regexp: {why}: {}", backticked(pattern));
    let translated = dialect::translated(pattern).map_err(|error| wrong(&error.message))?;
    let built = RegexBuilder::new(&translated).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN).build();
    built.map_err(|error| match &error {
        regex::Error::CompiledTooBig(_) => wrong("expression too large"),
        // The last line says what is wrong, those before it show where.
        error => wrong(error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ")),
    })
}

fn backticked(pattern: &str) -> String {
    if pattern.contains('`') { quote(pattern, false) } else { format!("`{pattern}`") }
}

/// Every match replaced; `$1` and `${name}` stand for its groups.
fn replaced(call: &mut Call<'_>, regex: &Regex, replacement: &str, text: &str) -> Result<Value, String> {
    let (mut out, mut end, mut expanded) = (call.out(), 0, String::new());
    let groups = replacement.matches('$').count();
    for captures in regex.captures_iter(text) {
        let whole = captures.get_match();
        call.take(replacement.len() as u64 / 64)?;
        // No group is longer than the match.
        if replacement.len().saturating_add(groups.saturating_mul(whole.len())) > call.context.limits.bytes {
            return Err(call.too_large());
        }
        out.push_str(&text[end..whole.start()]);
        expanded.clear();
        captures.expand(replacement, &mut expanded);
        out.push_str(&expanded);
        end = whole.end();
        if out.is_full() {
            break;
        }
    }
    out.push_str(&text[end..]);
    call.written(out)
}

/// Every word with a capital letter at its start; the rest of a word as it is, or small. Words are those of Unicode as far as
/// texts of alerts have them: an apostrophe, a point or a colon between letters does not end one.
pub(super) fn title(text: &str, lower_rest: bool) -> String {
    let letters: Vec<char> = text.chars().collect();
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut out = String::with_capacity(text.len());
    // Whether the word has had its first letter.
    let mut inside = false;
    for (index, letter) in letters.iter().copied().enumerate() {
        if is_word(letter) {
            match (inside, letter.is_alphabetic()) {
                (false, true) => {
                    out.extend(letter.to_uppercase());
                    inside = true;
                }
                (true, true) if lower_rest => out.extend(letter.to_lowercase()),
                _ => out.push(letter),
            }
            continue;
        }
        let near = |offset: isize| {
            let at = index.checked_add_signed(offset)?;
            letters.get(at).copied().filter(|letter| letter.is_alphabetic())
        };
        let joins = matches!(letter, '\'' | '.' | ':' | '\u{b7}' | '\u{2019}');
        inside &= joins && near(-1).is_some() && near(1).is_some();
        out.push(letter);
    }
    out
}
