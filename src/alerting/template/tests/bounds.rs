//! What a template can do to the agent: nothing but fail.

use proptest::prelude::*;

use super::*;

fn run(text: &str) -> Result<String, TemplateError> {
    let template = Template::parse("t", text, &functions::ALERTMANAGER)?;
    template.execute(&data(), &Context::at(UnixMillis(0)))
}

fn fails(text: &str) -> String {
    run(text).expect_err(text).to_string()
}

#[test]
fn what_does_not_end_is_ended() {
    assert!(fails("{{range 9000000000000000000}}{{end}}").contains("more than 1000000 steps"));
    assert!(fails("{{define \"a\"}}{{template \"a\" .}}{{end}}{{template \"a\" .}}").contains("template depth"));
    let nested = "{{range 1000}}".repeat(9) + &"{{end}}".repeat(9);
    assert!(fails(&nested).contains("steps"));
}

#[test]
fn what_grows_without_end_is_refused() {
    assert!(fails("{{range 200000}}0123456789{{end}}").contains("writes more than 1048576 bytes"));
    assert!(
        fails("{{$x := \"0123456789\"}}{{range 100}}{{$x = print $x $x}}{{end}}").contains("more than 1048576 bytes")
    );
    assert!(fails("{{$x := list 1}}{{range 1000}}{{$x = list $x}}{{end}}").contains("nested deeper"));
    assert!(fails("{{$x := list 1}}{{range 60}}{{$x = list $x $x}}{{end}}{{$x}}").contains("writes more than"));
    assert!(fails("{{$x := list 1}}{{range 60}}{{$x = list $x $x}}{{end}}{{toJson $x}}").contains("more than"));
    assert!(fails("{{printf \"%999999d%999999d\" 1 2}}").contains("more than 1048576 bytes"));
    assert!(
        fails("{{$x := printf \"%200000d\" 1}}{{reReplaceAll \" \" $x \"        \"}}")
            .contains("more than 1048576 bytes")
    );
    assert!(fails("{{$x := printf \"%900000d\" 1}}{{range 1000}}{{toUpper $x}}{{end}}").contains("more than"));
    assert!(fails("{{$x := printf \"%900000d\" 1}}{{range 1000}}{{$y := toUpper $x}}{{end}}").contains("steps"));
    assert!(fails("{{range 1000}}{{$y := match \"a\" \"b\"}}{{end}}").contains("steps"));
    assert!(fails("{{$x := printf \"%900000d\" 1}}{{match \"a\" $x}}").contains("steps"));
    let groups = "$0".repeat(100_000);
    let text = "{{$x := printf \"%100000d\" 1}}{{reReplaceAll \".+\" \"".to_owned() + &groups + "\" $x}}";
    assert!(fails(&text).contains("more than 1048576 bytes"));
    let nothing = "$9".repeat(100_000);
    let text = "{{$x := printf \"%100000d\" 1}}{{reReplaceAll \".\" \"".to_owned() + &nothing + "\" $x}}";
    assert!(fails(&text).contains("steps"));
    assert!(fails(&"{{$x := 1}}".repeat(300)).contains("more than 200 variables"));
    assert!(fails("{{match \"(a{1000}){1000}\" \"a\"}}").contains("too large"));
}

#[test]
fn widths_and_precisions_that_a_formatter_of_rust_does_not_take_are_written() {
    let zeros = |count: usize| "0".repeat(count);
    for (text, expected) in [
        (r#"{{ printf "%065536d" 1 }}"#, zeros(65_535) + "1"),
        (r#"{{ printf "%+070000d" 1 }}"#, "+".to_owned() + &zeros(69_998) + "1"),
        (r#"{{ printf "%.70000d" -1 }}"#, "-".to_owned() + &zeros(69_999) + "1"),
        (r#"{{ printf "%.70000x" 255 }}"#, zeros(69_998) + "ff"),
        (r#"{{ printf "%.70000U" 65 }}"#, "U+".to_owned() + &zeros(69_998) + "41"),
        (r#"{{ printf "%.70000f" 1.5 }}"#, "1.5".to_owned() + &zeros(69_999)),
        (r#"{{ printf "%.*f" 100000 1.5 }}"#, "1.5".to_owned() + &zeros(99_999)),
        (r#"{{ printf "%.70000e" 1.5 }}"#, "1.5".to_owned() + &zeros(69_999) + "e+00"),
        (r#"{{ printf "%.70000g" 1.5 }}"#, "1.5".to_owned()),
        (r#"{{ printf "%#.70000g" 1.5 }}"#, "1.5".to_owned() + &zeros(69_998)),
        (r#"{{ printf "%.70000x" 1.5 }}"#, "0x1.8".to_owned() + &zeros(69_999) + "p+00"),
        (r#"{{ printf "%070000.1f" 1.5 }}"#, zeros(69_997) + "1.5"),
        (r#"{{ printf "%70000s" "x" }}"#, " ".repeat(69_999) + "x"),
        (r#"{{ .time.Format (printf ".%070000d" 0) }}"#, ".123".to_owned() + &zeros(69_997)),
        (r#"{{ printf "%.1000000f" 1.0 }}"#, "1.".to_owned() + &zeros(1_000_000)),
        (r#"{{ printf "%*d" 1000001 1 }}"#, "%!(BADWIDTH)1".to_owned()),
        (r#"{{ printf "%.*d" 1000001 1 }}"#, "%!(BADPREC)1".to_owned()),
        (r#"{{ printf "%.*d" -1 1 }}"#, "%!(BADPREC)1".to_owned()),
        // With a number that has too many digits Go reads the format no further.
        (r#"{{ printf "%99999999999d|" 1 }}"#, "%!(NOVERB)%!(EXTRA int=1)".to_owned()),
    ] {
        assert!(run(text).as_ref() == Ok(&expected), "{text}");
    }
    for text in [r#"{{ printf "%09999999d" 1 }}"#, r#"{{ printf "%.9999999f" 1.5 }}"#] {
        assert!(fails(text).contains("more than 1048576 bytes"), "{text}");
    }
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    assert!(fails(&("{{".to_owned() + &"(".repeat(100_000) + "1" + &")".repeat(100_000) + "}}")).contains("depth"));
    assert!(fails(&("{{if 1}}".repeat(10_000) + &"{{end}}".repeat(10_000))).contains("depth"));
    // As deep as it may be parsed, and called as deep as it may be executed, on the stack of a thread.
    let deep = "{{define \"a\"}}".to_owned() + &"{{if 1}}".repeat(90) + "{{template \"a\"}}" + &"{{end}}".repeat(90);
    assert!(fails(&(deep + "{{end}}{{template \"a\"}}")).contains("template depth"));
    let parentheses = "{{".to_owned() + &"(".repeat(95) + "1" + &")".repeat(95) + "}}";
    assert_eq!(run(&parentheses).expect("it is allowed"), "1");
    // A chain is not deep.
    assert_eq!(
        run(&("{{if 0}}{{else if 0}}".to_owned() + &"{{else if 0}}".repeat(5_000) + "{{else}}x{{end}}"))
            .expect("allowed"),
        "x"
    );
}

/// Pieces of templates, some of which fit together.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{{"),
        Just("}}"),
        Just("{{- "),
        Just(" -}}"),
        Just("if "),
        Just("else "),
        Just("end"),
        Just("range "),
        Just("with "),
        Just("define \"a\""),
        Just("template \"a\" "),
        Just("block \"b\" "),
        Just("break"),
        Just("continue"),
        Just(". "),
        Just(".list "),
        Just(".m "),
        Just("$x "),
        Just(":= "),
        Just("= "),
        Just("| "),
        Just("("),
        Just(")"),
        Just("\"%s%d%v\" "),
        Just("'a'"),
        Just("`r`"),
        Just("1 "),
        Just("-2.5e3 "),
        Just("nil "),
        Just("true "),
        Just("printf "),
        Just("index "),
        Just("slice "),
        Just("len "),
        Just("eq "),
        Just("and "),
        Just("or "),
        Just("not "),
        Just("toJson "),
        Just("list "),
        Just("dict "),
        Just("date "),
        Just("toDate "),
        Just(".time "),
        Just(".d "),
        Just(".Format "),
        Just("reReplaceAll "),
        Just("title "),
        Just("/*"),
        Just("*/"),
        Just(","),
        Just("\n"),
        Just("é"),
        Just("\\"),
        Just("\"2006-01-02\" "),
        Just("\"%[1]*.*f\" "),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// `printf` with any format.
fn formats() -> impl Strategy<Value = String> {
    "[ #+\\-0*.0-9\\[\\]%a-zA-Z]{0,12}".prop_map(|format| {
        format!("{{{{ printf \"%{format}\" .s .n .f .t .list .m .time .d .pair nil 65 -1.5e300 }}}}")
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}") {
        let _ = run(&text);
    }

    #[test]
    fn no_template_makes_it_panic(text in pieces()) {
        let _ = run(&text);
    }

    #[test]
    fn no_format_makes_it_panic(text in formats()) {
        let _ = run(&text);
    }

    #[test]
    fn what_is_quoted_reads_back(text in any::<String>()) {
        let quoted = super::super::format::quote(&text, false);
        prop_assert_eq!(super::super::literal::unquote(&quoted), Ok(text));
    }

    #[test]
    fn a_time_reads_back(seconds in -60_000_000_000i64..250_000_000_000) {
        let layout = "2006-01-02T15:04:05.999999999Z07:00";
        let time = time::of_millis(seconds * 1000 + 7);
        prop_assert_eq!(time::parse(layout, &time::format(&time, layout)), Ok(time));
    }
}
