//! The batch that lines are cut into: whole lines name their bytes in the segment, what comes in parts or escaped is joined
//! in a chunk of its own.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::{Constants, Counts, JOINED, Open, PAYLOAD, Part, Segment};
use crate::data::logs::LogRecords;
use crate::data::{Chunk, LogBuilder, LogRecord, Severity, Slice, UnixNanos};
use crate::formats::container::{Line, Stream};
use crate::formats::json::text::unescape;
use crate::tail::generation::GenerationFile;

/// The batch being written.
pub(super) struct Batch<'a> {
    pub segment: &'a Segment<'a>,
    records: &'a mut LogRecords,
    ranges: [(u32, u16); 3],
    joined: Vec<u8>,
    /// How much is likely to be joined, if anything is.
    expected: usize,
    pub counts: Counts,
}

impl<'a> Batch<'a> {
    pub fn begin(
        segment: &'a Segment<'a>,
        builder: &'a mut LogBuilder,
        constants: &Constants,
        expected: usize,
    ) -> Self {
        let records = builder.source();
        records.attributes.extend_from_slice(&constants.attributes);
        records.generations.push(segment.file.generation);
        Self { segment, records, ranges: constants.ranges, joined: Vec::new(), expected, counts: Counts::default() }
    }

    /// A record whose body stands in the segment. `kind` is 0 without a stream, else the stream's number + 1.
    #[inline]
    pub fn push(&mut self, kind: usize, time: UnixNanos, body: std::ops::Range<usize>, from: usize, end: usize) {
        let (attributes_start, attributes_len) = self.ranges[kind];
        let segment = self.segment;
        self.records.records.push(LogRecord {
            time,
            body: Slice::new(PAYLOAD, (segment.from + body.start) as u32, body.len() as u32),
            attributes_start,
            attributes_len,
            start_generation: 0,
            end_generation: 0,
            severity: Severity::UNSPECIFIED,
            start: segment.offset + from as u64,
            end: segment.offset + end as u64,
            rare: u32::MAX,
        });
    }

    /// A record, or several where the body is longer than `most`.
    pub fn push_long(
        &mut self,
        stream: Option<Stream>,
        time: UnixNanos,
        mut body: std::ops::Range<usize>,
        mut from: usize,
        end: usize,
        most: usize,
    ) {
        let kind = stream.map_or(0, |stream| stream as usize + 1);
        while body.len() > most {
            let cut = body.start + most;
            self.push(kind, time, body.start..cut, from, cut);
            self.counts.cut += 1;
            (body.start, from) = (cut, cut);
        }
        self.push(kind, time, body, from, end);
    }

    /// A whole record whose text is escaped.
    pub fn push_unescaped(&mut self, line: &Line, content: &[u8], from: usize, end: usize) {
        let start = self.start_joined();
        unescape(content, &mut self.joined);
        self.push(line.stream as usize + 1, line.time, 0..0, from, end);
        self.body_is_joined(start);
    }

    /// Where the next joined text begins. Room for what the batches before needed is taken at once.
    fn start_joined(&mut self) -> usize {
        if self.joined.is_empty() {
            self.joined.reserve(self.expected);
        }
        self.joined.len()
    }

    /// Joins an open record. Returns the list of its parts, empty, for the next one.
    pub fn close(&mut self, mut open: Open, stream: Stream) -> Vec<Part> {
        let start = self.start_joined();
        for part in &open.parts {
            self.copy(part);
        }
        let first = &open.parts[0].file;
        let generations = (self.generation(first), self.generation(&open.end.0));
        self.push(stream as usize + 1, open.time, 0..0, 0, 0);
        if let Some(record) = self.records.records.last_mut() {
            (record.start_generation, record.end_generation) = generations;
            (record.start, record.end) = (open.start.offset, open.end.1);
        }
        self.body_is_joined(start);
        open.parts.clear();
        open.parts
    }

    /// The last record's body is what was joined from `start` on.
    fn body_is_joined(&mut self, start: usize) {
        if let Some(record) = self.records.records.last_mut() {
            record.body = Slice::new(JOINED, start as u32, (self.joined.len() - start) as u32);
        }
    }

    /// Index of a generation in the batch.
    fn generation(&mut self, file: &Arc<GenerationFile>) -> u16 {
        let generations = &mut self.records.generations;
        let known = generations.iter().position(|known| *known == file.generation);
        let index = known.unwrap_or_else(|| {
            generations.push(file.generation);
            generations.len() - 1
        });
        u16::try_from(index).expect("a batch has a record open for each of two streams, so few generations")
    }

    /// Appends a part's bytes: from the segment, or from the file where an earlier read brought them.
    fn copy(&mut self, part: &Part) {
        let segment = self.segment;
        let here = Arc::ptr_eq(&part.file, segment.file) && part.offset >= segment.offset;
        if here {
            let from = segment.from + (part.offset - segment.offset) as usize;
            return append(&segment.chunk.as_slice()[from..from + part.len], part.escaped, &mut self.joined);
        }
        let start = self.joined.len();
        self.joined.resize(start + part.len, 0);
        let read = part.file.file().map(|file| file.read_exact_at(&mut self.joined[start..], part.offset));
        match read {
            Some(Ok(())) if !part.escaped => {}
            Some(Ok(())) => {
                let escaped = self.joined.split_off(start);
                unescape(&escaped, &mut self.joined);
            }
            _ => {
                self.joined.truncate(start);
                self.counts.lost += part.len as u64;
            }
        }
    }

    /// What was joined, and what was counted.
    pub fn finish(self) -> (Vec<u8>, Counts) {
        (self.joined, self.counts)
    }
}

pub(super) fn add_joined(joined: Vec<u8>, builder: &mut LogBuilder) {
    if !joined.is_empty() {
        builder.add_payload_bytes(joined.len() as u64);
        builder.add_chunk(Chunk::from_vec(joined));
    }
}

fn append(bytes: &[u8], escaped: bool, out: &mut Vec<u8>) {
    if escaped {
        unescape(bytes, out);
    } else {
        out.extend_from_slice(bytes);
    }
}
