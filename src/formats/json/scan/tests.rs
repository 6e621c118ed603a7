//! What a scan locates and what it refuses.

use super::*;

fn scanner(paths: &[&[&str]], reserved: &[&'static str]) -> (Scanner, Vec<NameId>) {
    let names = Names::default();
    let paths: Vec<_> = paths.iter().map(|path| names.intern(path).expect("room")).collect();
    let interest = Interest { paths: paths.clone(), reserved: reserved.to_vec(), severity: true };
    (Scanner::new(&names, &interest), paths)
}

fn found<'a>(scanner: &Scanner, text: &'a str) -> Vec<(Option<NameId>, &'a str, &'a str)> {
    let part = |(from, to): (u32, u32)| &text[from as usize..to as usize];
    scanner.located().iter().map(|l| (l.name, part(l.key), part(l.value))).collect()
}

#[test]
fn every_occurrence_of_a_wanted_key_is_located() {
    let (mut scanner, ids) = scanner(&[&["level"], &["user", "e\"mail"]], &["log"]);
    let text = r#"{"x":{"level":1},"level":"info","user":{"e\"mail":"a","y":["level"]},"l\u0065vel" : null ,"log.file":2,"logs":3}"#;
    assert_eq!(scanner.scan(text.as_bytes()), Ok(0..text.len()));
    let expected = [
        (Some(ids[0]), r#""level""#, r#""info""#),
        (Some(ids[1]), r#""e\"mail""#, r#""a""#),
        (Some(ids[0]), r#""l\u0065vel""#, "null"),
        (None, r#""log.file""#, "2"),
    ];
    assert_eq!(found(&scanner, text), expected);
    assert_eq!(scanner.severity(), Severity(9));
}

#[test]
fn attacks_on_the_document_around_are_refused() {
    let (mut scanner, _) = scanner(&[], &[]);
    for bad in [
        r#"{"a":1},"x":{"b":2}"#,
        r#"{"a":[}"#,
        r#"{"a":[}]"#,
        r#"{"a":{"b":1]}"#,
        r#"{"a":1}}"#,
        r#"{"a":1"#,
        r#"{"a":"1}"#,
        r#"{"a":"1\"}"#,
        r#"{"a":1 /* " */}"#,
        r#"{"a":1}//"#,
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1 2}"#,
        r#"{"a":1,}"#,
        r#"{"a":#}"#,
        r#"{'a':1}"#,
        r#"{a:1}"#,
        r#"{,}"#,
        r#"{"a":}"#,
        r#"{"a"}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":["b":1]}"#,
        r#"{"a":"b":"c"}"#,
        r#"{"a":1}{"b":2}"#,
        "{\"a\":\"\u{0}\"}",
        "{\"a\":\"\n\"}",
    ] {
        assert_eq!(scanner.scan(bad.as_bytes()), Err(NotAnObject::Broken), "{bad}");
    }
    assert_eq!(scanner.scan(b"{\"a\":\"\xc0\xaf\"}"), Err(NotAnObject::Broken), "overlong UTF-8");
    assert_eq!(scanner.scan(b"plain"), Err(NotAnObject::Other));
    assert_eq!(scanner.scan(b"[1]"), Err(NotAnObject::Other));
    assert_eq!(scanner.scan(b" {\"a\":\n1}"), Err(NotAnObject::Blank));
    assert_eq!(scanner.scan(b" {\"a\": 1}\r\n"), Ok(1..9));
    // How a value is spelt is left to whoever reads it: it can cost this one document.
    for odd in [r#"{"a":NaN}"#, r#"{"a":1e999}"#, r#"{"a":tru}"#, r#"{"a":01}"#, r#"{"a":"\q"}"#] {
        assert_eq!(scanner.scan(odd.as_bytes()), Ok(0..odd.len()), "{odd}");
    }
    let nested =
        |depth: usize| format!("{{\"a\":{}1{},\"level\":\"info\"}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    for (depth, proven) in [(64, true), (65, true), (256, true), (257, false)] {
        let text = nested(depth);
        assert_eq!(scanner.scan(text.as_bytes()).is_ok(), proven, "{depth} levels");
        assert_eq!(scanner.severity().is_some(), proven, "{depth} levels");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(scanner.scan(deep.as_bytes()), Err(NotAnObject::Broken));
}
