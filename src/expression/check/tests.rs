//! What is refused when it is loaded, where, and with which help.

use super::super::{logs, parse};
use super::*;

fn problem(text: &str) -> Option<((usize, usize), String)> {
    let checked = parse::condition(text).and_then(|tree| condition(tree, &logs::SUBJECT));
    checked.err().map(|e| ((e.from, e.to), format!("{e}; {}", e.help.as_deref().unwrap_or_default())))
}

#[test]
fn what_can_never_hold_is_refused_at_load() {
    for (text, place, says) in [
        ("levl == 1", (0, 4), "no field `levl`"),
        ("severity_numbr < INFO", (0, 14), "did you mean `severity_number`?"),
        ("attributes.level == 1", (0, 16), "write `attributes[\"level\"]`"),
        ("resource.k8s == 1", (0, 12), "write `resource[\"k8s\"]`"),
        ("attributes == 1", (0, 10), "is a map"),
        ("resource[\"a\"][\"b\"] == 1", (0, 18), "exactly one key"),
        ("body[\"a\"] == 1", (0, 9), "parse_json"),
        ("severity_number == \"info\"", (0, 25), "write `INFO` without quotes"),
        ("severity_text == INFO", (0, 21), "write \"INFO\""),
        ("attributes[\"a\"] < nil", (18, 21), "exists"),
        ("severity_number contains \"x\"", (0, 15), "wants texts"),
        ("trace_id == \"12\"", (12, 16), "32 hexadecimal digits"),
        ("time < \"yesterday\"", (7, 18), "no time"),
        ("body matches \"(\"", (13, 16), "pattern is wrong"),
        ("body matches body", (13, 17), "written out"),
        ("exists(1)", (7, 8), "wants a field"),
        ("attributes[\"x\"] < true", (18, 22), "no order"),
    ] {
        let (found, said) = problem(text).unwrap_or_else(|| panic!("{text} is wrong"));
        assert!(found == place && said.contains(says), "{text}: {found:?} {said}");
    }
    for good in ["body == 1 or true", "attributes[\"a\"] == attributes[\"b\"]", "trace_id != nil"] {
        assert_eq!(problem(good).filter(|_| good != "body == 1 or true"), None);
    }
    assert!(problem("body matches \"a{1000}{1000}\"").is_some_and(|(_, said)| said.contains("bytes")));
}

#[test]
fn what_cannot_be_set_is_refused() {
    let problem = |text| {
        let checked = parse::assignment(text).and_then(|(to, from)| assignment(&to, &from, &logs::SUBJECT));
        checked.err().map(|e| ((e.from, e.to), e.message))
    };
    assert_eq!(problem("attributes[\"a\"] = resource[\"b\"]"), None);
    assert_eq!(problem("severity_number = WARN"), None);
    for (text, place) in [
        ("resource[\"a\"] = 1", (0, 13)),
        ("trace_id = \"x\"", (0, 8)),
        ("body = 1", (7, 8)),
        ("attributes[\"a\"] = nil", (18, 21)),
        ("severity_number = 25", (18, 20)),
        ("severity_text = \"loud\"", (16, 22)),
    ] {
        assert_eq!(problem(text).map(|(place, _)| place), Some(place), "{text}");
    }
}
