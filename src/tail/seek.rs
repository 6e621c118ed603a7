//! Where to begin in a file that is older than the agent: at its last line, or at the first line of the last
//! minutes.

use std::fs::File;
use std::io;

use memchr::{memchr, memrchr};

use super::read::read_up_to;
use crate::data::UnixNanos;
use crate::formats::container::HeaderReader;

/// Bytes that are looked at in one place.
const WINDOW: usize = 64 * 1024;

/// Offset behind the last line feed before `len`, where one is near; else `len`.
pub fn last_line(file: &File, len: u64) -> io::Result<u64> {
    let from = len.saturating_sub(WINDOW as u64);
    let window = read_up_to(file, from, (len - from) as usize)?;
    let feed = memrchr(b'\n', &window);
    Ok(match feed {
        Some(feed) => from + feed as u64 + 1,
        None if from == 0 => 0,
        None => len,
    })
}

/// Offset of the first line of a container's log that a runtime wrote at `since` or later: the lines before
/// it are older. Times are taken to ascend.
pub fn first_since(file: &File, len: u64, since: UnixNanos) -> io::Result<u64> {
    let (mut low, mut high) = (0, len);
    while high - low > WINDOW as u64 {
        let middle = low + (high - low) / 2;
        match line_behind(file, middle, high)? {
            Some((start, time)) if time < since => low = start,
            _ => high = middle,
        }
    }
    // The line that ends the search may begin before `high` and reach beyond it.
    let window = read_up_to(file, low, WINDOW * 2)?;
    let mut header = HeaderReader::default();
    let mut at = 0;
    while let Some(feed) = memchr(b'\n', &window[at..]) {
        if header.read(&window[at..at + feed]).is_ok_and(|line| line.time >= since) {
            return Ok(low + at as u64);
        }
        at += feed + 1;
    }
    Ok(low + at as u64)
}

/// The first line with a header that begins behind `from` and before `until`.
fn line_behind(file: &File, from: u64, until: u64) -> io::Result<Option<(u64, UnixNanos)>> {
    let window = read_up_to(file, from, WINDOW)?;
    let mut header = HeaderReader::default();
    let Some(mut at) = memchr(b'\n', &window).map(|feed| feed + 1) else { return Ok(None) };
    while let Some(feed) = memchr(b'\n', &window[at..]) {
        let start = from + at as u64;
        if start >= until {
            break;
        }
        if let Ok(line) = header.read(&window[at..at + feed]) {
            return Ok(Some((start, line.time)));
        }
        at += feed + 1;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(40))]
        #[test]
        fn finds_the_first_line_of_the_last_minutes(
            lines in proptest::collection::vec((0usize..400, proptest::bool::weighted(0.05)), 1..3000),
            cut in 0usize..3100,
        ) {
            let (mut text, mut starts) = (Vec::new(), Vec::new());
            for (second, (len, broken)) in lines.iter().enumerate() {
                starts.push((text.len() as u64, *broken));
                let mut time = Vec::new();
                UnixNanos(1_700_000_000_000_000_000 + second as u64 * 1_000_000_000).write_rfc3339(&mut time);
                let line = if *broken { b"no header".to_vec() } else { [&time[..], b" stdout F ", &vec![b'x'; *len]].concat() };
                text.extend_from_slice(&line);
                text.push(b'\n');
            }
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&text).expect("writes");
            let since = UnixNanos(1_700_000_000_000_000_000 + cut as u64 * 1_000_000_000);
            let found = first_since(&file, text.len() as u64, since).expect("reads");
            let expected = starts.iter().skip(cut).find(|(_, broken)| !broken).map_or(text.len() as u64, |(at, _)| *at);
            proptest::prop_assert_eq!(found, expected);
            proptest::prop_assert_eq!(last_line(&file, text.len() as u64).expect("reads"), text.len() as u64);
        }
    }
}
