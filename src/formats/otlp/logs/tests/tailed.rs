//! Lines of files, as they leave over OTLP.

use super::*;
use crate::data::resource::ResourceValue;
use crate::data::{Attribute, Cut, Field, FieldEdit, Generation, JsonKind, Names, Scope};
use crate::formats::json::Scanner;

/// A line of a file, parsed and edited as steps do it.
#[test]
fn a_tailed_line_becomes_attributes() {
    const LINE: &[u8] = br#"{"level":"warn","msg":"a\u00e9","n":7,"card":"4111","user":{"ids":[1,2.5,null],"ok":true},"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","log.file.path":"mine","bad":01}"#;
    let names = Names::default();
    let mut interest = LogsEncoder::interest();
    interest.paths.push(names.intern(&["msg"]).expect("room"));
    let mut builder = LogBuilder::new(
        Arc::new(Resource::new([
            ("k8s.pod.name".into(), "web-1".into()),
            ("list".into(), ResourceValue::Json("[1]".into())),
        ])),
        Arc::new(Scope::default()),
    );
    let line = builder.add_chunk(Chunk::from_static(LINE));
    let constants = builder.add_chunk(Chunk::from_static(b"log.iostreamstderr***\"renamed\""));
    let source = builder.source();
    source.generations.push(Generation { id: 77, birth: UnixNanos(5) });
    source
        .attributes
        .push(Attribute { key: Slice::new(constants, 0, 12), value: Value::Text(Slice::new(constants, 12, 6)) });
    let record = LogRecord::of_body(Slice::new(line, 0, LINE.len() as u32));
    let time = UnixNanos(1_795_957_200_000_000_000);
    source.records.push(LogRecord { time, attributes_len: 1, start: 10, end: 400, ..record });
    source.records.push(LogRecord { start: 400, end: 800, ..record });
    let mut batch = builder.build();
    let mut scanner = Scanner::new(&names, &interest);
    let (overlay, payload) = batch.edit();
    let body = overlay.states[0].body;
    scanner.parse_into(body, payload.bytes(body), overlay, 0).expect("an object");
    overlay.states[0].body = Slice::EMPTY;
    let card = LINE.windows(4).position(|window| window == b"4111").expect("there") as u32;
    overlay.push_cut(0, Cut { from: card, to: card + 4, with: Slice::new(constants, 18, 3) });
    let field = &mut overlay.fields_mut(0)[0];
    assert_eq!(field.kind, JsonKind::String);
    *field = Field { edit: FieldEdit::Replaced, key: Slice::new(constants, 21, 9), ..*field };

    let uid = |index: usize| {
        let id = id::of_position(&batch.view(index), "file/a").expect("a position");
        String::from_utf8(id.to_vec()).expect("base64")
    };
    let uids = [uid(0), uid(1)];
    let (mut encoder, mut out) = (LogsEncoder::new(), Vec::new());
    encoder.append(&batch, 0, "file/a", UnixNanos(9), UNLIMITED, &mut out);
    let request = ExportLogsServiceRequest::decode(&*out).expect("prost reads it");
    let mut records = flat(request);
    let plain = records.remove(1).record;
    let Around { resource, record, .. } = records.remove(0);
    assert_eq!(resource.len(), 2);
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (time.0, 9));
    assert_eq!((record.severity_number, &*record.severity_text), (13, "WARN"));
    assert_eq!(record.body, None);
    assert_eq!(record.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!(record.span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
    let shown: Vec<_> = record
        .attributes
        .iter()
        .map(|attribute| (&*attribute.key, attribute.value.clone().unwrap_or_default().value))
        .collect();
    let string = |text: &str| Some(Kind::StringValue(text.to_owned()));
    let any = |value| proto::AnyValue { value };
    let member = |key: &str, value| proto::KeyValue { key: key.to_owned(), value: Some(any(value)), key_strindex: 0 };
    let ids = [Some(Kind::IntValue(1)), Some(Kind::DoubleValue(2.5)), None].map(any).to_vec();
    let user = vec![
        member("ids", Some(Kind::ArrayValue(proto::ArrayValue { values: ids }))),
        member("ok", Some(Kind::BoolValue(true))),
    ];
    let expected = [
        ("log.iostream", string("stderr")),
        ("log.record.uid", string(&uids[0])),
        ("level", string("warn")),
        ("renamed", string("aé")),
        ("n", Some(Kind::IntValue(7))),
        ("card", string("***")),
        ("user", Some(Kind::KvlistValue(proto::KeyValueList { values: user }))),
        ("original.log.file.path", string("mine")),
        ("bad", string("01")),
    ];
    assert_eq!(shown, expected);
    assert_eq!(plain.body.as_ref().map(text_of).as_deref(), std::str::from_utf8(LINE).ok());
    assert_eq!((plain.time_unix_nano, plain.attributes.len(), plain.trace_id.len()), (0, 1, 0));
    assert_eq!(plain.attributes[0].value.as_ref().map(text_of), Some(uids[1].clone()));
}
