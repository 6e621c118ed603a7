//! Writing a value deep inside a JSON object that has no such member yet: the slow way, by copying the
//! object around it. And the reverse.

use crate::formats::json::text::{unescaped_eq, write_string};
use crate::formats::json::walk::members;

/// Appends `object` with `value` (JSON text) at `keys`. Objects on the way are made where they are
/// missing; where something else stands in their place, it stays and the value is not written. A key that
/// stands several times is followed each time, and written once.
pub fn insert(object: &[u8], keys: &[Box<str>], value: &[u8], out: &mut Vec<u8>) {
    let Some((key, rest)) = keys.split_first() else { return out.extend_from_slice(object) };
    out.push(b'{');
    let (mut found, mut first) = (false, true);
    for member in members(object, 0) {
        let name = &object[member.key.clone()];
        let old = &object[member.value.clone()];
        let meant = unescaped_eq(&name[1..name.len() - 1], key.as_bytes());
        if meant && found && rest.is_empty() {
            continue;
        }
        found |= meant;
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b':');
        match rest {
            [] if meant => out.extend_from_slice(value),
            [_, ..] if meant && old.starts_with(b"{") => insert(old, rest, value, out),
            _ => out.extend_from_slice(old),
        }
    }
    if !found {
        if !first {
            out.push(b',');
        }
        write_string(key.as_bytes(), out);
        out.push(b':');
        wrap(rest, value, out);
    }
    out.push(b'}');
}

/// Appends `value` inside as many objects as there are keys.
pub fn wrap(keys: &[Box<str>], value: &[u8], out: &mut Vec<u8>) {
    for key in keys {
        out.push(b'{');
        write_string(key.as_bytes(), out);
        out.push(b':');
    }
    out.extend_from_slice(value);
    out.resize(out.len() + keys.len(), b'}');
}

/// Appends `object` without the members at `keys`.
pub fn remove(object: &[u8], keys: &[Box<str>], out: &mut Vec<u8>) {
    let Some((key, rest)) = keys.split_first().filter(|_| object.starts_with(b"{")) else {
        return out.extend_from_slice(object);
    };
    out.push(b'{');
    let mut first = true;
    for member in members(object, 0) {
        let name = &object[member.key.clone()];
        let meant = unescaped_eq(&name[1..name.len() - 1], key.as_bytes());
        if meant && rest.is_empty() {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b':');
        let old = &object[member.value];
        if meant { remove(old, rest, out) } else { out.extend_from_slice(old) }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_the_way_and_harms_nothing_beside_it() {
        let keys: Vec<Box<str>> = ["a", "b"].map(Into::into).to_vec();
        for (object, expected) in [
            (r#"{}"#, r#"{"a":{"b":1}}"#),
            (r#"{ "x" : [1, 2] }"#, r#"{"x":[1, 2],"a":{"b":1}}"#),
            (r#"{"a":{"c":2},"y":3}"#, r#"{"a":{"c":2,"b":1},"y":3}"#),
            (r#"{"a":{"b":2,"\u0062":3}}"#, r#"{"a":{"b":1}}"#),
            (r#"{"a":"text"}"#, r#"{"a":"text"}"#),
            (r#"{"a":{},"\u0061":{}}"#, r#"{"a":{"b":1},"\u0061":{"b":1}}"#),
        ] {
            let mut out = Vec::new();
            insert(object.as_bytes(), &keys, b"1", &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn removes_every_occurrence() {
        let keys: Vec<Box<str>> = ["a", "b"].map(Into::into).to_vec();
        for (object, expected) in [
            (r#"{"a":{"b":1,"c":2,"\u0062":3},"b":4,"a":{"b":5}}"#, r#"{"a":{"c":2},"b":4,"a":{}}"#),
            (r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":1}]}"#),
        ] {
            let mut out = Vec::new();
            remove(object.as_bytes(), &keys, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
