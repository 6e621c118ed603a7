//! What a regular expression says without being run: the words it is made of, or the beginning of all that it matches. So
//! `=~"a|b|c"` is looked up in the index, and `=~"kube_.*"` looks at a part of it.

/// Characters that mean something in a pattern.
const MEANING: &[u8] = b"\\.+*?()|[]{}^$";

/// The words that a pattern, anchored at both ends, matches, if it is nothing but alternatives of words: `a|b`,
/// `(a|b)`, `(?:a|b)`, `node\.cpu`.
pub fn words(pattern: &str) -> Option<Vec<String>> {
    let inner = pattern.strip_prefix("(?:").or_else(|| pattern.strip_prefix('('));
    let inner = inner.and_then(|inner| inner.strip_suffix(')')).unwrap_or(pattern);
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '|' => words.push(std::mem::take(&mut word)),
            '\\' => word.push(chars.next().filter(char::is_ascii_punctuation)?),
            char if has_meaning(char) => return None,
            char => word.push(char),
        }
    }
    words.push(word);
    Some(words)
}

/// What everything that a pattern matches begins with; empty where that is not told easily.
pub fn prefix(pattern: &str) -> &str {
    if pattern.contains('|') {
        return "";
    }
    let end = pattern.find(has_meaning).unwrap_or(pattern.len());
    let Some(behind) = pattern[end..].chars().next() else { return pattern };
    // A character that may be missing is no part of it.
    let kept = if matches!(behind, '*' | '?' | '{' | '+') {
        pattern[..end].char_indices().next_back().map_or(0, |(at, _)| at)
    } else {
        end
    };
    &pattern[..kept]
}

fn has_meaning(char: char) -> bool {
    u8::try_from(char).is_ok_and(|byte| MEANING.contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn words_are_told_from_patterns() {
        let told = |pattern| words(pattern).map(|words| words.join(","));
        assert_eq!(told("a|b").as_deref(), Some("a,b"));
        assert_eq!(told("(a|b)").as_deref(), Some("a,b"));
        assert_eq!(told(r"(?:a\.b|c|)").as_deref(), Some("a.b,c,"));
        assert_eq!(told("").as_deref(), Some(""));
        for pattern in ["a.b", "(a)(b)", "(?i:a)", r"\d", "a|b.*", "(a", "a$"] {
            assert_eq!(told(pattern), None, "{pattern}");
        }
        assert_eq!(
            (prefix("node_.*"), prefix("ab*"), prefix("abc"), prefix("a|b"), prefix("(?i)a")),
            ("node_", "a", "abc", "", "")
        );
    }

    proptest! {
        #[test]
        fn what_is_told_is_what_the_pattern_matches(pattern in r"(\(|\(\?:)?[ab.|*+?\\]{0,6}\)?", text in "[ab.|]{0,4}") {
            let Ok(regex) = Regex::new(&format!("^(?s:{pattern})$")) else { return Ok(()) };
            if let Some(words) = words(&pattern) {
                prop_assert_eq!(words.contains(&text), regex.is_match(&text), "{}", pattern);
            }
            if regex.is_match(&text) {
                prop_assert!(text.starts_with(prefix(&pattern)), "{}", pattern);
            }
        }
    }
}
