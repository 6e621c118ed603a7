//! Headers as runtimes write them, and as they must not.

use proptest::prelude::*;

use super::*;
use crate::formats::json::text::{unescape, write_string};

const TIME: u64 = 1_795_392_000_000_000_000;

fn read(line: &str) -> Result<(u64, Stream, bool, &str), BrokenHeader> {
    let line_read = HeaderReader::default().read(line.as_bytes())?;
    Ok((line_read.time.0 - TIME, line_read.stream, line_read.partial, &line[line_read.content]))
}

#[test]
fn cri_headers() {
    use Stream::{Stderr, Stdout};
    for (line, expected) in [
        ("2026-11-23T00:00:00.000000007Z stdout F text", Ok((7, Stdout, false, "text"))),
        ("2026-11-23T00:00:00.123456789Z stderr P a b ", Ok((123_456_789, Stderr, true, "a b "))),
        ("2026-11-23T02:00:00.5+02:00 stdout F x", Ok((500_000_000, Stdout, false, "x"))),
        ("2026-11-23T00:00:01Z stdout P:first:x x", Ok((1_000_000_000, Stdout, true, "x"))),
        ("2026-11-23T00:00:00.000000000Z stdout F ", Ok((0, Stdout, false, ""))),
        ("2026-11-23T00:00:00.000000000Z stdout F", Ok((0, Stdout, false, ""))),
        ("2026-11-23T00:00:00.000000000Z stdin F x", Err(BrokenHeader::Stream)),
        ("2026-11-23T00:00:00.000000000Z stdout X x", Err(BrokenHeader::Tag)),
        ("2026-11-23T00:00:00.000000000Z stdout", Err(BrokenHeader::Tag)),
        ("2026-11-23T00:00:00.000000000Z", Err(BrokenHeader::Stream)),
        ("2026-11-23T00:00:00.00000000xZ stdout F x", Err(BrokenHeader::Time)),
        ("2026-11-23T00:00:61.000000000Z stdout F x", Err(BrokenHeader::Time)),
        ("2026-13-23T00:00:00.000000000Z stdout F x", Err(BrokenHeader::Time)),
        ("panic: no header", Err(BrokenHeader::Time)),
        ("", Err(BrokenHeader::Time)),
    ] {
        assert_eq!(read(line), expected, "{line}");
    }
}

#[test]
fn docker_lines() {
    use Stream::{Stderr, Stdout};
    for (line, expected) in [
        (r#"{"log":"hi\n","stream":"stderr","time":"2026-11-23T00:00:00.000000001Z"}"#, Ok((1, Stderr, false, "hi"))),
        (r#"{"log":"x\\n","stream":"stdout","time":"2026-11-23T00:00:00Z"}"#, Ok((0, Stdout, true, r"x\\n"))),
        (
            r#"{"log":"a \"b\"\n","stream":"stdout","attrs":{"log":"no"},"time":"2026-11-23T00:00:00.5Z"}"#,
            Ok((500_000_000, Stdout, false, r#"a \"b\""#)),
        ),
        (r#"{"log":"x","stream":"stdout"}"#, Err(BrokenHeader::Object)),
        (r#"{"log":"x","stream":"stdout","time":"2026-11-23T00:00:00Z""#, Err(BrokenHeader::Object)),
        (r#"{"log":"x","stream":"stdout","time":"2026-11-23T00:00:00Z"}}"#, Err(BrokenHeader::Object)),
        (r#"{"log":1,"stream":"stdout","time":"2026-11-23T00:00:00Z"}"#, Err(BrokenHeader::Object)),
        (r#"{"log":"x","stream":"stdin","time":"2026-11-23T00:00:00Z"}"#, Err(BrokenHeader::Stream)),
        (r#"{"log":"x","stream":"stdout","time":"yesterday"}"#, Err(BrokenHeader::Time)),
        ("{", Err(BrokenHeader::Object)),
    ] {
        assert_eq!(read(line), expected, "{line}");
    }
}

#[test]
fn the_first_good_line_decides_the_format() {
    let mut reader = HeaderReader::default();
    assert!(reader.read(b"garbage").is_err());
    assert!(reader.read(b"{garbage").is_err());
    assert_eq!(reader.format(), None);
    assert!(reader.read(b"2026-11-23T00:00:00.000000000Z stdout F {}").is_ok());
    assert_eq!(reader.format(), Some(Format::Cri));
    assert_eq!(reader.read(br#"{"log":"x","stream":"stdout","time":"2026-11-23T00:00:00Z"}"#), Err(BrokenHeader::Time));
}

proptest! {
    #[test]
    fn fixed_times_are_read_as_the_general_reader_reads_them(
        nanos in prop::collection::vec(0u64..18_000_000_000_000_000_000, 1..6),
        spoil in prop::option::of((0usize..30, any::<u8>())),
    ) {
        let mut reader = HeaderReader::default();
        for nanos in nanos {
            let mut line = Vec::new();
            UnixNanos(nanos).write_rfc3339(&mut line);
            if let Some((at, byte)) = spoil {
                line[at] = byte;
            }
            let expected = UnixNanos::parse_rfc3339(&line);
            line.extend_from_slice(b" stdout F x");
            // A space in the time would end it early for both readers, which the general one then says.
            let read = reader.read(&line).map(|line| line.time).ok();
            prop_assert!(read == expected || spoil.is_some_and(|(_, byte)| byte == b' '), "{:?}", line);
        }
    }

    #[test]
    fn docker_content_reads_back(text in any::<String>(), complete: bool) {
        let mut line = br#"{"log":"#.to_vec();
        let newline = if complete { "\n" } else { "" };
        prop_assume!(complete || !text.ends_with('\n'));
        write_string(format!("{text}{newline}").as_bytes(), &mut line);
        line.extend_from_slice(br#","stream":"stdout","time":"2026-11-23T00:00:00Z"}"#);
        let read = HeaderReader::default().read(&line).expect("a good line");
        let mut content = Vec::new();
        unescape(&line[read.content.clone()], &mut content);
        prop_assert_eq!(content, text.as_bytes());
        prop_assert_eq!(read.partial, !complete);
        prop_assert!(read.escaped || line[read.content] == *text.as_bytes());
    }
}
