//! Objects with edits, as they are written.

use std::sync::Arc;

use super::*;
use crate::data::names::Interest;
use crate::data::{Chunk, LogBatch, LogBuilder, LogRecord, Names};
use crate::formats::json::Scanner;

/// A batch of one record whose object is `text`, with the keys `a`, `b` and `n.x`, `n.y` located.
fn parsed(text: &str) -> LogBatch {
    let names = Names::default();
    let paths: [&[&str]; 5] = [&["a"], &["b"], &["n"], &["n", "x"], &["n", "y"]];
    let paths = paths.map(|path| names.intern(path).expect("room")).to_vec();
    let mut scanner = Scanner::new(&names, &Interest { paths, ..Interest::default() });
    let mut builder = LogBuilder::new(Arc::default(), Arc::default());
    let chunk = builder.add_chunk(Chunk::from_vec(text.as_bytes().to_vec()));
    let body = Slice::new(chunk, 0, text.len() as u32);
    builder.source().records.push(LogRecord::of_body(body));
    let mut batch = builder.build();
    let (overlay, payload) = batch.edit();
    scanner.parse_into(body, payload.bytes(body), overlay, 0).expect("an object");
    batch
}

fn written(batch: &LogBatch, emit: impl FnMut(&Field) -> Emit) -> String {
    let mut out = b"<".to_vec();
    let any = MemberWriter::default().write(&batch.view(0), emit, &mut out);
    assert_eq!(any, out.len() > 1);
    String::from_utf8(out.split_off(1)).expect("UTF-8")
}

#[test]
fn commas_are_right_whatever_is_deleted() {
    let text = r#"{"a":1,"n":{"x":1 , "y":2},"b":2}"#;
    let cases: [(&[usize], &str); 7] = [
        (&[], r#""a":1,"n":{"x":1 , "y":2},"b":2"#),
        (&[0], r#""n":{"x":1 , "y":2},"b":2"#),
        (&[4], r#""a":1,"n":{"x":1 , "y":2}"#),
        (&[2], r#""a":1,"n":{"y":2},"b":2"#),
        (&[2, 3], r#""a":1,"n":{},"b":2"#),
        (&[1, 2], r#""a":1,"b":2"#),
        (&[0, 1, 4], ""),
    ];
    for (deleted, expected) in cases {
        let mut batch = parsed(text);
        for &at in deleted {
            batch.edit().0.fields_mut(0)[at].edit = FieldEdit::Deleted;
        }
        assert_eq!(written(&batch, |_| Emit::Keep), expected, "{deleted:?}");
    }
}

#[test]
fn a_reserved_key_is_renamed_or_taken_out() {
    let batch = parsed(r#"{"a":1,"b":{"a":2}}"#);
    let mut seen = Vec::new();
    let text = written(&batch, |field| {
        seen.push(batch.bytes(field.key).to_vec());
        if seen.len() == 1 { Emit::Skip } else { Emit::Prefixed("original.") }
    });
    assert_eq!(text, r#""original.b":{"a":2}"#);
    assert_eq!(seen, [b"\"a\"".to_vec(), b"\"b\"".to_vec()]);
}
