//! Text with groups of a match put in, by the rules of Go's `Regexp.Expand`: `$1`, `${1}`, `$name`, `${name}`,
//! `$$` for a dollar. A name without braces is as long as it can be, so `$1x` means `${1x}`; what names no
//! group of the expression is empty; a dollar that begins nothing stands for itself.

use super::matcher::{Groups, Matcher};

/// A template, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Group(usize),
}

impl Template {
    /// Reads a template; names are those of the matcher's groups.
    pub fn new(template: &str, matcher: &Matcher) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some((name, after)) = name(rest) {
                rest = after;
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text).into()));
                }
                parts.extend(group(name, matcher).map(Part::Group));
            } else {
                text.push('$');
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        Self(parts.into())
    }

    /// Appends the text with the groups put in; `matched` is the text that they are groups of.
    pub fn expand(&self, groups: &Groups<'_>, matched: &str, out: &mut String) {
        for part in &self.0 {
            out.push_str(match part {
                Part::Text(text) => text,
                Part::Group(index) => groups.get(*index, matched),
            });
        }
    }

    /// The text, if it holds no group: it is the same for every match.
    pub fn constant(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// The name behind a dollar, and what follows.
fn name(rest: &str) -> Option<(&str, &str)> {
    let inner = rest.strip_prefix('{');
    let from = inner.unwrap_or(rest);
    let end = from.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(from.len());
    let (name, after) = from.split_at(end);
    if name.is_empty() {
        return None;
    }
    match inner {
        Some(_) => Some((name, after.strip_prefix('}')?)),
        None => Some((name, after)),
    }
}

/// The group that a name means: a number without leading zeros, or the name of one.
fn group(name: &str, matcher: &Matcher) -> Option<usize> {
    let number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if number { name.parse().ok() } else { matcher.named(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_put_in_as_go_does() {
        let matcher = Matcher::new("(?P<first>a+)(b)?(?P<last>c+)").expect("a pattern");
        let mut locations = matcher.locations();
        let groups = matcher.groups("aacc", &mut locations).expect("it matches");
        for (template, expected) in [
            ("$1", "aa"),
            ("${1}x", "aax"),
            ("$1x", ""),
            ("$1-x", "aa-x"),
            ("$first/$last", "aa/cc"),
            ("${first}_${last}", "aa_cc"),
            ("$2", ""),
            ("$9", ""),
            ("$0", "aacc"),
            ("$01", ""),
            ("$$1", "$1"),
            ("$", "$"),
            ("a$", "a$"),
            ("$ {1}", "$ {1}"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("${a b}", "${a b}"),
            ("$none", ""),
            ("", ""),
            ("$$$1$$", "$aa$"),
        ] {
            let mut out = String::new();
            Template::new(template, &matcher).expand(&groups, "aacc", &mut out);
            assert_eq!(out, expected, "{template}");
        }
        assert_eq!(Template::new("a$$b", &matcher).constant(), Some("a$b"));
        assert_eq!(Template::new("a$1", &matcher).constant(), None);
    }
}
