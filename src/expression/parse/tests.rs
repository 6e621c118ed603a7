//! How conditions and assignments are read.

use super::*;

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    let tree = condition("not true and false or true and (false or true)").expect("valid");
    let constant = Tree::Constant;
    let left = Tree::And(vec![Tree::Not(Box::new(constant(true))), constant(false)]);
    let right = Tree::And(vec![constant(true), Tree::Or(vec![constant(false), constant(true)])]);
    assert_eq!(tree, Tree::Or(vec![left, right]));
}

#[test]
fn both_forms_of_a_test_are_one() {
    let infix = condition(r#"body startsWith "x""#).expect("valid");
    let Tree::Test(Test::StartsWith, left, right) = infix else { panic!("a test") };
    let Ok(Tree::Test(Test::StartsWith, l, r)) = condition(r#"startsWith(body, "x")"#) else { panic!("a test") };
    assert_eq!((left.kind, right.kind), (l.kind, r.kind));
}

#[test]
fn errors_point_at_the_character_and_say_what_to_write() {
    for (text, place, says) in [
        ("", (0, 0), "expected a value, found the end"),
        ("body = \"x\"", (5, 6), "write `==`"),
        ("attributes[level] == 1", (11, 16), "write `[\"level\"]`"),
        ("body containz \"x\"", (5, 13), "did you mean `contains`?"),
        ("exist(body)", (0, 5), "did you mean `exists`?"),
        ("exists(body, body)", (0, 18), "wants one argument"),
        ("attributes[\"ok\"] and true", (0, 16), "compare it"),
        ("(body == \"x\"", (12, 12), "expected `)`"),
        ("body == null", (8, 12), "write `nil`"),
        ("body == \"x\" body", (12, 16), "`and`, `or` or the end"),
        ("\"x\"", (0, 3), "a value alone"),
    ] {
        let error = condition(text).expect_err(text);
        let said = format!("{error} {}", error.help.as_deref().unwrap_or_default());
        assert_eq!((error.from, error.to), place, "{text}: {said}");
        assert!(said.contains(says), "{text}: {said}");
    }
    let error = assignment("body == \"x\"").expect_err("compares");
    assert_eq!((error.from, error.to), (5, 7));
    let deep = format!("{}true", "not ".repeat(100));
    assert!(condition(&deep).expect_err("deep").message.contains("64 deep"));
}
