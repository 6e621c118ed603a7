//! RE2's syntax, which Prometheus's rules are written in, as the syntax of crate `regex`.
//!
//! The two differ in little, but silently: `\d`, `\w`, `\s` and `\b` are ASCII in RE2; within `[…]` an opening
//! bracket, `&&`, `--` and `~~` are just characters there; a brace that opens no repetition is a brace;
//! `\Q…\E` quotes; `\123` is octal. See <https://github.com/google/re2/wiki/Syntax>.

use std::fmt::Write;

/// Why a pattern is none, and which of its bytes are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern {
    /// In words.
    pub message: String,
    /// First byte and the one behind the last.
    pub at: (usize, usize),
}

/// How often RE2 repeats something at most.
const MOST: u32 = 1000;

/// What is said of a repetition that goes beyond that.
pub const TOO_OFTEN: &str = "something can be repeated 1000 times at most";

/// The same pattern for crate `regex`, anchored at both ends, with `.` matching line breaks.
pub fn anchored(pattern: &str) -> Result<String, BadPattern> {
    between("^(?s:", pattern)
}

/// The same where `.` matches no line break, as Alertmanager has it.
pub fn anchored_in_line(pattern: &str) -> Result<String, BadPattern> {
    between("^(?:", pattern)
}

fn between(opening: &str, pattern: &str) -> Result<String, BadPattern> {
    let mut out = String::with_capacity(pattern.len() + 8);
    out.push_str(opening);
    read(pattern, &mut out)?;
    out.push_str(")$");
    Ok(out)
}

/// The same pattern for crate `regex`.
pub fn translated(pattern: &str) -> Result<String, BadPattern> {
    let mut out = String::with_capacity(pattern.len());
    read(pattern, &mut out)?;
    Ok(out)
}

fn read(pattern: &str, out: &mut String) -> Result<(), BadPattern> {
    Reader { pattern, at: 0, out }.read()
}

struct Reader<'a> {
    pattern: &'a str,
    at: usize,
    out: &'a mut String,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.pattern[self.at..]
    }

    fn read(&mut self) -> Result<(), BadPattern> {
        // Whether something stands before that a repetition can repeat is left to the other side; the depth
        // of groups is not: a `)` too many would close the anchoring group.
        let mut depth = 0usize;
        while let Some(c) = self.rest().chars().next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '{' if !is_repetition(self.rest()) => {
                    self.out.push_str("\\{");
                    self.at += 1;
                }
                '{' => self.repetition()?,
                '(' => {
                    depth += 1;
                    self.group()?;
                }
                ')' if depth == 0 => return Err(self.wrong(self.at, 1, "this `)` closes nothing")),
                c => {
                    if c == ')' {
                        depth -= 1;
                    }
                    self.out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        if depth > 0 { Err(self.wrong(0, self.pattern.len(), "a `(` is not closed")) } else { Ok(()) }
    }

    fn wrong(&self, at: usize, length: usize, message: impl Into<String>) -> BadPattern {
        BadPattern { message: message.into(), at: (at, (at + length).min(self.pattern.len())) }
    }

    /// `{2}`, `{2,}` or `{2,4}`.
    fn repetition(&mut self) -> Result<(), BadPattern> {
        let length = self.rest().find('}').map_or(1, |end| end + 1);
        let written = self.rest()[..length].to_owned();
        let counts = written.trim_matches(['{', '}']).split(',').filter(|count| !count.is_empty());
        if counts.map(str::parse).any(|count: Result<u32, _>| count.is_err() || count.is_ok_and(|count| count > MOST)) {
            return Err(self.wrong(self.at, length, TOO_OFTEN));
        }
        self.out.push_str(&written);
        self.at += length;
        Ok(())
    }

    /// `(`, with the flags that RE2 has behind it.
    fn group(&mut self) -> Result<(), BadPattern> {
        let rest = self.rest();
        if let Some(flags) = rest.strip_prefix("(?") {
            let named = flags.starts_with("P<") || flags.starts_with('<');
            let end = flags.find([':', ')']).unwrap_or(flags.len());
            if !named && !flags[..end].chars().all(|flag| matches!(flag, 'i' | 'm' | 's' | 'U' | '-')) {
                return Err(self.wrong(self.at, end + 3, "this kind of group is not part of RE2's syntax"));
            }
        }
        self.out.push('(');
        self.at += 1;
        Ok(())
    }

    /// A backslash and what belongs to it.
    fn escape(&mut self, class: bool) -> Result<(), BadPattern> {
        let start = self.at;
        let mut chars = self.rest().chars();
        chars.next();
        let Some(c) = chars.next() else { return Err(self.wrong(start, 1, "a `\\` stands at the end")) };
        self.at += 1 + c.len_utf8();
        let ascii = |inner: &str, negated: bool| match (class, negated) {
            (true, false) => inner.to_owned(),
            (_, true) => format!("[^{inner}]"),
            (false, false) => format!("[{inner}]"),
        };
        const DIGITS: &str = "0-9";
        const WORD: &str = "0-9A-Za-z_";
        const SPACE: &str = r"\t\n\f\r ";
        match c {
            'd' | 'D' => self.out.push_str(&ascii(DIGITS, c == 'D')),
            'w' | 'W' => self.out.push_str(&ascii(WORD, c == 'W')),
            's' | 'S' => self.out.push_str(&ascii(SPACE, c == 'S')),
            'b' if !class => self.out.push_str(r"(?-u:\b)"),
            'Q' if !class => self.quoted(),
            'p' | 'P' | 'x' => {
                self.out.push('\\');
                self.out.push(c);
                // What belongs to it is read as it is: `\p{Greek}`, `\x{10FFFF}`, `\xFF`, `\pL`.
                if self.rest().starts_with('{') {
                    let end = self.rest().find('}').map_or(self.rest().len(), |end| end + 1);
                    let braces = self.rest()[..end].to_owned();
                    self.out.push_str(&braces);
                    self.at += end;
                }
            }
            '0'..='7' => self.octal(start, c)?,
            'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'A' | 'z' | 'B' => {
                self.out.push('\\');
                self.out.push(c);
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => literal(c, self.out),
            c => return Err(self.wrong(start, 1 + c.len_utf8(), format!("`\\{c}` means nothing here"))),
        }
        Ok(())
    }

    /// `\Q…\E`.
    fn quoted(&mut self) {
        let rest = self.pattern[self.at..].to_owned();
        let (text, length) = match rest.find("\\E") {
            Some(end) => (&rest[..end], end + 2),
            None => (&*rest, rest.len()),
        };
        text.chars().for_each(|c| literal(c, self.out));
        self.at += length;
    }

    /// `\0`, `\012`, `\123`: one digit alone, but for 0, would be a reference to a group, which RE2 lacks.
    fn octal(&mut self, start: usize, first: char) -> Result<(), BadPattern> {
        let more = self.rest().bytes().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        if first != '0' && more == 0 {
            return Err(self.wrong(start, 2, "references to groups are not part of RE2's syntax"));
        }
        let digits = &self.pattern[start + 1..self.at + more];
        let code = u32::from_str_radix(digits, 8).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(self.out, "\\x{{{code:X}}}");
        self.at += more;
        Ok(())
    }

    /// `[…]`.
    fn class(&mut self) -> Result<(), BadPattern> {
        let start = self.at;
        self.out.push('[');
        self.at += 1;
        if self.rest().starts_with('^') {
            self.out.push('^');
            self.at += 1;
        }
        let first = self.at;
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return Err(self.wrong(start, 1, "this `[` is not closed"));
            }
            if rest.starts_with(']') && self.at > first {
                break;
            }
            if rest.starts_with("[:") && rest.contains(":]") {
                let end = rest.find(":]").map_or(rest.len(), |end| end + 2);
                let named = rest[..end].to_owned();
                self.out.push_str(&named);
                self.at += end;
                continue;
            }
            self.member()?;
            // Only between two characters is it a range; everywhere else it is itself.
            if self.rest().starts_with('-') && !matches!(self.rest().as_bytes().get(1), None | Some(b']')) {
                self.out.push('-');
                self.at += 1;
                self.member()?;
            }
        }
        self.out.push(']');
        self.at += 1;
        Ok(())
    }

    /// One character of a class, or an escape.
    fn member(&mut self) -> Result<(), BadPattern> {
        match self.rest().chars().next() {
            Some('\\') => self.escape(true),
            Some(c) => {
                literal(c, self.out);
                self.at += c.len_utf8();
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn literal(c: char, out: &mut String) {
    if regex_meta(c) {
        out.push('\\');
    }
    out.push(c);
}

/// Characters that mean something on the other side, within a class or without.
fn regex_meta(c: char) -> bool {
    matches!(
        c,
        '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' | '#' | '&' | '-' | '~'
    )
}

/// Whether text that begins with `{` is `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(rest: &str) -> bool {
    let Some(end) = rest.find('}') else { return false };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match rest[1..end].split_once(',') {
        Some((least, most)) => number(least) && (most.is_empty() || number(most)),
        None => number(&rest[1..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let translated = anchored(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}"));
        regex::Regex::new(&translated).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(text)
    }

    #[test]
    fn what_differs_between_the_two_syntaxes_means_what_it_means_in_re2() {
        for (pattern, yes, no) in [
            (r"\d+", "42", "٤٢"),
            (r"\w+", "a_9", "ä"),
            (r"[\w.]+", "a.b", "ä"),
            (r"\s", "\t", "\u{a0}"),
            (r"\D", "٤", "4"),
            (r"[^\W]", "a", "ä"),
            (r"[[]+", "[[", "a"),
            (r"[]a]+", "]a", "b"),
            (r"[^]a]", "b", "]"),
            (r"[a&&b]+", "a&b", "c"),
            (r"[+--]+", "+,-", "a"),
            (r"[a~~b]+", "~ab", "c"),
            (r"[[:alpha:]]+", "ab", "1"),
            (r"\{a\}|{a}", "{a}", "a"),
            (r"a{2}", "aa", "a"),
            (r"a{,2}", "a{,2}", "aa"),
            (r"a{1000}|b{1,2}|c{2,}", "cccc", "c"),
            (r"\Qa.b\E+", "a.bb", "axb"),
            (r"\Q(", "(", "a"),
            (r"\101", "A", "1"),
            (r"\<a\>", "<a>", "a"),
            (r"a\/b\-c\_d", "a/b-c_d", "a"),
            (r"\x41\x{42}\pL\p{Greek}", "ABcω", "ABcd"),
            (r"a.b", "a\nb", "ab"),
            (r"(?i)abc", "ABC", "abd"),
            (r"(?P<x>a)(?<y>b)", "ab", "a"),
            (r"a|b", "b", "ab"),
            ("", "", "a"),
            (r".*\bfoo\b.*", "a foo b", "afoo"),
            (r"a#b c", "a#b c", "ab"),
        ] {
            assert!(matches(pattern, yes), "{pattern} matches {yes:?}: {:?}", anchored(pattern));
            assert!(!matches(pattern, no), "{pattern} does not match {no:?}: {:?}", anchored(pattern));
        }
    }

    #[test]
    fn what_re2_refuses_is_refused_with_its_place() {
        for (pattern, at) in [
            (r"a)b(", (1, 2)),
            (r"(a", (0, 2)),
            (r"a\1", (1, 3)),
            (r"a[b", (1, 2)),
            (r"\", (0, 1)),
            (r"\y", (0, 2)),
            (r"(?=a)", (0, 5)),
            (r"(?x)a", (0, 4)),
            (r"a{1001}b", (1, 7)),
            (r"a{1,1001}", (1, 9)),
            (r"a{99999999999,}", (1, 15)),
        ] {
            assert_eq!(anchored(pattern).map_err(|wrong| wrong.at), Err(at), "{pattern}");
        }
    }
}
