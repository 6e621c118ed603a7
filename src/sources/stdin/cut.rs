//! Cuts what came through the pipe into records. A record is a slice of the bytes as they were read; only
//! what crosses two reads, is joined from parts or must be unescaped is copied, once.

use std::ops::Range;

use memchr::memchr_iter;

use crate::data::{Attribute, Chunk, LogBuilder, LogRecord, Slice, UnixNanos, Value};
use crate::formats::container::{HeaderReader, Line, Stream};
use crate::formats::json::text::unescape;
use crate::tail::Format;

/// What is counted while lines are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Lines whose header could not be read.
    pub broken: u64,
    /// Records that were cut because they were too long.
    pub cut: u64,
}

/// Cuts records of at most `most` bytes.
pub(super) struct Cutter {
    format: Format,
    most: usize,
    header: HeaderReader,
    /// The line that has begun; shorter than `most` and a header.
    line: Vec<u8>,
    /// Records of which parts were seen, one a stream.
    open: [Option<Open>; 2],
    constants: Chunk,
}

struct Open {
    time: UnixNanos,
    text: Vec<u8>,
}

/// More than a runtime's header has.
const HEADER: usize = 256;

/// Indices of a batch's chunks.
const PAYLOAD: u32 = 0;
const CONSTANTS: u32 = 1;
const JOINED: u32 = 2;

/// The key, then the values of `log.iostream`.
const KEY: &str = "log.iostream";

/// Where a record's body stands.
enum Body {
    /// In the bytes that were read.
    Read(Range<usize>),
    /// Among what was copied.
    Joined(Range<usize>),
}

impl Cutter {
    pub fn new(format: Format, most: usize) -> Self {
        let text = [KEY, Stream::Stdout.name(), Stream::Stderr.name()].concat();
        Self {
            format,
            most,
            header: HeaderReader::default(),
            line: Vec::new(),
            open: [None, None],
            constants: Chunk::from_vec(text.into_bytes()),
        }
    }

    /// Begins with a line that has begun.
    pub fn begin_with(&mut self, line: Vec<u8>) {
        self.line = line;
    }

    /// Takes the line that has begun out.
    pub fn unfinished(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.line)
    }

    /// Adds a record for each line that ends in `chunk` to `builder`, which is empty.
    pub fn cut(&mut self, chunk: &Chunk, builder: &mut LogBuilder) -> Counts {
        let text = chunk.as_slice();
        let mut batch = Batch::begin(chunk.clone(), self.constants.clone(), builder);
        let mut from = 0;
        for feed in memchr_iter(b'\n', text) {
            if self.line.is_empty() {
                self.whole_line(text, from..feed, &mut batch);
            } else {
                self.grow(&text[from..feed], &mut batch);
                self.end_line(&mut batch);
            }
            from = feed + 1;
        }
        self.grow(&text[from..], &mut batch);
        batch.finish()
    }

    /// Adds what is still open: a line without terminator, records without a last part.
    pub fn flush(&mut self, builder: &mut LogBuilder) -> Counts {
        let mut batch = Batch::begin(Chunk::default(), self.constants.clone(), builder);
        if !self.line.is_empty() {
            self.end_line(&mut batch);
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(open) = self.open[stream as usize].take() {
                batch.push_joined(Some(stream), open.time, &open.text);
            }
        }
        batch.finish()
    }

    /// Most bytes of a line.
    fn most_of_line(&self) -> usize {
        match self.format {
            Format::Text => self.most,
            Format::Container => self.most + HEADER,
        }
    }

    /// Adds bytes to the line that has begun, or begins one. What is too long is cut here.
    fn grow(&mut self, mut bytes: &[u8], batch: &mut Batch<'_>) {
        let most = self.most_of_line();
        while self.line.len() + bytes.len() > most {
            let (fits, rest) = bytes.split_at(most - self.line.len());
            self.line.extend_from_slice(fits);
            bytes = rest;
            batch.counts.cut += 1;
            self.end_line(batch);
        }
        self.line.extend_from_slice(bytes);
    }

    /// The line that has begun is complete.
    fn end_line(&mut self, batch: &mut Batch<'_>) {
        let line = std::mem::take(&mut self.line);
        let start = batch.joined.len();
        batch.joined.extend_from_slice(&line);
        self.line_at(&line, |range| Body::Joined(start + range.start..start + range.end), batch);
        self.line = line;
        self.line.clear();
        // One long line's buffer is not kept for the short ones that follow.
        self.line.shrink_to(64 * 1024);
    }

    /// A line that stands in the bytes that were read.
    fn whole_line(&mut self, text: &[u8], mut line: Range<usize>, batch: &mut Batch<'_>) {
        let most = self.most_of_line();
        while line.len() > most {
            let piece = line.start..line.start + most;
            line.start = piece.end;
            batch.counts.cut += 1;
            self.line_at(
                &text[piece.clone()],
                |range| Body::Read(piece.start + range.start..piece.start + range.end),
                batch,
            );
        }
        self.line_at(&text[line.clone()], |range| Body::Read(line.start + range.start..line.start + range.end), batch);
    }

    /// One line without its terminator; `place` says where a range of it stands.
    fn line_at(&mut self, line: &[u8], place: impl Fn(Range<usize>) -> Body, batch: &mut Batch<'_>) {
        if self.format == Format::Text {
            let end = line.len() - usize::from(line.ends_with(b"\r"));
            return batch.push(None, UnixNanos::NONE, place(0..end));
        }
        match self.header.read(line) {
            Ok(header) if !header.partial && !header.escaped && self.open[header.stream as usize].is_none() => {
                batch.push(Some(header.stream), header.time, place(header.content));
            }
            Ok(header) => self.part(line, &header, batch),
            Err(_) => {
                batch.counts.broken += 1;
                batch.push(None, UnixNanos::NONE, place(0..line.len()));
            }
        }
    }

    /// A line that must be joined or unescaped.
    #[cold]
    fn part(&mut self, line: &[u8], header: &Line, batch: &mut Batch<'_>) {
        let content = &line[header.content.clone()];
        let slot = &mut self.open[header.stream as usize];
        if let Some(open) = slot.take_if(|open| open.text.len() + content.len() > self.most) {
            batch.counts.cut += 1;
            batch.push_joined(Some(header.stream), open.time, &open.text);
        }
        let open = slot.get_or_insert_with(|| Open { time: header.time, text: Vec::new() });
        if header.escaped {
            unescape(content, &mut open.text);
        } else {
            open.text.extend_from_slice(content);
        }
        if let Some(open) = slot.take_if(|_| !header.partial) {
            batch.push_joined(Some(header.stream), open.time, &open.text);
        }
    }
}

/// The batch being written.
struct Batch<'a> {
    builder: &'a mut LogBuilder,
    joined: Vec<u8>,
    counts: Counts,
}

impl<'a> Batch<'a> {
    fn begin(payload: Chunk, constants: Chunk, builder: &'a mut LogBuilder) -> Self {
        builder.add_payload_bytes(payload.len() as u64);
        builder.add_chunk(payload);
        builder.add_chunk(constants);
        let (key, stdout, stderr) =
            (KEY.len() as u32, Stream::Stdout.name().len() as u32, Stream::Stderr.name().len() as u32);
        let attribute = |start, len| Attribute {
            key: Slice::new(CONSTANTS, 0, key),
            value: Value::Text(Slice::new(CONSTANTS, start, len)),
        };
        builder.source().attributes.extend([attribute(key, stdout), attribute(key + stdout, stderr)]);
        Self { builder, joined: Vec::new(), counts: Counts::default() }
    }

    fn push(&mut self, stream: Option<Stream>, time: UnixNanos, body: Body) {
        let slice = |chunk, range: Range<usize>| Slice::new(chunk, range.start as u32, range.len() as u32);
        let body = match body {
            Body::Read(range) => slice(PAYLOAD, range),
            Body::Joined(range) => slice(JOINED, range),
        };
        self.builder.source().records.push(LogRecord {
            time,
            attributes_start: stream.map_or(0, |stream| stream as u32),
            attributes_len: stream.map_or(0, |_| 1),
            ..LogRecord::of_body(body)
        });
    }

    fn push_joined(&mut self, stream: Option<Stream>, time: UnixNanos, text: &[u8]) {
        let start = self.joined.len();
        self.joined.extend_from_slice(text);
        self.push(stream, time, Body::Joined(start..self.joined.len()));
    }

    fn finish(self) -> Counts {
        if !self.joined.is_empty() {
            self.builder.add_payload_bytes(self.joined.len() as u64);
            self.builder.add_chunk(Chunk::from_vec(self.joined));
        }
        self.counts
    }
}
