//! Segments of the disk queue that may be anything, and records whose checksums fit whatever they say.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tailwater::data::{Batch, SeriesTable, UnixNanos};
use tailwater::formats::document::{DocumentEncoder, Form, Layout};
use tailwater::formats::segment::{Decoder, Frame, Frames, HEAD_LEN, Head, Header};

fuzz_target!(|data: &[u8]| {
    if let Ok(frames) = Frames::new(data) {
        let mut decoder = Decoder::new(Arc::default(), SeriesTable::new(1000));
        decoder.begin(frames.header());
        for frame in frames {
            if !read(&mut decoder, &frame) {
                break;
            }
        }
    }
    // The same bytes as the payload of a record: damage that no checksum finds.
    let Some((first, payload)) = data.split_first_chunk::<HEAD_LEN>() else { return };
    let Some(head) = Head::read(first) else { return };
    let frame = Frame { head: Head { length: payload.len(), ..head }, payload };
    read(&mut Decoder::new(Arc::default(), SeriesTable::new(1000)), &frame);
    let _ = Header::read(data);
});

fn read(decoder: &mut Decoder, frame: &Frame<'_>) -> bool {
    let Ok(stored) = decoder.decode(frame) else { return false };
    assert_eq!(stored.batch.count(), frame.head.count as usize);
    if let Batch::Logs(logs) = &stored.batch {
        let mut documents = DocumentEncoder::new(Layout::Ecs);
        documents.begin(logs, UnixNanos(1));
        let mut out = Vec::new();
        for view in logs.iter() {
            documents.write(&view, Form::Spliced, &mut out);
        }
    }
    true
}
