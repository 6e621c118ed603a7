//! Reads what the agent's sinks `file` write, as it grows and through their rotation, and strikes it out of
//! the ledger.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memmem::Finder;

use super::ledger::Ledger;
use super::shop::voice::{CARDS, CUSTOMERS};
use crate::data::UnixNanos;

/// The output of the demo's sinks.
pub struct Results {
    ledger: Arc<Ledger>,
    outputs: Vec<Output>,
    secrets: Secrets,
}

/// What the shop's customers would not want to be seen.
pub struct Secrets(Vec<Finder<'static>>);

impl Default for Secrets {
    fn default() -> Self {
        Self(CARDS.iter().chain([&CUSTOMERS]).map(Finder::new).collect())
    }
}

impl Secrets {
    /// Whether one of them is in a line.
    pub fn are_in(&self, line: &[u8]) -> bool {
        self.0.iter().any(|secret| secret.find(line).is_some())
    }
}

/// One sink's file, the rotated ones included.
pub struct Output {
    path: PathBuf,
    open: Option<File>,
    /// A line of which the end is not written yet.
    begun: Vec<u8>,
    lines: u64,
}

/// The output could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the results in {}: {error}", path.display())]
pub struct ResultsError {
    path: PathBuf,
    error: io::Error,
}

/// The part of a line that says which record it is.
#[derive(serde::Deserialize)]
struct Document<'a> {
    #[serde(rename = "@timestamp", borrow)]
    timestamp: &'a str,
}

impl Results {
    /// Reads the files at these paths, which need not exist yet.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>, ledger: Arc<Ledger>) -> Self {
        Self { ledger, outputs: paths.into_iter().map(Output::new).collect(), secrets: Secrets::default() }
    }

    /// Reads what is new.
    pub fn look(&mut self) -> Result<(), ResultsError> {
        let Self { ledger, outputs, secrets } = self;
        let now = UnixNanos::now();
        for output in outputs {
            let each = |line: &[u8]| {
                let number = serde_json::from_slice::<Document<'_>>(line).ok();
                let number = number.and_then(|document| UnixNanos::parse_rfc3339(document.timestamp.as_bytes()));
                ledger.find(number, &String::from_utf8_lossy(line), secrets.are_in(line), now);
            };
            output.read(each)?;
        }
        Ok(())
    }

    /// The files and the lines read from each, rotated ones included.
    pub fn lines(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.outputs.iter().map(|output| (output.path.as_path(), output.lines))
    }
}

impl Output {
    /// The file at this path, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: None, begun: Vec::new(), lines: 0 }
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Reads the lines that are new.
    pub fn read(&mut self, each: impl FnMut(&[u8])) -> Result<(), ResultsError> {
        self.look(each).map_err(|error| ResultsError { path: self.path.clone(), error })
    }

    fn look(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        if self.open.is_none() {
            self.open = self.oldest()?;
        }
        while let Some(file) = &mut self.open {
            // Whether it was set aside is asked first: then what is read next is all of it.
            let next = next(&self.path, file.metadata()?.ino())?;
            let mut new = Vec::new();
            file.read_to_end(&mut new)?;
            for piece in new.split_inclusive(|&b| b == b'\n') {
                match piece.strip_suffix(b"\n") {
                    None => self.begun.extend_from_slice(piece),
                    Some(line) => {
                        self.lines += 1;
                        if self.begun.is_empty() {
                            each(line);
                        } else {
                            self.begun.extend_from_slice(line);
                            each(&std::mem::take(&mut self.begun));
                        }
                    }
                }
            }
            match next {
                Some(next) => self.open = Some(next),
                None => break,
            }
        }
        Ok(())
    }

    /// The oldest file there is, to begin with.
    fn oldest(&self) -> io::Result<Option<File>> {
        let mut found = None;
        for number in 0.. {
            match opened(&numbered(&self.path, number))? {
                Some(file) => found = Some(file),
                None => break,
            }
        }
        Ok(found)
    }
}

/// The file that was begun after the one with this inode; none while that is the newest.
fn next(path: &Path, inode: u64) -> io::Result<Option<File>> {
    let mut newer = None;
    for number in 0.. {
        let Some(file) = opened(&numbered(path, number))? else { break };
        if file.metadata()?.ino() == inode {
            return Ok(newer);
        }
        newer = Some(file);
    }
    Ok(None)
}

/// `out.ndjson` for 0, then `out.ndjson.1`, the newest of the rotated.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 { path.to_owned() } else { PathBuf::from(format!("{}.{number}", path.display())) }
}

fn opened(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::cli::demo::ledger::{Fate, Written};

    fn line(number: u64, rest: &str) -> String {
        let mut time = Vec::new();
        UnixNanos(number).write_rfc3339(&mut time);
        format!("{{\"@timestamp\":\"{}\",\"attributes\":{{\"x\":\"{rest}\"}}}}\n", String::from_utf8_lossy(&time))
    }

    #[test]
    fn follows_a_file_through_several_rotations_and_sees_a_leak() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("records.ndjson");
        let ledger = Arc::new(Ledger::default());
        for number in 1..=6 {
            ledger.write(Written { number: UnixNanos(number), fate: Fate::Kept, secrets: 1, text: "" });
        }
        let mut results = Results::new([path.clone()], ledger.clone());
        results.look().expect("nothing there is no error");
        let two = line(2, "4111111111111111");
        fs::write(&path, line(1, "") + &two[..20]).expect("writes");
        results.look().expect("reads");
        assert_eq!(ledger.counts().found, 1, "half a line is not a line");
        let mut file = fs::OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(&two.as_bytes()[20..]).expect("writes");
        for number in 3..=5 {
            for old in (0..number - 3 + 1).rev() {
                fs::rename(numbered(&path, old), numbered(&path, old + 1)).expect("rotates");
            }
            fs::write(&path, line(u64::from(number), "")).expect("writes");
        }
        results.look().expect("reads");
        let counts = ledger.counts();
        assert_eq!((counts.found, counts.open, counts.unexpected, counts.leaked), (5, 1, 0, 1));
        assert_eq!(results.lines().map(|(_, lines)| lines).sum::<u64>(), 5);
    }
}
