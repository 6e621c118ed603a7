//! What the grammar takes and refuses, and that no text makes it panic.

use proptest::prelude::*;

use super::super::query::ParseError;
use super::super::tree::Expr;
use super::{Names, pin, pretty};

fn parse(text: &str) -> Result<Expr, ParseError> {
    super::parse(text, Names::Ascii)
}

fn printed(text: &str) -> String {
    parse(text).map_or_else(|error| format!("! {error}"), |expr| expr.to_string())
}

#[test]
fn queries_are_printed_as_prometheus_prints_them() {
    for (text, canonical) in [
        ("up", "up"),
        ("up{}", "up"),
        ("1_000 + 0x1F", "1000 + 31"),
        ("-1 ^ 2", "-1 ^ 2"),
        ("a+b  *c", "a + b * c"),
        ("Inf", "+Inf"),
        (r#"{__name__="up", job!='x',zone=~"a|b"}"#, r#"{__name__="up",job!="x",zone=~"a|b"}"#),
        (r#"up{zone=~"a|b",job!='x',}"#, r#"up{job!="x",zone=~"a|b"}"#),
        (r#"{"with.dots", "a b"="c"}"#, r#"{"a b"="c",__name__="with.dots"}"#),
        (
            r#"{"http.server.requests","service.name"='api'}"#,
            r#"{"service.name"="api",__name__="http.server.requests"}"#,
        ),
        ("sum by (a:b) (up)", r#"sum by ("a:b") (up)"#),
        ("deriv(a[5m] smoothed)", "deriv(a[5m] smoothed)"),
        ("info(a, {})", "info(a, {})"),
        (r#""\xff""#, r#""\xff""#),
        ("rate(a[300s] offset -5m @ 1609746000)", "rate(a[5m] @ 1609746000.000 offset -5m)"),
        ("a[1h30m:] @ start()", "a[1h30m:] @ start()"),
        ("max_over_time(rate(a[5m])[1h:1m] offset 1d)", "max_over_time(rate(a[5m])[1h:1m] offset 1d)"),
        ("rate(a[step() * 2])", "rate(a[step() * 2])"),
        ("a offset (1h / 2)", "a offset (1h / 2)"),
        ("increase(a[5m] smoothed)", "increase(a[5m] smoothed)"),
        ("a{b='c'} smoothed offset 5m", r#"a{b="c"} smoothed offset 5m"#),
        ("sum(a) by (job,)", "sum by (job) (a)"),
        ("SUM WITHOUT (x) (a)", "sum without (x) (a)"),
        ("topk(3, a) + on() group_left(x) b", "topk(3, a) + on () group_left (x) b"),
        ("a and ignoring(x) b or c unless d", "a and ignoring (x) b or c unless d"),
        ("a > bool 2", "a > bool 2"),
        ("a + on(x) fill(0) b", "a + on (x) fill (0) b"),
        ("a </ 2", "a </ 2"),
        ("a == b >/ c", "a == b >/ c"),
        ("time() - 5m", "time() - 5m"),
        ("-time()", "-time()"),
        ("label_replace(a, 'x', \"$1\", `y`, '(.*)')", r#"label_replace(a, "x", "$1", "y", "(.*)")"#),
        ("offset offset 5m", "offset offset 5m"),
        ("without and by", "without and by"),
        ("sum(sum) by (by)", "sum by (by) (sum)"),
        ("a # what it is\n+ b", "a + b"),
    ] {
        assert_eq!(printed(text), canonical, "{text}");
        assert_eq!(printed(canonical), canonical, "printed again");
    }
}

/// What Prometheus 3.16 says of each, to the letter, as `GET /api/v1/format_query` tells it.
const REFUSED: &str = include_str!("tests/refused.txt");

#[test]
fn what_is_no_query_is_explained_in_the_words_of_prometheus() {
    let mut wrong = Vec::new();
    for line in REFUSED.lines() {
        let (text, expected) = line.split_once("  =>  ").expect("a query and what is said of it");
        let said = match parse(text) {
            Ok(expr) => format!("it is {expr}"),
            Err(ParseError { at: Some(at), message }) => format!("1:{}: {message}", at.start + 1),
            Err(error) => format!("{error}, nowhere"),
        };
        if said != expected {
            wrong.push(format!("{text}\n  expected {expected}\n  said     {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_beyond_ascii_stand_without_quotes_in_scripts_alone() {
    for text in ["http.server.requests{service.name='api'}", "ö + bool.total", "a2é"] {
        assert!(parse(text).is_err(), "{text}");
        assert!(super::parse(text, Names::Unicode).is_ok(), "{text}");
    }
}

#[test]
fn what_is_wrong_is_found_on_its_line() {
    for (text, message, at) in [
        ("up +\n  down foo", "unexpected identifier \"foo\"", "foo"),
        ("rate(\n  up,\n)", "trailing commas not allowed in function call args", ","),
        ("up{\n  a=~\"(\"\n}", "error parsing regexp: missing closing ): `(`", "a"),
        ("up{a=\"\\xff\"}", "\"\\xff\" is not UTF-8", "\"\\xff\""),
        ("# nothing", "no expression found in input", ""),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.message, message, "{text}");
        assert_eq!(error.at.map(|at| &text[at]), Some(at), "{text}");
    }
}

#[test]
fn nothing_that_is_long_or_deep_overflows_the_stack() {
    for text in [
        "-".repeat(100_000) + "up",
        "(".repeat(100_000) + "up",
        "up[".repeat(100_000),
        "up[".to_owned() + &"(".repeat(100_000),
        "up[".to_owned() + &"-".repeat(100_000),
        "abs(".repeat(100_000) + "up",
        "1".to_owned() + &"+1".repeat(100_000),
        "1".to_owned() + &"^1".repeat(100_000),
        "up".to_owned() + &" or up".repeat(100_000),
        "up".to_owned() + &"[5m:]".repeat(40_000),
    ] {
        let error = parse(&text).expect_err("too much");
        assert!(error.message.len() < 200, "{error}");
    }
    let deepest = "-".repeat(64) + &"(".repeat(64) + "up" + &")".repeat(64);
    assert_eq!(printed(&deepest), deepest);
    let longest = "up".to_owned() + &" + up".repeat(500);
    assert_eq!(printed(&longest), longest);
}

#[test]
fn wide_queries_are_broken_as_prometheus_breaks_them() {
    let wide = "job:requests_of_every_kind:rate5m{environment=\"production\",zone=~\"a|b|c\"}";
    for (text, expected) in [
        ("sum(a)+b".to_owned(), "sum(a) + b".to_owned()),
        (format!("{wide} + {wide}"), format!("  {wide}\n+\n  {wide}")),
        (
            format!("sum by(job)(rate({wide}[5m])) / on (job) topk(3, -{wide})"),
            format!("  sum by (job) (rate({wide}[5m]))\n/ on (job)\n  topk(3, -{wide})"),
        ),
        (
            format!("clamp(({wide} or {wide}), 0, 1)"),
            format!("clamp(\n  (\n      {wide}\n    or\n      {wide}\n  ),\n  0,\n  1\n)"),
        ),
        (
            format!("quantile without(zone)(0.9, {wide} * {wide})"),
            format!("quantile without (zone) (\n  0.9,\n    {wide}\n  *\n    {wide}\n)"),
        ),
    ] {
        assert_eq!(parse(&text).map(|expr| pretty(&expr, 0)), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_pinned_reads_the_same_at_any_time() {
    let pinned = |text: &str| {
        let mut expr = parse(text).expect("a query");
        pin(&mut expr, 1500).then(|| expr.to_string())
    };
    for (text, expected) in [
        ("a + 1", Some("a @ 1.500 + 1")),
        ("rate(a[5m] offset 1m)", Some("rate(a[5m] @ 1.500 offset 1m)")),
        ("a @ 7 - b @ start()", Some("a @ 7.000 - b @ 1.500")),
        ("max_over_time(rate(a[5m])[1h:])", Some("max_over_time(rate(a[5m])[1h:] @ 1.500)")),
        ("-sum by (x) (a)", Some("-sum by (x) (a @ 1.500)")),
        ("time() - a", None),
        ("timestamp(a)", None),
    ] {
        assert_eq!(pinned(text).as_deref(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "(up|sum|by|on|offset|rate|and|-|\\+|\\(|\\)|\\[|\\]|\\{|\\}|5m|1|'a'|=|,|:|@|start| |bool|fill|smoothed|</){0,14}") {
        if let Ok(expr) = parse(&text) {
            let canonical = expr.to_string();
            prop_assert_eq!(printed(&canonical), canonical.clone(), "{}", text);
        }
    }

    #[test]
    fn no_bytes_panic(text in "\\PC{0,40}") {
        let _ = parse(&text);
    }
}
