//! What the fast proof accepts, the exact judge accepts, spelling apart; and what is written of it is
//! valid JSON on a line of its own.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tailwater::data::{Chunk, LogBuilder, LogRecord, Names, Slice};
use tailwater::formats::json::{NotAnObject, Scanner, strict};
use tailwater::formats::ndjson::LineWriter;

fuzz_target!(|data: &[u8]| {
    let mut scanner = Scanner::new(&Names::default(), &LineWriter::interest());
    let scanned = scanner.scan(data);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let from = data.iter().take_while(|byte| blank(byte)).count();
    let behind = data[from..].iter().rev().take_while(|byte| blank(byte)).count();
    let exact = strict::compact(&data[from..data.len() - behind], &mut Vec::new());
    match scanned {
        // Of scalars and escapes only the characters are proven.
        Ok(_) => {}
        Err(NotAnObject::Blank) => assert!(exact),
        Err(_) => assert!(!exact, "a valid object was refused"),
    }
    let mut builder = LogBuilder::new(Arc::default(), Arc::default());
    let chunk = builder.add_chunk(Chunk::from_vec(data.to_vec()));
    let body = Slice::new(chunk, 0, data.len() as u32);
    builder.source().records.push(LogRecord::of_body(body));
    let mut batch = builder.build();
    let (overlay, payload) = batch.edit();
    if scanner.parse_into(body, payload.bytes(body), overlay, 0).is_ok() {
        overlay.states[0].body = Slice::EMPTY;
    }
    let mut line = Vec::new();
    LineWriter::new().json(&batch, &mut line);
    assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
    assert!(strict::compact(line.trim_ascii(), &mut Vec::new()));
});
