//! The structural proof against the exact judge, on random, valid and damaged texts.

use proptest::prelude::*;

use super::super::strict;
use super::super::walk::members;
use super::*;

/// What is found with the best instructions here, and with those that every build has.
fn verdict(text: &[u8]) -> Verdict {
    let (mut best, mut portable) = (Structure::default(), Structure::default());
    let verdict = best.prove(text);
    if text.first() == Some(&b'{') {
        assert_eq!(portable.prove_with(text, Portable), verdict, "{}", text.escape_ascii());
        assert_eq!(portable.keys(), best.keys(), "{}", text.escape_ascii());
    }
    verdict
}

/// What the exact judge says, which also looks at the spelling of scalars and escapes.
fn exact(text: &[u8]) -> bool {
    strict::compact(text, &mut Vec::new())
}

/// The text with every scalar and every escape spelt right: what is left to be wrong is structure.
fn well_spelt(text: &[u8]) -> Vec<u8> {
    let of_scalar = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    let mut out = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    let mut string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if string => match bytes.next() {
                Some(high @ 0x80..) => out.extend_from_slice(&[b'\\', b'n', high]),
                Some(_) => out.extend_from_slice(b"\\n"),
                None => out.push(b'\\'),
            },
            b'"' => {
                string = !string;
                out.push(byte);
            }
            _ if !string && of_scalar(&byte) => {
                while bytes.next_if(of_scalar).is_some() {}
                out.push(b'1');
            }
            byte => out.push(byte),
        }
    }
    out
}

/// What texts are made of, so that many of them are nearly objects.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let common: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        " ",
        "1",
        "-0.5e+3",
        "true",
        "NaN",
        "\"a\"",
        "\"a\":1",
        "\"b\":",
        "\"\\\"\"",
        "{\"a\":[",
        "]}",
        "\"\\\\\"",
        "/",
        "'",
        "\u{e9}",
        "\"long enough to reach another block\":",
    ];
    prop_oneof![
        24 => prop::sample::select(common).prop_map(|text| text.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => (0usize..70).prop_map(|count| vec![b'\\'; count]),
        1 => (0usize..130).prop_map(|count| vec![b' '; count]),
    ]
}

/// A valid object as text, with and without spaces.
fn object() -> impl Strategy<Value = Vec<u8>> {
    let quoted = |text: String| serde_json::to_string(&text).expect("a text");
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("-12.5e3".to_owned()),
        (0u32..99_999).prop_map(|number| number.to_string()),
        "[ -~\u{e9}\u{1f600}]{0,80}".prop_map(quoted),
        r#"(\\\\|\\"|\\n|\\u00e9|a){0,90}"#.prop_map(|text| format!("\"{text}\"")),
    ];
    let value = scalar.prop_recursive(5, 60, 8, move |inner| {
        let list = (prop::collection::vec(inner.clone(), 0..6), " {0,3}")
            .prop_map(|(values, blank)| format!("[{blank}{}{blank}]", values.join(&format!("{blank},{blank}"))));
        let member = ("[a-z\\\\]{0,12}", inner).prop_map(move |(key, value)| format!("{}:{value}", quoted(key)));
        let map = (prop::collection::vec(member, 0..6), " {0,3}")
            .prop_map(|(members, blank)| format!("{{{blank}{}{blank}}}", members.join(&format!("{blank},{blank}"))));
        prop_oneof![list, map]
    });
    let member = ("[a-z\"\\\\]{0,70}", " {0,2}", value)
        .prop_map(move |(key, blank, value)| format!("{}{blank}:{blank}{value}", quoted(key)));
    (prop::collection::vec(member, 0..10), " {0,70}").prop_map(|(members, blank)| {
        let text = format!("{{{blank}{}{blank}}}", members.join(&format!("{blank},")));
        text.into_bytes()
    })
}

fn check(text: &[u8]) -> Result<(), TestCaseError> {
    let mut structure = Structure::default();
    structure.prove(text);
    let verdict = verdict(text);
    let control = text.iter().any(|&byte| byte < 0x20);
    if exact(text) {
        let expected = if control { Verdict::Unproven } else { Verdict::Proven };
        prop_assert_eq!(verdict, expected, "{}", text.escape_ascii());
    } else if verdict == Verdict::Proven {
        // The one difference there may be.
        prop_assert!(exact(&well_spelt(text)), "not for its spelling: {}", text.escape_ascii());
    }
    if verdict == Verdict::Proven {
        let expected: Vec<u32> = members(text, 0).map(|member| member.key.start as u32).collect();
        prop_assert_eq!(structure.keys(), expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases * 8, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_exact_judge_about_pieces(pieces in prop::collection::vec(piece(), 0..40), brace in any::<bool>()) {
        let mut text = pieces.concat();
        if brace {
            text.insert(0, b'{');
            text.push(b'}');
        }
        if text.first() == Some(&b'{') && text.last() != Some(&b' ') {
            check(&text)?;
        }
    }

    #[test]
    fn proves_valid_objects_and_judges_damaged_ones(
        object in object(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), piece(), any::<bool>()), 1..3),
    ) {
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&object).is_ok(), "{}", object.escape_ascii());
        prop_assert_eq!(verdict(&object), Verdict::Proven, "{}", object.escape_ascii());
        check(&object)?;
        let mut text = object;
        for (at, piece, replace) in damage {
            let at = at.index(text.len());
            let end = if replace { (at + piece.len()).min(text.len()) } else { at };
            text.splice(at..end, piece);
        }
        if text.first() == Some(&b'{') && text.last() != Some(&b' ') {
            check(&text)?;
        }
    }
}

#[test]
fn every_byte_is_seen_wherever_it_stands_in_a_block() {
    for before in 0..140 {
        let pad = "x".repeat(before);
        let good = format!(r#"{{"{pad}":[1,{{"a":"\\\""}},[]],"b":{{}}}}"#);
        assert_eq!(verdict(good.as_bytes()), Verdict::Proven, "{good}");
        let start = good.find('[').expect("an array");
        for at in start..good.len() {
            for byte in [b'"', b'{', b'}', b'[', b']', b',', b':', b'\\', b'/', b' ', b'1', 0x80] {
                let mut text = good.clone().into_bytes();
                text[at] = byte;
                if text.ends_with(b" ") {
                    continue;
                }
                let proven = verdict(&text) == Verdict::Proven;
                assert_eq!(proven, exact(&well_spelt(&text)), "{}", text.escape_ascii());
            }
            let mut text = good.clone().into_bytes();
            text[at] = 0x1f;
            assert_eq!(verdict(&text), Verdict::Unproven);
        }
    }
}

#[test]
fn depth_is_bounded_and_needs_no_stack() {
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let deepest = DEPTH as usize;
    assert_eq!(verdict(nested(deepest).as_bytes()), Verdict::Proven);
    assert_eq!(verdict(nested(deepest + 1).as_bytes()), Verdict::Unproven);
    assert_eq!(verdict(nested(10_000).as_bytes()), Verdict::Unproven);
    let objects = format!("{}1{}", "{\"a\":".repeat(1_000_000), "}".repeat(1_000_000));
    assert_eq!(verdict(objects.as_bytes()), Verdict::Unproven);
}
