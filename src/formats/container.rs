//! The lines that container runtimes write: the CRI logging format (kubernetes/design-proposals-archive,
//! node/kubelet-cri-logging.md) and Docker's `json-file` driver. Both wrap what the container wrote in a
//! time, a stream and a mark that says whether its line goes on in the next.
//!
//! A line whose header is broken is an error here and a counted record without header at the source:
//! never a loss.

use std::ops::Range;

use memchr::memchr;

use super::json::walk;
use crate::data::UnixNanos;

/// How a runtime wraps its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-23T00:00:00.000000000Z stdout F text`, by containerd and CRI-O.
    Cri,
    /// `{"log":"text\n","stream":"stdout","time":"2026-11-23T00:00:00Z"}`, by Docker.
    Docker,
}

/// Where a container wrote its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The name as OpenTelemetry's `log.iostream` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"stdout" => Some(Self::Stdout),
            b"stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// What the header of a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When the runtime received it.
    pub time: UnixNanos,
    /// The stream it came from.
    pub stream: Stream,
    /// Whether the container's line goes on in the next line of the same stream.
    pub partial: bool,
    /// Where in the line the container's own bytes stand.
    pub content: Range<usize>,
    /// Whether those bytes are still escaped as in a JSON string, and must go through
    /// [`super::json::text::unescape`].
    pub escaped: bool,
}

/// What is wrong with a line's header. The line is kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BrokenHeader {
    /// The time.
    #[error("the line does not begin with an RFC 3339 time")]
    Time,
    /// The stream.
    #[error("the stream is neither stdout nor stderr")]
    Stream,
    /// The tag.
    #[error("the tag behind the stream is neither F (full) nor P (partial)")]
    Tag,
    /// Docker's object.
    #[error("the line is not an object with log, stream and time")]
    Object,
}

/// Reads the headers of one file's lines. The format is found at the first line that has one; the minute
/// of the last time is kept, for the next line nearly always falls into the same.
#[derive(Clone, Debug, Default)]
pub struct HeaderReader {
    format: Option<Format>,
    minute: [u8; MINUTE_LEN],
    minute_nanos: u64,
}

/// `2026-11-23T00:00:`
const MINUTE_LEN: usize = 17;

/// The header that runtimes write nearly always: a time of 30 bytes, a stream of 6, a tag of 1, each with
/// a space behind it.
const CRI_LEN: usize = 40;

impl HeaderReader {
    /// The file's format, once a line has shown it.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// Reads the header of `line`, which comes without its line terminator.
    #[inline]
    pub fn read(&mut self, line: &[u8]) -> Result<Line, BrokenHeader> {
        match self.format {
            Some(Format::Cri) => self.read_cri(line),
            Some(Format::Docker) => self.read_docker(line),
            None => {
                let docker = line.first() == Some(&b'{');
                let (read, format) = match docker {
                    true => (self.read_docker(line), Format::Docker),
                    false => (self.read_cri(line), Format::Cri),
                };
                if read.is_ok() {
                    self.format = Some(format);
                }
                read
            }
        }
    }

    #[inline]
    fn read_cri(&mut self, line: &[u8]) -> Result<Line, BrokenHeader> {
        if let Some(header) = line.first_chunk::<CRI_LEN>()
            && let Some((time, rest)) = header.split_first_chunk::<30>()
            && let Some(time) = self.fixed_time(time)
        {
            let stream = match rest {
                b" stdout F " | b" stdout P " => Some(Stream::Stdout),
                b" stderr F " | b" stderr P " => Some(Stream::Stderr),
                _ => None,
            };
            if let Some(stream) = stream {
                let content = CRI_LEN..line.len();
                return Ok(Line { time, stream, partial: rest[8] == b'P', content, escaped: false });
            }
        }
        self.read_any_cri(line)
    }

    /// Times of other lengths and zones, several tags, empty content without the space before it.
    #[cold]
    fn read_any_cri(&mut self, line: &[u8]) -> Result<Line, BrokenHeader> {
        let word = |from: usize| {
            let rest = line.get(from..).unwrap_or_default();
            from..from + memchr(b' ', rest).unwrap_or(rest.len())
        };
        let time = word(0);
        let stream = word(time.end + 1);
        let tags = word(stream.end + 1);
        let time = UnixNanos::parse_rfc3339(&line[time]).ok_or(BrokenHeader::Time)?;
        let stream = line.get(stream).and_then(Stream::from_name).ok_or(BrokenHeader::Stream)?;
        let partial = match line.get(tags.clone()) {
            // Only the first of several tags says whether the line is whole.
            Some([b'F'] | [b'F', b':', ..]) => false,
            Some([b'P'] | [b'P', b':', ..]) => true,
            _ => return Err(BrokenHeader::Tag),
        };
        let content = (tags.end + 1).min(line.len())..line.len();
        Ok(Line { time, stream, partial, content, escaped: false })
    }

    fn read_docker(&mut self, line: &[u8]) -> Result<Line, BrokenHeader> {
        let (mut log, mut stream, mut time) = (None, None, None);
        let mut end = 1;
        for member in walk::members(line, 0) {
            let value = member.value.clone();
            let text = line[value.clone()].strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            match &line[member.key] {
                b"\"log\"" => log = text.map(|_| value.start + 1..value.end - 1),
                b"\"stream\"" => stream = text,
                b"\"time\"" => time = text,
                _ => {}
            }
            end = member.value.end;
        }
        let whole = line.first() == Some(&b'{') && line.get(walk::skip_blank(line, end)..) == Some(b"}");
        let (true, Some(mut content), Some(stream), Some(time)) = (whole, log, stream, time) else {
            return Err(BrokenHeader::Object);
        };
        let stream = Stream::from_name(stream).ok_or(BrokenHeader::Stream)?;
        let time = self.docker_time(time).ok_or(BrokenHeader::Time)?;
        let complete = ends_with_newline(&line[content.clone()]);
        if complete {
            content.end -= 2;
        }
        let escaped = memchr(b'\\', &line[content.clone()]).is_some();
        Ok(Line { time, stream, partial: !complete, content, escaped })
    }

    fn docker_time(&mut self, text: &[u8]) -> Option<UnixNanos> {
        text.try_into().ok().and_then(|text| self.fixed_time(text)).or_else(|| UnixNanos::parse_rfc3339(text))
    }

    /// Reads `2026-11-23T00:00:00.000000000Z`, comparing the minute to the last one instead of reading it.
    #[inline]
    fn fixed_time(&mut self, text: &[u8; 30]) -> Option<UnixNanos> {
        let (minute, rest) = text.split_first_chunk::<MINUTE_LEN>()?;
        let [tens, ones, b'.', digits @ .., last, b'Z'] = rest else { return None };
        if *minute != self.minute {
            let mut whole = *b"0000-00-00T00:00:00Z";
            whole[..MINUTE_LEN].copy_from_slice(minute);
            self.minute_nanos = UnixNanos::parse_rfc3339(&whole)?.0;
            self.minute = *minute;
        }
        let [tens, ones, last] = [tens, ones, last].map(|digit| u64::from(digit.wrapping_sub(b'0')));
        let seconds = tens * 10 + ones;
        if tens > 9 || ones > 9 || last > 9 || seconds > 60 {
            return None;
        }
        let nanos = eight_digits(digits.try_into().ok()?)? * 10 + last;
        self.minute_nanos.checked_add(seconds * 1_000_000_000 + nanos).map(UnixNanos)
    }
}

/// The number that eight digits write, all read at once: neighbours are added in pairs, then in fours.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(text);
    let digits = word ^ (EACH * 0x30);
    // Above nine, adding six carries into the upper half of the byte; what had an upper half shows it.
    if (digits | digits.wrapping_add(EACH * 6)) & (EACH * 0xf0) != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

/// Whether escaped content ends in an escaped line feed: `\n` behind an even number of backslashes.
fn ends_with_newline(content: &[u8]) -> bool {
    let Some(rest) = content.strip_suffix(b"\\n") else { return false };
    rest.iter().rev().take_while(|&&b| b == b'\\').count().is_multiple_of(2)
}

#[cfg(test)]
mod tests;
