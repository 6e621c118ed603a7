//! Excerpts of receivers. Almost every value there leads to somebody's pager or is the key to it, and where the YAML is
//! broken, or a key is not known, nobody can tell which one: what is not known to be harmless is not shown.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::mask;

/// Keys whose values may be shown. So may files, and what is `true` or `false`.
const HARMLESS: [&str; 19] = [
    // What people are told, whose templates have to be seen to be mended.
    "description",
    "severity",
    "summary",
    "text",
    "title",
    "name",
    "receiver",
    "send_resolved",
    "channel",
    "to",
    "from",
    "type",
    "method",
    "timeout",
    "max_alerts",
    "follow_redirects",
    "enable_http2",
    "insecure_skip_verify",
    "min_version",
];

/// Below these a key is whatever somebody called it.
const FREE: [&str; 4] = ["payload", "headers", "http_headers", "details"];

/// How much of the file can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sure {
    /// The line has keys that are known, at least.
    Keys,
    /// A key may be anything: it is misspelt, or stands twice.
    Lines,
    /// Nothing: where a text begins and ends is not known.
    Nothing,
}

/// Masks values in the line `shown` of a file, as far as it is about receivers.
pub fn mask(shown: &mut String, text: &str, line: Range<usize>, sure: Sure) {
    static BEGINS: LazyLock<Regex> = LazyLock::new(|| {
        const PATTERN: &str = r#"(?i)(?:^|[\s,{\["'-])(receivers|(?:discord|email|incidentio|jira|mattermost|msteams|msteamsv2|opsgenie|pagerduty|pushover|rocketchat|slack|sns|telegram|victorops|webex|webhook|wechat)_configs)["']?\s*:"#;
        Regex::new(PATTERN).expect("a valid pattern")
    });
    static AUTHORIZED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?i)^[\s"'-]*(?:proxy-)?authorization["']?\s*:|\bhttp_headers["']?\s*:.*\bauthorization["']?\s*:"#,
        )
        .expect("a valid pattern")
    });
    static GLOBAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"^["']?global["']?\s*:"#).expect("a valid pattern"));
    static ALERTMANAGER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?m)^\{?["']?receivers["']?\s*:"#).expect("a valid pattern"));

    let is_alertmanager = ALERTMANAGER.is_match(text);
    let is_about =
        |line: &str| BEGINS.is_match(line) || AUTHORIZED.is_match(line) || is_alertmanager && GLOBAL.is_match(line);
    let before = &text[..line.start];
    let all = ancestors(before, &text[line.clone()]).any(is_about)
        || sure == Sure::Nothing && (is_alertmanager || BEGINS.is_match(before))
        || is_alertmanager && GLOBAL.is_match(shown);
    let start = match BEGINS.captures(shown).and_then(|found| found.get(1)) {
        _ if all => 0,
        Some(key) => key.start(),
        None => return,
    };
    let found = values(shown, start, sure);
    mask::cover(shown, found, |_| false);
}

/// The lines above a line that it stands below in the tree, by how they are indented; rather too many than too few.
fn ancestors<'a>(before: &'a str, line: &'a str) -> impl Iterator<Item = &'a str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    // What begins with no key may stand as far to the left as the key that it belongs to.
    let is_key = |line: &str| line.trim_start().starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let mut at = (indent(line), is_key(line));
    before.lines().rev().filter(move |line| {
        let rest = line.trim_start();
        if rest.is_empty() || rest.starts_with('#') || indent(line) > at.0 || indent(line) == at.0 && at.1 {
            return false;
        }
        at = (indent(line), is_key(line));
        true
    })
}

/// Where, from `start` on, values stand in a line that are not known to be harmless.
fn values(line: &str, start: usize, sure: Sure) -> Vec<Range<usize>> {
    let (mut found, mut key, mut free, mut at) = (Vec::new(), "", false, start);
    while let Some(c) = line[at..].chars().next() {
        let rest = &line[at..];
        let is_dash = rest.starts_with("- ") || rest == "-";
        if c.is_whitespace() || "{}[],:?|>".contains(c) || is_dash {
            at += c.len_utf8();
            continue;
        }
        if c == '#' && sure == Sure::Keys {
            break;
        }
        let length = scalar(rest);
        let (from, to) = (at, at + length);
        at = to;
        let (written, after) = (&line[from..to], line[to..].trim_start());
        let bare = written.trim_matches(['"', '\'']);
        let is_colon = after.strip_prefix(':').is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
        let is_name = !bare.is_empty() && bare.chars().all(|c| c.is_alphanumeric() || "_-./".contains(c));
        if is_colon && is_name {
            key = bare;
            free |= FREE.contains(&key);
        } else if !(is_reference(bare) || sure == Sure::Keys && is_harmless(key, bare, free)) {
            found.push(from..to);
        }
    }
    found
}

fn is_harmless(key: &str, value: &str, free: bool) -> bool {
    ["true", "false"].contains(&value) || key.ends_with("_file") || !free && HARMLESS.contains(&key)
}

fn is_reference(value: &str) -> bool {
    value
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| !name.contains(['{', '}', ' ', '"']))
}

/// The length of a scalar: up to the quote that closes it or, where none does, to the end.
fn scalar(text: &str) -> usize {
    let quote = text.chars().next().filter(|c| "\"'".contains(*c));
    let mut chars = text.char_indices().skip(usize::from(quote.is_some())).peekable();
    let mut braces = 0;
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        match quote {
            Some('"') if c == '\\' => _ = chars.next(),
            Some('\'') if c == '\'' && next == Some('\'') => _ = chars.next(),
            Some(quote) if c == quote => return at + 1,
            Some(_) => {}
            None if c == '{' && text[..at].ends_with('$') => braces += 1,
            None if braces > 0 => braces -= usize::from(c == '}'),
            None if ",[]{}".contains(c) => return text[..at].trim_end().len().max(1),
            None if c == ':' && next.is_none_or(|next| next.is_whitespace() || ",[]{}".contains(next)) => {
                return text[..at].trim_end().len().max(1);
            }
            None => {}
        }
    }
    text.trim_end().len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last line of a file as it is shown.
    fn shown(text: &str, sure: Sure) -> String {
        let start = text.rfind('\n').map_or(0, |at| at + 1);
        let mut line = text[start..].to_owned();
        mask(&mut line, text, start..text.len(), sure);
        mask::line(&mut line);
        let mut short = String::new();
        line.chars().filter(|c| *c != '\r').for_each(|c| {
            if c != '*' || !short.ends_with('*') {
                short.push(c);
            }
        });
        short
    }

    #[test]
    fn receivers_that_are_wrong_show_no_secrets() {
        const ABOVE: &str = "route: {receiver: a}\nreceivers:\n- name: a\n  pagerduty_configs:\n";
        for (line, sure, expected) in [
            ("  - {routing_key: \"hunter2, url: x}]", Sure::Nothing, "  - {routing_key: *"),
            ("  - {routing_key: \"hunter2, url: \"x\"}]", Sure::Nothing, "  - {routing_key: *}]"),
            (
                "  - {routing_kye: \"hunter2\", send_resolved: yes}",
                Sure::Lines,
                "  - {routing_kye: *, send_resolved: *}",
            ),
            ("  - {api_url: \"http://h/T\", api_url: http://h/U}", Sure::Lines, "  - {api_url: *, api_url: *}"),
            (
                "  - {send_resolved: 7, http_config: {http_headers: {Authorization: {values: [\"Bearer t\"]}}}}",
                Sure::Keys,
                "  - {send_resolved: 7, http_config: {http_headers: {Authorization: {values: [*]}}}}",
            ),
            ("    - hunter2, or so  # really", Sure::Lines, "    - *, *"),
            (
                "  - {routing_key: ${env:KEY}, routing_key_file: /k}",
                Sure::Keys,
                "  - {routing_key: ${env:KEY}, routing_key_file: /k}",
            ),
            ("  - payload: {name: x, on: true}", Sure::Keys, "  - payload: {name: *, on: true}"),
            ("templates: [hunter2]", Sure::Nothing, "templates: [*]"),
            ("templates: [/a]", Sure::Lines, "templates: [/a]"),
        ] {
            assert_eq!(shown(&format!("{ABOVE}{line}"), sure), expected);
        }
        let nested = "alerting:\n  alertmanager: {receivers: [{name: a, slack_configs: [{api_url: \"http://h/T\"}]}]}";
        let expected = "  alertmanager: {receivers: [{name: a, slack_configs: [{api_url: *}]}]}";
        assert_eq!(shown(nested, Sure::Keys), expected);
        let global = "receivers: []\nglobal:\n  slack_api_url: http://h/T";
        assert_eq!(shown(global, Sure::Keys), "  slack_api_url: *");
        let headers = "scrape_configs:\n- http_headers:\n    Authorization:\n      values: [Bearer t]";
        assert_eq!(shown(headers, Sure::Keys), "      values: [*]");
    }

    #[test]
    fn lines_about_something_else_are_shown() {
        for line in
            ["sources:\n  test_logs/in: { text: \"never closed }", "global:\n  scrape_interval: 1x", "a: [b, c: d"]
        {
            assert_eq!(shown(line, Sure::Nothing), line.rsplit('\n').next().expect("a line"));
        }
    }

    proptest::proptest! {
        #[test]
        fn every_line_can_be_masked(text in "(?s)(receivers: ?)?[ \\na:'\"{}$é\\\\#,-]{0,20}") {
            for sure in [Sure::Keys, Sure::Lines, Sure::Nothing] {
                let shown = shown(&text, sure);
                proptest::prop_assert!(shown.len() <= text.len());
            }
        }
    }
}
