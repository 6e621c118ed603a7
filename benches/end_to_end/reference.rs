//! What should arrive: the corpus read by a second, slow, obvious implementation on `serde_json`, and the
//! yardstick of speed: the same files read and searched for newlines, nothing more.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::process;

/// What a correct agent does with the corpus when it drops `level: debug`.
#[derive(Debug, Default)]
pub struct Expected {
    /// Whether the record of this number is kept.
    pub kept: Vec<bool>,
    /// Records whose text is a JSON object.
    pub objects: u64,
}

impl Expected {
    /// Number of records.
    pub fn records(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Number of records kept.
    pub fn kept(&self) -> u64 {
        self.kept.iter().filter(|kept| **kept).count() as u64
    }
}

/// Reads the files with a reference parser.
pub fn expected(files: &[PathBuf]) -> io::Result<Expected> {
    let mut expected = Expected::default();
    for file in files {
        let mut file = BufReader::with_capacity(1 << 20, File::open(file)?);
        let (mut line, mut open) = (Vec::new(), [Vec::new(), Vec::new()]);
        while file.read_until(b'\n', &mut line)? > 0 {
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let mut fields = text.splitn(4, |byte| *byte == b' ').skip(1);
            let (Some(stream), Some(tag), Some(content)) = (fields.next(), fields.next(), fields.next()) else {
                return Err(io::Error::other(format!("not a CRI line: {}", String::from_utf8_lossy(text))));
            };
            let open = &mut open[usize::from(stream == b"stderr")];
            open.extend_from_slice(content);
            if tag == b"F" {
                expected.count(open)?;
                open.clear();
            }
            line.clear();
        }
    }
    Ok(expected)
}

impl Expected {
    fn count(&mut self, text: &[u8]) -> io::Result<()> {
        let number = numbers(text).next().ok_or_else(|| io::Error::other("a record of the corpus has no number"))?;
        let object: Option<Map<String, Value>> = serde_json::from_slice(text).ok();
        self.objects += u64::from(object.is_some());
        let dropped = object.is_some_and(|object| object.get("level").is_some_and(|level| level == "debug"));
        if self.kept.len() <= number {
            self.kept.resize(number + 1, false);
        }
        self.kept[number] = !dropped;
        Ok(())
    }
}

/// The record numbers in a text.
pub fn numbers(text: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'~', text).filter_map(|at| {
        let digits = text.get(at + 1..at + 9)?;
        let ends = text.get(at + 9) == Some(&b'~') && digits.iter().all(u8::is_ascii_digit);
        ends.then(|| digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
    })
}

/// Processor time to read the files 256 KiB at a time and to visit every newline, and how many there are.
pub fn scan(files: &[PathBuf]) -> io::Result<(Duration, u64)> {
    let mut buffer = vec![0; 256 << 10];
    let mut newlines = 0;
    let before = process::own_thread_cpu()?;
    for file in files {
        let mut file = File::open(file)?;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            for at in memchr::memchr_iter(b'\n', &buffer[..read]) {
                // The place is what a splitter needs; without this only a count would be left of the loop.
                std::hint::black_box(at);
                newlines += 1;
            }
        }
    }
    Ok((process::own_thread_cpu()? - before, newlines))
}
