//! The functions that every template of Go has.

use std::cmp::Ordering;

use super::{Call, Does, Function, Type, escape};
use crate::alerting::template::format;
use crate::alerting::template::value::{List, Value};

use Type::{Any, String as Text};

/// By name.
pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "and", parameters: &[Any], rest: Some(Any), does: Does::Decide(false) },
    Function { name: "or", parameters: &[Any], rest: Some(Any), does: Does::Decide(true) },
    Function::new("not", &[Any], |_, arguments| Ok(Value::Bool(!arguments[0].is_true()))),
    Function::new("len", &[Any], |_, arguments| length(&arguments[0])),
    Function::and_more("index", &[Any], Any, |_, arguments| index(arguments)),
    Function::and_more("slice", &[Any], Any, |_, arguments| slice(arguments)),
    // No value here is a function.
    Function { name: "call", parameters: &[Any], rest: Some(Any), does: Does::Fail(no_function) },
    Function::and_more("print", &[], Any, |call, arguments| {
        let mut out = call.out();
        format::print(arguments, &mut out);
        call.written(out)
    }),
    Function::and_more("println", &[], Any, |call, arguments| {
        let mut out = call.out();
        format::println(arguments, &mut out);
        call.written(out)
    }),
    Function::and_more("printf", &[Text], Any, |call, arguments| {
        let mut out = call.out();
        format::printf(super::text(arguments, 0), &arguments[1..], &mut out);
        call.written(out)
    }),
    Function::and_more("html", &[], Any, |call, arguments| {
        printed(call, arguments).map(|text| escape::html(&text, false).into())
    }),
    Function::and_more("js", &[], Any, |call, arguments| printed(call, arguments).map(|text| escape::js(&text).into())),
    Function::and_more("urlquery", &[], Any, |call, arguments| {
        printed(call, arguments).map(|text| escape::query(&text).into())
    }),
    Function::and_more("eq", &[Any], Any, |_, arguments| equal(arguments).map(Value::Bool)),
    Function::new("ne", &[Any, Any], |_, arguments| equal(arguments).map(|equal| Value::Bool(!equal))),
    Function::new("lt", &[Any, Any], |_, arguments| less(&arguments[0], &arguments[1]).map(Value::Bool)),
    Function::new("le", &[Any, Any], |_, arguments| less_or_equal(arguments).map(Value::Bool)),
    Function::new("gt", &[Any, Any], |_, arguments| less_or_equal(arguments).map(|le| Value::Bool(!le))),
    Function::new("ge", &[Any, Any], |_, arguments| less(&arguments[0], &arguments[1]).map(|lt| Value::Bool(!lt))),
];

fn no_function(callee: &str, value: &Value) -> String {
    match value {
        Value::Nil => "call of nil".into(),
        value => format!("non-function {callee} of type {}", value.type_name()),
    }
}

/// The arguments as `print` writes them, but what is not there as an action does.
fn printed(call: &Call<'_>, arguments: &[Value]) -> Result<String, String> {
    let mut out = call.out();
    match arguments {
        [single] => format::show(single, &mut out),
        several => format::print(several, &mut out),
    }
    out.finish().ok_or_else(|| call.too_large())
}

fn length(of: &Value) -> Result<Value, String> {
    let length = match of {
        Value::String(text) | Value::Html(text) => text.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.entries().len(),
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(length as i64))
}

/// A place in a list or text that has `most` of them.
fn place(index: &Value, most: usize) -> Result<usize, String> {
    let number = match index {
        Value::Int(number) | Value::Duration(number) => *number,
        Value::Byte(number) => i64::from(*number),
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    usize::try_from(number).ok().filter(|index| *index <= most).ok_or_else(|| format!("index out of range: {number}"))
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let [item, indexes @ ..] = arguments else { return Err("index of untyped nil".into()) };
    let mut item = item.clone();
    if let Value::Nil = item {
        return Err("index of untyped nil".into());
    }
    for index in indexes {
        item = match &item {
            Value::Nil => return Err("index of nil pointer".into()),
            Value::String(text) | Value::Html(text) => {
                let at = place(index, text.len())?;
                let byte = text.as_bytes().get(at).ok_or("reflect: string index out of range")?;
                Value::Byte(*byte)
            }
            Value::List(list) => {
                let at = place(index, list.items().len())?;
                list.items().get(at).cloned().ok_or("reflect: slice index out of range")?
            }
            Value::Map(map) => match index {
                Value::String(name) => map.get(name),
                Value::Nil => return Err("value is nil; should be of type string".into()),
                other => return Err(format!("value has type {}; should be string", other.type_name())),
            },
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(item)
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let [item, indexes @ ..] = arguments else { return Err("slice of untyped nil".into()) };
    let length = match item {
        Value::Nil => return Err("slice of untyped nil".into()),
        Value::String(_) | Value::Html(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::String(text) | Value::Html(text) => text.len(),
        Value::List(list) => list.items().len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = place(index, length)?;
    }
    let [start, end, most] = bounds;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    if end > most {
        return Err(format!("invalid slice index: {end} > {most}"));
    }
    Ok(match item {
        Value::List(list) => Value::List(List::new(list.of(), list.items()[start..end].to_vec())),
        // Half a character is none.
        Value::Html(text) => Value::Html(String::from_utf8_lossy(&text.as_bytes()[start..end]).into()),
        _ => String::from_utf8_lossy(&super::text(arguments, 0).as_bytes()[start..end]).into(),
    })
}

/// What can be compared with what.
#[derive(PartialEq)]
enum Basic<'v> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'v str),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(truth) => Basic::Bool(*truth),
        Value::Int(number) | Value::Duration(number) => Basic::Int(*number),
        Value::Byte(number) => Basic::Int(i64::from(*number)),
        Value::Float(number) => Basic::Float(*number),
        Value::String(text) | Value::Html(text) => Basic::Text(text),
        _ => return None,
    })
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())
}

/// Whether the first value is equal to any of the others.
fn equal(arguments: &[Value]) -> Result<bool, String> {
    let [first, others @ ..] = arguments else { return Err("missing argument for comparison".into()) };
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        let equal = match (basic(first), basic(other)) {
            (Some(a), Some(b)) if std::mem::discriminant(&a) == std::mem::discriminant(&b) => a == b,
            _ => match (first, other) {
                (Value::Nil, Value::Nil) => true,
                (Value::Nil, _) | (_, Value::Nil) => false,
                (Value::Time(a), Value::Time(b)) => a == b,
                (Value::List(_), Value::List(_))
                | (Value::Map(_), Value::Map(_))
                | (Value::Record(_), Value::Record(_)) => return Err(non_comparable(other)),
                _ => return Err(incompatible(first, other)),
            },
        };
        if equal {
            return Ok(true);
        }
    }
    Ok(false)
}

fn non_comparable(value: &Value) -> String {
    let mut shown = format::Out::new(1 << 10);
    format::printf("%s", std::slice::from_ref(value), &mut shown);
    format!("non-comparable type {}: {}", shown.finish().unwrap_or_default(), value.type_name())
}

fn less(a: &Value, b: &Value) -> Result<bool, String> {
    const BAD: &str = "invalid type for comparison";
    Ok(match (basic(a).ok_or(BAD)?, basic(b).ok_or(BAD)?) {
        (Basic::Int(a), Basic::Int(b)) => a < b,
        (Basic::Float(a), Basic::Float(b)) => a < b,
        (Basic::Text(a), Basic::Text(b)) => a.cmp(b) == Ordering::Less,
        (Basic::Bool(_), Basic::Bool(_)) => return Err(BAD.into()),
        _ => return Err(incompatible(a, b)),
    })
}

fn less_or_equal(arguments: &[Value]) -> Result<bool, String> {
    Ok(less(&arguments[0], &arguments[1])? || equal(arguments)?)
}
