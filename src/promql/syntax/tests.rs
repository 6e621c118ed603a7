//! What the grammar takes and refuses, and that no text makes it panic.

use proptest::prelude::*;

use super::{parse, pin, pretty};

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
        ("http.server.requests{service.name='api'}", r#"http.server.requests{"service.name"="api"}"#),
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
        ("sum(sum) by (by)", "sum by (by) (sum)"),
        ("a # what it is\n+ b", "a + b"),
    ] {
        assert_eq!(printed(text), canonical, "{text}");
        assert_eq!(printed(canonical), canonical, "printed again");
    }
}

#[test]
fn what_is_no_query_is_explained() {
    for (text, message, at) in [
        ("", "no expression found in input", ""),
        ("up down", "unexpected identifier \"down\"", "down"),
        ("up + ", "unexpected end of input", ""),
        ("sum(up", "unclosed left parenthesis", ""),
        ("up)", "unexpected right parenthesis ')'", ")"),
        ("* up", "unexpected operator \"*\"", "*"),
        ("up[5m", "unclosed left bracket", ""),
        ("up[0s]", "duration must be greater than 0", "0s"),
        ("up[5x]", "bad number or duration syntax: \"5x\"", "5x"),
        ("rate(up)", "expected type range vector in call to function \"rate\", got instant vector", ""),
        ("rate(up[5m], 1)", "expected 1 argument(s) in call to \"rate\", got 2", ""),
        ("nothing(up)", "unknown function with name \"nothing\"", "nothing"),
        ("sum(up[5m])", "expected type instant vector in aggregation expression, got range vector", ""),
        ("1 > 2", "comparisons between scalars must use BOOL modifier", ""),
        ("1 and up", "set operator \"and\" not allowed in binary scalar expression", ""),
        ("{job=''}", "vector selector must contain at least one non-empty matcher", ""),
        ("{job=~'.*'}", "vector selector must contain at least one non-empty matcher", ""),
        ("up{__name__='x'}", "metric name must not be set twice: \"up\" or \"x\"", ""),
        ("up{a='b' or c='d'}", "the expression is not well-formed", ""),
        ("up offset 1m offset 2m", "offset may not be set multiple times", ""),
        ("up @ 1e300", "timestamp out of bounds for @ modifier", "1e300"),
        ("up[1e300]", "duration out of range", "1e300"),
        (
            "deriv(up[5m] anchored)",
            "anchored modifier can only be used with: changes, delta, increase, rate, resets",
            "",
        ),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.message.starts_with(message), "{text}: {error}");
        if !at.is_empty() {
            assert_eq!(error.at.map(|at| &text[at]), Some(at), "{text}");
        }
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
