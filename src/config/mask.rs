//! Secrets in text that is shown because something else in it is wrong: nobody has read them as secrets, so they are
//! known by how they look.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

const VALID: &str = "a valid pattern";

/// Masks, in a line of YAML, what stands behind a key that sounds like a secret's, and logins within addresses.
pub fn line(line: &mut String) {
    static SECRET: LazyLock<Regex> = LazyLock::new(|| {
        const PATTERN: &str = r#"(?i)\b([\w-]*(?:pas+w|secret|token|credential|api[_-]?key|(?:routing|service)_key|authorization|cookie)[\w-]*)["']?\s*:\s*("[^"]*"|'[^']*'|[^\s,{}\[\]#"'][^,}\]#]*)"#;
        Regex::new(PATTERN).expect(VALID)
    });
    let found: Vec<_> = SECRET
        .captures_iter(line)
        .filter_map(|found| Some((found.get(1)?.as_str().to_lowercase(), found.get(2)?.range())))
        .filter(|(key, _)| !["_file", "_url", "_ref", "_env"].iter().any(|end| key.ends_with(end)))
        .map(|(_, value)| value)
        .collect();
    cover(line, found, |written| written.contains("${"));
    // As `http_headers` has them.
    static HEADER: LazyLock<Regex> = LazyLock::new(|| {
        const PATTERN: &str = r#"(?i)\b(?:[\w-]*(?:authorization|cookie|token|api-?key|secret))["']?\s*:\s*\{[^}]*?["']?\b(?:values|secrets)["']?\s*:\s*\[?([^\]}]*)"#;
        Regex::new(PATTERN).expect(VALID)
    });
    let found = HEADER.captures_iter(line).filter_map(|found| Some(found.get(1)?.range())).collect();
    cover(line, found, |written| written.is_empty() || written.contains("${"));
    logins(line);
}

/// Masks the user and the password of addresses: `https://user:password@host`.
pub fn logins(text: &mut String) {
    // A password with a slash in it makes no address, and is one all the same.
    static LOGIN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"://([^\s/?\#@"'`]*(?::[^\s@"'`]*)?)@"#).expect(VALID));
    let found = LOGIN.captures_iter(text).filter_map(|found| Some(found.get(1)?.range())).collect();
    cover(text, found, |written| written.starts_with("${") && written.ends_with('}'));
}

/// As many stars as there are characters, so that a caret below still points where it should; references tell
/// nothing.
pub(super) fn cover(text: &mut String, found: Vec<Range<usize>>, is_reference: impl Fn(&str) -> bool) {
    for value in found.into_iter().rev() {
        let written = text[value.clone()].trim_end();
        if !is_reference(written) {
            let (stars, end) = ("*".repeat(written.chars().count()), value.start + written.len());
            text.replace_range(value.start..end, &stars);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn what_sounds_like_a_secret_is_not_shown() {
        for (written, shown) in [
            ("basic_auth: {username: a, pasword: top, x: 1}", "basic_auth: {username: a, pasword: ***, x: 1}"),
            ("headers: {Authorization: \"Bearer t\"}", "headers: {Authorization: **********}"),
            ("Authorization: {values: [\"Bearer t\", b]}, x: 1", "Authorization: {values: [*************]}, x: 1"),
            ("  bearer_token: abc  # why", "  bearer_token: ***  # why"),
            ("password_file: /x", "password_file: /x"),
            ("token: \"${file:/x}\"", "token: \"${file:/x}\""),
            ("authorization: { credentials: abc }", "authorization: { credentials: *** }"),
            ("url: http://u:p@h:9009/write", "url: http://***@h:9009/write"),
            ("proxy_url: \"https://u:p/q@h\"", "proxy_url: \"https://*****@h\""),
            ("a: http://é@h, b: http://h/x, c: d@e", "a: http://*@h, b: http://h/x, c: d@e"),
            ("url: http://${env:USER}:${env:WORD}@h", "url: http://${env:USER}:${env:WORD}@h"),
            ("url: http://${env:USER}:x@h", "url: http://*************@h"),
        ] {
            let mut text = written.to_owned();
            line(&mut text);
            assert_eq!(text, shown);
        }
    }
}
