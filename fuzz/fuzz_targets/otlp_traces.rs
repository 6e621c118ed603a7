//! Requests of spans that may be anything. What is indexed goes out as it came, in parts too; an edited span is still a
//! span, and says what the edit gave it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::data::{Chunk, TraceBatch};
use tailwater::formats::otlp::patch;
use tailwater::formats::otlp::span::{ATTRIBUTES, NAME, SpanMessage};
use tailwater::formats::otlp::traces::{Emitter, index};
use tailwater::formats::protobuf::push_message;

fn indexed(request: Vec<u8>) -> TraceBatch {
    let indexed = index(Chunk::from_vec(request)).expect("what is written is well-formed");
    assert_eq!(indexed.refused, 0);
    indexed.batch
}

/// The selected spans, in requests of at most so many bytes.
fn emitted(batch: &TraceBatch, most: usize) -> Vec<Vec<u8>> {
    let (mut emitter, mut requests, mut from) = (Emitter::default(), Vec::new(), Some(0));
    while let Some(at) = from {
        from = emitter.emit(batch, at..usize::MAX, most).0;
        requests.push(emitter.finish().concat());
    }
    requests
}

/// A request with this span alone.
fn alone(span: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    push_message(1, &mut request, |out| {
        push_message(2, out, |out| push_message(2, out, |out| out.extend_from_slice(span)));
    });
    request
}

fuzz_target!(|data: &[u8]| {
    let Ok(first) = index(Chunk::from_vec(data.to_vec())) else { return };
    let mut batch = first.batch;
    let spans = batch.spans().len();
    if batch.is_whole() {
        assert_eq!(emitted(&batch, usize::MAX), [data]);
    }
    let parts = emitted(&batch, 100).into_iter().map(|part| indexed(part).spans().len());
    assert_eq!(parts.sum::<usize>(), spans);
    (0..spans).filter(|at| at % 2 == 1).for_each(|at| batch.selection.remove(at));
    let left = indexed(emitted(&batch, usize::MAX).concat());
    let kept: Vec<_> = batch.selection.iter().map(|at| batch.span(at)).collect();
    assert_eq!((0..left.spans().len()).map(|at| left.span(at)).collect::<Vec<_>>(), kept);

    // An `AnyValue` with the text `x`.
    const VALUE: &[u8] = b"\x0a\x01x";
    for span in kept {
        for keys in [&["a".into()][..], &["a".into(), "b".into()]] {
            let mut out = Vec::new();
            if patch::set(span, ATTRIBUTES, keys, VALUE, &mut out) {
                assert_eq!(SpanMessage(&out).attribute(keys), Some(VALUE));
                assert_eq!(indexed(alone(&out)).spans().len(), 1);
                let mut without = Vec::new();
                assert!(patch::delete(&out, ATTRIBUTES, keys, &mut without));
                assert_eq!(SpanMessage(&without).attribute(keys), None);
                indexed(alone(&without));
            }
        }
        let (mut named, mut failed) = (Vec::new(), Vec::new());
        assert!(patch::set_text(span, NAME, b"x", &mut named));
        assert_eq!(SpanMessage(&named).name(), b"x");
        patch::set_status_code(&named, 2, &mut failed);
        assert_eq!(indexed(alone(&failed)).spans()[0].status, 2);
    }
});
