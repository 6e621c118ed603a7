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
