//! From bytes of a log to records: lines are cut at line feeds, headers of container runtimes are read, what
//! a runtime split is joined.
//!
//! A record is slices into the bytes as they were read. Only what must be joined or unescaped is copied,
//! once. An open record, whose parts still come, holds places in files and no bytes: a container that never
//! ends its line costs nothing but a few numbers. Where a record is cut never depends on time or on how much
//! one read brought: at a line feed, at [`LineCutter::most`] bytes, or at the log's end.

mod batch;

use std::sync::Arc;

use memchr::memchr_iter;
use schemars::JsonSchema;

use self::batch::{Batch, add_joined};
use super::generation::GenerationFile;
use super::origin::Position;
use crate::data::{Attribute, Chunk, LogBuilder, Slice, UnixNanos, Value};
use crate::formats::container::{HeaderReader, Line, Stream};

/// What the lines of a log look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As a container runtime writes them: CRI or Docker's `json-file`, found out for each file.
    Container,
    /// A record a line.
    Text,
}

/// Parts that one record may be joined from: at the 16 KiB at which runtimes split, far more than
/// `most` has room for.
const MOST_PARTS: usize = 1024;

/// Room for joined text that is taken before it is known to be needed.
const MOST_EXPECTED: usize = 64 * 1024;

/// Bytes of one generation, read at once: whole lines, or the unterminated end of a file.
#[derive(Clone, Debug)]
pub struct Segment<'a> {
    /// The chunk that holds them.
    pub chunk: &'a Chunk,
    /// Where they begin in it.
    pub from: usize,
    /// Number of bytes.
    pub len: usize,
    /// The generation they are of, and its number in the log's chain.
    pub file: &'a Arc<GenerationFile>,
    /// See `file`.
    pub seq: u32,
    /// Offset of the first byte in the file.
    pub offset: u64,
    /// When reading came here, at the earliest.
    pub reached: UnixNanos,
}

/// What is counted while lines are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines whose header could not be read.
    pub broken: u64,
    /// Records that were cut because they were too long.
    pub cut: u64,
    /// Bytes of joined records whose file was given up meanwhile.
    pub lost: u64,
}

/// Cuts the lines of one log.
#[derive(Debug)]
pub struct LineCutter {
    format: Format,
    most: usize,
    header: HeaderReader,
    generation: u64,
    open: [Option<Open>; 2],
    /// Lists of parts that are not in use: at most one for each stream.
    spare: Vec<Vec<Part>>,
    /// Most bytes that a batch had to join, up to a limit.
    expected: usize,
    constants: Constants,
}

/// A record of which some parts were seen.
#[derive(Debug)]
struct Open {
    start: Position,
    time: UnixNanos,
    parts: Vec<Part>,
    len: usize,
    /// Generation of the end of the last part, and its offset.
    end: (Arc<GenerationFile>, u64),
}

/// Where a part of a record stands.
#[derive(Debug)]
struct Part {
    file: Arc<GenerationFile>,
    offset: u64,
    len: usize,
    escaped: bool,
}

/// Attributes that are the same for every record of a log: keys and values in one chunk, and ranges of them.
#[derive(Debug)]
struct Constants {
    chunk: Chunk,
    attributes: Vec<Attribute>,
    /// Of a record without stream, of stdout, of stderr: start and number.
    ranges: [(u32, u16); 3],
}

/// Indices of a batch's chunks.
const PAYLOAD: u32 = 0;
const CONSTANTS: u32 = 1;
const JOINED: u32 = 2;

impl LineCutter {
    /// A cutter of records of at most `most` bytes; `path` is the value of `log.file.path`.
    pub fn new(format: Format, most: usize, path: Option<&str>) -> Self {
        Self {
            format,
            most: most.max(1),
            header: HeaderReader::default(),
            generation: 0,
            open: [None, None],
            spare: Vec::new(),
            expected: 0,
            constants: Constants::new(path),
        }
    }

    /// Most bytes of a record; a longer one is cut into several.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Where the oldest open record starts.
    pub fn oldest_open(&self) -> Option<Position> {
        self.open.iter().flatten().map(|open| open.start).min()
    }

    /// Forgets open records: what follows is read again from an earlier place.
    pub fn reset(&mut self) {
        self.open = [None, None];
        self.header = HeaderReader::default();
    }

    /// Adds a record for each line of `segment` to `builder`, which is empty.
    pub fn cut(&mut self, segment: &Segment<'_>, builder: &mut LogBuilder) -> Counts {
        builder.add_chunk(segment.chunk.clone());
        builder.add_chunk(self.constants.chunk.clone());
        builder.add_payload_bytes(segment.len as u64);
        let mut batch = Batch::begin(segment, builder, &self.constants, self.expected);
        if self.generation != segment.file.generation.id {
            self.generation = segment.file.generation.id;
            self.header = HeaderReader::default();
        }
        let text = &segment.chunk.as_slice()[segment.from..segment.from + segment.len];
        let mut from = 0;
        for feed in memchr_iter(b'\n', text) {
            self.line(text, from, feed, feed + 1, &mut batch);
            from = feed + 1;
        }
        if from < text.len() {
            self.line(text, from, text.len(), text.len(), &mut batch);
        }
        let (joined, counts) = batch.finish();
        self.expected = self.expected.max(joined.len()).min(MOST_EXPECTED);
        add_joined(joined, builder);
        counts
    }

    /// Adds what is still open, at the log's end.
    pub fn flush(&mut self, segment: &Segment<'_>, builder: &mut LogBuilder) -> Counts {
        builder.add_chunk(segment.chunk.clone());
        builder.add_chunk(self.constants.chunk.clone());
        let mut batch = Batch::begin(segment, builder, &self.constants, self.expected);
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(open) = self.open[stream as usize].take() {
                self.spare.push(batch.close(open, stream));
            }
        }
        let (joined, counts) = batch.finish();
        self.expected = self.expected.max(joined.len()).min(MOST_EXPECTED);
        add_joined(joined, builder);
        counts
    }

    /// One line: `from..feed` without its terminator, which ends at `end`.
    #[inline]
    fn line(&mut self, text: &[u8], from: usize, feed: usize, end: usize, batch: &mut Batch<'_>) {
        if self.format == Format::Text {
            let content = feed - usize::from(text[from..feed].ends_with(b"\r"));
            return batch.push_long(None, UnixNanos::NONE, from..content, from, end, self.most);
        }
        match self.header.read(&text[from..feed]) {
            Ok(line) => {
                let content = from + line.content.start..from + line.content.end;
                let whole = !line.partial && self.open[line.stream as usize].is_none();
                match (whole, line.escaped) {
                    (true, false) if content.len() <= self.most => {
                        batch.push(line.stream as usize + 1, line.time, content, from, end);
                    }
                    (true, false) => batch.push_long(Some(line.stream), line.time, content, from, end, self.most),
                    (true, true) => batch.push_unescaped(&line, &text[content], from, end),
                    (false, _) => self.part(&line, content, from, end, batch),
                }
            }
            Err(_) => {
                batch.counts.broken += 1;
                batch.push_long(None, UnixNanos::NONE, from..feed, from, end, self.most);
            }
        }
    }

    /// A line that is a part of a record.
    #[cold]
    fn part(&mut self, line: &Line, content: std::ops::Range<usize>, from: usize, end: usize, batch: &mut Batch<'_>) {
        let slot = &mut self.open[line.stream as usize];
        let full = |open: &Open| open.len + content.len() > self.most || open.parts.len() == MOST_PARTS;
        if slot.as_ref().is_some_and(full)
            && let Some(open) = slot.take()
        {
            batch.counts.cut += 1;
            self.spare.push(batch.close(open, line.stream));
        }
        let segment = batch.segment;
        let at = |place: usize| segment.offset + place as u64;
        let file = segment.file;
        let open = slot.get_or_insert_with(|| Open {
            start: Position { seq: segment.seq, offset: at(from), reached: segment.reached },
            time: line.time,
            parts: self.spare.pop().unwrap_or_default(),
            len: 0,
            end: (file.clone(), 0),
        });
        open.len += content.len();
        open.parts.push(Part {
            file: file.clone(),
            offset: at(content.start),
            len: content.len(),
            escaped: line.escaped,
        });
        open.end = (file.clone(), at(end));
        if !line.partial
            && let Some(open) = slot.take()
        {
            self.spare.push(batch.close(open, line.stream));
        }
    }
}

impl Constants {
    fn new(path: Option<&str>) -> Self {
        let mut bytes = Vec::new();
        let mut put = |text: &str| {
            let slice = Slice::new(CONSTANTS, bytes.len() as u32, text.len() as u32);
            bytes.extend_from_slice(text.as_bytes());
            slice
        };
        let path = path.map(|path| Attribute { key: put("log.file.path"), value: Value::Text(put(path)) });
        let key = put("log.iostream");
        let mut attributes = Vec::new();
        let ranges = [None, Some(Stream::Stdout), Some(Stream::Stderr)].map(|stream| {
            let start = attributes.len();
            attributes.extend(path);
            attributes.extend(stream.map(|stream| Attribute { key, value: Value::Text(put(stream.name())) }));
            (start as u32, (attributes.len() - start) as u16)
        });
        Self { chunk: Chunk::from_vec(bytes), attributes, ranges }
    }
}

#[cfg(test)]
mod tests;
